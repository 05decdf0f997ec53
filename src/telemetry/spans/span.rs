//! A live span of the decision tree, made with the OpenTelemetry API directly, which keeps the
//! types of values and is subject to no log filter.
//!
//! If a key is set twice, the SDK exports it twice, and of two error statuses it keeps the one
//! whose text sorts last. The result of the work is therefore written once, at the end, from one
//! [`Projection`].
//!
//! A span ends exactly once: the first of `finish`, `abort` and the drop guard clears `is_open`,
//! and the others then do nothing. The drop guard marks work that was cancelled or that panicked,
//! which the SDK would export without a status.
//!
//! Metrics are recorded from the same projection when the span ends, and the time for both is added
//! to telemetry's own time of the request.

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

/// What spans and metrics of a request are made with. It travels in the request's context, so that
/// there is no global and tests with exporters of their own can run concurrently.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) tracer: SdkTracer,
    pub(crate) metrics: Arc<Metrics>,
    /// Absent if log records are not exported.
    pub(crate) logger: Option<SdkLogger>,
    /// Where prompts and answers are captured.
    pub(crate) captures: Captures,
    /// Whether nothing reads spans, metrics or log records, so that none need be made.
    pub(crate) is_disabled: bool,
}

/// Everything that is written on a span when its work is done.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    /// Attributes, each key once.
    pub(crate) attributes: Vec<KeyValue>,
    /// Prompts and answers. They are written last, so that a limit on the number of attributes
    /// drops them and no others.
    pub(crate) content: Vec<KeyValue>,
    /// Events, in order.
    pub(crate) events: Vec<Event>,
    /// Log records that are emitted beside the span.
    pub(crate) log_events: Vec<LogEvent>,
    /// Spans of other traces to which the span links.
    pub(crate) links: Vec<SpanContext>,
    /// Present if the span's status is an error.
    pub(crate) failure: Option<Failure>,
}

/// One event of a span.
#[derive(Debug)]
pub(crate) struct Event {
    /// One of the event names in `names`.
    pub(crate) name: &'static str,
    /// When it happened; the end of the span if absent.
    pub(crate) at: Option<SystemTime>,
    pub(crate) attributes: Vec<KeyValue>,
}

/// The error status of a span.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `error.type`.
    pub(crate) kind: String,
    /// The status description.
    pub(crate) message: String,
}

/// A span that has begun, as the current span of a context.
pub(crate) struct LiveSpan {
    context: Context,
    /// The attributes that it began with, for metrics; the SDK does not return them.
    known: Vec<KeyValue>,
    began: Instant,
    is_open: bool,
}

impl LiveSpan {
    /// Begins a child of the current span. Outside a traced request it does nothing.
    pub(crate) fn start(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Self {
        Self::start_in(Context::current(), name, kind, attributes)
    }

    /// Begins a child of the current span of a context.
    pub(crate) fn start_in(
        parent: Context,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let began = Instant::now();
        let Some(scope) = parent.get::<Scope>() else {
            return Self {
                context: parent,
                known: Vec::new(),
                began,
                is_open: false,
            };
        };
        let known = match scope.is_disabled {
            true => Vec::new(),
            false => attributes.clone(),
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
        live.add_telemetry_time(began);
        live
    }

    /// The context in which the span's work must run.
    pub(crate) fn context(&self) -> Context {
        self.context.clone()
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The time record of the request, if there is one.
    pub(crate) fn request_time(&self) -> Option<&RequestTime> {
        self.context.get::<Arc<RequestTime>>().map(|time| &**time)
    }

    /// Ends the span with the result of its work, and records its metrics. `project` is passed the
    /// setting that says where prompts and answers are captured.
    pub(crate) fn finish(
        mut self,
        project: impl FnOnce(Captures) -> Projection,
        measure: impl FnOnce(&Metrics, &Ended<'_>),
    ) {
        self.end(project, measure);
    }

    /// Ends the span of work that was cancelled or that panicked; does nothing if the span has
    /// ended.
    pub(crate) fn abort(
        &mut self,
        attributes: Vec<KeyValue>,
        measure: impl FnOnce(&Metrics, &Ended<'_>),
    ) {
        let (kind, message) = match std::thread::panicking() {
            true => ("panic", "the work panicked"),
            false => ("cancelled", "the work was cancelled"),
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
        let scope = self.context.get::<Scope>();
        if let Some(scope) = scope.filter(|scope| !scope.is_disabled) {
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
        self.add_telemetry_time(now);
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

    fn add_telemetry_time(&self, since: Instant) {
        if let Some(time) = self.request_time() {
            time.add_telemetry(since.elapsed());
        }
    }
}

impl Drop for LiveSpan {
    fn drop(&mut self) {
        self.abort(Vec::new(), |_, _| {});
    }
}

/// The context of a span of this service for a link, from ids in hex digits.
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

/// The [`traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header) header of a span, for
/// services that continue its trace.
pub(crate) fn traceparent(span: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    )
}
