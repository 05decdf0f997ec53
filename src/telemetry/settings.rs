//! The standard `OTEL_*` variables that the SDK leaves to the application, read from a map of variables and checked
//! before anything starts. What the SDK and its exporters read themselves (endpoint, headers, timeout, compression,
//! batch sizes, sampler) is only checked where they would take a value that cannot work.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

/// The service's name when nothing else is said.
const SERVICE_NAME: &str = "expense-agent";

/// The samplers the SDK knows. An unknown one would make it follow the caller's flag, which is the one thing not wanted.
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

/// How spans and metrics are sent.
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

/// Where a signal goes, and how. Headers, compression and the endpoint itself are read by the exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterSettings {
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub protocol: Protocol,
    /// Where it goes, for the log only.
    pub endpoint: String,
    /// TLS files of the exporter.
    pub tls: TlsFiles,
    /// `OTEL_BSP_EXPORT_TIMEOUT` or `OTEL_METRIC_EXPORT_TIMEOUT`, where the exporter has no timeout of its own: the SDK
    /// knows none.
    pub timeout: Option<Duration>,
}

/// Metrics as the operator asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSettings {
    /// Where they are pushed to, unless `OTEL_METRICS_EXPORTER` is `none`; `/metrics` shows them in either case.
    pub exporter: Option<ExporterSettings>,
    /// How many tenants have series of their own.
    pub max_tenants: usize,
    /// Whether model calls are also written under the names that older dashboards read.
    pub has_old_names: bool,
}

/// Telemetry as the operator asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetrySettings {
    /// `OTEL_SDK_DISABLED` is not set, and `OTEL_TRACES_EXPORTER` is not `none`.
    pub exports: bool,
    /// `OTEL_SDK_DISABLED`: spans are not even sampled, and nothing is measured.
    pub is_disabled: bool,
    /// Where spans go.
    pub exporter: ExporterSettings,
    /// Metrics.
    pub metrics: MetricSettings,
    /// `OTEL_PROPAGATORS`.
    pub propagators: Vec<Propagator>,
    /// `OTEL_TRACES_SAMPLER` names a sampler; the SDK reads it.
    pub has_sampler: bool,
    /// `OTEL_BSP_SCHEDULE_DELAY` is set; the SDK reads it.
    pub has_schedule_delay: bool,
    /// Limits.
    pub limits: Limits,
    /// Resource attributes, `service.name` among them.
    pub resource: Vec<KeyValue>,
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for content on spans.
    pub captures_content: bool,
    /// `OTEL_LOG_LEVEL`: how much the SDK says of itself.
    pub sdk_log_level: String,
    /// Values that are ignored, as the specification asks, each with what would be accepted: to be logged.
    pub ignored: Vec<String>,
}

