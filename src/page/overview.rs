//! The view "Overview".

use axum::extract::State;
use maud::{Markup, html};

use crate::page::PageState;
use crate::page::failure::Failure;
use crate::page::layout::document;
use crate::page::viewer::Viewer;

/// `GET /ui/`
pub(super) async fn show(State(page): State<PageState>, viewer: Viewer) -> Result<Markup, Failure> {
    let content = html! { h1 { "Overview" } };
    Ok(document(&page, &viewer, "/ui/", "Overview", &content))
}
