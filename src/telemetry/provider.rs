//! Wiring: resource, sampler, limits, the one processor, the batch queue and the OTLP exporter.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor,
};
use tokio::runtime::Runtime;

use crate::telemetry::Instruments;
use crate::telemetry::exporter::Reporting;
use crate::telemetry::otlp::{ExporterError, span_exporter};
use crate::telemetry::processor::Composite;
use crate::telemetry::settings::{Limits, Protocol, TelemetrySettings};
use crate::telemetry::span::Scope;

/// Spans wait this long for company. The SDK's five seconds are long for a person who looks for his trace, and are lost
/// to a kill.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// What is queued has this long to be delivered when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces cannot be exported as the variables ask.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter cannot be set up.
    #[error(transparent)]
    Exporter(#[from] ExporterError),
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
    pub fn start(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        if !settings.exports {
            return Ok(Self::build(settings, None::<BatchSpanProcessor>, None));
        }
        let runtime = match settings.exporter.protocol {
            Protocol::Grpc => Some(runtime().map_err(TelemetryError::Thread)?),
            Protocol::HttpProtobuf => None,
        };
        let exporter = {
            let _entered = runtime.as_ref().map(Runtime::enter);
            span_exporter(&settings.exporter)?
        };
        Ok(Self::build(settings, Some(batch(settings, exporter)), runtime))
    }

    /// Sends every span to an exporter as it ends: for tests and for tools that look at their own spans.
    pub fn with_exporter(
        settings: &TelemetrySettings,
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
    ) -> Self {
        Self::build(settings, Some(SimpleSpanProcessor::new(exporter)), None)
    }

    fn build(
        settings: &TelemetrySettings,
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
            builder = builder.with_span_processor(Composite::new(sink, value_chars));
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

/// One thread for the exporters over gRPC.
fn runtime() -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("otlp-grpc").enable_all().build()
}

fn batch(settings: &TelemetrySettings, exporter: SpanExporter) -> BatchSpanProcessor {
    let mut config = BatchConfigBuilder::default();
    if !settings.has_schedule_delay {
        config = config.with_scheduled_delay(SCHEDULE_DELAY);
    }
    let exporter = Reporting::new(exporter, settings.exporter.endpoint.clone());
    BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build()
}
