//! Documents show excerpts from golden files: every line is in the golden file, in the same order.

use regex::Regex;

use super::document;

/// The golden files of which a document shows an excerpt, each with the code block that shows it. The
/// paragraph before such a block links to the file.
fn golden_excerpts(document: &str) -> Vec<(&str, &str)> {
    let golden = Regex::new(r"\((?:\.\./)?(tests/golden/\w+\.snap)\)").unwrap();
    let paragraphs: Vec<&str> = document.split("\n\n").collect();
    let pairs = paragraphs.windows(2).filter_map(|pair| {
        let file = golden.captures(pair[0])?.get(1).unwrap().as_str();
        Some((file, pair[1].strip_prefix("```\n")?.strip_suffix("\n```")?))
    });
    pairs.collect()
}

/// The lines of a golden text, with each event shortened to one line as in the excerpts: name, type
/// and message.
fn shortened(golden: &str) -> Vec<String> {
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

/// A line without the spaces that align its columns. The indentation stays, because it shows the
/// line's place in the tree.
fn without_columns(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}{words}", &line[..indent])
}

/// The first line of an excerpt that is missing from the golden text, or is in another order there.
fn mismatched_line<'e>(excerpt: &'e str, golden: &str) -> Option<&'e str> {
    let mut golden = shortened(golden)
        .into_iter()
        .map(|line| without_columns(&line));
    excerpt
        .lines()
        .find(|line| !golden.any(|known| known == without_columns(line)))
}

/// Documents with excerpts, and the golden file of each excerpt.
const EXCERPTS: [(&str, &[&str]); 3] = [
    ("README.md", &["tests/golden/silent_compound_failure.snap"]),
    (
        "docs/traces.md",
        &["tests/golden/denied_flight_offline.snap"],
    ),
    (
        "policies/README.md",
        &["tests/golden/diagnostics_of_a_policy_file.snap"],
    ),
];

#[test]
fn every_line_of_an_excerpt_is_in_its_golden_file() {
    for (name, files) in EXCERPTS {
        let text = document(name);
        let excerpts = golden_excerpts(&text);
        let found: Vec<_> = excerpts.iter().map(|(file, _)| *file).collect();
        assert_eq!(found, files, "{name} shows the excerpts on the left");
        for (file, excerpt) in excerpts {
            let mismatched = mismatched_line(excerpt, &document(file));
            assert_eq!(
                mismatched, None,
                "{name}: {file} does not have this line, or has it in another order"
            );
        }
    }
}

#[test]
fn a_line_that_is_not_in_the_golden_file_is_found() {
    let golden = "a [SERVER] UNSET\n    x = 1\n    * passed\n        validation.message = \"m\"\n        \
                  validation.type = \"t\"\n  b [INTERNAL] UNSET\n      x = 2\n";
    assert_eq!(
        mismatched_line(
            "a [SERVER] UNSET\n    * passed  t  \"m\"\n  b [INTERNAL] UNSET\n      x = 2",
            golden
        ),
        None
    );
    assert_eq!(
        mismatched_line("a [SERVER] UNSET\n    x = 2", golden),
        Some("    x = 2")
    );
    assert_eq!(
        mismatched_line("a [SERVER] UNSET\n    * passed  t  \"n\"", golden),
        Some("    * passed  t  \"n\"")
    );
}
