//! Takes out of a finished span what must not leave. Every text of it is looked at: its name,
//! status, attributes, events and links, and the trace state, which is a caller's text as well.
//! What is looked for stands in `redact`.

pub(crate) mod length;

use std::borrow::Cow;

use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::redact::pseudonym::Pseudonyms;
use crate::redact::redact;
use crate::telemetry::names;

/// Redacts every text of a span.
pub(crate) fn clean(span: &mut SpanData, pseudonyms: &Pseudonyms) {
    clean_text(&mut span.name);
    if let Status::Error { description } = &mut span.status {
        clean_text(description);
    }
    clean_context(&mut span.span_context);
    clean_attributes(&mut span.attributes, pseudonyms);
    for event in &mut span.events.events {
        clean_text(&mut event.name);
        clean_attributes(&mut event.attributes, pseudonyms);
    }
    for link in &mut span.links.links {
        clean_context(&mut link.span_context);
        clean_attributes(&mut link.attributes, pseudonyms);
    }
}

fn clean_attributes(attributes: &mut [KeyValue], pseudonyms: &Pseudonyms) {
    for KeyValue { key, value, .. } in attributes {
        match value {
            Value::String(text) => {
                if let Cow::Owned(cleaned) = cleaned(key.as_str(), text.as_str(), pseudonyms) {
                    *text = cleaned.into();
                }
            }
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    if let Cow::Owned(cleaned) = redact(text.as_str()) {
                        *text = cleaned.into();
                    }
                }
            }
            _ => {}
        }
    }
}

/// What may leave of a text that stands below a key.
pub(crate) fn cleaned<'a>(key: &str, text: &'a str, pseudonyms: &Pseudonyms) -> Cow<'a, str> {
    match names::IDENTITIES.iter().any(|name| name.key == key) {
        true => pseudonyms.name(role(key), text),
        false => redact(text),
    }
}

/// `user` of `user.id`.
fn role(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

fn clean_text(text: &mut Cow<'static, str>) {
    if let Cow::Owned(cleaned) = redact(text) {
        *text = cleaned.into();
    }
}

/// Without its state, where that holds something: a state with a word replaced is no state any
/// more.
fn clean_context(context: &mut SpanContext) {
    let state = context.trace_state();
    if *state != TraceState::NONE && matches!(redact(&state.header()), Cow::Owned(_)) {
        let (trace_id, span_id, flags) =
            (context.trace_id(), context.span_id(), context.trace_flags());
        *context = SpanContext::new(
            trace_id,
            span_id,
            flags,
            context.is_remote(),
            TraceState::NONE,
        );
    }
}
