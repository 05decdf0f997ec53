//! Authentication: the headers of a request in, a [`Caller`] out. Whom the request is then for is
//! decided in `identity`, and how a refused caller is answered in `http::admission`.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::clock::Clock;
use crate::keys::local::LocalKey;
use crate::keys::{ApiKey, ApiKeys, Digest};
use crate::reload::Reloaded;

/// Who may use the service.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everyone who can reach it. Only the holder of the local key, if there is one, has roles.
    Anonymous {
        /// The key that was made when the service started.
        local_key: Option<LocalKey>,
    },
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
    /// Anyone: the service requires no keys, and the caller does not hold the local key.
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
        // Unknown, revoked, expired and valid keys take the same path up to here, so that timing
        // does not distinguish them.
        let known = bearer(headers).and_then(|text| self.find(text));
        match (self, known) {
            (_, Some(key)) if self.is_valid(&key) => Caller::Holder(key),
            (Self::Keyed { .. }, invalid) => Caller::Refused(invalid),
            (Self::Anonymous { .. }, _) => Caller::Anonymous,
        }
    }

    /// The entry of a key, valid or not.
    fn find(&self, text: &str) -> Option<Arc<ApiKey>> {
        match self {
            Self::Keyed { keys, .. } => keys.now().value.find(text).cloned(),
            Self::Anonymous { local_key } => {
                let entry = &local_key.as_ref()?.entry;
                (entry.digest == Digest::of(text)).then(|| Arc::clone(entry))
            }
        }
    }

    /// The entry of a key that is valid now. Takes the same time for every text of a length.
    pub fn valid_key(&self, text: &str) -> Option<Arc<ApiKey>> {
        self.find(text).filter(|key| self.is_valid(key))
    }

    /// The entry of this id, if the key is valid now.
    pub fn valid_key_by_id(&self, id: &str) -> Option<Arc<ApiKey>> {
        let entry = match self {
            Self::Keyed { keys, .. } => keys.now().value.0.iter().find(|key| key.id == id).cloned(),
            Self::Anonymous { local_key } => {
                let local = local_key.as_ref().map(|key| Arc::clone(&key.entry));
                local.filter(|key| key.id == id)
            }
        };
        entry.filter(|key| self.is_valid(key))
    }

    /// Whether the caller of an earlier request would still be the same caller: the entry of its key has
    /// not changed, and the key is valid now.
    pub fn still_admits(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Anonymous => !self.requires_key(),
            Caller::Holder(key) => self.valid_key_by_id(&key.id).as_ref() == Some(key),
            Caller::Refused(_) => false,
        }
    }

    fn is_valid(&self, key: &ApiKey) -> bool {
        match self {
            Self::Keyed { clock, .. } => key.is_valid(clock.today()),
            Self::Anonymous { .. } => true,
        }
    }

    /// Whether every caller needs a key.
    pub fn requires_key(&self) -> bool {
        matches!(self, Self::Keyed { .. })
    }

    /// The local key, if there is one.
    pub fn local_key(&self) -> Option<&LocalKey> {
        match self {
            Self::Anonymous { local_key } => local_key.as_ref(),
            Self::Keyed { .. } => None,
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
