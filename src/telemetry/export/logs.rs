//! Log records on their way to a backend, by the transport that spans take: some attempts for each
//! batch, and a word when they begin to fail and when they succeed again, not with every one. What
//! must not leave is taken out as they are written, because the SDK lets nobody change a record.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use tokio::runtime::{Handle, Runtime};

use crate::redact::WITHHELD;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::export::encode::Records;
use crate::telemetry::export::outage::Outage;
use crate::telemetry::export::transport::{Failure, Transport, TransportError};
use crate::telemetry::scrub::cleaned;
use crate::telemetry::settings::ExporterSettings;

/// How often a failure that may pass is tried again, and the first pause before that; each next one
/// is twice as long.
const MAX_RETRIES: usize = 3;
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// What is said beside a failure.
const ADVICE: &str = ". Name a backend that takes them in OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, or turn them off with \
    OTEL_LOGS_EXPORTER=none; Jaeger takes none";

/// Sends what the queue of the SDK holds, a batch at a time.
#[derive(Debug)]
pub(crate) struct Exporter {
    transport: Arc<Transport>,
    /// Where the transport is used; the thread of the queue has no runtime.
    runtime: Handle,
    records: Records,
    pseudonyms: Pseudonyms,
    outage: Outage,
}

impl Exporter {
    /// Sets the transport up, on a runtime that must not be the application's.
    pub(crate) fn build(
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

    async fn deliver(&self, of_resource: Vec<u8>) -> Result<(), String> {
        let transport = Arc::clone(&self.transport);
        let delivering = self.runtime.spawn(async move {
            let attempt = || transport.export(of_resource.clone());
            let pauses = ExponentialBuilder::new()
                .with_min_delay(MIN_PAUSE)
                .with_max_times(MAX_RETRIES)
                .with_jitter();
            attempt
                .retry(pauses)
                .when(|failure| matches!(failure, Failure::Passing(_)))
                .await
        });
        match delivering
            .await
            .map_err(|error| error.to_string())?
            .map_err(|failure| failure.to_string())?
        {
            0 => Ok(()),
            n_rejected => Err(format!("the backend takes {n_rejected} of them not")),
        }
    }
}

impl LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let message = self.records.message(batch.iter(), &|key, text| match text {
            Some(text) => cleaned(key, text, &self.pseudonyms),
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
