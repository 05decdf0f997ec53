//! The one span processor: it stamps identity on every span that begins, of either API, and takes
//! out of every span that ends what must not leave before it passes it on. One, because each
//! registered processor would get a copy of its own, and what one takes out the next would send.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::Span as _;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::export::compatibility;
use crate::telemetry::names;
use crate::telemetry::scrub::clean;
use crate::telemetry::scrub::length::fit;

/// Stamps, redacts, bounds, and hands on to the sink.
#[derive(Debug)]
pub(crate) struct Composite<S> {
    sink: S,
    pseudonyms: Pseudonyms,
    /// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, in characters, which the SDK itself ignores.
    max_value_chars: Option<usize>,
    has_compatibility_keys: bool,
}

impl<S: SpanProcessor> Composite<S> {
    pub(crate) fn new(
        sink: S,
        pseudonyms: Pseudonyms,
        max_value_chars: Option<usize>,
        has_compatibility_keys: bool,
    ) -> Self {
        Self {
            sink,
            pseudonyms,
            max_value_chars,
            has_compatibility_keys,
        }
    }

    fn bound(&self, attributes: &mut [KeyValue]) {
        let Some(max_chars) = self.max_value_chars else {
            return;
        };
        for attribute in attributes {
            match &mut attribute.value {
                Value::String(text) => bound(text, max_chars),
                Value::Array(Array::String(texts)) => {
                    texts.iter_mut().for_each(|text| bound(text, max_chars))
                }
                _ => {}
            }
        }
    }
}

fn bound(text: &mut StringValue, max_chars: usize) {
    // Bytes are quicker counted, and never fewer than characters.
    if text.as_str().len() > max_chars {
        *text = fit(text.as_str(), max_chars).into();
    }
}

impl<S: SpanProcessor> SpanProcessor for Composite<S> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        let baggage = context.baggage();
        let stamps = names::FROM_BAGGAGE.into_iter();
        span.set_attributes(
            stamps.filter_map(|name| Some(name.with(baggage.get(name.key)?.clone()))),
        );
        self.sink.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if self.has_compatibility_keys {
            compatibility::add(&mut span);
        }
        // Before anything is cut: half a card number is not found.
        clean(&mut span, &self.pseudonyms);
        self.bound(&mut span.attributes);
        for event in &mut span.events.events {
            self.bound(&mut event.attributes);
        }
        self.sink.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sink.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sink.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sink.set_resource(resource);
    }
}
