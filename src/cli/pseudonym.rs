//! `pseudonym`: prints the name by which traces show a user, for people who search traces. Also loads
//! the key from which `serve` makes pseudonyms.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use crate::config::Config;
use crate::ledger::Store;
use crate::redact::pseudonym::{Pseudonyms, USER, new_key};

/// The file of the key, in the folder of an SQLite ledger.
const KEY_FILE: &str = "pseudonym.key";

/// Prints the name by which traces and logs show a user.
///
/// # Errors
/// When the key is not stored, or cannot be read.
pub fn run(config: &Config, user_id: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(pseudonyms) = load(config)? else {
        bail!(
            "a Postgres ledger stores no key; set EXPENSE_AGENT_PSEUDONYM_KEY for this command \
             and for the service"
        );
    };
    writeln!(out, "{}", pseudonyms.name(USER, user_id))?;
    Ok(())
}

/// The pseudonyms that a service with these settings uses; `None` if no key is stored. The service
/// then generates a key that is lost when its process ends.
///
/// # Errors
/// When the key beside the ledger can be neither read nor created.
pub fn load(config: &Config) -> anyhow::Result<Option<Pseudonyms>> {
    let key = match (&config.pseudonym_key, &config.store) {
        (Some(key), _) => key.clone(),
        (None, Store::Sqlite(folder)) => stored_key(folder)?,
        (None, Store::Postgres(_)) => return Ok(None),
    };
    Ok(Some(Pseudonyms::new(key)))
}

/// The key in a folder, created on first use.
fn stored_key(folder: &Path) -> anyhow::Result<SecretString> {
    let path = folder.join(KEY_FILE);
    if !path.exists() {
        make_key(folder, &path).with_context(|| format!("{} cannot be created", path.display()))?;
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    match text.trim() {
        "" => bail!("{} is empty; delete it to get a new key", path.display()),
        key => Ok(key.into()),
    }
}

/// Creates the file as a whole or not at all, and never replaces one that another process has
/// created meanwhile.
fn make_key(folder: &Path, path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", new_key()?.expose_secret())?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
