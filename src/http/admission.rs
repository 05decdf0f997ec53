//! Who gets as far as a handler: requests of which it is settled whom they are for. Who that is was
//! decided before the server span began; here the others are turned away, all in the same words.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::Problem;
use crate::telemetry::identity::Identity;

/// Turns a request away that is for nobody, before its body is read and without a place among those
/// worked on.
pub async fn require_identity(request: Request, next: Next) -> Response {
    match request.extensions().get::<Identity>() {
        Some(_) => next.run(request).await,
        None => Problem::unauthorized().into_response(),
    }
}
