//! The OpenAPI description, checked by [schemathesis](https://schemathesis.readthedocs.io): it sends
//! requests that the description admits and requests that it excludes, and compares every answer with
//! it. What it checks, and what a schema cannot say, is in `tests/schemathesis`. The tests run if
//! `SCHEMATHESIS_PYTHON` names a Python with the package.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::key_file::{KeyFile, entry};
use crate::harness::skip::skip;
use crate::harness::{TestApp, project_path};

/// A run takes half a minute on an idle machine.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Checks a service against its description; fails with the whole report if there is a difference.
async fn check(python: &str, app: &TestApp, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let checked = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", "--no-color"])
        .arg(format!("{}/openapi.json", app.url))
        .args(arguments)
        .current_dir(project_path("tests/schemathesis"))
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let checked = timeout(TIMEOUT, checked).await.expect("the run ends");
    let checked = checked.unwrap();
    let report = String::from_utf8_lossy(&checked.stdout);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{report}{errors}");
}

fn python() -> Option<String> {
    let python = std::env::var("SCHEMATHESIS_PYTHON").ok();
    if python.is_none() {
        skip("no Python with schemathesis; name one in SCHEMATHESIS_PYTHON");
    }
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_without_keys_is_as_the_contract_says() {
    let Some(python) = python() else {
        return;
    };
    check(&python, &TestApp::spawn().await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_with_keys_is_as_the_contract_says() {
    let Some(python) = python() else {
        return;
    };
    let roles = "roles = [\"manager\", \"director\", \"vp\", \"cfo\"]";
    let keys = KeyFile::new(&[entry("checker", "acme", "ea_checker", roles)]);
    let header = "Authorization: Bearer ea_checker";
    check(&python, &keys.app().await, &["--header", header]).await;
}
