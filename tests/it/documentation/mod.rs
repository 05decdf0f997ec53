//! The documents agree with the code: generated tables, excerpts from golden files, names and links.
//! `INSTA_UPDATE=always` rewrites the tables.

mod codes;
mod endpoints;
mod excerpts;
mod facts;
mod links;
mod names;
mod policy_rules;
mod reference;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use regex::Regex;

use crate::harness::project_path;

use codes::codes_table;
use endpoints::endpoints_table;
use facts::facts_table;
use names::{events_table, metrics_table, names_table};
use settings::settings_table;

/// The document with the tables of names.
const TELEMETRY: &str = "deploy/telemetry.md";

/// The text of a file of the project.
fn document(path: &str) -> String {
    fs::read_to_string(project_path(path)).unwrap()
}

/// The Rust files below a folder as one text. The files of a subfolder are next to each other, so that
/// a caller can cut them out.
fn rust_below(folder: &str) -> String {
    let mut paths: Vec<_> = fs::read_dir(project_path(folder))
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

/// A cell in backticks; an empty text stays empty.
fn as_code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

/// All matches of a pattern's first group in a text.
fn found<'t>(pattern: &str, text: &'t str) -> BTreeSet<&'t str> {
    Regex::new(pattern)
        .unwrap()
        .captures_iter(text)
        .map(|found| found.get(1).unwrap().as_str())
        .collect()
}

/// A document with the text between the markers of a block replaced; None without such a block.
fn with_block(document: &str, block: &str, text: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- begin: {block} -->"),
        format!("<!-- end: {block} -->"),
    );
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    // Markdown requires an empty line before and after a table.
    Some(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

/// One test for all blocks: two tests that rewrote the same file in parallel would overwrite each
/// other's changes.
#[test]
fn the_tables_of_the_documents_are_those_of_the_code() {
    let mut stale = Vec::new();
    let blocks = [
        ("docs/api.md", "codes", codes_table()),
        ("docs/api.md", "facts", facts_table()),
        ("docs/configuration.md", "settings", settings_table()),
        ("docs/configuration.md", "endpoints", endpoints_table()),
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
                missing.unwrap_or("an extra line, or lines in another order")
            ));
        }
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            fs::write(project_path(file), fresh).unwrap();
            stale.clear();
        }
    }
    assert!(
        stale.is_empty(),
        "these blocks differ from the code, first here:\n  {}\n\
         INSTA_UPDATE=always cargo test documentation:: rewrites them",
        stale.join("\n  ")
    );
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
