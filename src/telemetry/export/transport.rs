//! One attempt to deliver a message of encoded spans or log records, by OTLP over gRPC or HTTP.
//! `sender` and `logs` decide what happens after a failure.
//!
//! The exporters of opentelemetry-otlp are not used: they accept only the SDK's own types, which
//! would have to be encoded for each attempt, and their gRPC retries treat a broken connection as
//! permanent. tonic and reqwest do the transport itself.

use std::io::ErrorKind::InvalidData;
use std::io::{Error, Write};
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::error_chain::error_chain;
use crate::telemetry::settings::{ExporterSettings, Protocol, Signal, TlsFiles};

/// The user agent that backends see.
const USER_AGENT: &str = concat!("expense-agent/", env!("CARGO_PKG_VERSION"));
// The gRPC methods of the three signals.
const EXPORT_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const EXPORT_METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const EXPORT_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const PROTOBUF: &str = "application/x-protobuf";
/// Interval and time limit of HTTP/2 keep-alive pings while a request is in flight. Without them a
/// dead connection is noticed only when the kernel gives up, about a quarter of an hour later.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The most that is read of an HTTP response, in bytes. A valid one takes a few hundred.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The exporter cannot be built from the settings.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key cannot be read.
    #[error("{0} cannot be read; name a PEM file")]
    TlsFile(String, #[source] Error),
    /// The gRPC client cannot be built.
    #[error("the OTLP exporter for {0} cannot be built")]
    Grpc(String, #[source] tonic::transport::Error),
    /// The HTTP client cannot be built.
    #[error("the OTLP exporter for {0} cannot be built")]
    Http(String, #[source] reqwest::Error),
    /// The exporter of metrics cannot be built.
    #[error("the OTLP exporter for {0} cannot be built")]
    Metrics(String, #[source] ExporterBuildError),
}

/// Why a message was not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFailure {
    /// The message is too large for the backend.
    #[error("the message is too large for the backend: {0}")]
    TooLarge(String),
    /// The backend refused the message, and would refuse it again.
    #[error("the backend refused the message: {0}")]
    Refused(String),
    /// Any other failure, which may pass.
    #[error("{0}")]
    Passing(String),
}

/// A client of one of the two protocols.
#[derive(Debug)]
pub(crate) enum Transport {
    /// OTLP over gRPC.
    Grpc(Box<GrpcTransport>),
    /// OTLP over HTTP.
    Http(HttpTransport),
}

impl Transport {
    /// Builds a client, which connects when it is first used. Must be called inside the runtime
    /// that runs it.
    pub(crate) fn build(settings: &ExporterSettings) -> Result<Self, TransportError> {
        Ok(match settings.protocol {
            Protocol::Grpc => Self::Grpc(Box::new(GrpcTransport::build(settings)?)),
            Protocol::HttpProtobuf => Self::Http(HttpTransport::build(settings)?),
        })
    }

    /// Sends one message, an encoded `ResourceSpans` or `ResourceLogs`. Returns how many of its
    /// spans or records the backend rejected while it accepted the others.
    pub(super) async fn export(&self, resource_data: Vec<u8>) -> Result<u64, DeliveryFailure> {
        let request = ExportRequest {
            resource_data: resource_data.into(),
        };
        let (response, timeout) = match self {
            Self::Grpc(grpc) => (
                tokio::time::timeout(grpc.timeout, grpc.export(request)).await,
                grpc.timeout,
            ),
            Self::Http(http) => (
                tokio::time::timeout(http.timeout, http.export(request)).await,
                http.timeout,
            ),
        };
        let late = |_| {
            DeliveryFailure::Passing(format!(
                "no response within {}",
                humantime::format_duration(timeout)
            ))
        };
        let partial = response.map_err(late)??.partial_success;
        Ok(partial.map_or(0, |partial| {
            u64::try_from(partial.rejected_spans).unwrap_or_default()
        }))
    }
}

/// An `ExportTraceServiceRequest` whose only field is already encoded. Requests and responses for
/// log records have the same wire format.
#[derive(Clone, PartialEq, prost::Message)]
struct ExportRequest {
    #[prost(bytes = "bytes", tag = "1")]
    resource_data: Bytes,
}

#[derive(Debug)]
pub(crate) struct GrpcTransport {
    client: Grpc<Channel>,
    method: PathAndQuery,
    metadata: MetadataMap,
    timeout: Duration,
}

impl GrpcTransport {
    fn build(settings: &ExporterSettings) -> Result<Self, TransportError> {
        let unbuilt = |error| TransportError::Grpc(settings.shown_endpoint.clone(), error);
        let endpoint = Endpoint::from_shared(settings.endpoint.clone()).map_err(unbuilt)?;
        let mut endpoint = endpoint.user_agent(USER_AGENT).map_err(unbuilt)?;
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint
                .tls_config(grpc_tls(&settings.tls)?)
                .map_err(unbuilt)?;
        }
        let endpoint = endpoint
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let mut client = Grpc::new(endpoint.connect_lazy());
        if settings.gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        let metadata = MetadataMap::from_headers(settings.headers.clone());
        let method = PathAndQuery::from_static(match settings.signal {
            Signal::Traces => EXPORT_TRACES,
            Signal::Metrics => EXPORT_METRICS,
            Signal::Logs => EXPORT_LOGS,
        });
        Ok(Self {
            client,
            method,
            metadata,
            timeout: settings.timeout,
        })
    }

    async fn export(
        &self,
        request: ExportRequest,
    ) -> Result<ExportTraceServiceResponse, DeliveryFailure> {
        let mut client = self.client.clone();
        let mut request = Request::new(request);
        *request.metadata_mut() = self.metadata.clone();
        client
            .ready()
            .await
            .map_err(|error| DeliveryFailure::Passing(error_chain(&error)))?;
        let response = client
            .unary(request, self.method.clone(), ProstCodec::default())
            .await;
        response
            .map(tonic::Response::into_inner)
            .map_err(|status| classify(&status))
    }
}

/// Classifies a gRPC status. Only codes that say that the request itself is wrong are permanent: a
/// connection that breaks during the attempt is reported as `Unknown`. `ResourceExhausted` means
/// that a message is too large or that the backend is overloaded, and a smaller message helps in
/// either case.
fn classify(status: &Status) -> DeliveryFailure {
    let message = format!(
        "{}: {}",
        status.code(),
        std::error::Error::source(status).map_or(status.message().to_owned(), error_chain)
    );
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange => DeliveryFailure::TooLarge(message),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Unimplemented => DeliveryFailure::Refused(message),
        _ => DeliveryFailure::Passing(message),
    }
}

