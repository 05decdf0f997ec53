//! What a person sees when a request of the page cannot be answered: what is wrong, and what to do.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};

use crate::http::error::{Code, Problem};
use crate::ledger::LedgerError;

/// A request of the page that cannot be answered.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    title: String,
    detail: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, title: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: title.to_owned(),
            detail: detail.into(),
        }
    }

    pub(super) fn not_found(title: &str) -> Self {
        let detail = "It may have been removed, or the address may be misspelled.";
        Self::new(StatusCode::NOT_FOUND, title, detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "The log of the service says where. Reload the page to try again.";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The service failed",
            detail,
        )
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let title = match problem.code {
            Code::NotFound => "There is no such decision",
            Code::UnknownFilter | Code::UnknownCursor => "This list cannot be shown",
            Code::LedgerUnavailable => "The ledger cannot be read",
            _ => "This request cannot be answered",
        };
        Self::new(problem.code.status(), title, problem.detail)
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self {
            status,
            title,
            detail,
        } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; title { (title) } }
                body { main { h1 { (title) } p { (detail) } p { a href="/ui/" { "Overview" } } } }
            }
        };
        (status, page).into_response()
    }
}

/// Shows the problems of the layers that the page shares with the API. A request that does not accept
/// HTML, such as one for `/`, gets the problem as JSON.
pub(super) async fn render_problems(request: Request, next: Next) -> Response {
    let is_page = request.uri().path().starts_with("/ui");
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if is_page => Failure::from(problem).into_response(),
        Some(problem) => {
            let head = [(header::CONTENT_TYPE, crate::http::error::PROBLEM_JSON)];
            (problem.code.status(), head, axum::Json(problem)).into_response()
        }
        None => response,
    }
}
