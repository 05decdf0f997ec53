//! Decisions as rows of a table, in the list and in the overview.

use maud::{Markup, html};

use crate::domain::resolution::Resolution;
use crate::domain::ruling::Outcome;
use crate::ledger::StoredDecision;
use crate::page::decision::head;
use crate::page::format;
use crate::page::viewer::Viewer;

/// Characters of an expense's text in a row, and of its merchant.
const MAX_TEXT_CHARS: usize = 80;
const MAX_MERCHANT_CHARS: usize = 40;

/// A table of decisions. A decision in which a check failed for good has a red row, and says which.
pub(super) fn table(viewer: &Viewer, decisions: &[StoredDecision]) -> Markup {
    html! {
        table.decisions {
            thead {
                tr {
                    th { "Received" }
                    th { "Employee" }
                    th { "Expense" }
                    th { "Category" }
                    th.amount { "Amount" }
                    th { "Outcome" }
                }
            }
            tbody {
                @for stored in decisions { (row(viewer, stored)) }
            }
        }
    }
}

fn row(viewer: &Viewer, stored: &StoredDecision) -> Markup {
    let decision = &stored.decision;
    let expense = &decision.expense;
    let failed = decision.failed_types();
    html! {
        tr class=[(!failed.is_empty()).then_some("failed")] data-id=(decision.id) {
            td.received { (format::time(decision.received_at)) }
            td.employee { bdi { (expense.user_id) } }
            td.expense {
                a href=(head::path(viewer, decision.id, &[])) { bdi { (beginning(&expense.transaction, MAX_TEXT_CHARS)) } }
                @if let Some(merchant) = &expense.merchant { " " bdi.muted { (beginning(merchant, MAX_MERCHANT_CHARS)) } }
            }
            td.category {
                @let decided = decision.category.as_deref();
                bdi { (decided.unwrap_or("none")) }
                @if let Some(chosen) = stored.category().filter(|chosen| decided != Some(*chosen)) {
                    " " span.note { "filed under " bdi { (chosen) } }
                }
            }
            td.amount { (format::amount(expense.amount, expense.currency)) }
            td.verdict {
                (format::outcome(decision.outcome.into()))
                @if let Some(resolution) = &stored.resolution { (resolved(resolution)) }
                @else if let Some(role) = stored.pending() {
                    " " span.note { "waits for " (role) }
                }
                @for kind in &failed {
                    " " span.note.failed { "failed: " (kind.to_string().replace('_', " ")) }
                }
                @if let Some(finding) = decision.findings.first().filter(|_| decision.outcome == Outcome::Denied) {
                    " " span.note { "by " (finding.rule) }
                }
                @if decision.is_override { " " span.note { "policy overruled the model" } }
                @if stored.superseded_by.is_some() { " " span.note { "decided anew" } }
            }
        }
    }
}

/// The beginning of a text that may have thousands of characters: the whole is in the decision's view.
fn beginning(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((n_bytes, _)) => format!("{}…", text[..n_bytes].trim_end()),
        None => text.to_owned(),
    }
}

/// What a person decided, where the outcome left it open.
fn resolved(resolution: &Resolution) -> Markup {
    html! {
        " " span.note { (format::resolved(resolution.action)) " by " bdi { (resolution.actor) } }
    }
}

/// What is shown instead of a table without rows.
pub(super) fn none(text: &str) -> Markup {
    html! { p.muted { (text) } }
}
