//! The protection against forms on other sites: a request that writes must come from the page itself.
//! Browsers say so in `Sec-Fetch-Site`; those that do not know it, and all of them over plain HTTP beyond
//! loopback, send `Origin` alone.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::public_url::PublicUrl;
use crate::page::PageState;
use crate::page::failure::Failure;

/// Refuses a form that was not sent by the page itself.
pub(super) async fn check(State(page): State<PageState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
    if is_reading || is_of_page(&parts, page.app.config.public_url.as_ref()) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let detail = "The form was not sent by this page. Open the page at its own address and send it from there; \
                  programs use the API below /v1.";
    Failure::new(StatusCode::FORBIDDEN, "This form was refused", detail).into_response()
}

fn is_of_page(parts: &Parts, public_url: Option<&PublicUrl>) -> bool {
    if parts.headers.contains_key("sec-fetch-site") {
        return one(parts, "sec-fetch-site") == Some("same-origin");
    }
    let Some(origin) = one(parts, header::ORIGIN.as_str()) else {
        return false;
    };
    // A proxy in front may have replaced the host by another name.
    if public_url.is_some_and(|url| url.origin() == origin) {
        return true;
    }
    let named = origin.split_once("://").map(|(_, named)| named);
    matches!((named, host(parts)), (Some(named), Some(host)) if named.eq_ignore_ascii_case(host))
}

/// The host that a request names, with its port.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    // HTTP/2 has it in the target.
    let target = parts.uri.authority().map(|host| host.as_str());
    one(parts, header::HOST.as_str()).or(target)
}

/// The value of a header that comes once.
fn one<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
