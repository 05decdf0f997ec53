//! The layer that writes problems out and logs them, and the problems of requests that no handler
//! answers: paths and methods that do not exist, requests that the framework refuses, and panics.
//! What a problem contains is in `error`.

use std::any::Any;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::{Code, PROBLEM_JSON, Problem};
use crate::telemetry::projections::server::RequestTrace;

/// Seconds after which a client may retry a request that was refused with 503.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Writes problems out with the trace id, and logs those with a 5xx status, which are logged
/// nowhere else.
pub(super) async fn write_problems(request: Request, next: Next) -> Response {
    let trace = request.extensions().get::<RequestTrace>();
    let trace_id = trace.map(|trace| trace.trace_id.clone());
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // A missing file of the documentation page.
        None if is_bare_error(&response) && status == StatusCode::NOT_FOUND => {
            no_such_route().await
        }
        // The framework refused the request before a handler saw it.
        None if is_bare_error(&response) => Problem::with_status(
            status,
            Code::MalformedRequest,
            "the request cannot be read; /docs shows what is accepted",
        ),
        None => return response,
    };
    let problem = Problem {
        trace_id,
        ..problem
    };
    log(&problem, status);
    let mut rendered = (status, Json(problem.redacted())).into_response();
    let headers = rendered.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
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

fn log(problem: &Problem, status: StatusCode) {
    let Problem { code, cause, .. } = problem;
    match cause {
        Some(cause) => tracing::error!(status = problem.status, %code, cause, "a request failed"),
        None if status.is_server_error() => tracing::warn!(%code, "a request was refused"),
        None => {}
    }
}

/// Whether a response is an error that no handler described. A probe that answers 503 with JSON did
/// describe it.
fn is_bare_error(response: &Response) -> bool {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/json");
    (response.status().is_client_error() || response.status().is_server_error()) && !is_json
}

/// Answers a path that does not exist.
pub(crate) async fn no_such_route() -> Problem {
    Problem::new(
        Code::NoSuchRoute,
        "this path does not exist; /docs lists those that do",
    )
}

/// Answers a method that the path does not support.
pub(super) async fn no_such_method() -> Problem {
    let detail = "this path does not support the method; /docs lists those it supports";
    Problem::new(Code::NoSuchMethod, detail)
}

/// Answers a request whose handler panicked.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    Problem::internal(format!("panic: {}", message.unwrap_or("without a message"))).into_response()
}
