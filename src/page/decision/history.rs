//! What happened before and after a decision: how it was resolved, and the employee's other decisions
//! that have to do with it.

use maud::{Markup, html};

use crate::domain::decision::Decision;
use crate::ledger::StoredDecision;
use crate::ledger::related::{N_NEIGHBOURS, Related, Relation};
use crate::page::decision::head::{link, path};
use crate::page::format;
use crate::page::resolve::act::resolved_words;
use crate::page::viewer::Viewer;

/// The most duplicates that are shown.
const MAX_DUPLICATES: usize = 5;

/// The history of a decision, and the decisions that are related to it.
pub(super) fn section(stored: &StoredDecision, related: &[Related], viewer: &Viewer) -> Markup {
    let decision = &stored.decision;
    let of = |relation| {
        related
            .iter()
            .filter(|other| other.relation(decision) == Some(relation))
            .collect::<Vec<_>>()
    };
    html! {
        ol.events {
            @if let Some(older) = decision.supersedes { li { "Supersedes " (link(viewer, older)) ", for which no model had answered." } }
            li { (format::time(decision.received_at)) " received and decided: " (format::outcome(decision.outcome.into())) }
            @for act in stored.acts() {
                li { (format::time(act.resolved_at)) " " (resolved_words(act)) ": “" (act.reason) "”"
                    @if !act.exceptions.is_empty() { ". Set aside: " (act.exceptions.join(", ")) }
                }
            }
            @if let Some(newer) = stored.superseded_by { li { "Decided anew as " (link(viewer, newer)) "." } }
        }
        @if let Some(plan) = decision.expense.under { p { "Purchase under the plan " (link(viewer, plan)) "." } }
        @if let Some(purchase) = stored.fulfilled_by { p { "Its purchase is " (link(viewer, purchase)) "." } }
        @if let Some(purchase) = decision.expense.refunds { p { "Credit of the purchase " (link(viewer, purchase)) "." } }
        (duplicates(decision, viewer))
        (others("Credits of this purchase", &of(Relation::Credit), viewer))
        (others("Of the same trip", &of(Relation::Trip), viewer))
        (others("Of the same day", &of(Relation::Day), viewer))
        p.muted.small { "Among the " (N_NEIGHBOURS) " decisions of this employee before it, and as many after it." }
    }
}

/// Earlier decisions that may be about the same purchase.
pub(in crate::page) fn duplicates(decision: &Decision, viewer: &Viewer) -> Markup {
    html! {
        @if !decision.duplicates.is_empty() {
            h3 { "May be the same purchase" }
            ul { @for duplicate in decision.duplicates.iter().take(MAX_DUPLICATES) {
                li { (link(viewer, duplicate.id)) span.muted { " similarity " (duplicate.score) } }
            } }
        }
    }
}

fn others(title: &str, others: &[&Related], viewer: &Viewer) -> Markup {
    html! {
        @if !others.is_empty() {
            h3 { (title) }
            div.scroll {
                table {
                    tbody {
                        @for other in others {
                            tr {
                                td { a href=(path(viewer, other.id, &[])) { (other.transaction) } }
                                td { (format::outcome(other.outcome.into())) }
                                td { (other.category.as_deref().unwrap_or("–")) }
                                td.amount { (format::amount(other.amount, other.currency)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
