//! What a person sees when a request of the page cannot be answered: what is wrong, and what to do.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;

use crate::http::error::{Code, PROBLEM_JSON, Problem};
use crate::ledger::LedgerError;
use crate::page::{PageState, layout};

/// A request of the page that cannot be answered.
#[derive(Clone, Debug)]
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

    pub(super) fn no_such_method() -> Self {
        let detail = "This address can be opened, but not be sent to in this way.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This request was refused",
            detail,
        )
    }

    /// The framework refused the request before a view saw it. Such a response has a text without
    /// markup, or none.
    fn of_framework(response: &Response) -> Option<Self> {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_text = content_type.is_none_or(|value| value == "text/plain; charset=utf-8");
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        (is_error && is_text).then(|| {
            let detail = "Its address or its form is not one that this page makes.";
            Self::new(status, "This request cannot be answered", detail)
        })
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
    /// Only attaches the failure: the layer below writes the document, because it knows the assets.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes failures out, those of the layers that the page shares with the API included. A request that
/// is not for the page, such as one for `/`, gets the problem as JSON.
pub(super) async fn render(
    State(page): State<PageState>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = request.uri().path().starts_with("/ui");
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let failure = match problem {
        Some(problem) if is_page => Some(problem.into()),
        Some(problem) => {
            let head = [(header::CONTENT_TYPE, PROBLEM_JSON)];
            return (problem.code.status(), head, Json(problem)).into_response();
        }
        None => response.extensions_mut().remove::<Failure>(),
    };
    let failure = failure.or_else(|| is_page.then(|| Failure::of_framework(&response))?);
    let Some(Failure {
        status,
        title,
        detail,
    }) = failure
    else {
        return response;
    };
    let content = html! {
        main #content {
            h1 { (title) }
            p { (detail) }
            p { a href="/ui/" { "Overview" } }
        }
    };
    let mut rendered = (status, layout::bare(&page.assets, &title, &content)).into_response();
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        rendered.headers_mut().insert(header::ALLOW, allow);
    }
    rendered
}
