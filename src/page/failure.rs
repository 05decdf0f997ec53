//! Why a request of the page cannot be answered: what is wrong, and what to do. The document that says
//! so is written in `render`.

use std::error::Error;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error_chain::error_chain;
use crate::http::error::{Code, Problem};
use crate::ledger::LedgerError;

/// A request of the page that cannot be answered.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) detail: String,
    /// What failed in the service; it is logged, and not shown.
    pub(super) cause: Option<String>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, title: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: title.to_owned(),
            detail: detail.into(),
            cause: None,
        }
    }

    pub(super) fn not_found(title: &str) -> Self {
        let detail = "It may have been removed, or the address may be misspelled.";
        Self::new(StatusCode::NOT_FOUND, title, detail)
    }

    pub(super) fn no_such_method() -> Self {
        let detail = "This address does not accept this method. Open a page by its link, and send a form from its page.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This request was refused",
            detail,
        )
    }

    /// The framework refused the request before a view saw it. Such a response has a text without
    /// markup, or none.
    pub(super) fn of_framework(response: &Response) -> Option<Self> {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_text = content_type.is_none_or(|value| value == "text/plain; charset=utf-8");
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        (is_error && is_text).then(|| {
            let detail = "Its address or its form is not one that this page makes.";
            Self::new(status, "This request cannot be answered", detail)
        })
    }

    /// What failed in the service is in its log.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let detail = "The log of the service says where. Reload the page to try again.";
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The service failed",
                detail,
            )
        }
    }

    pub(super) fn of_error(error: &dyn Error) -> Self {
        Self::internal(error_chain(error))
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
        Self {
            cause: problem.cause,
            ..Self::new(problem.code.status(), title, problem.detail)
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Failure {
    /// Only attaches the failure: a layer in `render` writes the document, because it knows the assets.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
