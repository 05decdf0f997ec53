//! One live span of the decision tree, made with the OpenTelemetry API directly: typed values, no
//! log filter in the way, each key set once and the status decided once. A span that is dropped
//! without an end says `cancelled`. Metrics are read off spans as they end, and what both take is
//! noted as telemetry's own time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::logs::SdkLogger;
use opentelemetry_sdk::trace::SdkTracer;

use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::log_event::LogEvent;
use crate::telemetry::spans::request_time::RequestTime;

/// What makes spans of a request's work, and measures it. It travels in the request's context, so
/// no global is needed and tests with exporters of their own can run side by side.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Makes the spans.
    pub(crate) tracer: SdkTracer,
    /// Measures.
    pub(crate) metrics: Arc<Metrics>,
    /// Sends log records, where they are exported.
    pub(crate) logger: Option<SdkLogger>,
    /// Where prompts and answers are put.
    pub(crate) captures: Captures,
}

/// What is written on a span when its work is done.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    /// Attributes, each key once.
    pub(crate) attributes: Vec<KeyValue>,
    /// Prompts and answers. They are written last, so that a limit on the number of attributes
    /// takes them and no others.
    pub(crate) content: Vec<KeyValue>,
    /// Events in order.
    pub(crate) events: Vec<Event>,
    /// What is said beside it in log records.
    pub(crate) log_events: Vec<LogEvent>,
    /// Spans of other traces that it is about.
    pub(crate) links: Vec<SpanContext>,
    /// Why the span is red.
    pub(crate) failure: Option<Failure>,
}

/// One event of a span.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: &'static str,
    /// When it was; now when absent.
    pub(crate) at: Option<SystemTime>,
    /// Its attributes.
    pub(crate) attributes: Vec<KeyValue>,
}

/// Why a span is red.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `error.type`.
    pub(crate) kind: String,
    /// The status description.
    pub(crate) message: String,
}

/// A span that has begun, in a context whose current span it is.
pub(crate) struct LiveSpan {
    context: Context,
    /// What it began with, which the SDK does not give back.
    known: Vec<KeyValue>,
    began: Instant,
    is_open: bool,
}

impl LiveSpan {
    /// Begins a span below the current one. Outside any traced request it does nothing.
    pub(crate) fn start(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Self {
        Self::start_in(Context::current(), name, kind, attributes)
    }

    /// Begins a span below the current one of a context.
    pub(crate) fn start_in(
        parent: Context,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let (began, known) = (Instant::now(), attributes.clone());
        let Some(scope) = parent.get::<Scope>() else {
            return Self {
                context: parent,
                known,
                began,
                is_open: false,
            };
        };
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_attributes(attributes);
        let span = scope.tracer.build_with_context(builder, &parent);
        let live = Self {
            context: parent.with_span(span),
            known,
            began,
            is_open: true,
        };
        live.note_own_time(began);
        live
    }

    /// The context in which the span's work is to be done.
    pub(crate) fn context(&self) -> Context {
        self.context.clone()
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Where the time of its request goes.
    pub(crate) fn request_time(&self) -> Option<&RequestTime> {
        self.context.get::<Arc<RequestTime>>().map(|time| &**time)
    }

    /// Ends the span with what its work came to, and measures that. `project` is told where prompts
    /// and answers belong.
    pub(crate) fn finish(
        mut self,
        project: impl FnOnce(Captures) -> Projection,
        measure: impl FnOnce(&Metrics, &Ended<'_>),
    ) {
        self.end(project, measure);
    }

    /// Ends the span of a work that was given up, or that panicked; does nothing when it has ended.
    pub(crate) fn give_up(
        &mut self,
        attributes: Vec<KeyValue>,
        measure: impl FnOnce(&Metrics, &Ended<'_>),
    ) {
        let (kind, message) = match std::thread::panicking() {
            true => ("panic", "the work panicked"),
            false => ("cancelled", "the work was given up"),
        };
        let failure = Failure {
            kind: kind.to_owned(),
            message: message.to_owned(),
        };
        self.end(
            |_| Projection {
                attributes,
                failure: Some(failure),
                ..Projection::default()
            },
            measure,
        );
    }

    /// Ends the span, unless it has ended.
    pub(crate) fn end(
        &mut self,
        project: impl FnOnce(Captures) -> Projection,
        measure: impl FnOnce(&Metrics, &Ended<'_>),
    ) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let now = Instant::now();
        if let Some(scope) = self.context.get::<Scope>() {
            let projection = project(scope.captures);
            let ended = Ended {
                took: now.saturating_duration_since(self.began),
                attributes: [&projection.attributes, &self.known],
                error_type: projection
                    .failure
                    .as_ref()
                    .map(|failure| failure.kind.as_str()),
                tenant: self
                    .context
                    .baggage()
                    .get(names::TENANT_ID.key)
                    .map(|tenant| tenant.as_str()),
            };
            measure(&scope.metrics, &ended);
            self.write(projection, scope.logger.as_ref());
        }
        self.note_own_time(now);
    }

    fn write(&self, projection: Projection, logger: Option<&SdkLogger>) {
        let span = self.context.span();
        span.set_attributes(projection.attributes);
        for event in projection.events {
            let at = event.at.unwrap_or_else(SystemTime::now);
            span.add_event_with_timestamp(event.name, at, event.attributes);
        }
        if let Some(logger) = logger {
            projection
                .log_events
                .into_iter()
                .for_each(|event| event.emit(logger, span.span_context()));
        }
        for link in projection.links {
            span.add_link(link, Vec::new());
        }
        if let Some(Failure { kind, message }) = projection.failure {
            span.set_attribute(names::ERROR_TYPE.with(kind));
            span.set_status(Status::error(message));
        }
        span.set_attributes(projection.content);
        span.end();
    }

    fn note_own_time(&self, since: Instant) {
        if let Some(time) = self.request_time() {
            time.add_telemetry(since.elapsed());
        }
    }
}

impl Drop for LiveSpan {
    fn drop(&mut self) {
        self.give_up(Vec::new(), |_, _| {});
    }
}

/// A span of this service as others link to it, from its ids in hex digits.
pub(crate) fn linked(trace_id: &str, span_id: &str) -> Option<SpanContext> {
    let (trace_id, span_id) = (
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
    );
    Some(SpanContext::new(
        trace_id,
        span_id,
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    ))
}

/// [W3C trace context](https://www.w3.org/TR/trace-context/#traceparent-header) of a span, for those that go on with its
/// trace.
pub(crate) fn traceparent(span: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    )
}
