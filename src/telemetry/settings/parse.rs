//! Reading the standard `OTEL_*` variables that the SDK leaves to the application. The variables
//! that the SDK reads itself are checked here as well, because it would not report a bad value.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::telemetry::sampling::Sampling;
use crate::telemetry::settings::variables::{Reader, millis, size};
use crate::telemetry::settings::{
    Bounds, Captures, DEFAULT_QUEUE_BYTES, ExporterSettings, Limits, MetricSettings, Propagator,
    SERVICE_NAME, Signal, TelemetrySettings, Variables,
};

/// Default number of spans of one message, from the specification.
const BATCH_SPANS: usize = 512;
/// Default time that a span waits for others. The specification's five seconds are too long: a
/// person who looks for a trace waits for them, and a kill loses them.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// Default time between two pushes of metrics, from the specification.
const PUSH_INTERVAL: Duration = Duration::from_secs(60);

/// The samplers that the SDK knows. With an unknown one it would fall back to following the
/// caller's sampled flag, so that a caller could switch the audit trail off.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl TelemetrySettings {
    /// Reads the settings. An invalid value is ignored, as the specification demands; a value that
    /// cannot be ignored safely is added to `problems`.
    pub fn parse(variables: &Variables, problems: &mut Vec<String>) -> Self {
        let mut reader = Reader {
            variables,
            problems,
            ignored: Vec::new(),
        };
        let is_disabled = reader.boolean("OTEL_SDK_DISABLED") == Some(true);
        let exporter = reader
            .one_of("OTEL_TRACES_EXPORTER", &["otlp", "none"])
            .unwrap_or("otlp");
        reader.check_what_the_sdk_reads();
        Self {
            exports_spans: !is_disabled && exporter == "otlp",
            is_disabled,
            queue: reader.queue(),
            sampling: Sampling::default(),
            schedule_delay: reader
                .above_zero("OTEL_BSP_SCHEDULE_DELAY")
                .map_or(SCHEDULE_DELAY, millis),
            exporter: reader.exporter(Signal::Traces),
            metrics: reader.metrics(is_disabled),
            logs: reader.logs(is_disabled),
            propagators: reader.propagators(),
            has_sampler: reader.has_sampler(),
            limits: reader.limits(),
            resource: reader.resource(),
            captures: reader.captures(),
            has_compatibility_keys: false,
            sdk_log_level: reader.sdk_log_level(),
            ignored: reader.ignored,
        }
    }
}

impl Reader<'_> {
    fn check_what_the_sdk_reads(&mut self) {
        for name in [
            "OTEL_BLRP_MAX_QUEUE_SIZE",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
            "OTEL_BLRP_SCHEDULE_DELAY",
        ] {
            // The SDK would accept a zero.
            self.above_zero(name);
        }
        for name in ["OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"] {
            self.number(name);
        }
    }

    fn logs(&mut self, is_disabled: bool) -> Option<ExporterSettings> {
        let is_sent =
            !is_disabled && self.one_of("OTEL_LOGS_EXPORTER", &["otlp", "none"]) != Some("none");
        is_sent.then(|| self.exporter(Signal::Logs))
    }

    fn queue(&mut self) -> Bounds {
        Bounds {
            max_bytes: DEFAULT_QUEUE_BYTES,
            max_spans: self.above_zero("OTEL_BSP_MAX_QUEUE_SIZE").map(size),
            max_batch_spans: self
                .above_zero("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
                .map_or(BATCH_SPANS, size),
        }
    }

    fn limits(&mut self) -> Limits {
        let value_chars = [
            "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        ];
        let n_attributes = self.number("OTEL_ATTRIBUTE_COUNT_LIMIT");
        let mut limit = |name| self.number(name).or(n_attributes);
        Limits {
            span_attributes: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
            event_attributes: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
            link_attributes: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
            value_chars: value_chars
                .into_iter()
                .find_map(|name| self.number(name))
                .map(size),
        }
    }

    fn metrics(&mut self, is_disabled: bool) -> MetricSettings {
        // `/metrics` is always served, so `prometheus` means the same as `none`.
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

    /// Checks the sampler that the SDK reads itself. The text is compared without trimming and with
    /// case, because the SDK does so too.
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

    /// Reads the resource attributes as the specification demands: `OTEL_SERVICE_NAME` takes
    /// precedence over a `service.name` among them, and values are percent-decoded. The SDK's own
    /// detector does neither.
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
        let given = self.text(name).unwrap_or_default();
        for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
            match pair
                .split_once('=')
                .map(|(key, value)| (decoded(key), decoded(value)))
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
                let accepted = "NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT";
                self.report(name, given, accepted);
                (false, false)
            }
        };
        Captures {
            on_spans,
            in_events,
        }
    }

    fn sdk_log_level(&mut self) -> String {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        self.one_of("OTEL_LOG_LEVEL", &levels)
            .unwrap_or("off")
            .to_owned()
    }
}

/// A percent-decoded key or value.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text.trim())
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}
