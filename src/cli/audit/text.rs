//! A report as text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::cli::audit::overturned::Overturned;
use crate::cli::audit::report::{Failing, Rate, Rates, Report};

/// Writes a report as text.
///
/// # Errors
/// When the output cannot be written.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let scope = &report.scope;
    let of_tenant = scope
        .tenant
        .as_ref()
        .map(|tenant_id| format!(", tenant {tenant_id}"))
        .unwrap_or_default();
    let Rate { failed, of } = report.semantic_errors;
    writeln!(
        out,
        "{}, from {} until {}{of_tenant}",
        scope.source, scope.from, scope.until
    )?;
    writeln!(out, "{of} decisions{}", counts(&report.outcomes))?;
    writeln!(out, "agent outcomes{}", counts(&report.agent_outcomes))?;
    writeln!(out, "overrides: {}", report.overrides)?;
    writeln!(out, "cost: {} USD", report.cost_usd)?;
    let rate = report.semantic_errors;
    writeln!(
        out,
        "semantic error rate: {rate} ({failed} of {of} decisions with a check that failed for good)"
    )?;
    let tables = [
        ("checks that failed for good, by type", &report.by_type),
        ("semantic errors by category", &report.by_category),
        ("semantic errors by tenant", &report.by_tenant),
        ("semantic errors by model", &report.by_model),
        (
            "semantic errors by prompt, those of its own step",
            &report.by_prompt,
        ),
    ];
    for (title, rates) in tables.into_iter().filter(|(_, rates)| !rates.is_empty()) {
        write_table(title, rates, out)?;
    }
    if let Some(overturned) = &report.overturned {
        write_overturned(overturned, out)?;
    }
    if !report.failing.is_empty() {
        writeln!(out, "\nfailing traces")?;
    }
    report
        .failing
        .iter()
        .try_for_each(|failing| write_failing(failing, out))
}

/// Counts as a list such as `: 3 approved, 1 denied`.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .reduce(|all, next| format!("{all}, {next}"));
    counts
        .map(|counts| format!(": {counts}"))
        .unwrap_or_default()
}

fn write_table(title: &str, rates: &Rates, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    let width = width(rates.keys());
    for (name, rate) in rates {
        writeln!(
            out,
            "  {name:<width$}  {:>7}  {} of {}",
            rate.to_string(),
            rate.failed,
            rate.of
        )?;
    }
    Ok(())
}

fn write_overturned(overturned: &Overturned, out: &mut dyn Write) -> io::Result<()> {
    if overturned.all.0.of == 0 {
        return Ok(());
    }
    let [rate, counts_of_all] = overturned.all.in_words();
    let kinds = counts(&overturned.by_kind);
    writeln!(
        out,
        "\noverturned by people: {rate}, {counts_of_all} resolutions that judged a proposal{kinds}"
    )?;
    for (title, by_name) in [
        ("overturned by rule", &overturned.by_rule),
        ("overturned by category", &overturned.by_category),
        ("overturned by tenant", &overturned.by_tenant),
        ("overturned by model", &overturned.by_model),
        ("overturned by prompt", &overturned.by_prompt),
    ] {
        if by_name.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        let width = width(by_name.keys());
        for (name, overturns) in by_name {
            let [rate, counts] = overturns.in_words();
            writeln!(out, "  {name:<width$}  {counts:>11}  {rate}")?;
        }
    }
    Ok(())
}

/// The characters of the longest name.
fn width<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default()
}

fn write_failing(failing: &Failing, out: &mut dyn Write) -> io::Result<()> {
    let Failing {
        at,
        tenant_id,
        category,
        outcome,
        failed_types,
        trace_url,
        ..
    } = failing;
    let category = category.as_deref().unwrap_or("no category");
    writeln!(
        out,
        "  {at}  {tenant_id}  {category}  {outcome}  {}\n    {trace_url}",
        failed_types.join(", ")
    )
}
