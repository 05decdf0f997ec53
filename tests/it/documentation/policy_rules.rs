//! The table of rules that policies ask for: it is complete, its sum is right, and every rule in it is
//! accepted.

use std::collections::BTreeMap;

use expense_agent::rulebook::Rulebooks;
use regex::Regex;

use super::document;
use crate::harness::policies_with;

const RULES: &str = "docs/policy-rules.md";

/// The members of an inline table, one in each line.
fn lines_of(inline: &str) -> String {
    let mut lines = String::new();
    let (mut depth, mut is_quoted) = (0, false);
    for c in inline.trim_matches(['{', '}']).trim().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '{' | '[' if !is_quoted => depth += 1,
            '}' | ']' if !is_quoted => depth -= 1,
            _ => {}
        }
        lines.push(if c == ',' && depth == 0 && !is_quoted {
            '\n'
        } else {
            c
        });
    }
    // `trim_matches` took the brace that closes a condition at the end.
    lines + if depth > 0 { "}" } else { "" }
}

/// Number, judgement and last cell of each row.
fn rows() -> Vec<(usize, String, String)> {
    let row = Regex::new(r"(?m)^\| (\d+) \| [^|]+ \| (exactly|nearly|no) \| (.+) \|$").unwrap();
    row.captures_iter(&document(RULES))
        .map(|row| {
            (
                row[1].parse().unwrap(),
                row[2].to_owned(),
                row[3].to_owned(),
            )
        })
        .collect()
}

#[test]
fn the_table_of_rules_is_complete_and_counted() {
    let rows = rows();
    let numbers: Vec<usize> = rows.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=83).collect::<Vec<_>>());
    let mut n_rows: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, holds, _) in &rows {
        *n_rows.entry(holds).or_default() += 1;
    }
    let counted = format!(
        "{} of them are supported exactly, {} nearly, and {} are not.",
        n_rows["exactly"], n_rows["nearly"], n_rows["no"]
    );
    assert!(document(RULES).contains(&counted), "{counted}");
}

#[test]
fn every_rule_of_the_table_is_accepted() {
    let rule = Regex::new(r"`(\{ kind = .+? \})`").unwrap();
    let mut text = String::new();
    for (number, _, cell) in rows() {
        for (n, found) in rule.captures_iter(&cell).enumerate() {
            let lines = lines_of(&found[1]);
            text +=
                &format!("[[rule]]\nid = \"rule-{number}-{n}\"\ntext = \"A rule.\"\n{lines}\n\n");
        }
    }
    let folder = policies_with("meals.toml", &text);
    let places = "currency = \"USD\"\n\n[[place]]\nplace = \"other\"\neffective_from = \"2010-01-01\"\nfull = \"28.00\"\npart = \"14.00\"\n";
    std::fs::write(folder.path().join("tables/places.toml"), places).unwrap();
    let loaded = Rulebooks::load(folder.path());
    assert!(loaded.is_ok(), "{}", loaded.err().unwrap());
}
