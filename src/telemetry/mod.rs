//! The only folder that imports OpenTelemetry. It knows the domain and is not known by it: it
//! enters at four seams, the HTTP middleware (`server`), the step wrapper (`step`), the model
//! decorator (`chat`) and the span processor.
//!
//! Spans of the decision tree are made with the OpenTelemetry API directly; logs, start-up and
//! libraries go through `tracing`, which `logs` puts beside them. A span that ends goes from
//! `processor` through `pipeline`: it is encoded (`encode`), waits for a verdict where not all are
//! kept (`undecided`) and then to be sent (`queue`), and leaves (`sender`, `transport`). What is
//! said in log records passes `log_records`, and leaves by `log_exporter`.

pub mod chat;
mod clean;
mod compatibility;
mod content;
pub mod encode;
pub mod identity;
mod log_exporter;
mod log_records;
pub mod logs;
pub mod metrics;
pub mod names;
mod outage;
mod pipeline;
mod processor;
pub mod provider;
pub mod queue;
mod record;
pub mod request_time;
pub mod sampling;
mod sender;
pub mod server;
pub mod settings;
mod span;
pub mod step;
pub mod traces;
pub mod transport;
pub mod undecided;

use std::sync::Arc;

use queue::{Queue, SpanCounts};
use sampling::Reasons;
use settings::Propagator;

/// What requests are traced and measured with: cheap to clone, held by the HTTP middleware.
#[derive(Clone, Debug)]
pub struct Instruments {
    scope: span::Scope,
    /// What is read of a caller's headers.
    propagators: Arc<[Propagator]>,
    /// What waits to be delivered, if anything is.
    queue: Option<Arc<Queue>>,
    /// Why traces are kept in any case.
    reasons: Arc<Reasons>,
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

    /// Where every span is, at one moment; absent when nothing is exported.
    pub fn span_counts(&self) -> Option<SpanCounts> {
        self.queue.as_ref().map(|queue| queue.counts())
    }
}
