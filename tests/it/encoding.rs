//! The hand-written OTLP encoding: for spans and log records with any content, a receiver decodes
//! the same message as if the generated protobuf types had sent it.

use std::time::{Duration, SystemTime};

use expense_agent::telemetry::export::encode::{self, Head, Records};
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        (-1e300..1e300).prop_map(Value::F64),
        ".{0,300}".prop_map(Value::from),
        vec(any::<bool>(), 0..4).prop_map(|flags| Value::Array(Array::Bool(flags))),
        vec(any::<i64>(), 0..4).prop_map(|numbers| Value::Array(Array::I64(numbers))),
        vec(-1e9..1e9, 0..4).prop_map(|numbers| Value::Array(Array::F64(numbers))),
        vec(".{0,9}".prop_map(StringValue::from), 0..4)
            .prop_map(|texts| Value::Array(Array::String(texts))),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(
        (".{0,20}", value()).prop_map(|(key, value)| KeyValue::new(key, value)),
        0..6,
    )
}

fn context() -> impl Strategy<Value = SpanContext> {
    let state = prop_oneof![
        Just(Vec::new()),
        Just(vec![("ot", "th:8"), ("vendor", "1")])
    ];
    (
        any::<u128>(),
        any::<u64>(),
        any::<u8>(),
        any::<bool>(),
        state,
    )
        .prop_map(|(trace, span, flags, is_remote, state)| {
            let (trace_id, span_id) = (trace.to_be_bytes(), span.to_be_bytes());
            let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
            let state = TraceState::from_key_value(state).unwrap();
            SpanContext::new(trace_id, span_id, TraceFlags::new(flags), is_remote, state)
        })
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
}

fn event() -> impl Strategy<Value = Event> {
    (".{0,9}", time(), attributes(), any::<u32>())
        .prop_map(|(name, at, attributes, n)| Event::new(name, at, attributes, n))
}

fn link() -> impl Strategy<Value = Link> {
    (context(), attributes(), any::<u32>())
        .prop_map(|(context, attributes, n)| Link::new(context, attributes, n))
}

fn kind() -> impl Strategy<Value = SpanKind> {
    let kinds = [
        SpanKind::Client,
        SpanKind::Server,
        SpanKind::Producer,
        SpanKind::Consumer,
        SpanKind::Internal,
    ];
    prop::sample::select(kinds.to_vec())
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        ".{0,200}".prop_map(Status::error)
    ]
}

prop_compose! {
    fn span()(
        span_context in context(), parent in any::<Option<u64>>(), parent_span_is_remote in any::<bool>(), span_kind in kind(),
        name in ".{0,200}", (start_time, end_time) in (time(), time()), attributes in attributes(), dropped in any::<[u32; 3]>(),
        event_list in vec(event(), 0..4), link_list in vec(link(), 0..3), status in status(),
    ) -> SpanData {
        let (mut events, mut links) = (SpanEvents::default(), SpanLinks::default());
        (events.events, events.dropped_count) = (event_list, dropped[1]);
        (links.links, links.dropped_count) = (link_list, dropped[2]);
        SpanData {
            span_context, parent_span_is_remote, span_kind, start_time, end_time, attributes, events, links, status,
            parent_span_id: parent.map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_be_bytes())),
            name: name.into(),
            dropped_attributes_count: dropped[0],
            instrumentation_scope: InstrumentationScope::default(),
        }
    }
}

proptest! {
    #[test]
    fn an_encoded_span_decodes_to_the_generated_type(spans in vec(span(), 0..4), attributes in attributes()) {
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        let encoded: Vec<_> = spans.iter().map(encode::span).collect();
        let message = Head::new(&resource, "expense-agent").message(encoded.iter().map(|span| &**span));

        let read = ResourceSpans::decode(&message[..]).unwrap();
        let resource_read = read.resource.unwrap();
        prop_assert_eq!(resource_read.attributes.len(), resource.len());
        for attribute in resource_read.attributes {
            let value = resource.get(&attribute.key.into()).unwrap();
            prop_assert_eq!(attribute.value, Some(value.into()));
        }
        let scope_spans = &read.scope_spans[0];
        prop_assert_eq!(&scope_spans.scope.as_ref().unwrap().name, "expense-agent");
        let expected: Vec<Span> = spans.into_iter().map(Span::from).collect();
        prop_assert_eq!(&scope_spans.spans, &expected);
    }
}

/// A value of a log record, with lists and maps nested two levels deep.
fn any_value() -> impl Strategy<Value = AnyValue> {
    let plain = prop_oneof![
        any::<bool>().prop_map(AnyValue::Boolean),
        any::<i64>().prop_map(AnyValue::Int),
        (-1e300..1e300).prop_map(AnyValue::Double),
        ".{0,300}".prop_map(AnyValue::from),
    ];
    plain.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| values.into_iter().collect()),
            vec((".{1,9}".prop_map(Key::from), inner), 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn an_encoded_log_record_decodes_to_the_generated_type(
        name in prop::option::of(Just("gen_ai.evaluation.result")),
        target in prop::option::of(prop::sample::select(vec!["expense_agent", "expense_agent::reload"])),
        (at, observed_at) in (prop::option::of(time()), time()),
        severity in prop::option::of(prop::sample::select(vec![Severity::Trace, Severity::Info, Severity::Warn, Severity::Fatal4])),
        body in prop::option::of(any_value()),
        pairs in vec((".{0,20}", any_value()), 0..6),
        context in prop::option::of(context()),
    ) {
        let provider = SdkLoggerProvider::builder().build();
        let mut record = provider.logger("").create_log_record();
        name.into_iter().for_each(|name| record.set_event_name(name));
        target.into_iter().for_each(|target| record.set_target(target));
        at.into_iter().for_each(|at| record.set_timestamp(at));
        record.set_observed_timestamp(observed_at);
        if let Some(severity) = severity {
            record.set_severity_number(severity);
            record.set_severity_text(severity.name());
        }
        body.into_iter().for_each(|body| record.set_body(body));
        record.add_attributes(pairs);
        if let Some(context) = context {
            record.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
        }
        let scope = InstrumentationScope::builder("expense-agent").build();
        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "test")).build();
        let sent = Records::new(&resource).message([(&record, &scope)].into_iter(), &|_, text| text.unwrap_or_default().into());
        let records = [(&record, &scope)];
        let expected = group_logs_by_resource_and_scope(&LogBatch::new(&records), &(&resource).into());
        prop_assert_eq!(vec![ResourceLogs::decode(&*sent).unwrap()], expected);
    }
}
