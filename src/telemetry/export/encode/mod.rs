//! Spans and log records as OTLP protobuf messages. Each span is encoded once, when it ends, so
//! that the queue holds bytes: their size is known exactly, and a retry encodes nothing again. In
//! protobuf, repeated fields may simply follow each other, so a message is a head with any number
//! of encoded spans copied behind it.
//!
//! Written by hand and not with `prost` and the types of `opentelemetry-proto`, because cloning a
//! span into those types and encoding them takes more than ten times as long: 2.5 µs per span
//! against 0.2 µs, as measured, which is too long for the thread of a request. `prost::encoding`
//! has the primitives of `wire`, but documents them as internal. A test decodes the bytes with the
//! generated types and compares each field.
//!
//! The fields are those of [trace.proto](https://github.com/open-telemetry/opentelemetry-proto).

mod record;
mod wire;

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

pub use record::{Records, Scrub};
use wire::{
    FIXED_64, LENGTH, VARINT, bytes, fixed_32, fixed_64, message, number, tag, text, varint,
};

// Bits of a span's flags, which say whether its parent, or a linked span, is in another process.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Capacity that suffices for most spans, so that the buffer does not grow.
const USUAL_BYTES: usize = 1024;

/// Encodes a span as one element of `ScopeSpans.spans`.
pub fn span(span: &SpanData) -> Box<[u8]> {
    let mut buf = Vec::with_capacity(USUAL_BYTES);
    message(&mut buf, 2, |buf| {
        let context = &span.span_context;
        bytes(buf, 1, &context.trace_id().to_bytes());
        bytes(buf, 2, &context.span_id().to_bytes());
        text(buf, 3, &context.trace_state().header());
        if span.parent_span_id != SpanId::INVALID {
            bytes(buf, 4, &span.parent_span_id.to_bytes());
        }
        text(buf, 5, &span.name);
        number(buf, 6, kind(&span.span_kind));
        fixed_64(buf, 7, unix_nanos(span.start_time));
        fixed_64(buf, 8, unix_nanos(span.end_time));
        attributes(buf, 9, &span.attributes);
        number(buf, 10, span.dropped_attributes_count.into());
        span.events
            .iter()
            .for_each(|event| message(buf, 11, |buf| write_event(buf, event)));
        number(buf, 12, span.events.dropped_count.into());
        span.links
            .iter()
            .for_each(|link| message(buf, 13, |buf| write_link(buf, link)));
        number(buf, 14, span.links.dropped_count.into());
        message(buf, 15, |buf| write_status(buf, &span.status));
        fixed_32(
            buf,
            16,
            flags(context.trace_flags().to_u8(), span.parent_span_is_remote),
        );
    });
    buf.into_boxed_slice()
}

/// The first part of every message: the resource that sends, and the scope that made the spans.
#[derive(Clone, Debug)]
pub struct Head {
    /// The field `resource` of `ResourceSpans`.
    resource: Vec<u8>,
    /// The field `scope` of `ScopeSpans`.
    scope: Vec<u8>,
}

impl Head {
    /// Encodes the head.
    pub fn new(resource: &Resource, scope: &str) -> Self {
        Self {
            resource: encode_resource(resource),
            scope: encode_scope(scope),
        }
    }

    /// Encodes a `ResourceSpans` message with these spans.
    pub fn message<'a>(&self, spans: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
        let n_spans_bytes: usize = spans.clone().map(<[u8]>::len).sum();
        let mut scope_spans = Vec::with_capacity(16);
        tag(&mut scope_spans, 2, LENGTH);
        varint(&mut scope_spans, (self.scope.len() + n_spans_bytes) as u64);
        let n_bytes = self.resource.len() + scope_spans.len() + self.scope.len() + n_spans_bytes;
        let mut buf = Vec::with_capacity(n_bytes);
        for part in [&self.resource, &scope_spans, &self.scope] {
            buf.extend_from_slice(part);
        }
        spans.for_each(|span| buf.extend_from_slice(span));
        buf
    }
}

