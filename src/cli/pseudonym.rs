//! `pseudonym`: what a user is called in traces, for whoever searches them; and the key that
//! `serve` names people with.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use crate::config::Config;
use crate::ledger::Store;
use crate::redact::pseudonym::{Pseudonyms, new_key};

/// The file of the key, in the folder of an SQLite ledger.
const KEY_FILE: &str = "pseudonym.key";

/// Prints what a user is called in traces and logs.
///
/// # Errors
/// When there is no key that outlives a process, or it cannot be read.
pub fn run(config: &Config, user_id: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(pseudonyms) = load(config)? else {
        bail!(
            "no key is kept beside a Postgres; set EXPENSE_AGENT_PSEUDONYM_KEY, for this and for the service"
        );
    };
    writeln!(out, "{}", pseudonyms.name("user", user_id))?;
    Ok(())
}

/// The names that a service with these settings gives; `None` when it has to make a key that ends
/// with it.
///
/// # Errors
/// When the key beside the ledger can be neither read nor made.
pub fn load(config: &Config) -> anyhow::Result<Option<Pseudonyms>> {
    let key = match (&config.pseudonym_key, &config.store) {
        (Some(key), _) => key.clone(),
        (None, Store::Sqlite(folder)) => kept_key(folder)?,
        (None, Store::Postgres(_)) => return Ok(None),
    };
    Ok(Some(Pseudonyms::new(key)))
}

/// The key in a folder, made at the first time.
fn kept_key(folder: &Path) -> anyhow::Result<SecretString> {
    let path = folder.join(KEY_FILE);
    if !path.exists() {
        make_key(folder, &path).with_context(|| format!("{} cannot be made", path.display()))?;
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    match text.trim() {
        "" => bail!("{} is empty; delete it for a new key", path.display()),
        key => Ok(key.into()),
    }
}

/// As a whole or not at all, and never over one that another process has made meanwhile.
fn make_key(folder: &Path, path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", new_key()?.expose_secret())?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
