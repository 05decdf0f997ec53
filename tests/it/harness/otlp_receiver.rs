//! An OTLP receiver inside the test process, over gRPC and over HTTP with protobuf: it shows what a
//! backend receives. Exports are kept as they arrived and parsed only when a test reads them, so that
//! a duplicate attribute key fails that test. Limits are the Collector's defaults: 4 MiB per gRPC
//! message, 20 MiB per HTTP body.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsServiceServer;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsServiceServer;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};

use super::otlp_inbox;
use super::otlp_logs::{LogsInbox, ReceivedRecord};
use super::otlp_metrics::{MetricsInbox, ReceivedMetric};
use super::otlp_spans::{ReceivedSpan, Transport, hex, read};
use super::poll;
use super::server::Server;

const PROTOBUF: &str = "application/x-protobuf";

const HTTP_BODY_BYTES: usize = 20 * 1024 * 1024;

/// The receiver; dropping it closes both ports.
pub(crate) struct OtlpReceiver {
    grpc: Server,
    http: Server,
    inbox: Inbox,
}

impl OtlpReceiver {
    /// Starts both transports, each on a port of its own.
    pub(crate) async fn spawn() -> Self {
        let inbox = Inbox::default();
        Self {
            grpc: Server::spawn(inbox.over_grpc()).await,
            http: Server::spawn(inbox.over_http()).await,
            inbox,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with this protocol.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        match protocol {
            "grpc" => self.grpc_endpoint(),
            _ => self.http_endpoint(),
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    pub(crate) fn grpc_endpoint(&self) -> String {
        self.grpc.origin()
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: without the
    /// `/v1/traces` of the signal.
    pub(crate) fn http_endpoint(&self) -> String {
        self.http.origin()
    }

    /// All spans received so far in order of arrival; panics if a span, event or resource has a key
    /// twice.
    pub(crate) fn spans(&self) -> Vec<ReceivedSpan> {
        self.inbox.spans()
    }

    /// Every export so far as bytes: everything that a backend could read.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let spans = self
            .inbox
            .lock()
            .accepted
            .iter()
            .flat_map(|export| export.request.encode_to_vec())
            .collect();
        [spans, self.inbox.logs.bytes(), self.inbox.metrics.bytes()].concat()
    }

    /// All metrics received so far, once for each push.
    pub(crate) fn metrics(&self) -> Vec<ReceivedMetric> {
        self.inbox.metrics.metrics()
    }

    /// All log records received so far.
    pub(crate) fn records(&self) -> Vec<ReceivedRecord> {
        self.inbox.logs.records()
    }

    /// The headers, or the gRPC metadata, of every export so far.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.inbox
            .lock()
            .accepted
            .iter()
            .map(|export| export.headers.clone())
            .collect()
    }

    /// The spans, as soon as `holds` returns true for them; panics with the spans received so far when
    /// `limit` has passed.
    pub(crate) async fn wait_for(
        &self,
        holds: impl Fn(&[ReceivedSpan]) -> bool,
        limit: Duration,
    ) -> Vec<ReceivedSpan> {
        poll::until(limit, "spans for which the condition holds", async || {
            let spans = self.spans();
            if holds(&spans) { Ok(spans) } else { Err(spans) }
        })
        .await
    }
}

/// What the receiver does with an export of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Accepts every export.
    #[default]
    Accept,
    /// Accepts an export, but rejects this many of its spans.
    RejectSpans(i64),
    /// Accepts an export of at most this many bytes.
    MaxBytes(usize),
    /// Rejects every export with an error that a retry does not help.
    Reject,
    /// Rejects every export with an error that asks to retry.
    Busy,
    /// Never answers.
    Hang,
}

/// Every export so far, shared by both transports and the test.
#[derive(Clone, Default)]
pub(crate) struct Inbox {
    exports: Arc<Mutex<Exports>>,
    span_file: Option<Arc<SpanFile>>,
    metrics: MetricsInbox,
    logs: LogsInbox,
}

#[derive(Default)]
struct Exports {
    accepted: Vec<Export>,
    behaviour: Behaviour,
    n_unanswered: usize,
}

struct Export {
    transport: Transport,
    headers: HeaderMap,
    request: ExportTraceServiceRequest,
}

/// A file to which every export is written before it is answered: a line of `trace:span` pairs.
pub(super) struct SpanFile {
    file: File,
    n_answers_left: AtomicUsize,
}

impl SpanFile {
    /// A log in a file; after this many lines, exports are no longer answered.
    pub(super) fn new(file: File, n_answers: usize) -> Self {
        Self {
            file,
            n_answers_left: n_answers.into(),
        }
    }

    /// Writes an export to the file; returns whether it is to be answered.
    fn write(&self, request: &ExportTraceServiceRequest) -> bool {
        let groups = request
            .resource_spans
            .iter()
            .flat_map(|group| &group.scope_spans);
        let spans = groups.flat_map(|group| &group.spans);
        let spans: Vec<_> = spans
            .map(|span| format!("{}:{}", hex(&span.trace_id), hex(&span.span_id)))
            .collect();
        (&self.file)
            .write_all(format!("{}\n", spans.join(" ")).as_bytes())
            .expect("the file can be written");
        self.n_answers_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n_left| {
                n_left.checked_sub(1)
            })
            .is_ok()
    }
}

impl Inbox {
    /// An empty inbox that writes exports to a file.
    pub(super) fn with_span_file(span_file: SpanFile) -> Self {
        Self {
            span_file: Some(Arc::new(span_file)),
            ..Self::default()
        }
    }

    /// The receiver over gRPC.
    pub(super) fn over_grpc(&self) -> Router {
        self.routes().into_axum_router()
    }

