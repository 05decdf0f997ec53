//! The view "Policies".

use axum::extract::State;
use maud::{Markup, html};

use crate::page::PageState;
use crate::page::failure::Failure;
use crate::page::layout::document;
use crate::page::viewer::Viewer;

/// `GET /ui/policies`
pub(super) async fn show(State(page): State<PageState>, viewer: Viewer) -> Result<Markup, Failure> {
    let content = html! { h1 { "Policies" } };
    Ok(document(
        &page,
        &viewer,
        "/ui/policies",
        "Policies",
        &content,
    ))
}
