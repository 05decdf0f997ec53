//! Wiring: resource, sampler, limits, the one processor, and the pipeline that it hands finished
//! spans to; and metrics with their two ways out.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::LoggerProvider;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor};
use tokio::runtime::Runtime;

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::Instruments;
use crate::telemetry::export::metrics::{self as metric_export, Push};
use crate::telemetry::export::pipeline::Pipeline;
use crate::telemetry::export::processor::Composite;
use crate::telemetry::export::queue::Queue;
use crate::telemetry::export::transport::{Transport, TransportError};
use crate::telemetry::log_records;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::readers;
use crate::telemetry::sampling::Reasons;
use crate::telemetry::settings::{Limits, TelemetrySettings};
use crate::telemetry::spans::span::Scope;

/// The one instrumentation scope of this program.
pub(super) const SCOPE: &str = "expense-agent";
/// What is queued has this long to be delivered when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// No log records leave.
const NO_RECORDS: Option<BatchLogProcessor> = None;

/// Traces, metrics or log records cannot be exported as the variables ask.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter cannot be set up.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The exporter's thread cannot be made.
    #[error("the exporter's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Telemetry of one process, from start to the last flush. Dropping it without
/// [`shutdown`](Self::shutdown) loses what is queued.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
    instruments: Instruments,
    /// The senders' own thread. Shutdown waits for it, so it must not be a thread of the
    /// application.
    runtime: Option<Runtime>,
}

impl Telemetry {
    /// Starts exporting as the settings say.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub fn start(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
    ) -> Result<Self, TelemetryError> {
        let resource = resource(settings);
        if !settings.exports && settings.metrics.exporter.is_none() && settings.logs.is_none() {
            return Ok(Self::build(
                settings,
                pseudonyms,
                resource,
                None::<Pipeline>,
                None,
                None,
                NO_RECORDS,
            ));
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build();
        let runtime = runtime.map_err(TelemetryError::Thread)?;
        let pipeline = match settings.exports {
            true => {
                let _entered = runtime.enter();
                let transport = Transport::build(&settings.exporter)?;
                Some(Pipeline::start(
                    settings, transport, &resource, SCOPE, &runtime,
                ))
            }
            false => None,
        };
        let push = metric_export::push(&settings.metrics, &runtime)?;
        let records = settings
            .logs
            .as_ref()
            .map(|logs| log_records::sink(logs, pseudonyms.clone(), &runtime));
        let queue = pipeline.as_ref().map(Pipeline::queue);
        let mut telemetry = Self::build(
            settings,
            pseudonyms,
            resource,
            pipeline,
            queue,
            push,
            records.transpose()?,
        );
        telemetry.runtime = Some(runtime);
        Ok(telemetry)
    }

    /// Sends every span to an exporter as it ends: for tests and for tools that look at their own
    /// spans.
    pub fn with_exporter(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
    ) -> Self {
        Self::build(
            settings,
            pseudonyms,
            resource(settings),
            Some(SimpleSpanProcessor::new(exporter)),
            None,
            None,
            NO_RECORDS,
        )
    }

    fn build(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        resource: Resource,
        sink: Option<impl SpanProcessor + 'static>,
        queue: Option<Arc<Queue>>,
        push: Option<Push>,
        records: Option<impl LogProcessor + 'static>,
    ) -> Self {
        let Limits {
            span_attributes,
            event_attributes,
            link_attributes,
            value_chars,
        } = settings.limits;
        let mut builder = SdkTracerProvider::builder().with_resource(resource.clone());
        if settings.is_disabled {
            builder = builder.with_sampler(Sampler::AlwaysOff);
        } else if !settings.has_sampler {
            // The SDK's default follows the caller's flag, so any client could switch the audit
            // trail off.
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
            builder = builder.with_span_processor(Composite::new(
                sink,
                pseudonyms.clone(),
                value_chars,
                settings.has_compatibility_keys,
            ));
        }
        let provider = builder.build();
        let sends_records = records.is_some();
        let loggers = log_records::provider(resource.clone(), records);
        let (meters, page) = readers::provider(settings, resource, push);
        let metrics = Metrics::new(meters.meter(SCOPE), &settings.metrics, pseudonyms);
        if let Some(queue) = &queue {
            metrics.watch_spans(queue);
        }
        let scope = Scope {
            tracer: provider.tracer(SCOPE),
            metrics: Arc::new(metrics),
            logger: sends_records.then(|| loggers.logger(SCOPE)),
            captures: settings.captures,
        };
        let reasons = Arc::new(Reasons::new(settings.sampling));
        let instruments = Instruments {
            scope,
            propagators: settings.propagators.clone().into(),
            queue,
            reasons,
            page,
        };
        Self {
            provider,
            meters,
            loggers,
            instruments,
            runtime: None,
        }
    }

    /// What the service makes spans with, and measures.
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    /// What waits to be delivered, and the counts of all spans; absent when nothing is exported.
    pub fn queue(&self) -> Option<Arc<Queue>> {
        self.instruments.queue.clone()
    }

    /// What makes spans, for those who bring their own: the bridge from `tracing`, and tools.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    pub(super) fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// Delivers what is queued and stops. Blocks for up to five seconds, so it must not be called
    /// on a thread of an asynchronous runtime.
    pub fn shutdown(self) {
        // Side by side, so that two backends that hang take no longer than one.
        std::thread::scope(|both| {
            // Whoever pushes metrics has said it when the last push failed.
            both.spawn(|| self.meters.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            both.spawn(|| self.loggers.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
                tracing::warn!(%error, "some traces were not delivered before the stop");
            }
        });
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its tasks, which an asynchronous caller must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn resource(settings: &TelemetrySettings) -> Resource {
    let attributes = settings.resource.iter().cloned();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}
