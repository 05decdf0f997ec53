//! A folder of policies that a test changes while a service runs: file by file as with an editor, or
//! all at once as with a ConfigMap.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expense_agent::config::Config;
use tempfile::TempDir;

use super::{TestApp, config, poll, shipped_policies};

/// How long a reload may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Copies the shipped policies and tables.
pub(crate) fn copy_shipped(to: &Path) {
    std::fs::create_dir_all(to.join("tables")).unwrap();
    for name in [
        "meals.toml",
        "office.toml",
        "other.toml",
        "travel.toml",
        "tables/prices.toml",
        "tables/rates.toml",
    ] {
        std::fs::copy(shipped_policies().join(name), to.join(name)).unwrap();
    }
}

/// The text of a shipped file with `from` replaced by `to`.
pub(crate) fn shipped_with(file: &str, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(shipped_policies().join(file)).unwrap();
    assert!(text.contains(from), "{file} holds no {from}");
    text.replace(from, to)
}

/// A folder of policies.
pub(crate) struct PolicyFolder(TempDir);

impl PolicyFolder {
    /// The shipped policies, as plain files.
    pub(crate) fn shipped() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        copy_shipped(folder.path());
        folder
    }

    /// The shipped policies, mounted as Kubernetes mounts a ConfigMap: links to a folder that is
    /// swapped as a whole.
    pub(crate) fn mounted() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.publish("..first", copy_shipped);
        for name in [
            "meals.toml",
            "office.toml",
            "other.toml",
            "travel.toml",
            "tables",
            "tenants",
        ] {
            symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        folder
    }

    /// Replaces the content of a mounted ConfigMap, in the same steps as the kubelet.
    pub(crate) fn publish(&self, version: &str, fill: impl FnOnce(&Path)) {
        let at = |name: &str| self.path().join(name);
        let former = std::fs::read_link(at("..data")).ok();
        fill(&at(version));
        symlink(version, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if let Some(former) = former {
            std::fs::remove_dir_all(self.path().join(former)).unwrap();
        }
    }

    /// Writes a file atomically, as careful editors do, and creates the folders above it.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path: PathBuf = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let next = self.path().join(".next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, path).unwrap();
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Its path, for a command line.
    pub(crate) fn name(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Settings for a service with these policies.
    pub(crate) fn config(&self) -> Config {
        Config {
            policies: self.path().to_owned(),
            ..config()
        }
    }

    /// A service with these policies.
    pub(crate) async fn app(&self) -> TestApp {
        TestApp::with(self.config()).await
    }
}

/// Waits until `/v1/policies` contains a text for a tenant.
pub(crate) async fn wait_for_policy_text(app: &TestApp, tenant: &str, text: &str) {
    let baggage = format!("tenant.id={tenant}");
    poll::until(TIMEOUT, text, async || {
        let policies = app
            .get_with("/v1/policies", &[("baggage", &baggage)])
            .await
            .body;
        if policies.to_string().contains(text) {
            Ok(())
        } else {
            Err(policies["policies"][0]["rules"].clone())
        }
    })
    .await;
}

/// Waits until the policies check of `/readyz` starts with a text, and returns all of its text. Panics
/// if the service is not ready.
pub(crate) async fn wait_for_policies_check(url: &str, expected: &str) -> String {
    poll::until_check(TIMEOUT, url, "policies", expected).await
}
