//! The only span processor. It stamps the identity of the request on every span that begins,
//! whether made by OpenTelemetry or by `tracing`, and scrubs every span that ends before it hands
//! it to the sink.
//!
//! One processor does all of it, because the SDK gives each registered processor its own copy of a
//! span: what one of them redacts, the next one would still export.

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
use crate::telemetry::scrub::length::fit;
use crate::telemetry::scrub::scrub;

/// Stamps, scrubs and shortens spans, and hands them to a sink.
#[derive(Debug)]
pub(crate) struct ScrubbingProcessor<S> {
    sink: S,
    pseudonyms: Pseudonyms,
    /// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` in characters, which the SDK does not implement.
    max_value_chars: Option<usize>,
    has_compatibility_keys: bool,
}

impl<S: SpanProcessor> ScrubbingProcessor<S> {
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

    fn shorten(&self, attributes: &mut [KeyValue]) {
        let Some(max_chars) = self.max_value_chars else {
            return;
        };
        for attribute in attributes {
            match &mut attribute.value {
                Value::String(text) => shorten(text, max_chars),
                Value::Array(Array::String(texts)) => {
                    texts.iter_mut().for_each(|text| shorten(text, max_chars))
                }
                _ => {}
            }
        }
    }
}

fn shorten(text: &mut StringValue, max_chars: usize) {
    // A text has at least as many bytes as characters, and bytes need no counting.
    if text.as_str().len() > max_chars {
        *text = fit(text.as_str(), max_chars).into();
    }
}

impl<S: SpanProcessor> SpanProcessor for ScrubbingProcessor<S> {
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
        // Before texts are cut, because half a card number is not recognised.
        scrub(&mut span, &self.pseudonyms);
        self.shorten(&mut span.attributes);
        for event in &mut span.events.events {
            self.shorten(&mut event.attributes);
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
