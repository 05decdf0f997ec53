//! Who a request comes from: with keys, whoever holds the one it shows; without, whoever it says.
//! Headers in, a [`Caller`] out; what is answered to one who is refused stands in `http`.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::clock::Clock;
use crate::keys::{ApiKey, ApiKeys};
use crate::reload::Reloaded;

/// Who is let in.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everyone who reaches the service.
    Anonymous,
    /// Whoever shows a key that is in force.
    Keyed {
        /// The keys there are.
        keys: Reloaded<ApiKeys>,
        /// Tells whether a key has expired.
        clock: Clock,
    },
}

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody is asked for a key, so it is whoever he says he is.
    Anonymous,
    /// The holder of a key that is in force.
    Holder(Arc<ApiKey>),
    /// Nobody who may come in; the key he shows, if it is one of those there are.
    Refused(Option<Arc<ApiKey>>),
}

impl Access {
    /// Who a request with these headers comes from.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        let Self::Keyed { keys, clock } = self else {
            return Caller::Anonymous;
        };
        // A key that is unknown, revoked or expired goes the same way up to here as one that is in
        // force.
        match bearer(headers).and_then(|text| keys.now().value.find(text).cloned()) {
            Some(key) if key.is_valid(clock.today()) => Caller::Holder(key),
            former => Caller::Refused(former),
        }
    }
}

/// The key of an `Authorization: Bearer` header. Two such headers leave open which one is meant.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// In a few words, for people who ask whether the keys are those of the file.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Keyed { keys, .. } = self else {
            return f.write_str("off");
        };
        keys.now().fmt(f)
    }
}
