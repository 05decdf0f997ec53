//! API keys: the holder of a valid key acts for its tenant and for no other. This file defines what
//! a key is and how one is found; `parse` reads the file of keys, `local` makes the key of a service
//! without such a file, `access` authenticates a request, and `identity` decides whom the request is for.

pub mod access;
pub mod identity;
pub mod local;
pub mod parse;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::ruling::Role;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::read;

/// The prefix of every key, by which people and secret scanners recognise one.
const PREFIX: &str = "ea_";

/// The SHA-256 of a key. A key is 256 random bits, so it cannot be guessed from its hash and needs
/// neither salt nor stretching, which protect passwords. Stretching would also let
/// unauthenticated callers keep the processor busy.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a key, its prefix included: what `printf %s KEY | sha256sum` prints.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// In constant time, so that the time of a comparison does not reveal how much of a digest matched.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

/// An entry of the file of keys, or that of the local key. It holds the digest of the key, never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its unique name, safe to show in logs and traces.
    pub id: String,
    /// The tenant that its holder acts for; `None` for the local key, with which each request names its
    /// tenant.
    pub tenant_id: Option<String>,
    /// The digest of the key.
    pub digest: Digest,
    /// The roles in which its holder may resolve decisions.
    pub roles: Vec<Role>,
    /// The person who holds it, and is the actor of resolutions made with it; `None` when a program
    /// holds it for several people.
    pub user_id: Option<String>,
    /// The group of employees that the person who holds it belongs to, or for a program, that of all
    /// whose expenses it hands in.
    pub group: Option<String>,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// The last day, in UTC, on which it is valid.
    pub expires: Option<Date>,
}

impl ApiKey {
    /// Whether the key is valid on a day.
    pub fn is_valid(&self, day: Date) -> bool {
        !self.is_revoked && self.expires.is_none_or(|last| day <= last)
    }
}

/// All keys of a file, including revoked and expired ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(pub Vec<Arc<ApiKey>>);

/// A file of keys as it was read, not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    text: Result<String, Diagnostics>,
}

impl KeyFile {
    /// Reads a file. If that fails, [`ApiKeys::parse`] returns the error.
    pub fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            text: read(
                path,
                "name a file of keys; `keys new` prints an entry for one",
            ),
        }
    }
}

/// In a few words, for `/readyz` and the log.
impl fmt::Display for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.0.len())
    }
}

impl ApiKeys {
    /// The keys of a file.
    ///
    /// # Errors
    /// With all diagnostics of the file, not just the first.
    pub fn parse(file: &KeyFile) -> Result<Self, Diagnostics> {
        parse::parse(&file.path, file.text.as_ref().map_err(Diagnostics::clone)?)
    }

    /// The entry of a key, valid or not. Every digest is compared, even after a match, so that the
    /// time this takes reveals neither whether a key exists nor which one it is.
    pub fn find(&self, text: &str) -> Option<&Arc<ApiKey>> {
        let digest = Digest::of(text);
        self.0.iter().fold(None, |found, key| {
            if key.digest == digest {
                Some(key)
            } else {
                found
            }
        })
    }
}

/// Generates a new key from 256 random bits.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn generate() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)).into())
}

/// A default id for a key: the beginning of its digest, which is in the file anyway.
pub fn default_id(key: &SecretString) -> String {
    format!("key-{}", &Digest::of(key.expose_secret()).to_string()[..8])
}
