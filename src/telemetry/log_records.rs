//! Log records over OTLP: the program's own log lines, and what is said beside the spans of a
//! decision. They wait in the queue of the SDK, and are made clean by the exporter.

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogger, SdkLoggerProvider};
use tokio::runtime::Runtime;

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::log_exporter::Exporter;
use crate::telemetry::names::twins;
use crate::telemetry::settings::ExporterSettings;
use crate::telemetry::transport::TransportError;

/// A log record that is said beside a span, in its context.
#[derive(Debug)]
pub(crate) struct LogEvent {
    /// Its event name.
    pub(super) name: &'static str,
    /// How bad it is.
    pub(super) severity: Severity,
    /// Its attributes.
    pub(super) attributes: Vec<KeyValue>,
}

impl LogEvent {
    /// That a dependency failed, by its class and in its words.
    pub(super) fn exception(kind: &str, message: &str) -> Self {
        let attributes = vec![
            twins::EXCEPTION_TYPE.with(kind.to_owned()),
            twins::EXCEPTION_MESSAGE.with(message.to_owned()),
        ];
        Self {
            name: twins::EVENT_EXCEPTION,
            severity: Severity::Error,
            attributes,
        }
    }

    /// Sends it, as said within a span.
    pub(super) fn emit(self, logger: &SdkLogger, span: &SpanContext) {
        let mut record = logger.create_log_record();
        record.set_event_name(self.name);
        record.set_severity_number(self.severity);
        record.set_severity_text(self.severity.name());
        record.add_attributes(
            self.attributes
                .into_iter()
                .map(|pair| (pair.key, any(pair.value))),
        );
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        logger.emit(record);
    }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(flag) => flag.into(),
        Value::I64(number) => number.into(),
        Value::F64(number) => number.into(),
        Value::String(text) => text.into(),
        Value::Array(Array::String(texts)) => texts.into_iter().collect(),
        other => other.to_string().into(),
    }
}

/// What makes log records; those of a service that exports none come to nothing.
pub(super) fn provider(
    resource: Resource,
    sink: Option<impl LogProcessor + 'static>,
) -> SdkLoggerProvider {
    let builder = SdkLoggerProvider::builder().with_resource(resource);
    match sink {
        Some(sink) => builder.with_log_processor(sink).build(),
        None => builder.build(),
    }
}

/// The queue of records on their way to a backend, by a runtime that must not be the application's.
pub(super) fn sink(
    settings: &ExporterSettings,
    pseudonyms: Pseudonyms,
    runtime: &Runtime,
) -> Result<impl LogProcessor + use<>, TransportError> {
    let exporter = Exporter::build(settings, pseudonyms, runtime)?;
    Ok(BatchLogProcessor::builder(exporter).build())
}
