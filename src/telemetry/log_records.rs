//! Log records over OTLP: the program's own log lines, and what is said beside the spans of a decision. Each is made
//! clean by one processor before it waits for the exporter, as spans are in `processor`.

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::runtime::Runtime;

use crate::redact::WITHHELD;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::clean::cleaned;
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
        let attributes =
            vec![twins::EXCEPTION_TYPE.with(kind.to_owned()), twins::EXCEPTION_MESSAGE.with(message.to_owned())];
        Self { name: twins::EVENT_EXCEPTION, severity: Severity::Error, attributes }
    }

    /// Sends it, as said within a span.
    pub(super) fn emit(self, logger: &SdkLogger, span: &SpanContext) {
        let mut record = logger.create_log_record();
        record.set_event_name(self.name);
        record.set_severity_number(self.severity);
        record.set_severity_text(self.severity.name());
        record.add_attributes(self.attributes.into_iter().map(|pair| (pair.key, any(pair.value))));
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
pub(super) fn provider(resource: Resource, sink: Option<impl LogProcessor + 'static>) -> SdkLoggerProvider {
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
    let exporter = Exporter::build(settings, runtime)?;
    let blank = SdkLoggerProvider::builder().build().logger("");
    Ok(Cleaning { sink: BatchLogProcessor::builder(exporter).build(), blank, pseudonyms })
}

/// Redacts every text of a record and hands it on.
#[derive(Debug)]
struct Cleaning<P> {
    sink: P,
    /// Makes empty records.
    blank: SdkLogger,
    pseudonyms: Pseudonyms,
}

impl<P: LogProcessor> Cleaning<P> {
    fn clean(&self, key: &str, value: &AnyValue) -> AnyValue {
        match value {
            AnyValue::String(text) => cleaned(key, text.as_str(), &self.pseudonyms).into_owned().into(),
            AnyValue::ListAny(values) => values.iter().map(|value| self.clean(key, value)).collect(),
            AnyValue::Map(members) => {
                members.iter().map(|(key, value)| (key.clone(), self.clean(key.as_str(), value))).collect()
            }
            AnyValue::Int(_) | AnyValue::Double(_) | AnyValue::Boolean(_) => value.clone(),
            // Bytes, and whatever else there will be: it cannot be searched.
            _ => WITHHELD.into(),
        }
    }
}

impl<P: LogProcessor> LogProcessor for Cleaning<P> {
    /// The SDK lets nobody change an attribute of a record, so another record is made of it.
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let mut clean = self.blank.create_log_record();
        record.event_name().into_iter().for_each(|name| clean.set_event_name(name));
        record.target().into_iter().for_each(|target| clean.set_target(target.clone()));
        record.timestamp().into_iter().for_each(|at| clean.set_timestamp(at));
        record.observed_timestamp().into_iter().for_each(|at| clean.set_observed_timestamp(at));
        record.severity_text().into_iter().for_each(|text| clean.set_severity_text(text));
        record.severity_number().into_iter().for_each(|number| clean.set_severity_number(number));
        record.body().into_iter().for_each(|body| clean.set_body(self.clean("", body)));
        clean.add_attributes(
            record.attributes_iter().map(|(key, value)| (key.clone(), self.clean(key.as_str(), value))),
        );
        if let Some(context) = record.trace_context() {
            clean.set_trace_context(context.trace_id, context.span_id, context.trace_flags);
        }
        self.sink.emit(&mut clean, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sink.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sink.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sink.set_resource(resource);
    }
}
