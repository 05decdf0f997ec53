//! Pseudonyms for user ids that are personal data, such as e-mail addresses. The same id gets the
//! same pseudonym in all telemetry of all replicas, in any spelling, and cannot be recovered without
//! the key. An id that is not personal data is left as it is.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::redact;
use crate::spelling;

/// Bytes of the keyed hash in a pseudonym: enough to distinguish a few million people.
const SHOWN_BYTES: usize = 8;

/// The role of people.
pub const USER: &str = "user";

/// Makes a new key.
///
/// # Errors
/// When the operating system cannot provide random bytes.
pub fn new_key() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes).into())
}

/// Makes pseudonyms with one key.
#[derive(Clone)]
pub struct Pseudonyms(SecretString);

impl Pseudonyms {
    /// Uses a key. The same key always makes the same pseudonyms.
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// Uses a new random key, so that pseudonyms differ from those of any other process.
    ///
    /// # Errors
    /// When the operating system cannot provide random bytes.
    pub fn with_random_key() -> Result<Self, getrandom::Error> {
        new_key().map(Self)
    }

    /// A key for another purpose, from which this one cannot be found. Whoever shares the key of the
    /// pseudonyms, as replicas do, gets the same one.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        let mut hash = self.keyed_hash();
        // No id of a person that is hashed as a pseudonym begins with a control character.
        hash.update(b"\0");
        hash.update(purpose.as_bytes());
        hash.finalize().into_bytes().into()
    }

    fn keyed_hash(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes())
            .expect("HMAC takes keys of any length")
    }

    /// The id in telemetry: the id itself, or if it is personal data, `role` and a keyed hash
    /// (HMAC-SHA-256).
    pub fn name<'a>(&self, role: &str, id: &'a str) -> Cow<'a, str> {
        if redact(id) == id {
            return id.into();
        }
        let mut hash = self.keyed_hash();
        // A person is one person in every spelling. Other ids have one already, or none.
        hash.update(
            match role {
                USER => spelling::person(id),
                _ => id.into(),
            }
            .as_bytes(),
        );
        format!(
            "{role}-{}",
            hex::encode(&hash.finalize().into_bytes()[..SHOWN_BYTES])
        )
        .into()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}