impl TelemetrySettings {
    /// Reads the settings. A value that makes no sense is ignored, as the specification asks; one that cannot be ignored
    /// safely is added to `faults`.
    pub fn parse(variables: &Variables, faults: &mut Vec<String>) -> Self {
        let mut reader = Reader { variables, faults, ignored: Vec::new() };
        let is_disabled = reader.boolean("OTEL_SDK_DISABLED");
        let exporter = reader.one_of("OTEL_TRACES_EXPORTER", &["otlp", "none"]).unwrap_or("otlp");
        // `/metrics` is there anyway, so `prometheus` asks for no more than `none`.
        let metrics_exporter = reader.one_of("OTEL_METRICS_EXPORTER", &["otlp", "prometheus", "none"]);
        let pushes_metrics = !is_disabled && metrics_exporter.is_none_or(|exporter| exporter == "otlp");
        reader.one_of("OTEL_LOGS_EXPORTER", &["none", "otlp"]);
        for name in [
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_METRIC_EXPORT_INTERVAL",
        ] {
            reader.number(name).filter(|n| *n == 0).inspect(|_| reader.fault(name, "0", "a number above zero"));
        }
        let value_chars = ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"];
        let n_attributes = reader.number("OTEL_ATTRIBUTE_COUNT_LIMIT");
        Self {
            exports: !is_disabled && exporter == "otlp",
            is_disabled,
            exporter: reader.exporter(Signal::Traces),
            metrics: MetricSettings {
                exporter: pushes_metrics.then(|| reader.exporter(Signal::Metrics)),
                max_tenants: 0,
                has_old_names: false,
            },
            propagators: reader.propagators(),
            has_sampler: reader.one_of("OTEL_TRACES_SAMPLER", &SAMPLERS).is_some(),
            has_schedule_delay: reader.text("OTEL_BSP_SCHEDULE_DELAY").is_some(),
            limits: Limits {
                // The span's own limit is the SDK's to read, and goes before the general one.
                span_attributes: n_attributes.filter(|_| reader.text("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").is_none()),
                event_attributes: reader.number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT").or(n_attributes),
                link_attributes: reader.number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT").or(n_attributes),
                value_chars: value_chars
                    .into_iter()
                    .find_map(|name| reader.number(name))
                    .and_then(|n| usize::try_from(n).ok()),
            },
            resource: reader.resource(),
            captures_content: reader.captures_content(),
            sdk_log_level: reader
                .one_of("OTEL_LOG_LEVEL", &["off", "error", "warn", "info", "debug", "trace"])
                .unwrap_or("off")
                .to_owned(),
            ignored: reader.ignored,
        }
    }
}

/// What is exported, each with variables of its own.
#[derive(Clone, Copy, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
enum Signal {
    Traces,
    Metrics,
}

