//! Wiring: resource, sampler, limits, the one processor, the batch queue, metrics, and the OTLP exporters.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor,
};
use tokio::runtime::Runtime;

use crate::telemetry::Instruments;
use crate::telemetry::exporter::{Reporting, SpanTally};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::readers::{self, Push};
use crate::telemetry::otlp::{ExporterError, span_exporter};
use crate::telemetry::processor::Composite;
use crate::telemetry::settings::{ExporterSettings, Limits, Protocol, TelemetrySettings};
use crate::telemetry::span::Scope;

/// What spans and metrics say they are from.
const SCOPE: &str = "expense-agent";
/// Spans wait this long for company. The SDK's five seconds are long for a person who looks for his trace, and are lost
/// to a kill.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// What is queued has this long to be delivered when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces or metrics cannot be exported as the variables ask.
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
    meters: SdkMeterProvider,
    instruments: Instruments,
    /// The gRPC exporters' own thread. The threads that export wait for it, so it must not be one of the application's.
    runtime: Option<Runtime>,
}

impl Telemetry {
    /// Starts exporting as the settings say. Must not be called on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// When the exporter cannot be built.
    pub fn start(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        let traces = settings.exports.then_some(&settings.exporter);
        let metrics = settings.metrics.exporter.as_ref();
        let is_grpc = |exporter: &&ExporterSettings| exporter.protocol == Protocol::Grpc;
        let runtime = match traces.iter().chain(&metrics).any(is_grpc) {
            true => Some(runtime().map_err(TelemetryError::Thread)?),
            false => None,
        };
        let entered = |exporter| runtime.as_ref().filter(|_| is_grpc(&exporter)).map(Runtime::enter);
        let tally = Arc::new(SpanTally::default());
        let sink = traces.map(|exporter| {
            let _entered = entered(exporter);
            batch(settings, &tally)
        });
        let push = metrics.map(|exporter| {
            let _entered = entered(exporter);
            readers::push(exporter)
        });
        let (sink, push) = (sink.transpose()?, push.transpose()?);
        let telemetry = Self::build(settings, sink, push, runtime);
        if settings.exports {
            telemetry.instruments.scope.metrics.watch_spans(move || tally.counts());
        }
        Ok(telemetry)
    }

    /// Sends every span to an exporter as it ends: for tests and for tools that look at their own spans.
    pub fn with_exporter(
        settings: &TelemetrySettings,
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
    ) -> Self {
        Self::build(settings, Some(SimpleSpanProcessor::new(exporter)), None, None)
    }

    fn build(
        settings: &TelemetrySettings,
        sink: Option<impl SpanProcessor + 'static>,
        push: Option<Push>,
        runtime: Option<Runtime>,
    ) -> Self {
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(settings.resource.iter().cloned())
            .build();
        let Limits { span_attributes, event_attributes, link_attributes, value_chars } = settings.limits;
        let mut builder = SdkTracerProvider::builder().with_resource(resource.clone());
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
        let (meters, page) = readers::provider(settings, resource, push);
        let scope = Scope {
            tracer: provider.tracer(SCOPE),
            metrics: Arc::new(Metrics::new(meters.meter(SCOPE), &settings.metrics)),
            captures_content: settings.captures_content,
        };
        let instruments = Instruments { scope, propagators: settings.propagators.clone().into(), page };
        Self { provider, meters, instruments, runtime }
    }

    /// What the service makes spans with, and measures.
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    pub(super) fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Delivers what is queued and stops. Blocks for up to five seconds, so it must not be called on a thread of an
    /// asynchronous runtime.
    pub fn shutdown(self) {
        // Side by side, so that two backends that hang take no longer than one.
        std::thread::scope(|both| {
            // Whoever pushes metrics has said it when the last push failed.
            both.spawn(|| self.meters.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
                tracing::warn!(%error, "some traces were not delivered before the stop");
            }
        });
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

fn batch(settings: &TelemetrySettings, tally: &Arc<SpanTally>) -> Result<BatchSpanProcessor, ExporterError> {
    let mut config = BatchConfigBuilder::default();
    if !settings.has_schedule_delay {
        config = config.with_scheduled_delay(SCHEDULE_DELAY);
    }
    let exporter = span_exporter(&settings.exporter)?;
    let exporter = Reporting::new(exporter, settings.exporter.endpoint.clone(), Arc::clone(tally));
    Ok(BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build())
}
