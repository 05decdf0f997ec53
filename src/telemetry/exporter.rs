//! The one exporter of spans: OTLP, wrapped, so that a backend that is gone is said once and not with every batch, and that
//! spans are counted. What else belongs between queue and wire (own retries, splitting by size) has its place here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::telemetry::delivery::Delivery;

/// What became of spans that were to be delivered.
#[derive(Debug, Default)]
pub(super) struct SpanTally {
    n_exported: AtomicU64,
    n_dropped: AtomicU64,
}

impl SpanTally {
    /// A count for each result. The SDK leaves the spans that its sampler or its full queue lets go uncounted.
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        let (n_exported, n_dropped) = (&self.n_exported, &self.n_dropped);
        [
            ("exported", n_exported.load(Ordering::Relaxed)),
            ("sampled_out", 0),
            ("dropped", n_dropped.load(Ordering::Relaxed)),
        ]
    }
}

/// An exporter that counts, and logs when deliveries begin to fail, and when they succeed again.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    exporter: E,
    delivery: Delivery,
    tally: Arc<SpanTally>,
}

impl<E: SpanExporter> Reporting<E> {
    /// `endpoint` is for the log, so it must not hold a password.
    pub(super) fn new(exporter: E, endpoint: String, tally: Arc<SpanTally>) -> Self {
        let advice = "Start a trace backend there, name another one in OTEL_EXPORTER_OTLP_ENDPOINT, or turn traces off \
                      with OTEL_TRACES_EXPORTER=none";
        Self { exporter, delivery: Delivery::new("traces", endpoint, advice), tally }
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let result = self.exporter.export(batch).await;
        let counter = if result.is_ok() { &self.tally.n_exported } else { &self.tally.n_dropped };
        counter.fetch_add(n_spans, Ordering::Relaxed);
        self.delivery.note(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