    /// The same, as routes of a gRPC server.
    pub(crate) fn routes(&self) -> Routes {
        let logs =
            LogsServiceServer::new(self.logs.clone()).accept_compressed(CompressionEncoding::Gzip);
        let metrics = MetricsServiceServer::new(self.metrics.clone())
            .accept_compressed(CompressionEncoding::Gzip);
        Routes::new(
            TraceServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip),
        )
        .add_service(metrics)
        .add_service(logs)
    }

    /// The receiver over HTTP.
    pub(super) fn over_http(&self) -> Router {
        Router::new()
            .route("/v1/traces", post(export_over_http))
            .with_state(self.clone())
            .route(
                "/v1/logs",
                post(otlp_inbox::export_over_http).with_state(self.logs.clone()),
            )
            .route(
                "/v1/metrics",
                post(otlp_inbox::export_over_http).with_state(self.metrics.clone()),
            )
            .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES))
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    pub(crate) fn spans(&self) -> Vec<ReceivedSpan> {
        self.lock()
            .accepted
            .iter()
            .flat_map(|export| read(&export.request, export.transport))
            .collect()
    }

    /// How many exports have been left without an answer.
    pub(super) fn n_unanswered(&self) -> usize {
        self.lock().n_unanswered
    }

    /// Handles an export according to the current behaviour. Errors are those of gRPC.
    async fn receive(&self, export: Export) -> Result<ExportTraceServiceResponse, tonic::Status> {
        let behaviour = self.lock().behaviour;
        let mut response = ExportTraceServiceResponse::default();
        match behaviour {
            Behaviour::Accept => {}
            Behaviour::RejectSpans(rejected_spans) => {
                let error_message = "these are too old".to_owned();
                response.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans,
                    error_message,
                });
            }
            Behaviour::MaxBytes(bytes) if export.request.encoded_len() <= bytes => {}
            Behaviour::MaxBytes(_) => return Err(tonic::Status::resource_exhausted("too large")),
            Behaviour::Reject => return Err(tonic::Status::invalid_argument("nonsense")),
            Behaviour::Busy => return Err(tonic::Status::unavailable("busy")),
            Behaviour::Hang => {
                self.lock().n_unanswered += 1;
                std::future::pending::<()>().await;
            }
        }
        if self
            .span_file
            .as_ref()
            .is_some_and(|span_file| !span_file.write(&export.request))
        {
            std::future::pending::<()>().await;
        }
        self.lock().accepted.push(export);
        Ok(response)
    }

    fn lock(&self) -> MutexGuard<'_, Exports> {
        // A test may catch the panic about a duplicate key, and read again.
        self.exports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, request) = request.into_parts();
        let export = Export {
            transport: Transport::Grpc,
            headers: metadata.into_headers(),
            request,
        };
        self.receive(export).await.map(tonic::Response::new)
    }
}

async fn export_over_http(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> Response {
    if headers
        .get(CONTENT_TYPE)
        .is_none_or(|content_type| content_type != PROTOBUF)
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let Ok(request) = ExportTraceServiceRequest::decode(&decompress(&headers, &body)[..]) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match inbox
        .receive(Export {
            transport: Transport::Http,
            headers,
            request,
        })
        .await
    {
        Ok(response) => ([(CONTENT_TYPE, PROTOBUF)], response.encode_to_vec()).into_response(),
        Err(status) => match status.code() {
            tonic::Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            tonic::Code::InvalidArgument => StatusCode::BAD_REQUEST.into_response(),
            _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Decompresses a body.
pub(super) fn decompress(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return body.to_vec();
    }
    let mut decompressed = Vec::new();
    GzDecoder::new(body)
        .read_to_end(&mut decompressed)
        .expect("the body is compressed by gzip");
    decompressed
}

#[tokio::test]
async fn both_transports_fill_one_inbox() {
    let receiver = OtlpReceiver::spawn().await;
    let mut grpc = trace_client(&receiver).await;
    grpc.export(request_with(&["a"]))
        .await
        .expect("accepted over gRPC");
    let body = request_with(&["a", "b"]).encode_to_vec();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let posted = client
        .post(format!("{}/v1/traces", receiver.http_endpoint()))
        .header(CONTENT_TYPE, PROTOBUF);
    assert_eq!(
        posted.body(body).send().await.expect("an answer").status(),
        200
    );

    let spans = receiver
        .wait_for(|spans| spans.len() == 2, Duration::from_secs(5))
        .await;

    assert_eq!(spans[0].transport, Transport::Grpc);
    assert_eq!(spans[1].transport, Transport::Http);
    assert_eq!(spans[1].attributes.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(receiver.headers()[1][CONTENT_TYPE], PROTOBUF);
}

#[tokio::test]
#[should_panic(expected = "the span `chat` was sent with the key `a` twice")]
async fn a_key_sent_twice_fails_the_test_that_reads_it() {
    let receiver = OtlpReceiver::spawn().await;
    let mut grpc = trace_client(&receiver).await;
    grpc.export(request_with(&["a", "b", "a"]))
        .await
        .expect("accepted over gRPC");
    receiver.spans();
}

async fn trace_client(receiver: &OtlpReceiver) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(receiver.grpc_endpoint()).expect("an endpoint");
    TraceServiceClient::new(endpoint.connect().await.expect("a connection"))
}

fn request_with(keys: &[&str]) -> ExportTraceServiceRequest {
    let attributes = keys.iter().map(|key| KeyValue {
        key: (*key).to_owned(),
        ..KeyValue::default()
    });
    let span = Span {
        name: "chat".to_owned(),
        kind: 3,
        attributes: attributes.collect(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}
