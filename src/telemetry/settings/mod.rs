//! Telemetry as the operator asked for it: plain values. `parse` reads them from the standard
//! `OTEL_*` variables before anything starts; `config` adds what this program's own flags say.

mod exporter;
mod parse;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;
use reqwest::header::HeaderMap;

use crate::telemetry::sampling::Sampling;

/// The service's name unless the operator gives another one.
const SERVICE_NAME: &str = "expense-agent";

/// Default bound on the memory of ended spans that are not delivered yet, in bytes.
pub const DEFAULT_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Environment variables by name.
pub type Variables = BTreeMap<String, String>;

/// The value of a variable, without surrounding blanks. An empty variable counts as unset, as the
/// specification of OpenTelemetry demands.
pub fn variable<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables
        .get(name)
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

/// How a signal is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP as protobuf over HTTP.
    HttpProtobuf,
}

/// A propagator of [`OTEL_PROPAGATORS`](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagator {
    /// W3C trace context.
    TraceContext,
    /// W3C baggage.
    Baggage,
}

/// Limits that the SDK accepts only from code; absent where its own default applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Attributes of a span.
    pub span_attributes: Option<u32>,
    /// Attributes of an event.
    pub event_attributes: Option<u32>,
    /// Attributes of a link.
    pub link_attributes: Option<u32>,
    /// Characters of an attribute's text.
    pub value_chars: Option<usize>,
}

/// PEM files for TLS between the exporter and the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// The client's own certificate.
    pub client_certificate: Option<PathBuf>,
    /// The private key of the client's certificate.
    pub client_key: Option<PathBuf>,
}

/// One kind of telemetry data, with variables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

/// Where a signal is sent, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterSettings {
    /// The signal that is sent there.
    pub signal: Signal,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; over HTTP with the path of the signal.
    pub endpoint: String,
    /// The same URL without user and password, for the log.
    pub shown_endpoint: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`. The values are marked as sensitive, so `Debug` hides them.
    pub headers: HeaderMap,
    /// Time limit of one attempt: `OTEL_EXPORTER_OTLP_TIMEOUT`, else the signal's own
    /// `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_METRIC_EXPORT_TIMEOUT` or `OTEL_BLRP_EXPORT_TIMEOUT`.
    pub timeout: Duration,
    /// Whether `OTEL_EXPORTER_OTLP_COMPRESSION` is `gzip`.
    pub gzip: bool,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_CERTIFICATE` and `_CLIENT_KEY`.
    pub tls: TlsFiles,
}

/// How metrics are pushed, and which series they have.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    /// Where metrics are pushed, unless `OTEL_METRICS_EXPORTER` turns the push off. `/metrics`
    /// shows them in either case.
    pub exporter: Option<ExporterSettings>,
    /// Time between two pushes: `OTEL_METRIC_EXPORT_INTERVAL`.
    pub interval: Duration,
    /// Whether a push holds totals or only what was added since the last one:
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
    pub temporality: Temporality,
    /// How many tenants get series of their own.
    pub max_tenants: usize,
    /// Whether model calls are also recorded under the metric names of older dashboards.
    pub has_old_names: bool,
}

/// Bounds of the span queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of all ended spans that are not delivered yet, in bytes.
    pub max_bytes: usize,
    /// The number of these spans: `OTEL_BSP_MAX_QUEUE_SIZE`.
    pub max_spans: Option<usize>,
    /// Spans of one message: `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
    pub max_batch_spans: usize,
}

/// Where prompts and answers are captured. Nowhere by default, because they hold personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// On spans.
    pub on_spans: bool,
    /// In log records beside the spans.
    pub in_events: bool,
}

/// All settings of telemetry.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetrySettings {
    /// Whether spans are exported: `OTEL_SDK_DISABLED` is not `true`, and `OTEL_TRACES_EXPORTER`
    /// is not `none`.
    pub exports_spans: bool,
    /// `OTEL_SDK_DISABLED`: no span is sampled and nothing is measured.
    pub is_disabled: bool,
    /// Where spans are sent.
    pub exporter: ExporterSettings,
    /// Metrics.
    pub metrics: MetricSettings,
    /// Where log records are sent, unless `OTEL_LOGS_EXPORTER` is `none`.
    pub logs: Option<ExporterSettings>,
    /// Bounds of the span queue.
    pub queue: Bounds,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// How long a span waits for others before a message is sent: `OTEL_BSP_SCHEDULE_DELAY`.
    pub schedule_delay: Duration,
    /// `OTEL_PROPAGATORS`.
    pub propagators: Vec<Propagator>,
    /// Whether `OTEL_TRACES_SAMPLER` names a sampler, which the SDK then reads itself.
    pub has_sampler: bool,
    /// Limits of spans, events and links.
    pub limits: Limits,
    /// Resource attributes; `service.name` is always among them.
    pub resource: Vec<KeyValue>,
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`.
    pub captures: Captures,
    /// Whether spans also carry the keys that some LLM backends read instead of the GenAI
    /// conventions.
    pub has_compatibility_keys: bool,
    /// `OTEL_LOG_LEVEL`: the level of the SDK's own log lines.
    pub sdk_log_level: String,
    /// One line to log for each value that is ignored, as the specification demands, with what
    /// would be accepted instead.
    pub ignored: Vec<String>,
}

impl TelemetrySettings {
    /// `service.name`, under which backends list the service.
    pub fn service_name(&self) -> String {
        let name = self
            .resource
            .iter()
            .find(|attribute| attribute.key.as_str() == "service.name");
        name.map_or_else(|| SERVICE_NAME.to_owned(), |name| name.value.to_string())
    }
}
