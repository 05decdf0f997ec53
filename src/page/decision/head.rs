//! The head of a decision: what was decided about what, for whom, and what is still open.

use maud::{Markup, html};

use crate::domain::decision::{Decision, Submitter};
use crate::domain::receipt::Receipt;
use crate::domain::ruling::{Missing, Outcome};
use crate::ledger::StoredDecision;
use crate::page::fact_fields;
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
                    ", " (format::amount(amount, decision.expense.currency))
                    @if decision.expense.plan { " is agreed on" } @else { " is paid" }
                }
                @if let Some(category) = &resolution.category { ", filed under " b { (category) } }
                ". “" (resolution.reason) "”"
            }
        } @else if let Some(role) = stored.pending() {
            p.notice {
                b { "Open: " } (question(decision)) " The role " b { (role) } " or a higher one " (acts(stored)) "."
                @if let Some(approval) = stored.approvals.last() { " Last " (resolved_words(approval)) "." }
            }
        }
    }
}

/// What the person does who acts next, and who has to after that person.
fn acts(stored: &StoredDecision) -> String {
    let awaited = match stored.approvals.last() {
        Some(latest) => &latest.awaits,
        None => &stored.decision.approvers,
    };
    match awaited.split_first() {
        Some((_, after)) if !after.is_empty() => {
            let after: Vec<String> = after.iter().map(ToString::to_string).collect();
            format!("approves or denies first, then {}", after.join(" and "))
        }
        _ if stored.approvals.is_empty() => "decides".to_owned(),
        _ => "decides last".to_owned(),
    }
}

/// What a person is asked.
fn question(decision: &Decision) -> &'static str {
    if decision.missing.contains(&Missing::Receipt) {
        return "Should it be paid without a receipt?";
    }
    match decision.outcome {
        Outcome::NeedsReview => "Should it be paid, and in which category?",
        _ => "Should it be paid?",
    }
}

/// The facts of the expense.
pub(in crate::page) fn facts(stored: &StoredDecision) -> Markup {
    let decision = &stored.decision;
    let expense = &decision.expense;
    html! {
        dl.expense {
            @if expense.plan { (fact("Plan", &html! { "no purchase yet" })) }
            (fact("Transaction", &html! { (expense.transaction) }))
            @if let Some(merchant) = &expense.merchant { (fact("Merchant", &html! { (merchant) })) }
            @if let Some(mcc) = &expense.mcc { (fact("Merchant category code", &html! { code { (mcc) } })) }
            (fact("Employee", &html! { (expense.user_id) }))
            @if let Some(by) = &decision.submitted_by { (fact("Handed in by", &submitter(by))) }
            (fact("Date", &html! { (expense.date) }))
            @if let Some(trip) = &expense.trip_id { (fact("Trip", &html! { (trip) })) }
            (fact("Receipt", &html! { (receipt_in_words(expense.receipt)) }))
            @for (name, value) in expense.facts.iter() {
                (fact(&fact_fields::label(name), &fact_fields::value(name, value)))
            }
            (fact("Received", &format::time(decision.received_at)))
            @if let Some(converted) = &decision.converted_amount {
                (fact("In the policy's currency", &html! {
                    (format::amount(converted.amount, converted.currency))
                    span.muted { " at " (converted.rate) " of " (converted.rate_date) }
                }))
            }
            @if let Some(reimbursable) = decision.reimbursable {
                @let meaning = match decision.outcome {
                    // Nothing is paid of a denied expense; a new one could ask for this much.
                    Outcome::Denied => "Allowed in a new expense",
                    _ => "May be paid under the policy",
                };
                (fact(meaning, &format::amount(reimbursable, decision.policy_amount().1)))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn receipt_in_words(receipt: Receipt) -> &'static str {
    match receipt {
        Receipt::Absent => "none",
        Receipt::Attached => "attached",
        Receipt::Itemized => "attached, itemized",
    }
}

/// The people who handed the expense in, and the key.
fn submitter(by: &Submitter) -> Markup {
    let people: Vec<&str> = by.people().collect();
    html! {
        @if !people.is_empty() { (people.join(", ")) ", " }
        span.muted { "key " (by.api_key) }
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
