//! The only folder that imports OpenTelemetry, in rooms, lowest first:
//!
//! - `names`: every attribute and metric, declared once.
//! - `settings`, `sampling`, `scrub`: plain values, and what may leave in a text.
//! - `metrics`: the instruments, their series, and the page that Prometheus reads.
//! - `spans`: the live span, and `spans::step`, the one thing that the agent imports.
//! - `export`: from a finished span, metric or log record to the backend.
//! - `projections`: what the values of other folders look like on spans, in metrics and in log
//!   records.
//!
//! Projections are apart from spans because they name the agent's types and the agent imports
//! `spans::step`: so neither imports the other in a circle. `provider` and `subscriber`, at the
//! door, wire all of it.

pub mod export;
pub mod identity;
mod log_records;
pub mod metrics;
pub mod names;
pub mod projections;
pub mod provider;
pub mod sampling;
mod scrub;
pub mod settings;
pub mod spans;
pub mod subscriber;

use std::sync::Arc;

use export::queue::{Queue, SpanCounts};
use sampling::Reasons;
use settings::Propagator;

/// What requests are traced and measured with: cheap to clone, held by the HTTP middleware.
#[derive(Clone, Debug)]
pub struct Instruments {
    scope: spans::span::Scope,
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
