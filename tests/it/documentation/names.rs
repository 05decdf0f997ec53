//! The tables of attributes, events and metrics in `deploy/telemetry.md`. They list every name that
//! the code or a golden trace contains.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use expense_agent::telemetry::names;
use expense_agent::telemetry::names::attribute::{Attribute, EventName, Place, Source};
use expense_agent::telemetry::names::instrument::Metric;
use expense_agent::telemetry::names::{compat, log_events, metrics};
use regex::Regex;

use crate::deployment::{EXPORTER_SUFFIXES, OTEL_VARIABLES};
use crate::harness::project_path;

use super::{TELEMETRY, as_code, document, found, rust_below, table};

/// Several values in one cell, separated by commas.
fn comma_separated(things: &[impl ToString]) -> String {
    let words: Vec<_> = things.iter().map(ToString::to_string).collect();
    words.join(", ")
}

/// The table of attributes.
pub(super) fn names_table() -> String {
    let row = |attribute: &Attribute| {
        let Attribute {
            key,
            value,
            on,
            conditions,
            meaning,
            source,
            cardinality,
        } = attribute;
        let places = [comma_separated(on), comma_separated(conditions)];
        let places: Vec<_> = places.into_iter().filter(|text| !text.is_empty()).collect();
        [
            as_code(key),
            value.to_string(),
            comma_separated(&places),
            (*meaning).to_owned(),
            source.to_string(),
            cardinality.to_string(),
        ]
    };
    table(
        ["Key", "Value", "On", "Meaning", "Source", "Cardinality"],
        attributes().map(row),
    )
}

/// Every attribute: those of spans first, then those of log records, of `--compatibility-keys`, and
/// of metrics.
fn attributes() -> impl Iterator<Item = &'static Attribute> {
    names::ALL
        .iter()
        .chain(log_events::ATTRIBUTES)
        .chain(compat::ATTRIBUTES)
        .chain(metrics::ATTRIBUTES)
}

/// The table of metrics.
pub(super) fn metrics_table() -> String {
    let row = |metric: &Metric| {
        let Metric {
            key,
            kind,
            unit,
            attributes,
            meaning,
            source,
            ..
        } = metric;
        let by: Vec<_> = attributes.iter().map(|by| as_code(by.key)).collect();
        let has_tenants = attributes.contains(&names::TENANT_ID);
        let cardinality = if has_tenants {
            "low for each tenant"
        } else {
            "low"
        };
        let [kind, meaning] = [kind.to_string(), (*meaning).to_owned()];
        [
            as_code(key),
            kind,
            as_code(unit),
            by.join(", "),
            meaning,
            source.to_string(),
            cardinality.to_owned(),
        ]
    };
    let head = [
        "Metric",
        "Kind",
        "Unit",
        "By",
        "Meaning",
        "Source",
        "Cardinality",
    ];
    table(head, metrics::ALL.iter().map(row))
}

/// The table of events, including the log records that the conventions call events.
pub(super) fn events_table() -> String {
    let row = |form: &str, event: &EventName| {
        let on = format!("{form}{}", comma_separated(event.on));
        [as_code(event.name), on, event.meaning.to_owned()]
    };
    let on_spans = names::EVENTS.iter().map(|event| row("", event));
    let in_logs = log_events::EVENTS
        .iter()
        .map(|event| row("log record in ", event));
    table(["Event", "On", "Meaning"], on_spans.chain(in_logs))
}

/// The kind of span that begins at a line of a golden trace, by the first word of the span's name.
fn span_of(line: &str) -> Option<Place> {
    static SPAN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^ *(\w+).* \[([A-Z]+)\] (?:UNSET|OK|ERROR)").unwrap());
    let [name, kind] = SPAN.captures(line)?.extract::<2>().1;
    let spans = [
        Place::InvokeAgent,
        Place::Classify,
        Place::ExecuteTool,
        Place::Decide,
        Place::Chat,
        Place::ResolveExpense,
        Place::Feedback,
        Place::ClaimIdempotencyKey,
        Place::RecordDecision,
        Place::RecordResolution,
        Place::RecordFeedback,
    ];
    match kind {
        "SERVER" => Some(Place::Server),
        _ => spans.into_iter().find(|span| span.to_string() == name),
    }
}

/// The places whose attributes an event may have.
fn places_of_event(event: &str) -> &'static [Place] {
    match event {
        names::EVENT_VALIDATION_PASSED => &[Place::Validations],
        names::EVENT_VALIDATION_FAILED => &[Place::Validations, Place::FailedValidation],
        names::EVENT_RETRY => &[Place::Retry],
        names::EVENT_EVIDENCE_AMBIGUOUS => &[Place::AmbiguousEvidence],
        names::EVENT_EVALUATION_RESULT => &[Place::FeedbackEvent],
        _ => &[],
    }
}

