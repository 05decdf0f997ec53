//! The standard `OTEL_*` variables that the SDK leaves to the application, read from a map of
//! variables and checked before anything starts. What the SDK reads itself is checked as well,
//! because it would say nothing of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::telemetry::sampling::Sampling;

/// The service's name when nothing else is said.
const SERVICE_NAME: &str = "expense-agent";

/// Memory of the spans that wait, unless told otherwise.
pub const DEFAULT_QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Spans of one message, as the specification has it.
const BATCH_SPANS: usize = 512;
/// Spans wait this long for company. The specification's five seconds are long for a person who
/// looks for his trace, and are lost to a kill.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// How often metrics are pushed, as the specification has it.
const PUSH_INTERVAL: Duration = Duration::from_secs(60);
/// How long one attempt to deliver may take, as the specification has it.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The samplers the SDK knows. An unknown one would make it follow the caller's flag, which is the
/// one thing not wanted.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Environment variables by name; empty ones count as unset, as the specification has it.
pub type Variables = BTreeMap<String, String>;

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

/// Limits the SDK takes only from code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Attributes of a span.
    pub span_attributes: Option<u32>,
    /// Attributes of an event.
    pub event_attributes: Option<u32>,
    /// Attributes of a link.
    pub link_attributes: Option<u32>,
    /// Characters of a text.
    pub value_chars: Option<usize>,
}

/// Files of the exporter's TLS set-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// The client's own certificate.
    pub client_certificate: Option<PathBuf>,
    /// The key of that certificate.
    pub client_key: Option<PathBuf>,
}

/// What is exported, each with variables of its own.
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

/// Where a signal goes, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterSettings {
    /// What goes there.
    pub signal: Signal,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP with the path of the signal.
    pub endpoint: String,
    /// The same for the log, so without a password.
    pub shown_endpoint: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`; `Debug` shows no values.
    pub headers: HeaderMap,
    /// Of one attempt: `OTEL_EXPORTER_OTLP_TIMEOUT`, else the signal's own
    /// `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_METRIC_EXPORT_TIMEOUT` or `OTEL_BLRP_EXPORT_TIMEOUT`.
    pub timeout: Duration,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION` is `gzip`.
    pub gzip: bool,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE` and the client's own.
    pub tls: TlsFiles,
}

/// Metrics as the operator asked for them.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    /// Where they are pushed to, unless `OTEL_METRICS_EXPORTER` is `none`; `/metrics` shows them
    /// in either case.
    pub exporter: Option<ExporterSettings>,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: how often they are pushed.
    pub interval: Duration,
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`: whether a push tells of all, or of
    /// what is new.
    pub temporality: Temporality,
    /// How many tenants have series of their own.
    pub max_tenants: usize,
    /// Whether model calls are also written under the names that older dashboards read.
    pub has_old_names: bool,
}

/// How much may wait, and how much goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of all spans that have ended and are not delivered, in bytes.
    pub max_bytes: usize,
    /// `OTEL_BSP_MAX_QUEUE_SIZE`: how many those may be.
    pub max_spans: Option<usize>,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`: spans of one message.
    pub max_batch_spans: usize,
}

/// Where prompts and answers are put; nowhere, unless the operator asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// On spans.
    pub on_spans: bool,
    /// In log records beside them.
    pub in_events: bool,
}

/// Telemetry as the operator asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetrySettings {
    /// `OTEL_SDK_DISABLED` is not set, and `OTEL_TRACES_EXPORTER` is not `none`.
    pub exports: bool,
    /// `OTEL_SDK_DISABLED`: spans are not even sampled, and nothing is measured.
    pub is_disabled: bool,
    /// The exporter of spans.
    pub exporter: ExporterSettings,
    /// Metrics.
    pub metrics: MetricSettings,
    /// Where log records go, unless `OTEL_LOGS_EXPORTER` is `none`.
    pub logs: Option<ExporterSettings>,
    /// What may wait for the exporter of spans.
    pub queue: Bounds,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// `OTEL_BSP_SCHEDULE_DELAY`: how long spans wait for company.
    pub schedule_delay: Duration,
    /// `OTEL_PROPAGATORS`.
    pub propagators: Vec<Propagator>,
    /// `OTEL_TRACES_SAMPLER` names a sampler; the SDK reads it.
    pub has_sampler: bool,
    /// Limits.
    pub limits: Limits,
    /// Resource attributes, `service.name` among them.
    pub resource: Vec<KeyValue>,
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`.
    pub captures: Captures,
    /// Whether spans also carry the keys that some LLM backends read instead of the GenAI
    /// conventions.
    pub has_compatibility_keys: bool,
    /// `OTEL_LOG_LEVEL`: how much the SDK says of itself.
    pub sdk_log_level: String,
    /// Values that are ignored, as the specification asks, each with what would be accepted: to be
    /// logged.
    pub ignored: Vec<String>,
}

