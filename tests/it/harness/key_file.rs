//! A file of API keys, which a test can replace while a service runs.

use std::path::PathBuf;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::keys::{Digest, parse};
use tempfile::TempDir;

use super::store::TestStore;
use super::{TestApp, config, http_config};

/// The entry of a key, followed by the lines `more`.
pub(crate) fn entry(id: &str, tenant: &str, key: &str, more: &str) -> String {
    format!(
        "{}{more}\n\n",
        parse::entry(id, tenant, Digest::of(key), &[], None, None)
    )
}

/// A file of keys in a folder of its own.
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    folder: TempDir,
}

impl KeyFile {
    /// A file that holds these entries.
    pub(crate) fn new(entries: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self {
            path: folder.path().join("keys.toml"),
            folder,
        };
        file.replace(entries);
        file
    }

    /// Replaces the file atomically, as an operator replaces a file in use.
    pub(crate) fn replace(&self, entries: &[String]) {
        let next = self.folder.path().join("next.toml");
        std::fs::write(&next, entries.concat()).unwrap();
        std::fs::rename(next, &self.path).unwrap();
    }

    /// Its path, for a command line.
    pub(crate) fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The configuration of a service that accepts these keys.
    pub(crate) fn http_config(&self) -> HttpConfig {
        HttpConfig {
            api_keys: Some(self.path.clone()),
            ..http_config()
        }
    }

    /// A service that accepts these keys, on a ledger that outlives it.
    pub(crate) async fn app_on(&self, store: &TestStore) -> TestApp {
        TestApp::with(Config {
            http: self.http_config(),
            store: store.store.clone(),
            ..config()
        })
        .await
    }

    /// A service that accepts these keys.
    pub(crate) async fn app(&self) -> TestApp {
        TestApp::with(Config {
            http: self.http_config(),
            ..config()
        })
        .await
    }
}
