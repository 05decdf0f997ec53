//! Names for people whose ids are personal data: the same id gets the same name in every sink of
//! every replica, and without the key nobody finds the way back. An id that is no personal data
//! stays what it is.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::redact;

/// Bytes of the code that a name shows: enough to tell a few million people apart.
const SHOWN_BYTES: usize = 8;

/// Makes a new key.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_key() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes).into())
}

/// Gives names.
#[derive(Clone)]
pub struct Pseudonyms(SecretString);

impl Pseudonyms {
    /// Names by a key: whoever has the same key gives the same names.
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// Names by a key that nobody else ever has.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn of_a_new_key() -> Result<Self, getrandom::Error> {
        new_key().map(Self)
    }

    /// What an id is called outside: itself, or where it is personal data, `role` and a keyed code
    /// (HMAC-SHA-256).
    pub fn name<'a>(&self, role: &str, id: &'a str) -> Cow<'a, str> {
        if redact(id) == id {
            return id.into();
        }
        let mut code = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes())
            .expect("HMAC takes keys of any length");
        code.update(id.as_bytes());
        format!(
            "{role}-{}",
            hex::encode(&code.finalize().into_bytes()[..SHOWN_BYTES])
        )
        .into()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}
