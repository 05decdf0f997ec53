//! Builds telemetry from its settings: the resource, the sampler and limits of spans, the span
//! processor and the pipeline behind it, metrics with their page and push, and the export of log
//! records. What each of them does is in `export` and `metrics`.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::LoggerProvider;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor};
use tokio::runtime::Runtime;

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::Instruments;
use crate::telemetry::export::logs as log_export;
use crate::telemetry::export::metrics::{self as metric_export, Push};
use crate::telemetry::export::pipeline::Pipeline;
use crate::telemetry::export::processor::ScrubbingProcessor;
use crate::telemetry::export::queue::Queue;
use crate::telemetry::export::transport::{Transport, TransportError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::readers;
use crate::telemetry::sampling::reasons::Reasons;
use crate::telemetry::settings::{Limits, TelemetrySettings};
use crate::telemetry::spans::span::Scope;

/// The only instrumentation scope of this program.
pub(super) const SCOPE: &str = "expense-agent";
/// Time limit for delivering what is queued when the program stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces, metrics or log records cannot be exported as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// An exporter cannot be built.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The thread of the exporters cannot be started.
    #[error("the exporter's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Where each signal goes. An absent sink exports nothing.
struct Sinks<S> {
    spans: Option<S>,
    /// The queue of the span sink, for its counts.
    queue: Option<Arc<Queue>>,
    push: Option<Push>,
    records: Option<BatchLogProcessor>,
}

impl<S> Sinks<S> {
    /// Exports spans alone.
    fn of_spans(spans: Option<S>) -> Self {
        Self {
            spans,
            queue: None,
            push: None,
            records: None,
        }
    }
}

/// Telemetry of one process, from its start to the last flush. Dropping it without
/// [`shutdown`](Self::shutdown) loses what is queued.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
    instruments: Instruments,
    /// The exporters' runtime, with one thread. Shutdown blocks until this runtime has delivered,
    /// so it must not be the application's, whose thread may be the one that is blocked.
    runtime: Option<Runtime>,
}

impl Telemetry {
    /// Starts exporting as the settings say.
    ///
    /// # Errors
    /// When an exporter cannot be built, or its thread not be started.
    pub fn start(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
    ) -> Result<Self, TelemetryError> {
        let resource = resource(settings);
        if !settings.exports_spans && settings.metrics.exporter.is_none() && settings.logs.is_none()
        {
            let sinks = Sinks::of_spans(None::<Pipeline>);
            return Ok(Self::build(settings, pseudonyms, resource, sinks));
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build();
        let runtime = runtime.map_err(TelemetryError::Thread)?;
        let spans = match settings.exports_spans {
            true => {
                let _entered = runtime.enter();
                let transport = Transport::build(&settings.exporter)?;
                Some(Pipeline::start(
                    settings, transport, &resource, SCOPE, &runtime,
                ))
            }
            false => None,
        };
        let records = settings
            .logs
            .as_ref()
            .map(|logs| log_export::processor(logs, pseudonyms.clone(), &runtime));
        let sinks = Sinks {
            queue: spans.as_ref().map(Pipeline::queue),
            spans,
            push: metric_export::push(&settings.metrics, &runtime)?,
            records: records.transpose()?,
        };
        let mut telemetry = Self::build(settings, pseudonyms, resource, sinks);
        telemetry.runtime = Some(runtime);
        Ok(telemetry)
    }

    /// Hands every span to an exporter as it ends, for tests and for tools that read their own
    /// spans.
    pub fn with_exporter(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
    ) -> Self {
        let sinks = Sinks::of_spans(Some(SimpleSpanProcessor::new(exporter)));
        Self::build(settings, pseudonyms, resource(settings), sinks)
    }

    fn build(
        settings: &TelemetrySettings,
        pseudonyms: Pseudonyms,
        resource: Resource,
        sinks: Sinks<impl SpanProcessor + 'static>,
    ) -> Self {
        let Sinks {
            spans,
            queue,
            push,
            records,
        } = sinks;
        let provider = tracer_provider(settings, pseudonyms.clone(), resource.clone(), spans);
        let sends_records = records.is_some();
        let loggers = logger_provider(resource.clone(), records);
        let (meters, page) = readers::provider(settings, resource, push);
        let metrics = Metrics::new(&meters.meter(SCOPE), &settings.metrics, pseudonyms);
        if let Some(queue) = &queue {
            metrics.watch_spans(queue);
        }
        let scope = Scope {
            tracer: provider.tracer(SCOPE),
            metrics: Arc::new(metrics),
            logger: sends_records.then(|| loggers.logger(SCOPE)),
            captures: settings.captures,
            is_disabled: settings.is_disabled,
        };
        let instruments = Instruments {
            scope,
            propagators: settings.propagators.clone().into(),
            queue,
            reasons: Arc::new(Reasons::new(settings.sampling)),
            has_compatibility_keys: settings.has_compatibility_keys,
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

    /// What the service records spans and metrics with.
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    /// The span queue with its counts; absent when spans are not exported.
    pub fn queue(&self) -> Option<Arc<Queue>> {
        self.instruments.queue.clone()
    }

    /// The tracer provider, for spans made elsewhere: by the bridge from `tracing`, and by tests.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    pub(super) fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// Delivers what is queued and stops. Blocks for up to five seconds, so it must not be called
    /// on a thread of an asynchronous runtime.
    pub fn shutdown(self) {
        // Concurrently, so that several backends that hang take no longer than one.
        std::thread::scope(|scope| {
            // Failures of these two have been logged by `Outage`.
            scope.spawn(|| self.meters.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            scope.spawn(|| self.loggers.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
                tracing::warn!(%error, "some traces were not delivered before the stop");
            }
        });
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Dropping a runtime blocks, which panics on a thread of an asynchronous runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn tracer_provider(
    settings: &TelemetrySettings,
    pseudonyms: Pseudonyms,
    resource: Resource,
    sink: Option<impl SpanProcessor + 'static>,
) -> SdkTracerProvider {
    let Limits {
        span_attributes,
        event_attributes,
        link_attributes,
        value_chars,
    } = settings.limits;
    let mut builder = SdkTracerProvider::builder().with_resource(resource);
    if settings.is_disabled {
        builder = builder.with_sampler(Sampler::AlwaysOff);
    } else if !settings.has_sampler {
        // The SDK's default follows the caller's sampled flag, so that any caller could switch the
        // audit trail off.
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
        builder = builder.with_span_processor(ScrubbingProcessor::new(
            sink,
            pseudonyms,
            value_chars,
            settings.has_compatibility_keys,
        ));
    }
    builder.build()
}

fn logger_provider(resource: Resource, sink: Option<BatchLogProcessor>) -> SdkLoggerProvider {
    let builder = SdkLoggerProvider::builder().with_resource(resource);
    match sink {
        Some(sink) => builder.with_log_processor(sink).build(),
        None => builder.build(),
    }
}

fn resource(settings: &TelemetrySettings) -> Resource {
    let attributes = settings.resource.iter().cloned();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}
