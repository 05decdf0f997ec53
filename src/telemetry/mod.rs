//! The only folder that imports OpenTelemetry. It knows the domain and is not known by it: it enters at four seams, the
//! HTTP middleware (`server`), the step wrapper (`step`), the model decorator (`chat`) and the span processor.
//!
//! Spans of the decision tree are made with the OpenTelemetry API directly; logs, start-up and libraries go through
//! `tracing`, which `logs` puts beside them.

pub mod chat;
mod content;
mod exporter;
pub mod identity;
pub mod logs;
pub mod names;
pub mod otlp;
mod processor;
pub mod provider;
mod record;
pub mod server;
pub mod settings;
mod span;
pub mod step;

use std::sync::Arc;

use settings::Propagator;

/// What requests are traced with: cheap to clone, held by the HTTP middleware.
#[derive(Clone, Debug)]
pub struct Instruments {
    scope: span::Scope,
    /// What is read of a caller's headers.
    propagators: Arc<[Propagator]>,
}
