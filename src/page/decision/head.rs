//! The head of a decision: what was decided about what, for whom, and what is still open.

use maud::{Markup, html};

use crate::domain::decision::Decision;
use crate::domain::ruling::{Missing, Outcome};
use crate::ledger::StoredDecision;
use crate::page::format;
use crate::page::resolve::act::resolved_words;
use crate::page::viewer::Viewer;

/// The outcome, the amount and the category in one line, with the reason below.
pub(in crate::page) fn head(stored: &StoredDecision, viewer: &Viewer) -> Markup {
    let decision = &stored.decision;
    let expense = &decision.expense;
    html! {
        h1 {
            (format::outcome(decision.outcome.into())) " "
            (format::amount(expense.amount, expense.currency))
            @if let Some(category) = &decision.category { " " span.muted { (category) } }
        }
        p.reason { (decision.reason) }
        (standing(stored, viewer))
    }
}

/// What became of the decision, or what is still open.
fn standing(stored: &StoredDecision, viewer: &Viewer) -> Markup {
    let decision = &stored.decision;
    html! {
        @if let Some(newer) = stored.superseded_by {
            p.notice { "The expense was decided anew: " (link(viewer, newer)) "." }
        } @else if let Some(resolution) = &stored.resolution {
            p.notice {
                b { "Resolved: " } (resolved_words(resolution))
                @if let Some(amount) = resolution.amount {
                    ", " (format::amount(amount, decision.expense.currency)) " is paid"
                }
                @if let Some(category) = &resolution.category { ", filed under " b { (category) } }
                ". “" (resolution.reason) "”"
            }
        } @else if let Some(role) = decision.pending() {
            p.notice { b { "Open: " } (question(decision)) " The role " b { (role) } " or a higher one decides." }
        }
    }
}

/// What a person is asked.
fn question(decision: &Decision) -> String {
    if decision.missing.contains(&Missing::Receipt) {
        return "Is it paid although its receipt is missing?".to_owned();
    }
    let failed = decision
        .validations
        .iter()
        .find(|check| check.failed_for_good());
    match (decision.outcome, failed) {
        (Outcome::NeedsReview, Some(check)) => {
            format!(
                "Can it be paid? The check {} failed: {}.",
                check.kind, check.message
            )
        }
        (Outcome::NeedsReview, None) => "Can it be paid, and in which category?".to_owned(),
        _ => "Is it paid?".to_owned(),
    }
}

/// The facts of the expense.
pub(in crate::page) fn facts(stored: &StoredDecision) -> Markup {
    let decision = &stored.decision;
    let expense = &decision.expense;
    html! {
        dl {
            dt { "Transaction" } dd { (expense.transaction) }
            @if let Some(merchant) = &expense.merchant { dt { "Merchant" } dd { (merchant) } }
            @if let Some(mcc) = &expense.mcc { dt { "Merchant category code" } dd { code { (mcc) } } }
            dt { "Date" } dd { (expense.date) }
            @if let Some(trip) = &expense.trip_id { dt { "Trip" } dd { (trip) } }
            dt { "Employee" } dd {
                (expense.user_id)
                @if let Some(by) = &decision.submitted_by { span.muted { ", handed in with the key " (by.api_key) } }
            }
            dt { "Receipt" } dd { @if expense.receipt { "attached" } @else { "none" } }
            dt { "Received" } dd { (format::time(decision.received_at)) }
            @if let Some(converted) = &decision.converted_amount {
                dt { "In the policy's currency" } dd {
                    (format::amount(converted.amount, converted.currency))
                    span.muted { " at " (converted.rate) " of " (converted.rate_date) }
                }
            }
            @if let Some(reimbursable) = decision.reimbursable {
                dt { "May be paid under the policy" }
                dd { (format::amount(reimbursable, decision.policy_amount().1)) }
            }
        }
    }
}

/// A link to another decision, by its id.
pub(in crate::page) fn link(viewer: &Viewer, id: uuid::Uuid) -> Markup {
    html! { a href=(path(viewer, id, &[])) { code { (id) } } }
}

/// The address of a decision in this person's page.
pub(in crate::page) fn path(
    viewer: &Viewer,
    id: uuid::Uuid,
    parameters: &[(&str, &str)],
) -> String {
    viewer.href(&format!("/ui/decisions/{id}"), parameters)
}

/// The address of what is below a decision.
pub(in crate::page) fn path_below(viewer: &Viewer, id: uuid::Uuid, below: &str) -> String {
    viewer.href(&format!("/ui/decisions/{id}/{below}"), &[])
}
