//! Log records over OTLP: the program's own log lines, and what is said beside the spans of a
//! decision. They wait in the queue of the SDK, and are made clean by the exporter.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLoggerProvider};
use tokio::runtime::Runtime;

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::export::logs::Exporter;
use crate::telemetry::export::transport::TransportError;
use crate::telemetry::settings::ExporterSettings;

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
