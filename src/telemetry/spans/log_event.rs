//! Log records that are emitted beside a span of the decision tree: checks, captured content, and
//! exceptions. They carry the ids of that span, or of the one that they are about.

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::logs::SdkLogger;

use crate::telemetry::names::log_events;

/// A log record beside a span.
#[derive(Debug)]
pub(crate) struct LogEvent {
    /// Its event name, one of those in `names::log_events`.
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) attributes: Vec<KeyValue>,
    /// The span that it is about, if that is another than the one beside which it is emitted.
    pub(crate) about: Option<SpanContext>,
}

impl LogEvent {
    /// The record of a failed dependency. `kind` is the same as the span's `error.type`.
    pub(crate) fn exception(kind: &str, message: &str) -> Self {
        let attributes = vec![
            log_events::EXCEPTION_TYPE.with(kind.to_owned()),
            log_events::EXCEPTION_MESSAGE.with(message.to_owned()),
        ];
        Self {
            name: log_events::EVENT_EXCEPTION,
            severity: Severity::Error,
            attributes,
            about: None,
        }
    }

    /// Emits the record as part of the span that it is about.
    pub(crate) fn emit(self, logger: &SdkLogger, beside: &SpanContext) {
        let span = self.about.as_ref().unwrap_or(beside);
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