/// Encodes the field `resource` of `ResourceSpans` or `ResourceLogs`.
fn encode_resource(resource: &Resource) -> Vec<u8> {
    let mut buf = Vec::new();
    message(&mut buf, 1, |buf| {
        for (key, value) in resource {
            message(buf, 1, |buf| write_attribute(buf, key.as_str(), value));
        }
    });
    buf
}

/// Encodes the field `scope` of `ScopeSpans` or `ScopeLogs`.
fn encode_scope(name: &str) -> Vec<u8> {
    let mut buf = Vec::new();
    message(&mut buf, 1, |buf| text(buf, 1, name));
    buf
}

fn write_event(buf: &mut Vec<u8>, event: &Event) {
    fixed_64(buf, 1, unix_nanos(event.timestamp));
    text(buf, 2, &event.name);
    attributes(buf, 3, &event.attributes);
    number(buf, 4, event.dropped_attributes_count.into());
}

fn write_link(buf: &mut Vec<u8>, link: &Link) {
    let context = &link.span_context;
    bytes(buf, 1, &context.trace_id().to_bytes());
    bytes(buf, 2, &context.span_id().to_bytes());
    text(buf, 3, &context.trace_state().header());
    attributes(buf, 4, &link.attributes);
    number(buf, 5, link.dropped_attributes_count.into());
    fixed_32(
        buf,
        6,
        flags(context.trace_flags().to_u8(), context.is_remote()),
    );
}

fn write_status(buf: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => number(buf, 3, 1),
        Status::Error { description } => {
            text(buf, 2, description);
            number(buf, 3, 2);
        }
    }
}

fn attributes(buf: &mut Vec<u8>, field: u32, attributes: &[KeyValue]) {
    for attribute in attributes {
        message(buf, field, |buf| {
            write_attribute(buf, attribute.key.as_str(), &attribute.value)
        });
    }
}

fn write_attribute(buf: &mut Vec<u8>, key: &str, value: &Value) {
    text(buf, 1, key);
    message(buf, 2, |buf| match value {
        Value::Array(array) => message(buf, 5, |buf| write_array(buf, array)),
        Value::Bool(flag) => write_bool(buf, *flag),
        Value::I64(number) => write_int(buf, *number),
        Value::F64(number) => write_double(buf, *number),
        // A variant that a later version of the API may add.
        other => write_string(buf, &other.as_str()),
    });
}

fn write_array(buf: &mut Vec<u8>, array: &Array) {
    match array {
        Array::Bool(flags) => flags
            .iter()
            .for_each(|flag| message(buf, 1, |buf| write_bool(buf, *flag))),
        Array::I64(numbers) => numbers
            .iter()
            .for_each(|number| message(buf, 1, |buf| write_int(buf, *number))),
        Array::F64(numbers) => numbers
            .iter()
            .for_each(|number| message(buf, 1, |buf| write_double(buf, *number))),
        Array::String(texts) => texts
            .iter()
            .for_each(|text| message(buf, 1, |buf| write_string(buf, text.as_str()))),
        other => message(buf, 1, |buf| write_string(buf, &other.to_string())),
    }
}

// The fields of `AnyValue` are a `oneof`, so they are written even if empty, false or zero.

fn write_string(buf: &mut Vec<u8>, text: &str) {
    tag(buf, 1, LENGTH);
    varint(buf, text.len() as u64);
    buf.extend_from_slice(text.as_bytes());
}

fn write_bool(buf: &mut Vec<u8>, flag: bool) {
    tag(buf, 2, VARINT);
    varint(buf, flag.into());
}

fn write_int(buf: &mut Vec<u8>, number: i64) {
    tag(buf, 3, VARINT);
    varint(buf, number.cast_unsigned());
}

fn write_double(buf: &mut Vec<u8>, number: f64) {
    tag(buf, 4, FIXED_64);
    buf.extend_from_slice(&number.to_le_bytes());
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn flags(trace_flags: u8, is_remote: bool) -> u32 {
    u32::from(trace_flags) | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 }
}

/// Nanoseconds since 1970. They fit into 64 bits until the year 2554.
fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
