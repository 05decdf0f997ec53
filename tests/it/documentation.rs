//! What is written down equals the code: the generated tables of README.md and deploy/telemetry.md,
//! the excerpts from golden files, and the keys and events of the golden traces.
//! `INSTA_UPDATE=always` writes the tables anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, CommandFactory};
use expense_agent::cli::Cli;
use expense_agent::telemetry::names;
use expense_agent::telemetry::names::metrics::{self, Metric};
use expense_agent::telemetry::names::name::{Name, Source};
use expense_agent::telemetry::names::twins;
use regex::Regex;

use crate::deployment::{EXPORTER_SUFFIXES, OTEL_VARIABLES};

/// Where the tables of names stand.
const TELEMETRY: &str = "deploy/telemetry.md";

/// A file or folder of the project.
fn of_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
fn document(path: &str) -> String {
    fs::read_to_string(of_project(path)).unwrap()
}

/// The Rust files below a folder as one text, those of one folder in one piece.
fn rust_below(folder: &str) -> String {
    let mut paths: Vec<_> = fs::read_dir(of_project(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| match path.is_dir() {
        true => rust_below(path.to_str().unwrap()),
        false => fs::read_to_string(path).unwrap(),
    };
    paths.into_iter().map(read).collect()
}

/// A Markdown table.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| {
        format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', r"\|")).join(" | ")
        )
    };
    let rule = format!("|{}\n", "---|".repeat(N));
    [line(head.map(str::to_owned)), rule]
        .into_iter()
        .chain(rows.map(line))
        .collect()
}

/// A cell of code; one without text stays empty.
fn as_code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