/// TLS of a gRPC client: which certificates it trusts, and its own.
pub(super) fn grpc_tls(files: &TlsFiles) -> Result<ClientTlsConfig, TransportError> {
    let TlsFiles {
        certificate,
        client_certificate,
        client_key,
    } = files;
    let mut tls = ClientTlsConfig::new();
    tls = match certificate {
        Some(file) => tls.ca_certificate(Certificate::from_pem(read_trusted(file)?)),
        None => tls.with_enabled_roots(),
    };
    if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// TLS of an HTTP client; absent fields leave the client's defaults.
pub(super) struct HttpTls {
    pub(super) trusted: Option<Vec<reqwest::Certificate>>,
    pub(super) identity: Option<reqwest::Identity>,
}

impl HttpTls {
    pub(super) fn read(settings: &ExporterSettings) -> Result<Self, TransportError> {
        let unbuilt = |error| TransportError::Http(settings.shown_endpoint.clone(), error);
        let TlsFiles {
            certificate,
            client_certificate,
            client_key,
        } = &settings.tls;
        let trusted = match certificate {
            Some(file) => {
                Some(reqwest::Certificate::from_pem_bundle(&read_trusted(file)?).map_err(unbuilt)?)
            }
            None => None,
        };
        let identity = match (client_certificate, client_key) {
            (Some(certificate), Some(key)) => {
                let pem = [read(certificate)?, read(key)?].concat();
                Some(reqwest::Identity::from_pem(&pem).map_err(unbuilt)?)
            }
            _ => None,
        };
        Ok(Self { trusted, identity })
    }
}

#[derive(Debug)]
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    url: String,
    gzip: bool,
    timeout: Duration,
}

impl HttpTransport {
    fn build(settings: &ExporterSettings) -> Result<Self, TransportError> {
        let unbuilt = |error| TransportError::Http(settings.shown_endpoint.clone(), error);
        let mut headers = HeaderMap::from_iter([(
            CONTENT_TYPE,
            PROTOBUF.parse().expect("a media type is a header"),
        )]);
        headers.extend(settings.headers.clone());
        // A redirect turns the POST into a GET, whose success would count as a delivery.
        let client = reqwest::Client::builder().redirect(Policy::none());
        let mut client = client.user_agent(USER_AGENT).default_headers(headers);
        let HttpTls { trusted, identity } = HttpTls::read(settings)?;
        if let Some(trusted) = trusted {
            client = client.tls_certs_only(trusted);
        }
        if let Some(identity) = identity {
            client = client.identity(identity);
        }
        let ExporterSettings {
            endpoint,
            gzip,
            timeout,
            ..
        } = settings;
        Ok(Self {
            client: client.build().map_err(unbuilt)?,
            url: endpoint.clone(),
            gzip: *gzip,
            timeout: *timeout,
        })
    }

    async fn export(
        &self,
        request: ExportRequest,
    ) -> Result<ExportTraceServiceResponse, DeliveryFailure> {
        let body = request.encode_to_vec();
        let request = self.client.post(&self.url);
        let request = match self.gzip {
            true => request.header(CONTENT_ENCODING, "gzip").body(gzip(&body)),
            false => request.body(body),
        };
        let passing =
            |error: reqwest::Error| DeliveryFailure::Passing(error_chain(&error.without_url()));
        let mut response = request.send().await.map_err(passing)?;
        let status = response.status();
        match status {
            _ if status.is_success() => {
                let mut body = Vec::new();
                while body.len() < MAX_RESPONSE_BYTES
                    && let Some(chunk) = response.chunk().await.map_err(passing)?
                {
                    body.extend_from_slice(&chunk);
                }
                // The status already says that the message was accepted, so a body that cannot be
                // decoded counts as an empty one.
                Ok(ExportTraceServiceResponse::decode(&*body).unwrap_or_default())
            }
            StatusCode::PAYLOAD_TOO_LARGE => Err(DeliveryFailure::TooLarge(status.to_string())),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(DeliveryFailure::Passing(status.to_string()))
            }
            _ if status.is_client_error() => Err(DeliveryFailure::Refused(status.to_string())),
            _ => Err(DeliveryFailure::Passing(status.to_string())),
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to a vector never fails")
}

/// Reads certificates to trust. A file without any is an error here; otherwise the first delivery
/// would fail as if the backend's certificate were wrong.
fn read_trusted(file: &Path) -> Result<Vec<u8>, TransportError> {
    let pem = read(file)?;
    let has_one = reqwest::Certificate::from_pem_bundle(&pem).is_ok_and(|found| !found.is_empty());
    let none = || {
        TransportError::TlsFile(
            file.display().to_string(),
            Error::new(InvalidData, "it contains no certificate"),
        )
    };
    has_one.then_some(pem).ok_or_else(none)
}

fn read(file: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(file).map_err(|error| TransportError::TlsFile(file.display().to_string(), error))
}
