//! Metrics on their way to a backend. What was not delivered is part of the next push, so nothing waits and nothing is tried
//! twice; that pushes begin to fail is said once, and not with every one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;
use tokio::runtime::Handle;

use crate::telemetry::transport::Transport;

/// What pushes.
#[derive(Debug)]
pub(in crate::telemetry) struct Pusher {
    transport: Arc<Transport>,
    /// Where it is used; the thread that asks for a push has no runtime.
    runtime: Handle,
    temporality: Temporality,
    /// For the log, so without a password.
    endpoint: String,
    is_failing: AtomicBool,
}

impl Pusher {
    pub(super) fn new(transport: Transport, runtime: Handle, temporality: Temporality, endpoint: String) -> Self {
        Self { transport: Arc::new(transport), runtime, temporality, endpoint, is_failing: AtomicBool::new(false) }
    }

    async fn push(&self, of_resource: Vec<u8>) -> Result<(), String> {
        let transport = Arc::clone(&self.transport);
        let pushing = self.runtime.spawn(async move { transport.export(of_resource).await });
        let pushed = pushing.await.map_err(|error| error.to_string())?;
        match pushed.map_err(|failure| failure.to_string())? {
            0 => Ok(()),
            n_rejected => Err(format!("the backend takes {n_rejected} of the data points not")),
        }
    }
}

impl PushMetricExporter for Pusher {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        let of_resource = request.resource_metrics.first().map(Message::encode_to_vec).unwrap_or_default();
        let result = self.push(of_resource).await;
        let (endpoint, was_failing) = (&self.endpoint, self.is_failing.swap(result.is_err(), Ordering::Relaxed));
        match &result {
            Err(error) if !was_failing => tracing::warn!(
                endpoint,
                error,
                "metrics cannot be delivered; decisions go on, and /metrics shows them all the same. Name a backend that \
                 takes them in OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, or turn this off with OTEL_METRICS_EXPORTER=none"
            ),
            Ok(()) if was_failing => tracing::info!(endpoint, "metrics are delivered again"),
            _ => {}
        }
        result.map_err(OTelSdkError::InternalFailure)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
