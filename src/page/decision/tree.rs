//! The tree of a run as a trace viewer draws it: a row for each span, with a bar for begin and duration,
//! its checks beside its name, and what the record says about it inside. What failed is open.

use maud::{Markup, html};

use crate::domain::decision::Decision;
use crate::domain::validation::Validation;
use crate::page::decision::rows::{Row, Timing, rows};

/// The width of a bar in the units of its picture.
const WIDTH: u64 = 1_000;
/// The least width at which a bar is seen.
const LEAST_WIDTH: u64 = 4;

/// The tree of a decision's run.
pub(in crate::page) fn tree(decision: &Decision) -> Markup {
    let rows = rows(decision);
    let total = rows
        .iter()
        .filter_map(|row| row.timing)
        .map(Timing::ended)
        .max();
    let n_failed = rows.iter().filter(|row| row.has_failed()).count();
    html! {
        p.muted.small {
            (rows.len()) " spans"
            @if let Some(total) = total { ", " (duration(total)) }
            @match n_failed {
                0 => {}
                1 => { ", " span.failed { "1 failed" } }
                n => { ", " span.failed { (n) " failed" } }
            }
            // A credit follows its purchase: it has no steps.
            @if total.is_none() && !decision.steps.is_empty() { ". The record of an earlier version holds no times." }
        }
        div.tree {
            @if let Some(total) = total { (ruler(total)) }
            @for row in &rows { (span(row, total)) }
        }
        @if total.is_some() {
            p.muted.small { "The record is sealed inside the last span, so it holds no duration of that span, and "
                "only a lower bound for the spans around it." }
        }
    }
}

/// The scale above the bars.
fn ruler(total: u64) -> Markup {
    html! {
        div.ruler aria-hidden="true" {
            div { @for quarter in 0..=4 { span.number { (duration(total * quarter / 4)) } } }
        }
    }
}

fn span(row: &Row<'_>, total: Option<u64>) -> Markup {
    let failed = row.has_failed();
    html! {
        details.span .failed[failed] open[failed] {
            summary {
                span.name data-depth=(row.depth) {
                    (row.name) " " span.muted.small { (row.kind) }
                    @if failed { " " b.failed { "failed" } }
                }
                @if let Some((timing, total)) = row.timing.zip(total) {
                    (bar(timing, total, failed))
                    span.number { @if timing.is_open { "≥ " } (duration(timing.duration)) }
                } @else { span.nobar {} span {} }
                span.gist data-depth=(row.depth) {
                    @for check in &row.checks { (mark(check)) " " }
                    @for (index, words) in row.gist.iter().enumerate() {
                        @if index > 0 { span.muted { " · " } }
                        (words)
                    }
                }
            }
            div.inside data-depth=(row.depth) {
                @if let Some(error) = row.error { p.failed { (error) } }
                @if !row.checks.is_empty() { (checks(&row.checks)) }
                @if !row.attributes.is_empty() {
                    dl.facts { @for (name, value) in &row.attributes { dt { (name) } dd { (value) } } }
                }
                @if row.attributes.is_empty() && row.checks.is_empty() {
                    p.muted.small { "The record says nothing more about this span; its trace may." }
                }
            }
        }
    }
}

/// When a span began, and how long it took.
fn bar(timing: Timing, total: u64, failed: bool) -> Markup {
    let total = total.max(1);
    let x = timing.started.saturating_mul(WIDTH) / total;
    let x = x.min(WIDTH - LEAST_WIDTH);
    let width = timing.duration.saturating_mul(WIDTH) / total;
    let width = width.clamp(LEAST_WIDTH, WIDTH - x);
    let least = if timing.is_open { "at least " } else { "" };
    let words = format!(
        "begins at {}, takes {least}{}",
        duration(timing.started),
        duration(timing.duration)
    );
    html! {
        svg.time .failed[failed] .open[timing.is_open] viewBox=(format!("0 0 {WIDTH} 10")) preserveAspectRatio="none" role="img" aria-label=(words) {
            title { (words) }
            rect x=(x) y="1" width=(width) height="8" {}
        }
    }
}

/// A check beside the name of its span: passed or not, and of what kind.
fn mark(check: &Validation) -> Markup {
    let kind = check.kind.to_string();
    html! {
        @if check.passed { span.check { "✓ " (kind) } }
        @else if check.repaired { span.check.repaired { "↻ " (kind) " failed, then repaired" } }
        @else { span.check.failed { "✕ " (kind) " failed" } }
    }
}

/// What each check expected, and what came.
fn checks(checks: &[&Validation]) -> Markup {
    html! {
        div.scroll {
            table.checks {
                thead { tr {
                    th scope="col" { "Check" }
                    th scope="col" { "Actual" }
                    th scope="col" { "Expected" }
                    th scope="col" { "Result" }
                } }
                tbody {
                    @for check in checks {
                        tr .failed[check.failed_for_good()] {
                            td { (mark(check)) @if check.attempt > 1 { " " span.muted { "(answer " (check.attempt) ")" } } }
                            td { @if let Some(input) = &check.input { code { (input) } } @else { span.muted { "–" } } }
                            td { @for (index, expected) in check.expected.iter().enumerate() {
                                @if index > 0 { ", " }
                                code { (expected) }
                            } }
                            td { (check.message) }
                        }
                    }
                }
            }
        }
    }
}

/// Microseconds as people read them: `840 µs`, `12.3 ms`, `4.21 s`.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}
