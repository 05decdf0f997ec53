//! One decision: its head, the tree of its run, the arithmetic of the policy, the evidence, and its
//! history.

use axum::extract::{Path, State};
use maud::{Markup, html};

use crate::http::expenses::find;
use crate::page::PageState;
use crate::page::failure::Failure;
use crate::page::format;
use crate::page::layout::document;
use crate::page::viewer::Viewer;

/// `GET /ui/decisions/{id}`
pub(super) async fn show(
    State(page): State<PageState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let stored = find(&page.app, &viewer.identity, &id).await?;
    let decision = &stored.decision;
    let expense = &decision.expense;
    let content = html! {
        h1 { (format::outcome(decision.outcome.into())) " " (format::amount(expense.amount, expense.currency)) }
        p { (decision.reason) }
    };
    Ok(document(
        &page,
        &viewer,
        "/ui/decisions",
        "Decision",
        &content,
    ))
}
