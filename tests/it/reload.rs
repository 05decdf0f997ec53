//! Reloading of API keys while the service runs: the file is read again periodically and on SIGHUP,
//! it is applied as a whole or not at all, and an invalid file changes only what `/readyz` says.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;

use crate::harness::binary::Service;
use crate::harness::expenses::taxi;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{TestApp, config, http_config, poll};

/// How long a reload may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(20);
const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

/// Waits until posting an expense with a key returns a status.
async fn wait_for_status(app: &TestApp, key: &str, status: u16) {
    poll::until(TIMEOUT, &format!("{status} for {key}"), async || {
        let reply = app.post_as(key, taxi()).await;
        if reply.status == status {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;
}

/// Waits until the API keys check of `/readyz` starts with a text.
async fn wait_for_keys_check(url: &str, expected: &str) {
    poll::until_check(TIMEOUT, url, "api_keys", expected).await;
}

#[tokio::test]
async fn keys_are_added_rotated_and_revoked_without_a_restart() {
    let old = entry("old", "acme", "ea_old", "");
    let file = KeyFile::new(std::slice::from_ref(&old));
    let app = file.app().await;
    wait_for_status(&app, "ea_old", 201).await;
    assert_eq!(app.post_as("ea_new", taxi()).await.status, 401);

    // Both are valid during the rotation, and both belong to the same tenant.
    file.replace(&[old, entry("new", "acme", "ea_new", "")]);
    wait_for_status(&app, "ea_new", 201).await;
    let mine = app
        .get_with("/v1/expenses", &[("authorization", "Bearer ea_new")])
        .await
        .body;
    assert_eq!(mine["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(app.post_as("ea_old", taxi()).await.status, 201);

    file.replace(&[
        entry("old", "acme", "ea_old", "revoked = true"),
        entry("new", "acme", "ea_new", ""),
    ]);
    wait_for_status(&app, "ea_old", 401).await;
    assert_eq!(app.post_as("ea_new", taxi()).await.status, 201);

    file.replace(&[
        entry("new", "acme", "ea_new", "expires = \"2000-01-01\""),
        entry("z", "zeta", "ea_zeta", ""),
    ]);
    wait_for_status(&app, "ea_new", 401).await;
    assert_eq!(
        app.post_as("ea_zeta", taxi()).await.body["tenant_id"],
        "zeta"
    );
}

#[tokio::test]
async fn a_mounted_secret_that_swaps_its_links_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let publish = |version: &str, entries: String| {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("keys.toml"), entries).unwrap();
        std::os::unix::fs::symlink(version, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..first", entry("a", "acme", "ea_first", ""));
    std::os::unix::fs::symlink("..data/keys.toml", at("keys.toml")).unwrap();
    let app = TestApp::with(Config {
        http: HttpConfig {
            api_keys: Some(at("keys.toml")),
            ..http_config()
        },
        ..config()
    })
    .await;
    assert_eq!(app.post_as("ea_first", taxi()).await.status, 201);
    publish("..second", entry("a", "acme", "ea_second", ""));
    wait_for_status(&app, "ea_second", 201).await;
    assert_eq!(app.post_as("ea_first", taxi()).await.status, 401);
}

#[tokio::test]
async fn sighup_reloads_the_keys_at_once() {
    let file = KeyFile::new(&[entry("a", "acme", "ea_first", "")]);
    let service = Service::start(
        &["--api-keys", file.name(), "--reload-interval", "1h"],
        &[QUIET],
    )
    .await;
    wait_for_keys_check(&service.url, "1 loaded").await;
    assert_eq!(service.post(taxi()).await.0, 401);
    file.replace(&[
        entry("a", "acme", "ea_first", ""),
        entry("b", "acme", "ea_second", ""),
    ]);
    service.signal("HUP").await;
    wait_for_keys_check(&service.url, "2 loaded").await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
}

#[tokio::test]
async fn an_invalid_file_leaves_the_loaded_keys_in_use_and_is_logged_once() {
    let good = entry("a", "acme", "ea_good", "");
    let file = KeyFile::new(std::slice::from_ref(&good));
    let arguments = ["--api-keys", file.name(), "--reload-interval", "10ms"];
    let service = Service::start(&arguments, &[QUIET]).await;
    let stale = format!("stale: {}:", file.name());

    file.replace(&[
        entry("b", "acme", "ea_new", ""),
        "[[key]]\nid = \"c\"\n".to_owned(),
    ]);
    wait_for_keys_check(
        &service.url,
        &format!("{stale}7: `tenant` is missing; write"),
    )
    .await;
    let client = reqwest::Client::new();
    let list = async |key: &str| {
        let request = client
            .get(format!("{}/v1/expenses", service.url))
            .bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };
    // The file is read many times meanwhile.
    for _ in 0..20 {
        assert_eq!(list("ea_good").await, 200);
        assert_eq!(
            list("ea_new").await,
            401,
            "a file is applied as a whole or not at all"
        );
    }
    file.replace(&["no toml".to_owned()]);
    wait_for_keys_check(&service.url, &format!("{stale}1: is not TOML")).await;
    std::fs::remove_file(&file.path).unwrap();
    wait_for_keys_check(&service.url, &format!("{stale} cannot be read")).await;
    assert_eq!(list("ea_good").await, 200);
    file.replace(&[good, entry("b", "acme", "ea_new", "")]);
    wait_for_keys_check(&service.url, "2 loaded").await;
    assert_eq!(list("ea_new").await, 200);

    let (_, log) = service.stop().await;
    let warnings = log
        .lines()
        .filter(|line| line.contains("API keys cannot be reloaded"))
        .count();
    assert_eq!(warnings, 3, "one for each change: {log}");
    assert_eq!(log.matches("API keys reloaded").count(), 1, "{log}");
}
