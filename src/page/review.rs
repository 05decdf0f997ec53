//! The view "Review".

use axum::extract::State;
use maud::{Markup, html};

use crate::page::PageState;
use crate::page::failure::Failure;
use crate::page::layout::document;
use crate::page::viewer::Viewer;

/// `GET /ui/review`
pub(super) async fn show(State(page): State<PageState>, viewer: Viewer) -> Result<Markup, Failure> {
    let content = html! { h1 { "Review" } };
    Ok(document(&page, &viewer, "/ui/review", "Review", &content))
}
