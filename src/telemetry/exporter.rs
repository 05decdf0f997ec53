//! The one exporter: OTLP, wrapped, so that a backend that is gone is said once and not with every batch. What else
//! belongs between queue and wire (own retries, splitting by size, counting) has its place here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that logs when deliveries begin to fail, and when they succeed again.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    exporter: E,
    endpoint: String,
    is_failing: AtomicBool,
}

impl<E: SpanExporter> Reporting<E> {
    /// `endpoint` is for the log, so it must not hold a password.
    pub(super) fn new(exporter: E, endpoint: String) -> Self {
        Self { exporter, endpoint, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => tracing::warn!(
                endpoint = self.endpoint,
                %error,
                "traces cannot be delivered; decisions go on. Start a trace backend there, name another one in \
                 OTEL_EXPORTER_OTLP_ENDPOINT, or turn traces off with OTEL_TRACES_EXPORTER=none"
            ),
            Ok(()) if was_failing => tracing::info!(endpoint = self.endpoint, "traces are delivered again"),
            _ => {}
        }
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
