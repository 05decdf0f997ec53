//! Wiring: resource, sampler, limits, the one processor, the batch queue and the OTLP exporter.

use std::path::Path;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity as TlsIdentity};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol as OtlpProtocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor,
};
use tokio::runtime::Runtime;

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::Instruments;
use crate::telemetry::exporter::Reporting;
use crate::telemetry::processor::Composite;
use crate::telemetry::settings::{Limits, Protocol, TelemetrySettings, TlsFiles};
use crate::telemetry::span::Scope;

/// Spans wait this long for company. The SDK's five seconds are long for a person who looks for his trace, and are lost
/// to a kill.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// What is queued has this long to be delivered when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces cannot be exported as the variables ask.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter cannot be built.
    #[error("the OTLP exporter for {endpoint} cannot be built")]
    Exporter {
        /// Where spans were to go.
        endpoint: String,
        /// Why not.
        #[source]
        source: ExporterBuildError,
    },
    /// A certificate or key cannot be read.
    #[error("{0} cannot be read; name a PEM file")]
    TlsFile(String, #[source] std::io::Error),
    /// A certificate or key is none.
    #[error("the certificates and keys of OTEL_EXPORTER_OTLP_* cannot be used")]
    Tls(#[source] reqwest::Error),
    /// The exporter's thread cannot be made.
    #[error("the exporter's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Telemetry of one process, from start to the last flush. Dropping it without [`shutdown`](Self::shutdown) loses what
/// is queued.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    instruments: Instruments,
    /// The gRPC exporter's own thread. The queue's thread waits for it, so it must not be a thread of the application.
    runtime: Option<Runtime>,
}

impl Telemetry {
    /// Starts exporting as the settings say. Must not be called on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// When the exporter cannot be built.
    pub fn start(settings: &TelemetrySettings, pseudonyms: Pseudonyms) -> Result<Self, TelemetryError> {
        if !settings.exports {
            return Ok(Self::build(settings, pseudonyms, None::<BatchSpanProcessor>, None));
        }
        match settings.protocol {
            Protocol::Grpc => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                let runtime = builder.worker_threads(1).thread_name("otlp-grpc").enable_all().build();
                let runtime = runtime.map_err(TelemetryError::Thread)?;
                let exporter = {
                    let _entered = runtime.enter();
                    grpc_exporter(settings)?
                };
                Ok(Self::build(settings, pseudonyms, Some(batch(settings, exporter)), Some(runtime)))
            }
            Protocol::HttpProtobuf => {
                let exporter = http_exporter(settings)?;
                Ok(Self::build(settings, pseudonyms, Some(batch(settings, exporter)), None))
            }
        }
    }

    /// Sends every span to an exporter as it ends: for tests and for tools that look at their own spans.
    pub fn with_exporter(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
    ) -> Self {
        Self::build(settings, pseudonyms, Some(SimpleSpanProcessor::new(exporter)), None)
    }

    fn build(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        sink: Option<impl SpanProcessor + 'static>,
        runtime: Option<Runtime>,
    ) -> Self {
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(settings.resource.iter().cloned());
        let Limits { span_attributes, event_attributes, link_attributes, value_chars } = settings.limits;
        let mut builder = SdkTracerProvider::builder().with_resource(resource.build());
        if settings.is_disabled {
            builder = builder.with_sampler(Sampler::AlwaysOff);
        } else if !settings.has_sampler {
            // The SDK's default follows the caller's flag, so any client could switch the audit trail off.
            builder = builder.with_sampler(Sampler::AlwaysOn);
        }
        if let Some(max) = span_attributes {
            builder = builder.with_max_attributes_per_span(max);
        }
        if let Some(max) = event_attributes {
            builder = builder.with_max_attributes_per_event(max);
        }
        if let Some(max) = link_attributes {
            builder = builder.with_max_attributes_per_link(max);
        }
        if let Some(sink) = sink {
            builder = builder.with_span_processor(Composite::new(sink, pseudonyms, value_chars));
        }
        let provider = builder.build();
        let scope = Scope { tracer: provider.tracer("expense-agent"), captures_content: settings.captures_content };
        let instruments = Instruments { scope, propagators: settings.propagators.clone().into() };
        Self { provider, instruments, runtime }
    }

    /// What the service makes spans with.
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    pub(super) fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Delivers what is queued and stops. Blocks for up to five seconds, so it must not be called on a thread of an
    /// asynchronous runtime.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "some traces were not delivered before the stop");
        }
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
    }
}

fn batch(settings: &TelemetrySettings, exporter: SpanExporter) -> BatchSpanProcessor {
    let mut config = BatchConfigBuilder::default();
    if !settings.has_schedule_delay {
        config = config.with_scheduled_delay(SCHEDULE_DELAY);
    }
    let exporter = Reporting::new(exporter, settings.endpoint.clone());
    BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build()
}

/// Endpoint, headers, timeout and compression are left to the exporter, which reads their variables itself.
fn grpc_exporter(settings: &TelemetrySettings) -> Result<SpanExporter, TelemetryError> {
    let TlsFiles { certificate, client_certificate, client_key } = &settings.tls;
    let mut builder = SpanExporter::builder().with_tonic();
    if let Some(timeout) = settings.export_timeout {
        builder = builder.with_timeout(timeout);
    }
    if certificate.is_some() || client_certificate.is_some() {
        let mut tls = ClientTlsConfig::new();
        tls = match certificate {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
            None => tls.with_enabled_roots(),
        };
        if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
            tls = tls.identity(TlsIdentity::from_pem(read(certificate)?, read(key)?));
        }
        builder = builder.with_tls_config(tls);
    }
    builder.build().map_err(|source| unbuilt(settings, source))
}

fn http_exporter(settings: &TelemetrySettings) -> Result<SpanExporter, TelemetryError> {
    let TlsFiles { certificate, client_certificate, client_key } = &settings.tls;
    let mut builder = SpanExporter::builder().with_http().with_protocol(OtlpProtocol::HttpBinary);
    if let Some(timeout) = settings.export_timeout {
        builder = builder.with_timeout(timeout);
    }
    if certificate.is_some() || client_certificate.is_some() {
        let mut client = reqwest::blocking::Client::builder();
        if let Some(file) = certificate {
            let trusted = reqwest::Certificate::from_pem_bundle(&read(file)?).map_err(TelemetryError::Tls)?;
            client = client.tls_certs_only(trusted);
        }
        if let (Some(certificate), Some(key)) = (client_certificate, client_key) {
            let pem = [read(certificate)?, read(key)?].concat();
            client = client.identity(reqwest::Identity::from_pem(&pem).map_err(TelemetryError::Tls)?);
        }
        builder = builder.with_http_client(client.build().map_err(TelemetryError::Tls)?);
    }
    builder.build().map_err(|source| unbuilt(settings, source))
}

fn unbuilt(settings: &TelemetrySettings, source: ExporterBuildError) -> TelemetryError {
    TelemetryError::Exporter { endpoint: settings.endpoint.clone(), source }
}

fn read(file: &Path) -> Result<Vec<u8>, TelemetryError> {
    std::fs::read(file).map_err(|error| TelemetryError::TlsFile(file.display().to_string(), error))
}