/// The attributes and events of a golden trace that are not declared for the span or event they are
/// on.
fn undeclared(trace: &str) -> Vec<String> {
    let mut undeclared = Vec::new();
    let (mut span, mut places) = (Place::All, vec![]);
    for line in trace.lines() {
        if let Some(begun) = span_of(line) {
            (span, places) = (begun, vec![begun, Place::All]);
        } else if let Some(event) = line.trim_start().strip_prefix("* ") {
            places = places_of_event(event).to_vec();
            let mut declared = names::EVENTS.iter();
            if !declared.any(|known| known.name == event && known.on.contains(&span)) {
                undeclared.push(format!("{event} on {span}"));
            }
        } else if let Some((key, _)) = line.trim_start().split_once(" = ") {
            let declared = names::ALL.iter().chain(log_events::ATTRIBUTES);
            let mut declared = declared.filter(|known| known.key == key);
            if !declared.any(|known| known.on.iter().any(|on| places.contains(on))) {
                undeclared.push(format!("{key} on {places:?}"));
            }
        }
    }
    undeclared
}

#[test]
fn every_attribute_and_event_of_a_golden_trace_is_declared_for_its_span() {
    let (mut n_traces, mut found) = (0, Vec::new());
    for entry in fs::read_dir(project_path("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // The folder holds other golden texts too; only a trace has spans.
        if text.lines().any(|line| span_of(line).is_some()) {
            n_traces += 1;
            let here = undeclared(&text).into_iter();
            found.extend(here.map(|what| format!("{what} in {}", path.display())));
        }
    }
    assert!(n_traces > 0, "tests/golden has no trace");
    let found = found.join("\n");
    assert!(
        found.is_empty(),
        "src/telemetry/names does not declare\n{found}"
    );
}

#[test]
fn every_variable_of_opentelemetry_is_explained() {
    let code = rust_below("src/telemetry/settings");
    let guide = document(TELEMETRY);
    let read = found(r#""(OTEL_[A-Z_]*[A-Z])""#, &code)
        .into_iter()
        .chain(OTEL_VARIABLES)
        .map(str::to_owned);
    // The code composes an exporter's variables from a prefix and a suffix.
    let of_exporters = EXPORTER_SUFFIXES.map(|suffix| format!("OTEL_EXPORTER_OTLP_{suffix}"));
    let missing: Vec<_> = read
        .chain(of_exporters)
        .filter(|name| !guide.contains(&format!("`{name}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "{TELEMETRY} does not explain {}",
        missing.join(", ")
    );
}

#[test]
fn every_name_is_declared_once_and_used() {
    let keys: BTreeSet<_> = attributes().map(|attribute| attribute.key).collect();
    assert_eq!(keys.len(), attributes().count(), "a key is declared twice");
    // The conventions have one name for an event of a span and for a log record.
    for events in [names::EVENTS, log_events::EVENTS] {
        let event_names: BTreeSet<_> = events.iter().map(|event| event.name).collect();
        assert_eq!(
            event_names.len(),
            events.len(),
            "an event is declared twice"
        );
    }
    let n_events = names::EVENTS.len() + log_events::EVENTS.len();

    let source = rust_below("src/telemetry/names");
    let mut code = rust_below("src/telemetry").replace(&source, "");
    // The code adds these to every span as a group, not by name.
    code.extend(
        Regex::new(r"FROM_BAGGAGE: .*;")
            .unwrap()
            .find(&source)
            .map(|group| group.as_str()),
    );
    let constants = found(r"(?m)^    ([A-Z_]+) = ", &source);
    let n_constants = attributes().count() + n_events;
    assert_eq!(constants.len(), n_constants, "this test misses an entry");
    let instruments = found(
        r"(?m)^    (\w+): (?:Counter|Gauge|Histogram|Observed)",
        &source,
    );
    assert_eq!(instruments.len(), metrics::ALL.len());
    let unused: Vec<_> = constants
        .into_iter()
        .map(|name| format!(r"\b{name}\b"))
        .chain(
            instruments
                .iter()
                .map(|field| format!(r"nstruments\s*\.{field}\b")),
        )
        .filter(|usage| !Regex::new(usage).unwrap().is_match(&code))
        .collect();
    assert!(
        unused.is_empty(),
        "nothing in src/telemetry uses {}",
        unused.join(", ")
    );
}

#[test]
fn a_keys_prefix_tells_its_convention() {
    // OpenInference writes the place of an item in a list as a word.
    let dotted = Regex::new(r"^[a-z_]+(\.([a-z_]+|0))+$").unwrap();
    let metrics = metrics::ALL
        .iter()
        .map(|metric| (metric.key, metric.source));
    for (key, source) in attributes()
        .map(|name| (name.key, name.source))
        .chain(metrics)
    {
        let is_gen_ai = source == Source::GenAi;
        assert_eq!(
            key.starts_with("gen_ai."),
            is_gen_ai,
            "{key} is said to be from {source}"
        );
        assert!(
            dotted.is_match(key),
            "{key} is not lower-case words with dots between them"
        );
    }
}
