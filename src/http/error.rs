//! The whole error contract: `application/problem+json` (RFC 9457) with a stable `code`, what was
//! wrong and what would be accepted, and the trace id. A refused request has no side effect.

use std::any::Any;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::body::{BodyError, FieldError};
use crate::error_chain::error_chain;
use crate::ledger::LedgerError;
use crate::redact::redact;
use crate::telemetry::projections::server::RequestTrace;

/// Seconds after which a caller may try again what the service could not take now.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What stands in the way of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: &'static str,
    /// Stable, for programs.
    pub code: &'static str,
    /// What was wrong and what would be accepted, for people.
    pub detail: String,
    /// The fields that were wrong, each with what would be accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The trace of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What went wrong inside, for the log alone.
    #[serde(skip)]
    pub cause: Option<String>,
}

impl Problem {
    /// A problem with a status, a stable code, and words for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            trace_id: None,
            cause: None,
        }
    }

    /// The request shows no key that is in force; why not is nobody's business.
    pub fn unauthorized() -> Self {
        let detail = "this route asks for an API key that is in force; send it as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// The service has all the requests it can work on.
    pub fn overloaded() -> Self {
        let detail = "the service is working on as many requests as it may; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail)
    }

    /// The request was not answered in time; a decision under way is still recorded.
    pub fn deadline_exceeded() -> Self {
        let detail =
            "the request was not answered in time; a decision that was under way is still recorded";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded", detail)
    }

    /// The body cannot be taken; `code` says what it should have been.
    pub fn body(error: BodyError, code: &'static str) -> Self {
        let detail = error.to_string();
        match error {
            BodyError::NotJson(..) => Self::new(StatusCode::BAD_REQUEST, "not_json", detail),
            BodyError::Fields(errors) => Self {
                errors,
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
            },
        }
    }

    /// Something is broken in here.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "the service failed; the trace tells where";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        Self {
            cause: Some(cause.into()),
            ..problem
        }
    }
}

impl Problem {
    /// Without what callers' words may hold: problems end up in the logs of whoever sent the
    /// request.
    fn redacted(mut self) -> Self {
        self.detail = redact(&self.detail).into_owned();
        for FieldError { field, message } in &mut self.errors {
            *field = redact(field).into_owned();
            *message = redact(message).into_owned();
        }
        self
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        // A write whose end nobody saw may be recorded.
        let detail = "the ledger cannot be used right now, so there is no answer; try again in a moment, a decision with the \
                      `Idempotency-Key` it had";
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_unavailable",
            detail,
        );
        Self {
            cause: Some(error_chain(&error)),
            ..problem
        }
    }
}

impl IntoResponse for Problem {
    /// The body is written in [`render`], which knows the trace.
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes problems out, with the trace id, and logs those that are ours: once, here.
pub async fn render(request: Request, next: Next) -> Response {
    let trace_id = request
        .extensions()
        .get::<RequestTrace>()
        .map(|trace| trace.trace_id.clone());
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // A page's file that is not there.
        None if is_refusal(&response) && status == StatusCode::NOT_FOUND => no_such_route().await,
        // The framework refused it before a handler saw it: a path or a query that is no text, a
        // method of a probe.
        None if is_refusal(&response) => Problem::new(
            status,
            "malformed_request",
            "the request cannot be read; /docs shows what can be asked",
        ),
        None => return response,
    };
    let problem = Problem {
        trace_id,
        ..problem
    }
    .redacted();
    match &problem.cause {
        Some(cause) => tracing::error!(
            status = problem.status,
            code = problem.code,
            cause,
            "a request failed"
        ),
        None if status.is_server_error() => {
            tracing::warn!(code = problem.code, "a request was turned away")
        }
        None => {}
    }
    let mut rendered = (response.status(), Json(problem)).into_response();
    let headers = rendered.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        headers.insert(header::ALLOW, allow);
    }
    rendered
}

/// An error that no handler put into words; what a probe says in JSON is an answer.
fn is_refusal(response: &Response) -> bool {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/json");
    (response.status().is_client_error() || response.status().is_server_error()) && !is_json
}

/// The answer to a path that does not exist.
pub async fn no_such_route() -> Problem {
    let detail = "there is no such route; /docs shows those there are";
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", detail)
}

/// The answer to a method that a path does not take.
pub async fn no_such_method() -> Problem {
    let detail = "this route does not take that method; /docs shows those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail)
}

/// The answer when a handler panicked.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    Problem::internal(format!("panic: {}", message.unwrap_or("without a message"))).into_response()
}
