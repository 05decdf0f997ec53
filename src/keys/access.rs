//! Authentication: the headers of a request in, a [`Caller`] out. Whom the request is then for is
//! decided in `identity`, and how a refused caller is answered in `http::admission`.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::clock::Clock;
use crate::keys::{ApiKey, ApiKeys};
use crate::reload::Reloaded;

/// Who may use the service.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everyone who can reach it.
    Anonymous,
    /// Holders of a valid API key.
    Keyed {
        /// The keys of the file, reloaded when it changes.
        keys: Reloaded<ApiKeys>,
        /// Gives the current day, which decides whether a key has expired.
        clock: Clock,
    },
}

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anyone: the service requires no keys.
    Anonymous,
    /// The holder of a valid key.
    Holder(Arc<ApiKey>),
    /// A caller without a valid key; holds the entry of a key that is in the file, but is revoked
    /// or expired.
    Refused(Option<Arc<ApiKey>>),
}

impl Access {
    /// The caller of a request with these headers.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        let Self::Keyed { keys, clock } = self else {
            return Caller::Anonymous;
        };
        // Unknown, revoked, expired and valid keys take the same path up to here, so that timing
        // does not distinguish them.
        match bearer(headers).and_then(|text| keys.now().value.find(text).cloned()) {
            Some(key) if key.is_valid(clock.today()) => Caller::Holder(key),
            invalid => Caller::Refused(invalid),
        }
    }
}

/// The key of the `Authorization: Bearer` header. Two such headers are ambiguous, and count as
/// none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// In a few words, for `/readyz` and the log.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Keyed { keys, .. } = self else {
            return f.write_str("off");
        };
        keys.now().fmt(f)
    }
}
