//! One live span of the decision tree, made with the OpenTelemetry API directly: typed values, no log filter in the
//! way, each key set once and the status decided once. A span that is dropped without an end says `cancelled`.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use crate::telemetry::names;

/// What makes spans of a request's work. It travels in the request's context, so no global is needed and tests with
/// exporters of their own can run side by side.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Makes the spans.
    pub(super) tracer: SdkTracer,
    /// Whether prompts and answers are put on spans.
    pub(super) captures_content: bool,
}

/// What is written on a span when its work is done.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    /// Attributes, each key once.
    pub(super) attributes: Vec<KeyValue>,
    /// Prompts and answers. They are written last, so that a limit on the number of attributes takes them and no others.
    pub(super) content: Vec<KeyValue>,
    /// Events in order.
    pub(super) events: Vec<Event>,
    /// Spans of other traces that it is about.
    pub(super) links: Vec<SpanContext>,
    /// Why the span is red.
    pub(super) failure: Option<Failure>,
}

/// One event of a span.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its name.
    pub(super) name: &'static str,
    /// When it was; now when absent.
    pub(super) at: Option<SystemTime>,
    /// Its attributes.
    pub(super) attributes: Vec<KeyValue>,
}

/// Why a span is red.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `error.type`.
    pub(super) kind: String,
    /// The status description.
    pub(super) message: String,
}

/// A span that has begun, in a context whose current span it is.
pub(super) struct LiveSpan {
    context: Context,
    is_open: bool,
}

impl LiveSpan {
    /// Begins a span below the current one. Outside any traced request it does nothing.
    pub(super) fn start(name: impl Into<Cow<'static, str>>, kind: SpanKind, attributes: Vec<KeyValue>) -> Self {
        Self::start_in(Context::current(), name, kind, attributes)
    }

    /// Begins a span below the current one of a context.
    pub(super) fn start_in(
        parent: Context,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let Some(scope) = parent.get::<Scope>() else { return Self { context: parent, is_open: false } };
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
        let span = scope.tracer.build_with_context(builder, &parent);
        Self { context: parent.with_span(span), is_open: true }
    }

    /// The context in which the span's work is to be done.
    pub(super) fn context(&self) -> Context {
        self.context.clone()
    }

    /// Whether prompts and answers belong on this span.
    pub(super) fn captures_content(&self) -> bool {
        self.context.get::<Scope>().is_some_and(|scope| scope.captures_content)
    }

    /// Ends the span with what its work came to.
    pub(super) fn finish(mut self, projection: Projection) {
        self.end(projection);
    }

    /// Ends the span of a work that was given up, or that panicked; does nothing when it has ended.
    pub(super) fn give_up(&mut self, attributes: Vec<KeyValue>) {
        let (kind, message) = match std::thread::panicking() {
            true => ("panic", "the work panicked"),
            false => ("cancelled", "the work was given up"),
        };
        let failure = Failure { kind: kind.to_owned(), message: message.to_owned() };
        self.end(Projection { attributes, failure: Some(failure), ..Projection::default() });
    }

    /// Ends the span, unless it has ended.
    pub(super) fn end(&mut self, projection: Projection) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let span = self.context.span();
        span.set_attributes(projection.attributes);
        for event in projection.events {
            let at = event.at.unwrap_or_else(SystemTime::now);
            span.add_event_with_timestamp(event.name, at, event.attributes);
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
}

impl Drop for LiveSpan {
    fn drop(&mut self) {
        self.give_up(Vec::new());
    }
}

/// A span of this service as others link to it, from its ids in hex digits.
pub(super) fn linked(trace_id: &str, span_id: &str) -> Option<SpanContext> {
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    Some(SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::default()))
}
