//! API keys: whoever shows one that is in force acts for its tenant and for no other. What a key is
//! and how one is found stands here, the file of keys in `parse`, and who a request comes from in
//! `access`.

pub mod access;
pub mod identity;
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

/// What every key begins with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "ea_";

/// The SHA-256 of a key. A key is 256 random bits, so nobody guesses his way back from its hash: it
/// needs neither salt nor stretching, which are for passwords, and stretching would let strangers
/// keep the processor busy.
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

/// Two digests are compared in constant time or not at all, so no comparison can tell by its time
/// how much was right.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

/// One key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What people call it: unique, fit for logs and traces.
    pub id: String,
    /// Whom its holder acts for.
    pub tenant_id: String,
    /// What tells it from others.
    pub digest: Digest,
    /// What its holder may approve.
    pub roles: Vec<Role>,
    /// The person who holds it, who then signs what he settles; absent when a program holds it for
    /// several.
    pub user_id: Option<String>,
    /// Whether it was taken back.
    pub is_revoked: bool,
    /// The last day, in UTC, on which it counts.
    pub expires: Option<Date>,
}

impl ApiKey {
    /// Whether the key counts on a day.
    pub fn is_valid(&self, day: Date) -> bool {
        !self.is_revoked && self.expires.is_none_or(|last| day <= last)
    }
}

/// All keys of a file, those no longer in force included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(pub Vec<Arc<ApiKey>>);

/// A file of keys, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    text: Result<String, Diagnostics>,
}

impl KeyFile {
    /// Reads a file; that it cannot be read shows when its keys are asked for.
    pub fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            text: read(path, "name a file of keys, such as `keys new` begins"),
        }
    }
}

/// In a few words.
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

    /// The key that a text is, in force or not. Every digest is compared, also after a match, so
    /// the time this takes tells neither whether there is one nor which.
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

/// Makes a new key.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn generate() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)).into())
}

/// An id for a key that nobody named: the beginning of its digest, which is in the file anyway.
pub fn default_id(key: &SecretString) -> String {
    format!("key-{}", &Digest::of(key.expose_secret()).to_string()[..8])
}
