//! Spans that the OTLP receiver got, parsed into plain values. A duplicate attribute key fails the
//! test that reads it. Metrics and log records are read in `otlp_metrics` and `otlp_logs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as WireValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

/// The transport of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP/1.1 or HTTP/2, in protobuf.
    Http,
}

/// A span as a backend reads it.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedSpan {
    /// How it was sent.
    pub(crate) transport: Transport,
    /// 32 lower-case hex digits.
    pub(crate) trace_id: String,
    /// 16 lower-case hex digits.
    pub(crate) span_id: String,
    /// 16 lower-case hex digits, empty on a root.
    pub(crate) parent_id: String,
    /// The span's name.
    pub(crate) name: String,
    /// The span's kind.
    pub(crate) kind: SpanKind,
    /// The status, with its message if it is an error.
    pub(crate) status: Status,
    /// When it started.
    pub(crate) start: SystemTime,
    /// The span's attributes.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// The attributes of the process that sent it.
    pub(crate) resource: BTreeMap<String, Value>,
    /// The events in the order they were added.
    pub(crate) events: Vec<ReceivedEvent>,
}

/// One event of a span.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedEvent {
    /// The event's name.
    pub(crate) name: String,
    /// The event's attributes.
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// The spans of an export, in the order in which they were sent.
pub(super) fn read(request: &ExportTraceServiceRequest, transport: Transport) -> Vec<ReceivedSpan> {
    let mut received = Vec::new();
    for group in &request.resource_spans {
        let resource = group
            .resource
            .as_ref()
            .map_or(&[][..], |resource| &resource.attributes);
        let resource = read_attributes("the resource", resource);
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            received.push(read_span(span, transport, resource.clone()));
        }
    }
    received
}

fn read_span(span: &Span, transport: Transport, resource: BTreeMap<String, Value>) -> ReceivedSpan {
    let owner = format!("the span `{}`", span.name);
    let events = span.events.iter().map(|event| ReceivedEvent {
        name: event.name.clone(),
        attributes: read_attributes(
            &format!("the event `{}` of {owner}", event.name),
            &event.attributes,
        ),
    });
    let status = span.status.as_ref();
    ReceivedSpan {
        transport,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        name: span.name.clone(),
        kind: kind_of(span.kind.into()),
        status: status.map_or(Status::Unset, |status| {
            status_of(status.code.into(), &status.message)
        }),
        start: time_of(span.start_time_unix_nano),
        attributes: read_attributes(&owner, &span.attributes),
        resource,
        events: events.collect(),
    }
}

/// Attributes by key; panics at a duplicate key.
pub(crate) fn read_attributes(owner: &str, attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let mut read = BTreeMap::new();
    for KeyValue { key, value, .. } in attributes {
        let earlier = read.insert(key.clone(), value.as_ref().map_or(Value::Null, read_value));
        assert!(
            earlier.is_none(),
            "{owner} was sent with the key `{key}` twice"
        );
    }
    read
}

/// A value of an attribute, or the body of a record.
pub(crate) fn read_value(value: &AnyValue) -> Value {
    match &value.value {
        None => Value::Null,
        Some(WireValue::StringValue(text)) => text.as_str().into(),
        Some(WireValue::BoolValue(flag)) => (*flag).into(),
        Some(WireValue::IntValue(number)) => (*number).into(),
        Some(WireValue::DoubleValue(number)) => (*number).into(),
        Some(WireValue::ArrayValue(array)) => array.values.iter().map(read_value).collect(),
        Some(other) => panic!("the service sends no attributes of this type: {other:?}"),
    }
}

/// The span kind that OTLP writes as this number.
pub(crate) fn kind_of(number: i64) -> SpanKind {
    match number {
        1 => SpanKind::Internal,
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        other => panic!("{other} is not a span kind of OTLP"),
    }
}

/// The status that OTLP writes as this code and message.
pub(crate) fn status_of(code: i64, message: &str) -> Status {
    match code {
        0 => Status::Unset,
        1 => Status::Ok,
        2 => Status::error(message.to_owned()),
        other => panic!("{other} is not a status code of OTLP"),
    }
}

/// The time that OTLP writes as this number of nanoseconds since 1970.
pub(crate) fn time_of(unix_nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}

/// An id as hex digits.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every write");
        text
    })
}
