//! Logging in and out. The form takes an API key once and begins a session; the key itself is not kept in
//! the browser. If the page is opened by the link that the service prints when it starts, the script of
//! the page sends the form.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Deserialize;

use crate::page::PageState;
use crate::page::document::document;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::same_origin::host;

/// Where the form is, and where it is sent.
pub(super) const PATH: &str = "/ui/login";
/// Where a session is ended.
pub(super) const LOGOUT_PATH: &str = "/ui/logout";
/// What answers that begin or end a session say to caches.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// The link to the form for somebody who wants to see a view.
pub(super) fn href(view: &str) -> String {
    let next = utf8_percent_encode(view, NON_ALPHANUMERIC);
    format!("{PATH}?next={next}")
}

#[derive(Default, Deserialize)]
struct Wanted {
    next: Option<String>,
}

/// `GET /ui/login`
pub(super) async fn show(_: Confidential, State(page): State<PageState>, uri: Uri) -> Response {
    let wanted = Query::<Wanted>::try_from_uri(&uri).unwrap_or_default();
    let form = match page.app.access.requires_key() || page.app.access.local_key().is_some() {
        true => form(wanted.next.as_deref(), None),
        false => html! {
            p {
                "This service has no keys, so decisions can be read here but not resolved. Whoever runs it can \
                 name a file of keys with " code { "--api-keys" } ", or have it make one key with "
                code { "--local-key" } "."
            }
        },
    };
    (NO_STORE, whole(&page, &form)).into_response()
}

/// `POST /ui/login`
pub(super) async fn begin(
    _: Confidential,
    State(page): State<PageState>,
    fields: FormFields,
) -> Response {
    let next = fields.get("next");
    let key = fields.get("key").unwrap_or_default();
    let Some(key) = page.app.access.valid_key(key) else {
        // Not why it is invalid: that would help to guess one.
        let wrong = "This key is not valid. It may be misspelled, revoked or expired.";
        let form = form(next, Some(wrong));
        return (StatusCode::UNAUTHORIZED, NO_STORE, whole(&page, &form)).into_response();
    };
    let cookie = page.sessions.begin(&key, page.app.clock.now());
    with_cookie(cookie, &followed(next))
}

/// `POST /ui/logout`
pub(super) async fn end(State(page): State<PageState>) -> Response {
    with_cookie(page.sessions.end(), "/ui/")
}

fn with_cookie(cookie: String, next: &str) -> Response {
    let cookie = AppendHeaders([(header::SET_COOKIE, cookie)]);
    (NO_STORE, cookie, Redirect::to(next)).into_response()
}

fn whole(page: &PageState, form: &Markup) -> Markup {
    let body =
        html! { main #content { h1 { "Log in" } (form) p { a href="/ui/" { "Overview" } } } };
    document(&page.assets, "Log in", &body)
}

fn form(next: Option<&str>, wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { p.notice.failed role="alert" { (wrong) } }
        form method="post" action=(PATH) data-once {
            input type="hidden" name="next" value=[next];
            div.fields {
                label {
                    "API key"
                    " " input type="password" name="key" required autofocus autocomplete="off" spellcheck="false";
                }
                button.primary { "Log in" }
            }
        }
        p.muted { "The key is not kept in the browser. You stay logged in for at most eight hours." }
    }
}

/// The view that a person is sent on to. Only views of this page are: a link to the form must not lead to
/// another site.
fn followed(next: Option<&str>) -> String {
    let overview = "/ui/".to_owned();
    let base = Url::parse("http://page.invalid").expect("a URL");
    // Read as a browser reads it, which takes `/\evil.example` for another host and resolves `..`.
    let Some(url) = next.and_then(|next| base.join(next).ok()) else {
        return overview;
    };
    let path = url.path();
    if url.origin() != base.origin() || !path.starts_with("/ui/") || path.starts_with(PATH) {
        return overview;
    }
    match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Proof that a key in the request is not sent over a network in clear: the browser runs beside the
/// service, or the public URL says that a proxy terminates TLS.
pub(super) struct Confidential;

impl FromRequestParts<PageState> for Confidential {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, page: &PageState) -> Result<Self, Failure> {
        let public_url = page.app.config.public_url.as_ref();
        let has_tls = public_url.is_some_and(|url| url.is_https());
        if has_tls || host(parts).is_some_and(is_loopback) {
            return Ok(Self);
        }
        let detail = "Your key would be sent over the network in clear. Open the page as localhost on the machine \
                      of the service, or through a proxy with TLS whose address the service knows by --public-url.";
        let title = "You cannot log in over plain HTTP";
        Err(Failure::new(StatusCode::FORBIDDEN, title, detail))
    }
}

/// Whether a host, as a browser names it, is the one on which the browser runs.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
