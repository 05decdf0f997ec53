//! The only folder that imports OpenTelemetry. It knows the domain and is not known by it: it enters at four seams, the
//! HTTP middleware (`server`), the step wrapper (`step`), the model decorator (`chat`) and the span processor.
//!
//! Spans of the decision tree are made with the OpenTelemetry API directly; logs, start-up and libraries go through
//! `tracing`, which `logs` puts beside them.

pub mod chat;
mod content;
mod delivery;
mod exporter;
pub mod identity;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod otlp;
mod processor;
pub mod provider;
mod record;
pub mod request_time;
pub mod server;
pub mod settings;
mod span;
pub mod step;

use std::sync::Arc;

use settings::Propagator;

/// What requests are traced and measured with: cheap to clone, held by the HTTP middleware.
#[derive(Clone, Debug)]
pub struct Instruments {
    scope: span::Scope,
    /// What is read of a caller's headers.
    propagators: Arc<[Propagator]>,
    /// What has been measured, for whoever asks.
    page: metrics::readers::Page,
}

impl Instruments {
    /// Every metric in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written in that format.
    pub fn metrics_page(&self) -> Result<String, prometheus::Error> {
        self.page.text()
    }
}