impl TelemetrySettings {
    /// Reads the settings. A value that makes no sense is ignored, as the specification asks; one
    /// that cannot be ignored safely is added to `faults`.
    pub fn parse(variables: &Variables, faults: &mut Vec<String>) -> Self {
        let mut reader = Reader {
            variables,
            faults,
            ignored: Vec::new(),
        };
        let is_disabled = reader.boolean("OTEL_SDK_DISABLED") == Some(true);
        let exporter = reader
            .one_of("OTEL_TRACES_EXPORTER", &["otlp", "none"])
            .unwrap_or("otlp");
        let sends_logs =
            !is_disabled && reader.one_of("OTEL_LOGS_EXPORTER", &["otlp", "none"]) != Some("none");
        for name in [
            "OTEL_BLRP_MAX_QUEUE_SIZE",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
            "OTEL_BLRP_SCHEDULE_DELAY",
        ] {
            // The SDK reads them, and would take a zero.
            reader.above_zero(name);
        }
        let _checked = ["OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"]
            .map(|name| reader.number(name));
        let value_chars = [
            "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        ];
        let n_attributes = reader.number("OTEL_ATTRIBUTE_COUNT_LIMIT");
        Self {
            exports: !is_disabled && exporter == "otlp",
            is_disabled,
            queue: Bounds {
                max_bytes: DEFAULT_QUEUE_BYTES,
                max_spans: reader.above_zero("OTEL_BSP_MAX_QUEUE_SIZE").map(size),
                max_batch_spans: reader
                    .above_zero("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
                    .map_or(BATCH_SPANS, size),
            },
            sampling: Sampling::default(),
            schedule_delay: reader
                .above_zero("OTEL_BSP_SCHEDULE_DELAY")
                .map_or(SCHEDULE_DELAY, millis),
            exporter: reader.exporter(Signal::Traces),
            metrics: reader.metrics(is_disabled),
            logs: sends_logs.then(|| reader.exporter(Signal::Logs)),
            propagators: reader.propagators(),
            has_sampler: reader.has_sampler(),
            limits: Limits {
                span_attributes: reader
                    .number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
                    .or(n_attributes),
                event_attributes: reader
                    .number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")
                    .or(n_attributes),
                link_attributes: reader
                    .number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")
                    .or(n_attributes),
                value_chars: value_chars
                    .into_iter()
                    .find_map(|name| reader.number(name))
                    .map(size),
            },
            resource: reader.resource(),
            captures: reader.captures(),
            has_compatibility_keys: false,
            sdk_log_level: reader
                .one_of(
                    "OTEL_LOG_LEVEL",
                    &["off", "error", "warn", "info", "debug", "trace"],
                )
                .unwrap_or("off")
                .to_owned(),
            ignored: reader.ignored,
        }
    }

    /// `service.name`, by which backends find the service.
    pub fn service_name(&self) -> String {
        let name = self
            .resource
            .iter()
            .find(|attribute| attribute.key.as_str() == "service.name");
        name.map_or_else(|| SERVICE_NAME.to_owned(), |name| name.value.to_string())
    }
}

/// Reads variables and notes what is wrong with them.
struct Reader<'a> {
    variables: &'a Variables,
    faults: &'a mut Vec<String>,
    ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.variables
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// A variable of an exporter: the one for its signal goes before the one for all, unless it
    /// makes no sense.
    fn of_exporter<T>(
        &mut self,
        signal: Signal,
        suffix: &str,
        read: fn(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}");
        [own, format!("OTEL_EXPORTER_OTLP_{suffix}")]
            .into_iter()
            .find_map(|name| read(self, &name))
    }

    /// The same of one that any text makes sense for, with its name.
    fn exporter_text(&mut self, signal: Signal, suffix: &str) -> Option<(String, &'a str)> {
        self.of_exporter(signal, suffix, |reader, name| {
            Some((name.to_owned(), reader.text(name)?))
        })
    }

    fn fault(&mut self, name: &str, given: &str, accepted: &str) {
        note(
            self.faults,
            format!("{name} is \"{given}\"; write {accepted}"),
        );
    }

    fn ignore(&mut self, name: &str, given: &str, accepted: &str) {
        note(
            &mut self.ignored,
            format!("{name} is \"{given}\", which is ignored; write {accepted}"),
        );
    }

    /// The specification takes only `true`, in any case, for true, and asks for a warning of all
    /// but `false`.
    fn boolean(&mut self, name: &str) -> Option<bool> {
        self.one_of(name, &["true", "false"])
            .map(|text| text == "true")
    }

    fn one_of(&mut self, name: &str, accepted: &[&'static str]) -> Option<&'static str> {
        let given = self.text(name)?;
        let known = accepted
            .iter()
            .find(|value| value.eq_ignore_ascii_case(given))
            .copied();
        if known.is_none() {
            self.ignore(name, given, &format!("one of {}", accepted.join(", ")));
        }
        known
    }

    /// To the letter, blanks and case included: the SDK reads it so.
    fn has_sampler(&mut self) -> bool {
        let name = "OTEL_TRACES_SAMPLER";
        let Some(given) = self
            .variables
            .get(name)
            .filter(|given| !given.trim().is_empty())
        else {
            return false;
        };
        let is_known = SAMPLERS.contains(&given.as_str());
        if !is_known {
            self.ignore(name, given, &format!("one of {}", SAMPLERS.join(", ")));
        }
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let ratio = self
            .variables
            .get(name)
            .filter(|ratio| !ratio.is_empty() && given.ends_with("traceidratio"));
        if let Some(ratio) =
            ratio.filter(|ratio| !ratio.parse::<f64>().is_ok_and(|ratio| ratio <= 1.0))
        {
            self.ignore(name, ratio, "a number from 0 to 1");
        }
        is_known
    }

    fn number(&mut self, name: &str) -> Option<u32> {
        let given = self.text(name)?;
        let number = given.parse().ok();
        if number.is_none() {
            self.ignore(name, given, "a whole number");
        }
        number
    }

    /// Zero cannot work, so it is not ignored.
    fn above_zero(&mut self, name: &str) -> Option<u32> {
        let number = self.number(name)?;
        if number == 0 {
            self.fault(name, "0", "a number above zero");
        }
        Some(number)
    }

    fn metrics(&mut self, is_disabled: bool) -> MetricSettings {
        // `/metrics` is there anyway, so `prometheus` asks for no more than `none`.
        let exporter = self
            .one_of("OTEL_METRICS_EXPORTER", &["otlp", "prometheus", "none"])
            .unwrap_or("otlp");
        let temporality = self.one_of(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &["cumulative", "delta", "lowmemory"],
        );
        MetricSettings {
            exporter: (!is_disabled && exporter == "otlp").then(|| self.exporter(Signal::Metrics)),
            interval: self
                .above_zero("OTEL_METRIC_EXPORT_INTERVAL")
                .map_or(PUSH_INTERVAL, millis),
            temporality: temporality
                .and_then(|name| name.parse().ok())
                .unwrap_or_default(),
            max_tenants: 0,
            has_old_names: false,
        }
    }

    fn exporter(&mut self, signal: Signal) -> ExporterSettings {
        let protocol = self.protocol(signal);
        let (endpoint, shown_endpoint) = self.endpoint(signal, protocol);
        let timeout = match signal {
            Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
            Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
        };
        let timeout = self
            .of_exporter(signal, "TIMEOUT", Self::above_zero)
            .or_else(|| self.above_zero(timeout));
        ExporterSettings {
            signal,
            protocol,
            endpoint,
            shown_endpoint,
            headers: self.headers(signal),
            timeout: timeout.map_or(EXPORT_TIMEOUT, millis),
            gzip: self.gzip(signal),
            tls: self.tls(signal),
        }
    }

    fn protocol(&mut self, signal: Signal) -> Protocol {
        match self.of_exporter(signal, "PROTOCOL", |reader, name| {
            reader.one_of(name, &["grpc", "http/protobuf"])
        }) {
            Some("http/protobuf") => Protocol::HttpProtobuf,
            _ => Protocol::Grpc,
        }
    }

    /// The endpoint, and what may be shown of it: a password has no place in the log.
    fn endpoint(&mut self, signal: Signal, protocol: Protocol) -> (String, String) {
        let standard = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        };
        let given = self.exporter_text(signal, "ENDPOINT");
        let (name, given) =
            given.unwrap_or_else(|| ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), standard));
        let mut endpoint = given.to_owned();
        match protocol {
            Protocol::Grpc if !given.contains("://") => {
                let is_insecure = self.of_exporter(signal, "INSECURE", Self::boolean) == Some(true);
                endpoint = format!("{}://{given}", if is_insecure { "http" } else { "https" });
            }
            // The variable for one signal names the whole of it.
            Protocol::HttpProtobuf if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => {
                let path = signal.to_string().to_lowercase();
                endpoint = format!("{}/v1/{path}", given.trim_end_matches('/'));
            }
            _ => {}
        }
        let url = endpoint
            .parse::<Url>()
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(mut shown) = url else {
            self.fault(&name, given, "a URL such as \"http://localhost:4317\"");
            return (standard.to_owned(), standard.to_owned());
        };
        let _hidden = shown
            .set_password(None)
            .and_then(|()| shown.set_username(""));
        (endpoint, shown.to_string())
    }

