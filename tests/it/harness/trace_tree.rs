//! Renders the spans of one trace as an indented text tree for golden files. One fact is one line, so
//! that a difference is easy to read. Spans from memory, from the OTLP receiver and from Jaeger are
//! all converted to `TreeSpan`. The details of a span are indented deeper than its children, so that
//! the left edge of the text is the decision tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;

use super::otlp_spans::ReceivedSpan;

/// Keys whose values differ from run to run; each is shown as its own name in angle brackets.
const VARYING_KEYS: [&str; 5] = [
    "client.address",
    "expense.id",
    "gen_ai.response.id",
    "server.port",
    "user_agent.original",
];

/// One span, from any source.
#[derive(Clone, Debug)]
pub(crate) struct TreeSpan {
    /// Any text that is unique among the spans rendered together.
    pub(crate) span_id: String,
    /// `None` on the root of a trace. A parent that is not among the rendered spans is remote.
    pub(crate) parent_id: Option<String>,
    /// The span's name.
    pub(crate) name: String,
    /// The span's kind.
    pub(crate) kind: SpanKind,
    /// The status, with its description if it is an error.
    pub(crate) status: Status,
    /// Keys with values as JSON text, as they were set: in any order, and as often as they were
    /// set.
    pub(crate) attributes: Vec<(String, String)>,
    /// Names with attributes, in the order they were added.
    pub(crate) events: Vec<(String, Vec<(String, String)>)>,
    /// The start, by which siblings are ordered.
    pub(crate) start: SystemTime,
}

/// Draws the tree. `normalise` maps keys to a text that replaces their value; it takes precedence over
/// the built-in replacements.
///
/// Panics if a span or an event has a key twice, or if two spans have one id.
pub(crate) fn render(
    spans: impl IntoIterator<Item: Into<TreeSpan>>,
    normalise: &[(&str, &str)],
) -> String {
    let mut spans: Vec<TreeSpan> = spans.into_iter().map(Into::into).collect();
    spans.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
    let mut ids = BTreeSet::new();
    for span in &spans {
        assert!(
            ids.insert(&span.span_id),
            "the span `{}` was given twice",
            span.name
        );
    }

    let mut tree = String::new();
    for root in &spans {
        match &root.parent_id {
            Some(parent_id) if ids.contains(parent_id) => {}
            parent_id => {
                let note = if parent_id.is_some() {
                    " (remote parent)"
                } else {
                    ""
                };
                draw_span(&mut tree, root, note, &spans, 0, normalise);
            }
        }
    }
    tree
}

fn draw_span(
    tree: &mut String,
    span: &TreeSpan,
    note: &str,
    all: &[TreeSpan],
    depth: usize,
    normalise: &[(&str, &str)],
) {
    let kind = format!("{:?}", span.kind).to_uppercase();
    let status = match &span.status {
        Status::Unset => "UNSET".to_owned(),
        Status::Ok => "OK".to_owned(),
        Status::Error { description } if description.is_empty() => "ERROR".to_owned(),
        Status::Error { description } => format!("ERROR {}", Value::from(description.as_ref())),
    };
    draw_line(
        tree,
        depth,
        format_args!("{} [{kind}] {status}{note}", span.name),
    );

    let owner = format!("the span `{}`", span.name);
    draw_attributes(tree, depth + 2, &owner, &span.attributes, normalise);
    for (name, attributes) in &span.events {
        draw_line(tree, depth + 2, format_args!("* {name}"));
        let owner = format!("the event `{name}` of {owner}");
        draw_attributes(tree, depth + 4, &owner, attributes, normalise);
    }
    for child in all
        .iter()
        .filter(|child| child.parent_id.as_ref() == Some(&span.span_id))
    {
        draw_span(tree, child, "", all, depth + 1, normalise);
    }
}

fn draw_attributes(
    tree: &mut String,
    depth: usize,
    owner: &str,
    attributes: &[(String, String)],
    normalise: &[(&str, &str)],
) {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort();
    for ((key, _), (next, _)) in sorted.iter().zip(sorted.iter().skip(1)) {
        assert!(key != next, "{owner} has the key `{key}` twice");
    }
    for (key, value) in sorted {
        let shown = replacement(key, normalise).unwrap_or_else(|| value.clone());
        draw_line(tree, depth, format_args!("{key} = {shown}"));
    }
}

fn replacement(key: &str, normalise: &[(&str, &str)]) -> Option<String> {
    if let Some((_, shown)) = normalise.iter().find(|(normalised, _)| *normalised == key) {
        return Some((*shown).to_owned());
    }
    if key == "retry.delay" || key.ends_with(".duration") {
        return Some("<duration>".to_owned());
    }
    // It depends on random salts.
    if key == "expense.record.hash" {
        return Some("<hash>".to_owned());
    }
    VARYING_KEYS.contains(&key).then(|| format!("<{key}>"))
}

