//! The local key: without a file of keys, the person who started the service gets a key made for the
//! life of the process. It has every role and acts for every tenant, but belongs to no person, so
//! a request to resolve an expense with it has to name who acts.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use strum::IntoEnumIterator;

use crate::domain::ruling::Role;
use crate::keys::{ApiKey, Digest, generate};

/// The id by which records and traces name it.
const ID: &str = "local";

/// The key itself, and its entry, like one of a file of keys.
#[derive(Clone, Debug)]
pub struct LocalKey {
    /// The key, to be shown once to the person who started the service.
    pub text: SecretString,
    /// Its entry.
    pub entry: Arc<ApiKey>,
}

impl LocalKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let text = generate()?;
        let entry = ApiKey {
            id: ID.to_owned(),
            tenant_id: None,
            digest: Digest::of(text.expose_secret()),
            roles: Role::iter().collect(),
            user_id: None,
            group: None,
            is_revoked: false,
            expires: None,
        };
        Ok(Self {
            text,
            entry: Arc::new(entry),
        })
    }
}
