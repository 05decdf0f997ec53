//! Attributes, events and metrics: the tables of `deploy/telemetry.md`, and that what the golden
//! traces and the code hold is listed there.

use std::collections::BTreeSet;
use std::fs;

use expense_agent::telemetry::names;
use expense_agent::telemetry::names::metrics::{self, Metric};
use expense_agent::telemetry::names::name::{Name, Source};
use expense_agent::telemetry::names::twins;
use regex::Regex;

use crate::deployment::{EXPORTER_SUFFIXES, OTEL_VARIABLES};

use super::{TELEMETRY, as_code, document, found, of_project, rust_below, table};

/// Attribute keys.
pub(super) fn names_table() -> String {
    let row = |name: &Name| {
        let Name {
            key,
            value,
            on,
            meaning,
            source,
            cardinality,
        } = name;
        let words = [value, on, meaning].map(|text| (*text).to_owned());
        let [value, on, meaning] = words;
        [
            as_code(key),
            value,
            on,
            meaning,
            source.to_string(),
            cardinality.to_string(),
        ]
    };
    table(
        ["Key", "Value", "On", "Meaning", "Source", "Cardinality"],
        attributes().map(row),
    )
}

/// Every attribute key, those of log records, of some backends and of metrics last.
fn attributes() -> impl Iterator<Item = &'static Name> {
    names::ALL
        .iter()
        .chain(twins::ATTRIBUTES)
        .chain(metrics::ATTRIBUTES)
}

/// Metrics.
pub(super) fn metrics_table() -> String {
    let row = |metric: &Metric| {
        let Metric {
            key,
            kind,
            unit,
            attributes,
            meaning,
            source,
        } = metric;
        let by: Vec<_> = attributes.iter().map(|name| as_code(name.key)).collect();
        let has_tenants = attributes.contains(&names::TENANT_ID);
        let cardinality = if has_tenants {
            "low, times the tenants told apart"
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

/// Events.
pub(super) fn events_table() -> String {
    let row = |(event, on, meaning): &(&str, &str, &str)| {
        [as_code(event), (*on).to_owned(), (*meaning).to_owned()]
    };
    table(["Event", "On", "Meaning"], events().map(row))
}

/// Every event name, those of log records last.
fn events() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    names::EVENTS.iter().chain(twins::EVENTS)
}

#[test]
fn every_key_and_event_of_a_golden_trace_is_listed() {
    // The folder holds other golden texts as well; a trace is known by its spans.
    let span = Regex::new(r"(?m)^\S.* \[[A-Z]+\] (UNSET|OK|ERROR)").unwrap();
    let (mut n_traces, mut unlisted) = (0, Vec::new());
    for entry in fs::read_dir(of_project("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if !span.is_match(&text) {
            continue;
        }
        n_traces += 1;
        let keys = found(r"(?m)^ +(\S+) = ", &text)
            .into_iter()
            .filter(|key| names::ALL.iter().all(|n| n.key != *key));
        let events = found(r"(?m)^ +\* (.+)$", &text);
        let events = events
            .into_iter()
            .filter(|event| names::EVENTS.iter().all(|(listed, _, _)| listed != event));
        unlisted.extend(
            keys.chain(events)
                .map(|name| format!("{name} in {}", path.display())),
        );
    }
    assert!(n_traces > 0, "tests/golden has no trace");
    assert!(
        unlisted.is_empty(),
        "src/telemetry/names does not list\n{}",
        unlisted.join("\n")
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
    // Those of an exporter are put together from the signal and a suffix.
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
fn every_name_is_listed_once_and_written_somewhere() {
    let source = rust_below("src/telemetry/names");
    let keys: BTreeSet<_> = attributes().map(|name| name.key).collect();
    assert_eq!(keys.len(), attributes().count(), "a key is listed twice");
    assert_eq!(
        keys,
        found(r#"\bname\(\s*"([^"]+)""#, &source),
        "ALL differs from the keys that are defined"
    );
    let events: BTreeSet<_> = self::events().map(|(event, _, _)| *event).collect();
    assert_eq!(
        events.len(),
        self::events().count(),
        "an event is listed twice"
    );
    assert_eq!(
        events,
        found(r#"const EVENT_\w+: &str = "([^"]+)""#, &source),
        "EVENTS differs from those defined"
    );
    let metrics: BTreeSet<_> = metrics::ALL.iter().map(|metric| metric.key).collect();
    assert_eq!(
        metrics,
        found(r#"\bmetric\(\s*"([^"]+)""#, &source),
        "ALL differs from the metrics that are defined"
    );

    let mut code = rust_below("src/telemetry").replace(&source, "");
    // These are stamped on every span as a group.
    code.extend(
        Regex::new(r"FROM_BAGGAGE: .*;")
            .unwrap()
            .find(&source)
            .map(|group| group.as_str()),
    );
    let defined = found(r"pub const (\w+): (?:Name|Metric) = ", &source)
        .into_iter()
        .chain(found(r"const (EVENT_\w+):", &source));
    let idle: Vec<_> = defined
        .filter(|name| !Regex::new(&format!(r"\b{name}\b")).unwrap().is_match(&code))
        .collect();
    assert!(
        idle.is_empty(),
        "nothing in src/telemetry writes {}",
        idle.join(", ")
    );
}

#[test]
fn a_key_s_prefix_says_whose_convention_it_is() {
    let dotted = Regex::new(r"^[a-z_]+(\.[a-z_]+)+$").unwrap();
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