/// Flags and variables, as clap knows them.
fn settings_table() -> String {
    let row = |argument: &Arg| {
        let name = argument.get_long().expect("every setting is a flag");
        let takes_value = argument.get_action().takes_values();
        let value = argument
            .get_value_names()
            .filter(|_| takes_value)
            .unwrap_or_default();
        let flag = value
            .iter()
            .fold(format!("--{name}"), |flag, value| format!("{flag} {value}"));
        let variable = argument
            .get_env()
            .and_then(|variable| variable.to_str())
            .unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        // The long help lists the values that a flag takes, where there are many.
        let help = argument
            .get_long_help()
            .or(argument.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let values = argument.get_possible_values();
        let values = values
            .iter()
            .filter(|_| takes_value)
            .map(|value| as_code(value.get_name()));
        let meaning = [help.replace('\n', " ")]
            .into_iter()
            .chain(values.reduce(|a, b| format!("{a} or {b}")));
        [
            as_code(&flag),
            as_code(variable),
            as_code(&defaults.join(",")),
            meaning.collect::<Vec<_>>().join(": "),
        ]
    };
    table(
        ["Flag", "Variable", "Default", "Meaning"],
        Cli::command().get_arguments().map(row),
    )
}

/// Attribute keys.
fn names_table() -> String {
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
fn metrics_table() -> String {
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
fn events_table() -> String {
    let row = |(event, on, meaning): &(&str, &str, &str)| {
        [as_code(event), (*on).to_owned(), (*meaning).to_owned()]
    };
    table(["Event", "On", "Meaning"], events().map(row))
}

/// Every event name, those of log records last.
fn events() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    names::EVENTS.iter().chain(twins::EVENTS)
}

/// A document with this text between the two markers of a block; None if it has no such block.
fn with_block(document: &str, block: &str, text: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- begin: {block} -->"),
        format!("<!-- end: {block} -->"),
    );
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    // Markdown wants an empty line on either side of a table.
    Some(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

/// One test for all blocks: two that rewrote one file side by side would undo each other's work.
#[test]
fn the_tables_of_the_documents_are_those_of_the_code() {
    let mut stale = Vec::new();
    let blocks = [
        ("README.md", "settings", settings_table()),
        (TELEMETRY, "names", names_table()),
        (TELEMETRY, "events", events_table()),
        (TELEMETRY, "metrics", metrics_table()),
    ];
    for (file, block, table) in blocks {
        let written = document(file);
        let fresh = with_block(&written, block, &table);
        let fresh = fresh.unwrap_or_else(|| {
            panic!("{file} has no block `{block}`; write <!-- begin: {block} --> and <!-- end: {block} --> into it")
        });
        if fresh != written {
            let missing = table
                .lines()
                .find(|line| !written.lines().any(|written| written == *line));
            stale.push(format!(
                "{block} of {file}: {}",
                missing.unwrap_or("a line too many, or lines in another order")
            ));
        }
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            fs::write(of_project(file), fresh).unwrap();
            stale.clear();
        }
    }
    assert!(
        stale.is_empty(),
        "these blocks differ from the code, first here:\n  {}\n\
         INSTA_UPDATE=always cargo test documentation:: writes them anew",
        stale.join("\n  ")
    );
}

/// A guide that names a test which is gone would promise what nobody checks.
#[test]
fn every_test_that_is_said_to_hold_an_invariant_exists() {
    let guide = document("tests/README.md");
    let named = Regex::new(r"`(\w+)::(\w+)`").unwrap();
    let named: Vec<_> = named
        .captures_iter(&guide)
        .map(|found| found.extract::<2>().1)
        .collect();
    assert!(!named.is_empty(), "tests/README.md names no test");
    for [module, test] in named {
        let file = document(&format!("tests/it/{module}.rs"));
        assert!(
            file.contains(&format!("fn {test}(")),
            "tests/README.md names {module}::{test}, which is not there"
        );
    }
}

#[test]
fn a_block_is_replaced_and_the_text_around_it_stays() {
    let stale = "Above.\n<!-- begin: x -->\nold\n<!-- end: x -->\nBelow.\n";
    let fresh =
        "Above.\n<!-- begin: x -->\n\n| A |\n|---|\n| `a\\|b` |\n\n<!-- end: x -->\nBelow.\n";
    let text = table(["A"], [[as_code("a|b")]].into_iter());
    assert_eq!(with_block(stale, "x", &text).as_deref(), Some(fresh));
    assert_eq!(with_block(fresh, "x", &text).as_deref(), Some(fresh));
    assert_eq!(with_block(stale, "y", &text), None);
}

/// What a pattern's first group finds in a text.
fn found<'t>(pattern: &str, text: &'t str) -> BTreeSet<&'t str> {
    Regex::new(pattern)
        .unwrap()
        .captures_iter(text)
        .map(|found| found.get(1).unwrap().as_str())
        .collect()
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

/// The blocks of code of a document that follow a paragraph which names their golden file, each
/// with that file.
fn golden_excerpts(document: &str) -> Vec<(&str, &str)> {
    let golden = Regex::new(r"\((tests/golden/\w+\.snap)\)").unwrap();
    let paragraphs: Vec<&str> = document.split("\n\n").collect();
    let pairs = paragraphs.windows(2).filter_map(|pair| {
        let file = golden.captures(pair[0])?.get(1).unwrap().as_str();
        Some((file, pair[1].strip_prefix("```\n")?.strip_suffix("\n```")?))
    });
    pairs.collect()
}

/// The lines of a golden text, an event in one line as the excerpts show it: its name, type and
/// message.
fn in_short(golden: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut event, mut message) = (String::new(), "");
    for line in golden.lines() {
        if line.trim_start().starts_with("* ") {
            event = line.to_owned();
        } else if let Some(text) = line.trim_start().strip_prefix("validation.message = ") {
            message = text;
        } else if let Some(kind) = line.trim_start().strip_prefix("validation.type = ") {
            lines.push(format!("{event} {} {message}", kind.trim_matches('"')));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Blanks inside a line align columns and say nothing; those before it say where it belongs.
fn without_columns(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    line[..indent].to_owned() + &line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first line of an excerpt that is not in the golden text after the ones before it.
fn strange_line<'e>(excerpt: &'e str, golden: &str) -> Option<&'e str> {
    let mut golden = in_short(golden)
        .into_iter()
        .map(|line| without_columns(&line));
    excerpt
        .lines()
        .find(|line| !golden.any(|known| known == without_columns(line)))
}

#[test]
fn every_line_of_an_excerpt_stands_in_its_golden_file() {
    let readme = document("README.md");
    let excerpts = golden_excerpts(&readme);
    assert_eq!(
        excerpts.len(),
        3,
        "README.md shows two traces and the faults of a policy file"
    );
    for (file, excerpt) in excerpts {
        let strange = strange_line(excerpt, &document(file));
        assert_eq!(
            strange, None,
            "{file} has no such line, or not in this place"
        );
    }
}

#[test]
fn a_line_that_is_not_in_the_golden_file_is_found() {
    let golden = "a [SERVER] UNSET\n    x = 1\n    * passed\n        validation.message = \"m\"\n        \
                  validation.type = \"t\"\n  b [INTERNAL] UNSET\n      x = 2\n";
    assert_eq!(
        strange_line(
            "a [SERVER] UNSET\n    * passed  t  \"m\"\n  b [INTERNAL] UNSET\n      x = 2",
            golden
        ),
        None
    );
    assert_eq!(
        strange_line("a [SERVER] UNSET\n    x = 2", golden),
        Some("    x = 2")
    );
    assert_eq!(
        strange_line("a [SERVER] UNSET\n    * passed  t  \"n\"", golden),
        Some("    * passed  t  \"n\"")
    );
}

#[test]
fn every_variable_of_opentelemetry_is_explained() {
    let (code, guide) = (document("src/telemetry/settings.rs"), document(TELEMETRY));
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
