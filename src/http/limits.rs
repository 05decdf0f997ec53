//! What keeps one request from taking the service down: a deadline, and a bound on its body; and
//! what keeps one from going down with the service.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::http::AppState;
use crate::http::error::Problem;

/// Bytes a request body may have.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// When a request came in: an extension of the request, from which its deadline counts.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub Instant);

/// Answers before the deadline, with a problem if with nothing else.
pub async fn within_deadline(
    State(app): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Arrived(Instant::now()));
    match tokio::time::timeout(app.config.deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::deadline_exceeded().into_response(),
    }
}

/// Has callers leave their connections while the service stops: one that asked again on a
/// connection that closes just then could not tell whether it was heard.
pub async fn say_farewell(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    // HTTP/2 has a frame for it, which is sent when the listener closes.
    let has_header = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if has_header && app.is_draining() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The bytes of a JSON body, of the right type and size.
pub struct JsonBytes(pub axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body is not JSON by its type; send `Content-Type: application/json`";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map(Self)
            .map_err(|error| {
                let is_too_long = std::error::Error::source(&error)
                    .is_some_and(|source| source.to_string().contains("limit"));
                if is_too_long {
                    let detail = format!(
                        "the body is larger than {MAX_BODY_BYTES} bytes; send one expense at a time"
                    );
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
                } else {
                    Problem::new(
                        StatusCode::BAD_REQUEST,
                        "body_cut_off",
                        "the body broke off; send it whole",
                    )
                }
            })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// What a body is by its type, without parameters and in small letters; empty when nothing is said.
pub fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
