//! A backend that takes all three signals, counts spans and keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::server;

/// The backend of one service.
pub(crate) struct OtlpSink {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) endpoint: String,
    counter: Counter,
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl OtlpSink {
    /// Starts a backend that has seen nothing.
    pub(crate) async fn spawn() -> anyhow::Result<Self> {
        let counter = Counter::default();
        let traces = TraceServiceServer::new(counter.clone()).accept_compressed(CompressionEncoding::Gzip);
        let metrics = MetricsServiceServer::new(counter.clone()).accept_compressed(CompressionEncoding::Gzip);
        let logs = LogsServiceServer::new(counter.clone()).accept_compressed(CompressionEncoding::Gzip);
        let routes = Routes::new(traces).add_service(metrics).add_service(logs);
        let endpoint = server::spawn(routes.into_axum_router()).await?;
        Ok(Self { endpoint, counter })
    }

    /// Spans so far.
    pub(crate) fn n_spans(&self) -> u64 {
        self.counter.0.load(Ordering::Relaxed)
    }
}

#[tonic::async_trait]
impl TraceService for Counter {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.iter().flat_map(|resource| &resource.scope_spans);
        let n_spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        self.0.fetch_add(n_spans as u64, Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Counter {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Counter {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
