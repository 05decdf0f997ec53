//! A policies folder of a test's own.

use std::path::{Path, PathBuf};

use expense_agent::config::Config;
use tempfile::TempDir;

use super::{TestApp, config, shipped_policies};

/// Copies the shipped policies and tables.
pub(crate) fn copy_shipped(to: &Path) {
    std::fs::create_dir_all(to.join("tables")).unwrap();
    for name in ["meals.toml", "office.toml", "other.toml", "travel.toml", "tables/prices.toml", "tables/rates.toml"] {
        std::fs::copy(shipped_policies().join(name), to.join(name)).unwrap();
    }
}

/// The text of a shipped file with one thing written otherwise.
pub(crate) fn shipped_but(file: &str, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(shipped_policies().join(file)).unwrap();
    assert!(text.contains(from), "{file} holds no {from}");
    text.replace(from, to)
}

/// A folder of policies.
pub(crate) struct PolicyFolder(TempDir);

impl PolicyFolder {
    /// What ships, as plain files.
    pub(crate) fn shipped() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        copy_shipped(folder.path());
        folder
    }

    /// Writes a file and the folders above it, in one go as a careful editor does.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path: PathBuf = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let next = self.path().join(".next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, path).unwrap();
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The same, for a command line.
    pub(crate) fn name(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Settings for a service with these policies.
    pub(crate) fn config(&self) -> Config {
        Config { policies: self.path().to_owned(), ..config() }
    }

    /// A service with these policies.
    pub(crate) async fn app(&self) -> TestApp {
        TestApp::with(self.config()).await
    }
}
