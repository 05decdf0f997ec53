//! Who can do what with the set-up of `cargo run`, of Compose and of the cluster, each as it ships and with
//! API keys. The table in `docs/decisions.md` is compared with what is measured here.

use std::fs;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};

use super::{browser, built};
use crate::harness::expenses::{id_of, laptop, of_user, path_of, resolution_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{TestApp, config, project_path};

/// The settings that decide who can do what.
const SETTINGS: [&str; 6] = [
    "ALLOW_ANONYMOUS",
    "API_KEYS",
    "LISTEN",
    "LOCAL_KEY",
    "NO_PAGE",
    "PUBLIC_URL",
];

/// The flags that stand for the variables in a deployment file: `pattern` finds a name and its value.
fn flags(file: &str, pattern: &str) -> Vec<String> {
    let text = fs::read_to_string(project_path(file)).unwrap();
    let pattern = Regex::new(&format!("(?m){pattern}")).unwrap();
    let mut flags = Vec::new();
    for found in pattern.captures_iter(&text) {
        if !SETTINGS.contains(&&found[1]) {
            continue;
        }
        flags.push(format!("--{}", found[1].to_lowercase().replace('_', "-")));
        flags.extend((&found[2] != "true").then(|| found[2].to_owned()));
    }
    flags
}

/// The set-ups as they ship: their names, and what the settings make of the HTTP server.
fn setups() -> [(&'static str, HttpConfig); 3] {
    let compose = [
        flags("Dockerfile", r"EXPENSE_AGENT_([A-Z_]+)=(\S+)"),
        flags(
            "docker-compose.yml",
            r#"^ +EXPENSE_AGENT_([A-Z_]+): "?([^"\n]+)"?$"#,
        ),
    ];
    let cluster = flags(
        "k8s-manifest.yaml",
        r#"name: EXPENSE_AGENT_([A-Z_]+)\n +value: "?([^"\n]+)"?$"#,
    );
    let http = |flags: &[String]| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        built(&flags)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .http
    };
    [
        ("`cargo run`", http(&[])),
        ("Compose", http(&compose.concat())),
        ("Kubernetes", http(&cluster)),
    ]
}

/// The service of a set-up, on loopback, because tests open no other port.
async fn app(http: &HttpConfig, keys: Option<&KeyFile>) -> TestApp {
    let http = HttpConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        api_keys: keys.map(|keys| keys.path.clone()),
        ..http.clone()
    };
    TestApp::with(Config { http, ..config() }).await
}

/// What a caller can do, as the cells of the table.
async fn measured(app: &TestApp, key: Option<&str>, foreign: &Value) -> [&'static str; 4] {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let auth: Vec<_> = bearer
        .iter()
        .map(|bearer| ("authorization", bearer.as_str()))
        .collect();
    let read = app.get_with(&path_of(foreign), &auth).await.status;
    let view = format!("{}/ui/decisions/{}", app.url, id_of(foreign));
    let view = auth
        .iter()
        .fold(browser().get(view), |request, (name, value)| {
            request.header(*name, *value)
        });
    let view = view.send().await.unwrap().status().as_u16();
    let reads = match (read, view) {
        (200, 200) => "every decision",
        (404, 404) => "its own decisions",
        (401, 303) => "nothing",
        other => panic!("{other:?}"),
    };
    let handed_in = app.post_with(taxi(), &auth).await;
    let named = [&auth[..], &[("baggage", "tenant.id=zeta")]].concat();
    let tenant = app.post_with(taxi(), &named).await.body["tenant_id"].clone();
    let tenant = match tenant.as_str() {
        Some("zeta") => "the one that the request names",
        Some(_) => "that of the key",
        None => "none",
    };
    let own = app
        .post_with(of_user(laptop("600.00"), "mia"), &auth)
        .await
        .body;
    let withdraw = json!({"action": "withdraw", "reason": "A mistake."});
    let withdraws = own["id"].is_string()
        && app
            .post_to(&resolution_of(&own), withdraw, &auth)
            .await
            .status
            == 201;
    let approve = |actor: Option<&str>| {
        let mut body = json!({"action": "approve", "role": "cfo", "reason": "Agreed."});
        body["actor"] = actor.map_or(Value::Null, Value::from);
        body.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        body
    };
    let path = resolution_of(foreign);
    let alone = app.post_to(&path, approve(None), &auth).await;
    let approves = match alone.status {
        201 => "as its user",
        422 if app.post_to(&path, approve(Some("ben")), &auth).await.status == 201 => {
            "naming who acts"
        }
        _ => "no",
    };
    let resolves = match (approves, withdraws) {
        ("as its user", true) => "decisions of others; withdraws its own",
        ("naming who acts", false) => "every decision, naming who acts",
        ("no", true) => "nothing; withdraws its own",
        ("no", false) => "nothing",
        other => panic!("{other:?}"),
    };
    [
        reads,
        if handed_in.status == 201 { "yes" } else { "no" },
        resolves,
        tenant,
    ]
}

#[tokio::test]
async fn the_table_of_who_can_do_what_is_true_of_every_set_up() {
    let mut rows = Vec::new();
    for (setup, http) in setups() {
        let app = app(&http, None).await;
        let mut callers = vec![("without a key", None)];
        callers.extend(
            app.local_key
                .as_deref()
                .map(|key| ("with the local key", Some(key))),
        );
        for (caller, key) in callers {
            let foreign = app.post(of_user(laptop("600.00"), "zoe")).await.body;
            rows.push((setup, caller, measured(&app, key, &foreign).await));
        }
    }
    let all = "roles = [\"manager\", \"cfo\"]";
    let keys = KeyFile::new(&[
        entry("a", "acme", "ea_a", "user = \"mia\""),
        entry("b", "acme", "ea_b", &format!("{all}\nuser = \"mia\"")),
        entry("c", "acme", "ea_c", ""),
        entry("d", "acme", "ea_d", all),
    ]);
    for (caller, key) in [
        ("without a valid key", Some("ea_none")),
        ("the key of a person without a role", Some("ea_a")),
        ("the key of a person with a role", Some("ea_b")),
        ("the key of a program without a role", Some("ea_c")),
        ("the key of a program with a role", Some("ea_d")),
    ] {
        let mut found = Vec::new();
        for (_, http) in setups() {
            let app = app(&http, Some(&keys)).await;
            assert_eq!(app.local_key, None);
            let foreign = app
                .post_as("ea_c", of_user(laptop("600.00"), "zoe"))
                .await
                .body;
            found.push(measured(&app, key, &foreign).await);
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{caller}: {found:?}");
        rows.push(("with API keys", caller, found[0]));
    }
    let table: String = rows
        .iter()
        .map(|(setup, caller, cells)| format!("| {setup} | {caller} | {} |\n", cells.join(" | ")))
        .collect();
    let documents = fs::read_to_string(project_path("docs/decisions.md")).unwrap();
    assert!(
        documents.contains(&table),
        "docs/decisions.md should have the rows\n{table}"
    );
}

#[tokio::test]
async fn where_a_set_up_has_a_local_key_a_browser_can_log_in_with_it() {
    for (setup, http) in setups() {
        let app = app(&http, None).await;
        let Some(key) = &app.local_key else {
            assert_eq!(setup, "Kubernetes");
            continue;
        };
        let login = browser()
            .request(Method::POST, format!("{}/ui/login", app.url))
            .header("host", "localhost:8000")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={key}"));
        assert_eq!(login.send().await.unwrap().status(), 303, "{setup}");
    }
}
