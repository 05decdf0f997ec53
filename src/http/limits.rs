//! Limits of a single request, its deadline and the size of its body, and the header that asks
//! clients to close their connections on shutdown.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::http::AppState;
use crate::http::error::{Code, Problem};

/// The most bytes of a request body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// When a request arrived: an extension of the request, from which its deadline counts.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub Instant);

/// Answers within the deadline, with a problem if the handler has not answered by then.
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

/// Asks clients to close their connections once the service is draining. A client that sent its
/// next request just as the connection closes could not know whether it was handled.
pub async fn close_when_draining(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    // HTTP/2 has a GOAWAY frame for this, sent when the listener closes.
    let has_header = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if has_header && app.is_draining() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The bytes of a JSON body, of the right type, encoding and size.
pub struct JsonBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_encoding(request.headers())?;
        if !is_json(request.headers()) {
            let detail = "the body is not declared as JSON; send `Content-Type: application/json`";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        match to_bytes(request.into_body(), MAX_BODY_BYTES).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) => Err(unread(&error)),
        }
    }
}

/// Why a body could not be read to its end.
fn unread(error: &axum::Error) -> Problem {
    // The source is http-body-util's `LengthLimitError`. Comparing its text saves a direct
    // dependency for one downcast.
    let source = std::error::Error::source(error);
    if source.is_some_and(|source| source.to_string().contains("limit")) {
        let detail =
            format!("the body is larger than {MAX_BODY_BYTES} bytes; send one expense at a time");
        Problem::new(Code::BodyTooLarge, detail)
    } else {
        let detail = "the body ended before it was complete; send all of it";
        Problem::new(Code::BodyCutOff, detail)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Refuses a body that is compressed, or encoded in another way.
///
/// # Errors
/// When `Content-Encoding` names anything but `identity`.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &HeaderValue| {
        let mut codings = value.to_str().unwrap_or("?").split(',').map(str::trim);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    };
    if headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(is_plain)
    {
        return Ok(());
    }
    let detail = "the body is compressed, which is not accepted; send it as it is, without `Content-Encoding`";
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// The media type of a body in lower case, without parameters; empty when none is declared.
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
