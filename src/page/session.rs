//! Sessions of the browser: a person shows an API key once, and a signed cookie names it from then on. The
//! cookie holds the id of the key and when the session ends, and is signed over both and the digest of
//! the key. So nothing is stored: the key is looked up again for every request, and a session ends with
//! its key, whether that is revoked, rotated or expired, or local to a process that has ended.
//!
//! The API reads no cookie; the page adds the caller that a cookie stands for to the request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::keys::ApiKey;
use crate::keys::access::{Access, Caller};
use crate::page::failure::Failure;
use crate::page::{PageState, login};
use crate::redact::pseudonym::Pseudonyms;

/// The name of the cookie.
const COOKIE: &str = "ea_session";
/// Where browsers send it: to the page, never to the API.
const PATH: &str = "/ui";
/// How long a session lasts at most: a day of work.
const LIFETIME: SignedDuration = SignedDuration::from_hours(8);
/// Distinguishes the signatures of sessions from all else that is made with the key of the pseudonyms.
const PURPOSE: &str = "session of the page";

/// Begins sessions, and finds whose they are.
pub(crate) struct Sessions {
    /// Replicas share it, because they share the key of the pseudonyms.
    signing_key: [u8; 32],
    /// Whether browsers send the cookie over TLS only.
    is_secure: bool,
}

impl Sessions {
    pub(super) fn new(pseudonyms: &Pseudonyms, is_secure: bool) -> Self {
        Self {
            signing_key: pseudonyms.key_for(PURPOSE),
            is_secure,
        }
    }

    /// The cookie of a new session with a key.
    pub(super) fn begin(&self, key: &ApiKey, now: Timestamp) -> String {
        let ends = now.as_second() + LIFETIME.as_secs();
        let signature = self.signature(key, ends).finalize().into_bytes();
        let value = format!("{}.{ends}.{}", key.id, hex::encode(signature));
        self.cookie(value, LIFETIME)
    }

    /// The cookie that replaces the one of a session, so that the browser deletes it.
    pub(super) fn end(&self) -> String {
        self.cookie(String::new(), SignedDuration::ZERO)
    }

    fn cookie(&self, value: String, lifetime: SignedDuration) -> String {
        let max_age = cookie::time::Duration::seconds(lifetime.as_secs());
        Cookie::build((COOKIE, value))
            .path(PATH)
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure)
            .max_age(max_age)
            .to_string()
    }

    /// The key of the session that a request belongs to. Another service on this host can set a cookie of
    /// this name too, so a cookie that is not ours is passed over; sessions with two keys are ambiguous
    /// and count as none.
    fn key(&self, headers: &HeaderMap, access: &Access, now: Timestamp) -> Option<Arc<ApiKey>> {
        let lines = headers.get_all(header::COOKIE).iter();
        let cookies = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(Cookie::split_parse)
            .flatten();
        let mut keys = cookies
            .filter(|cookie| cookie.name() == COOKIE)
            .filter_map(|cookie| self.verified(cookie.value(), access, now));
        let first = keys.next()?;
        keys.all(|other| other.id == first.id).then_some(first)
    }

    /// The key that the value of a cookie names, if the session goes on.
    fn verified(&self, value: &str, access: &Access, now: Timestamp) -> Option<Arc<ApiKey>> {
        let (rest, signature) = value.rsplit_once('.')?;
        let (id, ends) = rest.rsplit_once('.')?;
        let ends: i64 = ends.parse().ok()?;
        let signature = hex::decode(signature).ok()?;
        let key = access.valid_key_by_id(id)?;
        // `verify_slice` compares in constant time.
        let is_ours = self.signature(&key, ends).verify_slice(&signature).is_ok();
        (is_ours && now.as_second() < ends).then_some(key)
    }

    fn signature(&self, key: &ApiKey, ends: i64) -> Hmac<Sha256> {
        let hash = Hmac::<Sha256>::new_from_slice(&self.signing_key);
        let mut hash = hash.expect("HMAC takes keys of any length");
        // The id of a key contains no dot, so no two of these texts are equal.
        hash.update(format!("{}.{ends}.{}", key.id, key.digest).as_bytes());
        hash
    }
}

/// Adds the caller to a request for a view. Where keys are required, a browser without a session is sent
/// to the form that takes one, and comes back afterwards.
pub(super) async fn authenticate(
    State(page): State<PageState>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match page.app.access.caller(request.headers()) {
        Caller::Holder(key) => Caller::Holder(key),
        without_key => {
            let (access, now) = (&page.app.access, page.app.clock.now());
            let key = page.sessions.key(request.headers(), access, now);
            key.map_or(without_key, Caller::Holder)
        }
    };
    if !matches!(caller, Caller::Refused(_)) {
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let view = request.uri().path_and_query();
        let view = view.map_or("/ui/", |view| view.as_str());
        return Redirect::to(&login::href(view)).into_response();
    }
    let detail =
        "You are not logged in any more, so nothing was changed. Log in, and send it again.";
    Failure::new(StatusCode::UNAUTHORIZED, "Your session has ended", detail).into_response()
}
