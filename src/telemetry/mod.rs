//! The only folder that imports OpenTelemetry. It consists of layers; each imports only from
//! layers that precede it in this list:
//!
//! - `names`: the declaration of every attribute and metric.
//! - `sampling`, `settings`: which traces are kept, and what the operator asked for.
//! - `scrub`: redacting texts before they are exported.
//! - `metrics`: the instruments, their series, and the page that Prometheus reads.
//! - `spans`: spans of the decision tree and of deliveries, and the baggage that a request carries;
//!   `spans::step` is all that the agent imports, `spans::delivery` all that `notify` does.
//! - `export`: from a finished span, metric or log record to the backend.
//! - `projections`: the values of other folders as span attributes, events and metrics.
//! - `provider`, `subscriber`: build all of this, for traces and metrics, and for log lines.
//!
//! Projections name types of the agent, and the agent imports `spans::step`. They are a layer of
//! their own, above the agent, so that agent and telemetry do not import each other.
//!
//! Telemetry meets the rest of the code at four seams: the HTTP middleware (`projections::server`),
//! the step wrapper (`spans::step`, for notifications `spans::delivery`), the model decorator (`projections::chat`) and the span
//! processor (`export::processor`). The spans of a decision are made with the OpenTelemetry API,
//! which keeps types and cannot be filtered away; log lines, start-up and libraries use `tracing`,
//! which `subscriber` connects to the same traces.

pub mod export;
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

use axum::http::HeaderMap;
use export::queue::{Queue, SpanCounts};
use sampling::reasons::Reasons;
use settings::Propagator;
use spans::baggage::Baggage;

/// What the HTTP middleware needs to trace and measure requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instruments {
    scope: spans::span::Scope,
    /// The kinds of trace headers that are read from a caller's request.
    propagators: Arc<[Propagator]>,
    /// The span queue, if spans are exported.
    queue: Option<Arc<Queue>>,
    /// Finds the reason to keep a trace regardless of the sampling ratio.
    reasons: Arc<Reasons>,
    /// Whether server spans show what UIs of other conventions list.
    has_compatibility_keys: bool,
    /// The metrics page.
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

    /// The accepted members of a request's baggage; none when `OTEL_PROPAGATORS` leaves baggage
    /// out.
    pub fn baggage(&self, headers: &HeaderMap) -> Baggage {
        if self.propagators.contains(&Propagator::Baggage) {
            Baggage::read(headers)
        } else {
            Baggage::default()
        }
    }

    /// What became of every span so far; absent when spans are not exported.
    pub fn span_counts(&self) -> Option<SpanCounts> {
        self.queue.as_ref().map(|queue| queue.counts())
    }
}
