//! A log record that is said beside a span of the decision tree, in the context of that span.

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::logs::SdkLogger;

use crate::telemetry::names::twins;

/// A log record that is said beside a span, in its context.
#[derive(Debug)]
pub(crate) struct LogEvent {
    /// Its event name.
    pub(crate) name: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Its attributes.
    pub(crate) attributes: Vec<KeyValue>,
}

impl LogEvent {
    /// That a dependency failed, by its class and in its words.
    pub(crate) fn exception(kind: &str, message: &str) -> Self {
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
    pub(crate) fn emit(self, logger: &SdkLogger, span: &SpanContext) {
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
