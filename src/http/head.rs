//! Checks of the head of every request before a handler runs, on every route: a header that has one
//! value occurs only once, and without API keys the request names a host of this service. The
//! caller is authenticated in `admission`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::host_name::HostName;
use crate::http::AppState;
use crate::http::error::Problem;
use crate::http::idempotency;

/// The headers with one value that the service acts on, each as the documents write it. A second
/// one is ambiguous: a proxy in front may have read the other. A repeated `traceparent` is ignored
/// instead, as Trace Context asks.
const SINGLE: [(HeaderName, &str); 5] = [
    (header::AUTHORIZATION, "Authorization"),
    (header::CONTENT_LENGTH, "Content-Length"),
    (header::CONTENT_TYPE, "Content-Type"),
    (header::HOST, "Host"),
    (HeaderName::from_static(idempotency::KEY), "Idempotency-Key"),
];

/// Refuses a request whose head is ambiguous, or names a host that is not one of this service.
pub async fn check(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    if let Some(name) = repeated(request.headers()) {
        return Problem::repeated_header(name).into_response();
    }
    // With API keys no check is needed: a page of another site does not have a key.
    if !app.access.requires_key()
        && let Some(host) = foreign_host(&request, &app.config.allowed_hosts)
    {
        return Problem::misdirected(&host).into_response();
    }
    next.run(request).await
}

/// The first header that is repeated although it may have only one value.
fn repeated(headers: &HeaderMap) -> Option<&'static str> {
    let is_repeated = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
    SINGLE
        .iter()
        .find(|(name, _)| is_repeated(name))
        .map(|(_, shown)| *shown)
}

/// The host that a request names, if this service may not be reached by it.
///
/// A page of another site can make its own name resolve to this service (DNS rebinding), and a
/// browser then lets it read the answers. The browser sends that name as the host, so a host that
/// no other site can own is safe: an address, `localhost`, or a name that the operator allows. A
/// request without a host does not come from a browser.
fn foreign_host(request: &Request, allowed: &[HostName]) -> Option<String> {
    // HTTP/2 has the host in the target, where HTTP/1 may have it in addition to the header.
    let target = request.uri().authority().map(Authority::as_str);
    let header = request
        .headers()
        .get(header::HOST)
        .map(|host| String::from_utf8_lossy(host.as_bytes()));
    let is_foreign = |host: &&str| {
        !host
            .parse::<Authority>()
            .is_ok_and(|authority| has_only_a_port(&authority) && is_own(authority.host(), allowed))
    };
    target
        .into_iter()
        .chain(header.as_deref())
        .find(is_foreign)
        .map(str::to_owned)
}

/// Whether the host comes with a port at most. A user name is refused: browsers never send one
/// there.
fn has_only_a_port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    rest.is_some_and(|rest| match rest.strip_prefix(':') {
        Some(port) => port.is_empty() || port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    })
}

/// Whether a host, without its port, is one by which this service may be reached.
fn is_own(host: &str, allowed: &[HostName]) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    address.parse::<IpAddr>().is_ok()
        || HostName::parse(host)
            .is_some_and(|name| name.as_str() == "localhost" || allowed.contains(&name))
}
