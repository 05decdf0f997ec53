//! One open decision beside the queue: what is needed to decide on it, and the form.

use maud::{Markup, html};

use crate::ledger::StoredDecision;
use crate::page::PageState;
use crate::page::decision::{evidence, feedback, head, history, policy, tree};
use crate::page::failure::Failure;
use crate::page::resolve::form::{Form, Offers, form};
use crate::page::review::queue::{Queue, age};
use crate::page::review::{Address, Sent, Told};
use crate::page::viewer::Viewer;

pub(super) async fn show(
    page: &PageState,
    viewer: &Viewer,
    address: &Address,
    stored: &StoredDecision,
    queue: &Queue,
    told: Option<&Told<'_>>,
) -> Result<Markup, Failure> {
    let decision = &stored.decision;
    let state = page
        .app
        .agent
        .ledger
        .state(&decision.tenant_id, decision.id)
        .await?;
    let given = page.app.agent.ledger.feedback(stored).await?;
    let offers = Offers::of(page, viewer, stored, address.actor.as_deref()).await?;
    let policies = &page.app.rulebook(&decision.tenant_id).policies;
    let (previous, next) = queue.neighbours(decision.id);
    let typed = told.and_then(|told| told.typed(Sent::One));
    Ok(html! {
        section.item aria-label="Decision" {
            p.small {
                @if let Some(id) = previous { a rel="prev" href=(address.at(Some(id)).href(viewer)) { "Previous" } " " }
                @if let Some(id) = next { a rel="next" href=(address.at(Some(id)).href(viewer)) { "Next" } " " }
                span.muted { "waits for " (age(decision.received_at, page.app.clock.now())) " " }
                a href=(head::path(viewer, decision.id, &[])) { "Whole decision" }
            }
            (head::head(stored, viewer))
            @if let Some(offers) = &offers {
                (form(offers, &Form {
                    action: address.at(Some(decision.id)).href(viewer),
                    stored,
                    state: state.to_string(),
                    actor: address.actor.as_deref(),
                    typed,
                }, viewer))
            }
            (head::facts(stored))
            @if !given.is_empty() { h3 { "Feedback" } (feedback::list(&given, |_| None)) }
            (evidence::section(decision, policies))
            (policy::section(decision, policies))
            (history::duplicates(decision, viewer))
            details { summary { "Tree" } (tree::tree(decision)) }
        }
    })
}
