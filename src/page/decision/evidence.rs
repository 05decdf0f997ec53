//! The evidence: what in the expense points to which category, and where those words stand. The record
//! holds the words but not this reading of them, so it is read again by the policies in force, with
//! the function that the agent uses.

use maud::{Markup, html};

use crate::domain::decision::Decision;
use crate::policy::Policies;
use crate::policy::evidence::{EvidenceSource, Pointer};

/// The evidence of a decision.
pub(in crate::page) fn section(decision: &Decision, policies: &Policies) -> Markup {
    let expense = &decision.expense;
    let texts = [
        (EvidenceSource::Mcc, expense.mcc.as_deref()),
        (EvidenceSource::Merchant, expense.merchant.as_deref()),
        (EvidenceSource::Transaction, Some(&*expense.transaction)),
        (
            EvidenceSource::CategoryHint,
            expense.category_hint.as_deref(),
        ),
    ];
    let pointers = policies.pointers(
        expense.mcc.as_deref(),
        expense.merchant.as_deref(),
        &expense.transaction,
        expense.category_hint.as_deref(),
    );
    html! {
        div.scroll {
            table {
                thead { tr { th scope="col" { "Source" } th scope="col" { "Text" } th scope="col" { "Points to" } } }
                tbody {
                    @for (source, text) in texts {
                        @if let Some(text) = text { (row(decision, source, text, &pointers)) }
                    }
                }
            }
        }
        p.muted.small {
            "Read from the text by the policies in force now; the decision keeps only "
            @if decision.category_corroborated { "that some evidence pointed to a category." }
            @else { "that none pointed to any category." }
        }
    }
}

fn row(decision: &Decision, source: EvidenceSource, text: &str, pointers: &[Pointer]) -> Markup {
    let own: Vec<&Pointer> = pointers
        .iter()
        .filter(|pointer| pointer.source == source)
        .collect();
    html! {
        tr {
            td { (source.in_words()) }
            td { (marked(text, &own)) }
            td {
                @if own.is_empty() { span.muted { "nothing" } }
                @for (index, pointer) in own.iter().enumerate() {
                    @if index > 0 { br; }
                    @let agrees = decision.category.as_ref().is_none_or(|category| *category == pointer.category);
                    b { (pointer.category) } @if !agrees { span.muted { " (another category)" } }
                    ": " code { (pointer.listed) }
                }
            }
        }
    }
}

/// A text in which the places of the pointers are marked.
fn marked(text: &str, pointers: &[&Pointer]) -> Markup {
    let mut parts = Vec::new();
    let mut end = 0;
    for pointer in pointers {
        let place = &pointer.place;
        if place.start >= end {
            parts.push((&text[end..place.start], None));
            parts.push((&text[place.clone()], Some(&pointer.category)));
            end = place.end;
        }
    }
    parts.push((&text[end..], None));
    html! {
        @for (part, category) in parts {
            @match category {
                Some(category) => { mark title=(category) { (part) } }
                None => { (part) }
            }
        }
    }
}