    fn headers(&mut self, signal: Signal) -> HeaderMap {
        let Some((name, given)) = self.exporter_text(signal, "HEADERS") else {
            return HeaderMap::new();
        };
        let mut headers = HeaderMap::new();
        for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
            match header(pair) {
                Some((key, value)) => _ = headers.append(key, value),
                // It may hold a key, so it is not shown.
                None => self.ignore(
                    &name,
                    "not a header in one place",
                    "pairs such as \"x-team=finance%20ops\"",
                ),
            }
        }
        headers
    }

    fn gzip(&mut self, signal: Signal) -> bool {
        let given = self.of_exporter(signal, "COMPRESSION", |reader, name| {
            reader.one_of(name, &["gzip", "none"])
        });
        given == Some("gzip")
    }

    fn tls(&mut self, signal: Signal) -> TlsFiles {
        let mut file = |suffix| {
            self.exporter_text(signal, suffix)
                .map(|(_, path)| PathBuf::from(path))
        };
        let tls = TlsFiles {
            certificate: file("CERTIFICATE"),
            client_certificate: file("CLIENT_CERTIFICATE"),
            client_key: file("CLIENT_KEY"),
        };
        if tls.client_certificate.is_some() != tls.client_key.is_some() {
            let message = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together; set both";
            note(self.faults, message.to_owned());
        }
        tls
    }

    fn propagators(&mut self) -> Vec<Propagator> {
        let name = "OTEL_PROPAGATORS";
        let given = self.text(name).unwrap_or("tracecontext,baggage");
        let mut propagators = Vec::new();
        for propagator in given.split(',').map(str::trim) {
            match propagator {
                "tracecontext" => propagators.push(Propagator::TraceContext),
                "baggage" => propagators.push(Propagator::Baggage),
                "none" => {}
                other => self.ignore(name, other, "tracecontext, baggage or none"),
            }
        }
        propagators
    }

    /// `OTEL_SERVICE_NAME` goes before `service.name` among the attributes, and values are
    /// percent-decoded: the SDK has it the other way round, and decodes nothing.
    fn resource(&mut self) -> Vec<KeyValue> {
        let mut attributes = BTreeMap::from([
            ("service.name".to_owned(), SERVICE_NAME.to_owned()),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            ("service.instance.id".to_owned(), Uuid::now_v7().to_string()),
        ]);
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        for pair in self
            .text(name)
            .unwrap_or_default()
            .split(',')
            .filter(|pair| !pair.trim().is_empty())
        {
            let decode = |text: &str| {
                percent_decode_str(text.trim())
                    .decode_utf8()
                    .ok()
                    .map(|text| text.into_owned())
            };
            match pair
                .split_once('=')
                .map(|(key, value)| (decode(key), decode(value)))
            {
                Some((Some(key), Some(value))) if !key.is_empty() => {
                    attributes.insert(key, value);
                }
                _ => self.ignore(
                    name,
                    pair,
                    "pairs such as \"deployment.environment.name=production,team=finance\"",
                ),
            }
        }
        if let Some(service) = self.text("OTEL_SERVICE_NAME") {
            attributes.insert("service.name".to_owned(), service.to_owned());
        }
        attributes
            .into_iter()
            .map(|(key, value)| KeyValue::new(key, value))
            .collect()
    }

    fn captures(&mut self) -> Captures {
        let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let Some(given) = self.text(name) else {
            return Captures::default();
        };
        let (on_spans, in_events) = match given.to_ascii_uppercase().as_str() {
            "NO_CONTENT" | "FALSE" => (false, false),
            "SPAN_ONLY" | "TRUE" => (true, false),
            "EVENT_ONLY" => (false, true),
            "SPAN_AND_EVENT" => (true, true),
            _ => {
                self.fault(
                    name,
                    given,
                    "NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT",
                );
                (false, false)
            }
        };
        Captures {
            on_spans,
            in_events,
        }
    }
}

/// A header as `key=value`, the value percent-encoded.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (key, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((key.trim().parse().ok()?, value))
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn size(n: u32) -> usize {
    n.try_into().unwrap_or(usize::MAX)
}

/// Notes something once: a variable for all signals is read for each.
fn note(notes: &mut Vec<String>, text: String) {
    if !notes.contains(&text) {
        notes.push(text);
    }
}