fn draw_line(tree: &mut String, depth: usize, line: impl Display) {
    writeln!(tree, "{:indent$}{line}", "", indent = 2 * depth).expect("a string takes every write");
}

impl From<SpanData> for TreeSpan {
    fn from(span: SpanData) -> Self {
        let parent_id = span.parent_span_id;
        let events = span.events.iter();
        Self {
            span_id: span.span_context.span_id().to_string(),
            parent_id: (parent_id != SpanId::INVALID).then(|| parent_id.to_string()),
            kind: span.span_kind,
            attributes: span.attributes.iter().map(json_text).collect(),
            events: events
                .map(|event| {
                    (
                        event.name.to_string(),
                        event.attributes.iter().map(json_text).collect(),
                    )
                })
                .collect(),
            name: span.name.into_owned(),
            status: span.status,
            start: span.start_time,
        }
    }
}

fn json_text(attribute: &KeyValue) -> (String, String) {
    use opentelemetry::Value as Set;
    let value = match &attribute.value {
        Set::Bool(flag) => Value::from(*flag),
        Set::I64(number) => Value::from(*number),
        Set::F64(number) => Value::from(*number),
        Set::String(text) => Value::from(text.as_str()),
        Set::Array(Array::Bool(flags)) => flags.iter().copied().collect(),
        Set::Array(Array::I64(numbers)) => numbers.iter().copied().collect(),
        Set::Array(Array::F64(numbers)) => numbers.iter().copied().collect(),
        Set::Array(Array::String(texts)) => texts.iter().map(|text| text.as_str()).collect(),
        other => panic!("the SDK has grown a type of value: {other:?}"),
    };
    (attribute.key.to_string(), value.to_string())
}

impl From<ReceivedSpan> for TreeSpan {
    fn from(span: ReceivedSpan) -> Self {
        let texts = |attributes: BTreeMap<String, Value>| {
            attributes
                .into_iter()
                .map(|(key, value)| (key, value.to_string()))
                .collect()
        };
        let events = span.events.into_iter();
        Self {
            span_id: span.span_id,
            parent_id: (!span.parent_id.is_empty()).then_some(span.parent_id),
            name: span.name,
            kind: span.kind,
            status: span.status,
            attributes: texts(span.attributes),
            events: events
                .map(|event| (event.name, texts(event.attributes)))
                .collect(),
            start: span.start,
        }
    }
}

#[test]
fn details_are_indented_below_their_span_and_children_are_in_the_order_of_their_start() {
    let mut root = span("1", "POST /v1/expenses");
    root.parent_id = Some("of the caller".to_owned());
    root.attributes = pairs(&[
        ("server.port", "8000"),
        ("http.route", "\"/v1/expenses\""),
        ("note", "\"x\""),
    ]);
    let mut decide = child_of("1", span("3", "decide"), 20);
    decide.status = Status::error("the model says \"approved\"");
    decide.events = vec![
        ("retry".to_owned(), pairs(&[("retry.delay", "0.5")])),
        (
            "validation.failed".to_owned(),
            pairs(&[("validation.attempt", "1")]),
        ),
    ];
    let classify = child_of("1", span("2", "classify"), 10);
    let chat = child_of("2", span("4", "chat"), 11);

    let tree = render([decide, chat, classify, root], &[("note", "<note>")]);

    let expected = r#"
POST /v1/expenses [INTERNAL] UNSET (remote parent)
    http.route = "/v1/expenses"
    note = <note>
    server.port = <server.port>
  classify [INTERNAL] UNSET
    chat [INTERNAL] UNSET
  decide [INTERNAL] ERROR "the model says \"approved\""
      * retry
          retry.delay = <duration>
      * validation.failed
          validation.attempt = 1
"#;
    assert_eq!(tree, expected.trim_start());
}

#[test]
#[should_panic(expected = "the span `chat` has the key `step` twice")]
fn a_key_twice_on_a_span_fails() {
    let mut chat = span("1", "chat");
    chat.attributes = pairs(&[("step", "1"), ("other", "1"), ("step", "2")]);
    render([chat], &[]);
}

#[test]
#[should_panic(expected = "the event `retry` of the span `chat` has the key `step` twice")]
fn a_key_twice_on_an_event_fails() {
    let mut chat = span("1", "chat");
    chat.events = vec![("retry".to_owned(), pairs(&[("step", "1"), ("step", "1")]))];
    render([chat], &[]);
}

fn span(span_id: &str, name: &str) -> TreeSpan {
    TreeSpan {
        span_id: span_id.to_owned(),
        parent_id: None,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        start: SystemTime::UNIX_EPOCH,
    }
}

fn child_of(parent_id: &str, mut span: TreeSpan, start_nanos: u64) -> TreeSpan {
    span.parent_id = Some(parent_id.to_owned());
    span.start += Duration::from_nanos(start_nanos);
    span
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
