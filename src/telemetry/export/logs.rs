//! Export of log records over OTLP: the program's own log lines, and the records beside the spans
//! of a decision. They wait in the SDK's batch processor and are sent by the transport of spans,
//! with a few retries per batch. Log records are not the evidence of a decision, so the SDK's queue
//! suffices, although it drops records when it is full.
//!
//! The exporter of opentelemetry-otlp is not used, because records have to be scrubbed, and the SDK
//! does not let a processor or an exporter replace an attribute. Here texts are redacted as they
//! are encoded.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{BatchLogProcessor, LogBatch, LogExporter};
use tokio::runtime::{Handle, Runtime};

use crate::redact::WITHHELD;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::export::encode::Records;
use crate::telemetry::export::outage::Outage;
use crate::telemetry::export::transport::{DeliveryFailure, Transport, TransportError};
use crate::telemetry::scrub::scrub_text;
use crate::telemetry::settings::ExporterSettings;

/// Retries of a batch after a failure that may pass.
const MAX_RETRIES: usize = 3;
/// The pause before the first retry. Each further pause is twice as long.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// What the operator can do about a failure: the end of the line that [`Outage::note`] logs.
const ADVICE: &str = ". Name a backend that accepts them in OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, or turn them off with \
    OTEL_LOGS_EXPORTER=none; Jaeger accepts no log records";

/// Starts the queue of log records. Its exporter runs on `runtime`, which must not be the
/// application's: `shutdown` blocks one of its threads until the exporter has finished.
///
/// # Errors
/// When the transport cannot be built.
pub(crate) fn processor(
    settings: &ExporterSettings,
    pseudonyms: Pseudonyms,
    runtime: &Runtime,
) -> Result<BatchLogProcessor, TransportError> {
    let exporter = Exporter::build(settings, pseudonyms, runtime)?;
    Ok(BatchLogProcessor::builder(exporter).build())
}

/// Sends batches of log records.
#[derive(Debug)]
struct Exporter {
    transport: Arc<Transport>,
    /// Runs the transport; the thread of the SDK's queue has no runtime.
    runtime: Handle,
    records: Records,
    pseudonyms: Pseudonyms,
    outage: Outage,
}

impl Exporter {
    fn build(
        settings: &ExporterSettings,
        pseudonyms: Pseudonyms,
        runtime: &Runtime,
    ) -> Result<Self, TransportError> {
        let _entered = runtime.enter();
        Ok(Self {
            transport: Arc::new(Transport::build(settings)?),
            runtime: runtime.handle().clone(),
            records: Records::default(),
            pseudonyms,
            outage: Outage::new("log records", ADVICE, settings.shown_endpoint.clone()),
        })
    }

    async fn deliver(&self, message: Vec<u8>) -> Result<(), String> {
        let transport = Arc::clone(&self.transport);
        let delivering = self.runtime.spawn(async move {
            let attempt = || transport.export(message.clone());
            let pauses = ExponentialBuilder::new()
                .with_min_delay(MIN_PAUSE)
                .with_max_times(MAX_RETRIES)
                .with_jitter();
            attempt
                .retry(pauses)
                .when(|failure| matches!(failure, DeliveryFailure::Passing(_)))
                .await
        });
        match delivering
            .await
            .map_err(|error| error.to_string())?
            .map_err(|failure| failure.to_string())?
        {
            0 => Ok(()),
            n_rejected => Err(format!("the backend rejected {n_rejected} of them")),
        }
    }
}

impl LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let message = self.records.message(batch.iter(), &|key, text| match text {
            Some(text) => scrub_text(key, text, &self.pseudonyms),
            None => WITHHELD.into(),
        });
        let result = self.deliver(message).await;
        self.outage.note(&result);
        result.map_err(OTelSdkError::InternalFailure)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.records = Records::new(resource);
    }
}
