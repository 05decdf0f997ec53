//! The protection against forms on other sites: a request that writes must come from the page itself.
//! Browsers say so in `Sec-Fetch-Site`; those that do not know it send `Origin`.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::page::failure::Failure;

/// Refuses a form that was not sent by the page itself.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_reading || is_of_page(&request) {
        return next.run(request).await;
    }
    let detail = "The form was not sent by this page. Open the page at its own address and send it from there; programs use the API below /v1.";
    Failure::new(StatusCode::FORBIDDEN, "This form was refused", detail).into_response()
}

fn is_of_page(request: &Request) -> bool {
    let one = |name: &str| {
        let mut values = request.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    if request.headers().contains_key("sec-fetch-site") {
        return one("sec-fetch-site") == Some("same-origin");
    }
    let host = one(header::HOST.as_str()).or(request.uri().authority().map(|host| host.as_str()));
    let origin = one(header::ORIGIN.as_str()).and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}
