//! Scrubbing: redacts every text of a finished span before it is exported: name, status,
//! attributes, events and links, and the trace state, which is a text of the caller. User ids that
//! are personal data become pseudonyms. What is recognised is defined in `redact`; how texts are
//! cut to a length is in `length`.

pub(crate) mod length;

use std::borrow::Cow;

use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::redact::pseudonym::Pseudonyms;
use crate::redact::redact;
use crate::telemetry::names;

/// Redacts every text of a span.
pub(crate) fn scrub(span: &mut SpanData, pseudonyms: &Pseudonyms) {
    redact_in_place(&mut span.name);
    if let Status::Error { description } = &mut span.status {
        redact_in_place(description);
    }
    scrub_context(&mut span.span_context);
    scrub_attributes(&mut span.attributes, pseudonyms);
    for event in &mut span.events.events {
        redact_in_place(&mut event.name);
        scrub_attributes(&mut event.attributes, pseudonyms);
    }
    for link in &mut span.links.links {
        scrub_context(&mut link.span_context);
        scrub_attributes(&mut link.attributes, pseudonyms);
    }
}

fn scrub_attributes(attributes: &mut [KeyValue], pseudonyms: &Pseudonyms) {
    for KeyValue { key, value, .. } in attributes {
        match value {
            Value::String(text) => {
                if let Cow::Owned(scrubbed) = scrub_text(key.as_str(), text.as_str(), pseudonyms) {
                    *text = scrubbed.into();
                }
            }
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    if let Cow::Owned(scrubbed) = redact(text.as_str()) {
                        *text = scrubbed.into();
                    }
                }
            }
            _ => {}
        }
    }
}

/// Redacts the text of one attribute, by its key: the text of an identity becomes a pseudonym if it
/// is personal data.
pub(crate) fn scrub_text<'a>(key: &str, text: &'a str, pseudonyms: &Pseudonyms) -> Cow<'a, str> {
    match names::IDENTITIES.iter().find(|(name, _)| name.key == key) {
        Some((_, role)) => pseudonyms.name(role, text),
        None => redact(text),
    }
}

fn redact_in_place(text: &mut Cow<'static, str>) {
    if let Cow::Owned(scrubbed) = redact(text) {
        *text = scrubbed.into();
    }
}

/// Removes a trace state in which something was found. Redacting a part of it would leave a state
/// that is not valid.
fn scrub_context(context: &mut SpanContext) {
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
