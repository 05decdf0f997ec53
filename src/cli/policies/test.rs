//! `policies test`: judges the cases beside the policies, and compares each verdict with the expected
//! one.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use anyhow::bail;
use serde::Serialize;
use serde_json::Value;

use super::cases::{self, Case};
use super::judging::Judgement;
use crate::rulebook::Rulebooks;
use crate::rulebook::files::case_files;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::read;

/// Runs the cases of a folder of policies, and prints a line for each, with what differs.
///
/// # Errors
/// With every problem of the policies and of the files of cases; when there is no case; when a case
/// fails.
pub fn test(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let rulebooks = Rulebooks::load(dir)?;
    let (mut n_cases, mut n_failed) = (0, 0);
    let mut diagnostics = Vec::new();
    for (tenant, file) in case_files(dir) {
        let text = read(&file, "save it as UTF-8 text")?;
        let cases = match cases::parse(&file, &text) {
            Ok(cases) => cases,
            Err(Diagnostics(found)) => {
                diagnostics.extend(found);
                continue;
            }
        };
        let rulebook = tenant
            .as_ref()
            .map_or(&rulebooks.shared, |tenant| rulebooks.rulebook(tenant));
        writeln!(out, "{}:", file.display())?;
        for case in &cases {
            let differences = differences(case, &case.given.judge(rulebook));
            n_cases += 1;
            if differences.is_empty() {
                writeln!(out, "  ok      {}", case.name)?;
                continue;
            }
            n_failed += 1;
            writeln!(out, "  FAILED  {} (line {})", case.name, case.line)?;
            for difference in differences {
                writeln!(out, "          {difference}")?;
            }
        }
    }
    Diagnostics::none_in(diagnostics)?;
    match (n_cases, n_failed) {
        (0, _) => bail!(
            "{} has no cases; write some beside a policy, such as meals.test.toml",
            dir.display()
        ),
        (1, 0) => writeln!(out, "one case holds")?,
        (n, 0) => writeln!(out, "{n} cases hold")?,
        (n, 1) => bail!("one of {n} cases failed"),
        (n, failed) => bail!("{failed} of {n} cases failed"),
    }
    Ok(())
}

/// What differs from what a case expects, one line each.
fn differences(case: &Case, judgement: &Judgement) -> Vec<String> {
    let expected = &case.expected;
    let unknown = judgement.unknown.iter();
    let mut lines: Vec<String> = unknown.map(|wrong| format!("used      {wrong}")).collect();
    let outcome = judgement.outcome();
    if outcome != expected.verdict {
        let why = judgement.why_review().or_else(|| reason(judgement));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let verdict = expected.verdict;
        lines.push(format!("verdict   expected {verdict}, got {outcome}{why}"));
    }
    let verdict = judgement.found.as_ref().ok().map(|found| &found.verdict);
    if let Some(expected) = &expected.approvers {
        let found = verdict.map(|verdict| verdict.approvers.roles());
        let found = found.unwrap_or_default();
        lines.extend(difference("approver", &listed(expected), &listed(&found)));
    }
    if let Some(expected) = &expected.findings {
        let findings = verdict.into_iter().flat_map(|verdict| &verdict.findings);
        let found = sorted(findings.map(|finding| finding.rule.clone()));
        lines.extend(difference("findings", &listed(expected), &listed(&found)));
    }
    if let Some(expected) = &expected.missing {
        let missing = verdict.into_iter().flat_map(|verdict| &verdict.missing);
        let found = sorted(missing.map(json_name));
        lines.extend(difference("missing", &listed(expected), &listed(&found)));
    }
    lines
}

/// The message of the strictest finding.
fn reason(judgement: &Judgement) -> Option<String> {
    let found = judgement.found.as_ref().ok()?;
    let finding = found.verdict.findings.first()?;
    Some(format!("{} ({})", finding.message, finding.rule))
}

fn difference(what: &str, expected: &str, found: &str) -> Option<String> {
    (expected != found).then(|| format!("{what:8}  expected {expected}, got {found}"))
}

/// The name that a value has in the answer of the API.
pub(super) fn json_name(value: &(impl Serialize + ?Sized)) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn listed<T: Display>(names: &[T]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
