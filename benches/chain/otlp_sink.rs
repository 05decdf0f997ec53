//! A trace backend that needs as little processor time as possible: it accepts all three signals, and
//! decodes messages only as far as needed to count spans. It shares the processors with model, load
//! and service, so its own work would delay them.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prost::Message;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

use super::server;

/// The backend of one service.
pub(crate) struct OtlpSink {
    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) endpoint: String,
    counter: Counter,
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

/// An `ExportTraceServiceRequest`, whose spans are not decoded.
#[derive(Message)]
struct Traces {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Message)]
struct Scope {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

/// A message whose spans can be counted.
trait Export: Message + Default + 'static {
    fn n_spans(&self) -> usize;
}

impl Export for Traces {
    fn n_spans(&self) -> usize {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scopes);
        scopes.map(|scope| scope.spans.len()).sum()
    }
}

/// Metrics or log records, which are not decoded.
impl Export for () {
    fn n_spans(&self) -> usize {
        0
    }
}

impl OtlpSink {
    /// Starts a backend.
    pub(crate) async fn spawn() -> anyhow::Result<Self> {
        let counter = Counter::default();
        let services = Router::new()
            .route(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                post(export::<Traces>),
            )
            .route(
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                post(export::<()>),
            )
            .route(
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                post(export::<()>),
            );
        let endpoint = server::spawn(services.with_state(counter.clone())).await?;
        Ok(Self { endpoint, counter })
    }

    /// The number of spans so far.
    pub(crate) fn n_spans(&self) -> u64 {
        self.counter.0.load(Ordering::Relaxed)
    }
}

async fn export<M: Export>(State(counter): State<Counter>, request: Request) -> Response {
    // An empty message is the answer to all three signals.
    Grpc::new(ProstCodec::<(), M>::default())
        .unary(counter, request)
        .await
        .into_response()
}

impl<M: Export> UnaryService<M> for Counter {
    type Response = ();
    type Future = Ready<Result<tonic::Response<()>, Status>>;

    fn call(&mut self, request: tonic::Request<M>) -> Self::Future {
        self.0
            .fetch_add(request.get_ref().n_spans() as u64, Ordering::Relaxed);
        ready(Ok(tonic::Response::new(())))
    }
}