/// Reads variables and notes what is wrong with them.
struct Reader<'a> {
    variables: &'a Variables,
    faults: &'a mut Vec<String>,
    ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A variable of an exporter: the one for its signal goes before the one for all.
    fn exporter_text(&self, signal: Signal, suffix: &str) -> Option<(String, &'a str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}");
        [own, format!("OTEL_EXPORTER_OTLP_{suffix}")].into_iter().find_map(|name| {
            let text = self.text(&name)?;
            Some((name, text))
        })
    }

    fn fault(&mut self, name: &str, given: &str, accepted: &str) {
        note(self.faults, format!("{name} is \"{given}\"; write {accepted}"));
    }

    fn ignore(&mut self, name: &str, given: &str, accepted: &str) {
        note(&mut self.ignored, format!("{name} is \"{given}\", which is ignored; write {accepted}"));
    }

    /// The specification takes only `true`, in any case, for true.
    fn boolean(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn one_of(&mut self, name: &str, accepted: &[&'static str]) -> Option<&'static str> {
        let given = self.text(name)?;
        let known = accepted.iter().find(|value| value.eq_ignore_ascii_case(given)).copied();
        if known.is_none() {
            self.ignore(name, given, &format!("one of {}", accepted.join(", ")));
        }
        known
    }

    fn number(&mut self, name: &str) -> Option<u32> {
        let given = self.text(name)?;
        let number = given.parse().ok();
        if number.is_none() {
            self.ignore(name, given, "a whole number");
        }
        number
    }

    fn exporter(&mut self, signal: Signal) -> ExporterSettings {
        let protocol = self.protocol(signal);
        ExporterSettings {
            protocol,
            endpoint: self.endpoint(signal, protocol),
            tls: self.tls(signal),
            timeout: self.export_timeout(signal),
        }
    }

    fn protocol(&mut self, signal: Signal) -> Protocol {
        match self.exporter_text(signal, "PROTOCOL") {
            None | Some((_, "grpc")) => Protocol::Grpc,
            Some((_, "http/protobuf")) => Protocol::HttpProtobuf,
            Some((name, other)) => {
                self.ignore(&name, other, "grpc or http/protobuf");
                Protocol::Grpc
            }
        }
    }

    fn endpoint(&mut self, signal: Signal, protocol: Protocol) -> String {
        let standard = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        };
        let Some((name, endpoint)) = self.exporter_text(signal, "ENDPOINT") else { return standard.to_owned() };
        match endpoint.parse::<reqwest::Url>() {
            Ok(mut url) if url.has_host() => {
                // It is shown in the log, where a password has no place.
                let _hidden = url.set_password(None).and_then(|()| url.set_username(""));
                url.to_string()
            }
            _ if !endpoint.contains("://") => endpoint.to_owned(),
            _ => {
                self.fault(&name, endpoint, "a URL such as \"http://localhost:4317\"");
                standard.to_owned()
            }
        }
    }

    fn export_timeout(&mut self, signal: Signal) -> Option<Duration> {
        let millis = self.number(match signal {
            Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
        });
        let timeout = millis.map(u64::from).map(Duration::from_millis);
        timeout.filter(|_| self.exporter_text(signal, "TIMEOUT").is_none())
    }

    fn tls(&mut self, signal: Signal) -> TlsFiles {
        let file = |suffix| self.exporter_text(signal, suffix).map(|(_, path)| PathBuf::from(path));
        let tls = TlsFiles {
            certificate: file("CERTIFICATE"),
            client_certificate: file("CLIENT_CERTIFICATE"),
            client_key: file("CLIENT_KEY"),
        };
        if tls.client_certificate.is_some() != tls.client_key.is_some() {
            let message =
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together; set both";
            note(self.faults, message.to_owned());
        }
        tls
    }

    fn propagators(&mut self) -> Vec<Propagator> {
        let name = "OTEL_PROPAGATORS";
        let given = self.text(name).unwrap_or("tracecontext,baggage");
        let mut propagators = Vec::new();
        for propagator in given.split(',').map(str::trim) {
            let known = match propagator {
                "tracecontext" => Propagator::TraceContext,
                "baggage" => Propagator::Baggage,
                "none" => continue,
                other => {
                    self.ignore(name, other, "tracecontext, baggage or none");
                    continue;
                }
            };
            if !propagators.contains(&known) {
                propagators.push(known);
            }
        }
        propagators
    }

    /// `OTEL_SERVICE_NAME` goes before `service.name` among the attributes, and values are percent-decoded: the SDK has
    /// it the other way round, and decodes nothing.
    fn resource(&mut self) -> Vec<KeyValue> {
        let mut attributes = BTreeMap::from([
            ("service.name".to_owned(), SERVICE_NAME.to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id".to_owned(), Uuid::now_v7().to_string()),
        ]);
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        for pair in self.text(name).unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty()) {
            let decode = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(|text| text.into_owned());
            match pair.split_once('=').map(|(key, value)| (decode(key), decode(value))) {
                Some((Some(key), Some(value))) if !key.is_empty() => {
                    attributes.insert(key, value);
                }
                _ => self.ignore(name, pair, "pairs such as \"deployment.environment.name=production,team=finance\""),
            }
        }
        if let Some(service) = self.text("OTEL_SERVICE_NAME") {
            attributes.insert("service.name".to_owned(), service.to_owned());
        }
        attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect()
    }

    fn captures_content(&mut self) -> bool {
        let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let Some(given) = self.text(name) else { return false };
        match given.to_ascii_uppercase().as_str() {
            "NO_CONTENT" | "FALSE" => false,
            "SPAN_ONLY" | "TRUE" => true,
            "EVENT_ONLY" | "SPAN_AND_EVENT" => {
                self.fault(name, given, "SPAN_ONLY or NO_CONTENT: events are log records, which are not exported yet");
                false
            }
            _ => {
                self.fault(name, given, "NO_CONTENT or SPAN_ONLY");
                false
            }
        }
    }
}

/// Notes something once: a variable for all signals is read for each.
fn note(notes: &mut Vec<String>, text: String) {
    if !notes.contains(&text) {
        notes.push(text);
    }
}
