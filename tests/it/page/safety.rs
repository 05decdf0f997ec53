//! What holds of every view: its headers and its weight, that no text becomes markup, and how methods,
//! paths and a ledger that cannot be read are answered.

use std::io::Write;
use std::sync::{Arc, Mutex};

use expense_agent::config::Config;
use regex::Regex;
use serde_json::json;

use super::assets::assets;
use super::{MARKUP, encoded, send_form, view};
use crate::harness::store::TestStore;
use crate::harness::{TestApp, config};

/// The views that need no decision.
const VIEWS: [&str; 4] = ["/ui/", "/ui/decisions", "/ui/review", "/ui/policies"];
/// The bytes that a view may have with everything that it loads.
const MAX_BYTES: usize = 100_000;

/// A service with a decision that has hostile texts wherever a person may write one.
async fn with_hostile_texts() -> (TestApp, String) {
    let app = TestApp::spawn().await;
    let decision = app
        .decide(json!({
            "transaction": format!("{MARKUP} \u{202e}txet\nof two lines"),
            "merchant": MARKUP,
            "category_hint": MARKUP,
            "trip_id": MARKUP,
            "user_id": MARKUP,
            "amount": "5.00",
        }))
        .await;
    let path = format!("/ui/decisions/{}", decision["id"].as_str().unwrap());
    (app, path)
}

/// Fails if a document has anything that could run or that the policy of its headers forbids.
fn assert_inert(html: &str, path: &str) {
    for pattern in [
        "<script>alert",
        "<img",
        r#"\sstyle\s*="#,
        r#"<[^>"']*("[^"]*"[^>"']*)*\son[a-z]+\s*="#,
        "<style",
        "<script type=\"module\"></script>",
        "javascript:",
    ] {
        let found = Regex::new(pattern).unwrap().find(html);
        assert!(found.is_none(), "{path} has {found:?}");
    }
    assert_eq!(html.matches("<script").count(), 1, "{path}");
}

#[tokio::test]
async fn hostile_texts_are_inert_in_every_view() {
    let (app, decision) = with_hostile_texts().await;
    for path in VIEWS.into_iter().chain([decision.as_str()]) {
        assert_inert(&view(&app, path).await, path);
    }
}

#[tokio::test]
async fn hostile_parameters_are_inert() {
    let app = TestApp::spawn().await;
    for name in [
        "text",
        "outcome",
        "category",
        "user_id",
        "from",
        "rule",
        "model",
        "prompt",
        "prompt_version",
        "cursor",
        "limit",
        "tenant",
        "failed",
        MARKUP,
    ] {
        let query =
            encoded(&[("x", MARKUP)]).replacen('x', &encoded(&[(name, "")]).replace('=', ""), 1);
        for path in VIEWS {
            let reply = app.get(&format!("{path}?{query}")).await;
            assert!([200, 400].contains(&reply.status), "{path}?{query}");
            assert_inert(reply.body.as_str().unwrap(), path);
        }
    }
}

#[tokio::test]
async fn a_hostile_form_is_shown_again_inert() {
    let app = TestApp::spawn().await;
    for name in [
        "transaction",
        "amount",
        "currency",
        "merchant",
        "mcc",
        "date",
        "trip_id",
        "user_id",
        "key",
    ] {
        let form = [("transaction", "Taxi"), ("amount", "x"), (name, MARKUP)];
        let response = send_form(&app, "/ui/expense", &form).await;
        assert_eq!(response.status(), 422, "{name}");
        assert_inert(&response.text().await.unwrap(), name);
    }
}

#[tokio::test]
async fn every_response_forbids_what_the_page_does_not_need() {
    let (app, decision) = with_hostile_texts().await;
    let others = [
        "/ui/nowhere",
        "/ui/decisions/nothing",
        "/ui/live?outcome=wrong",
        "/ui/decisions.csv",
    ];
    for path in VIEWS.into_iter().chain([decision.as_str()]).chain(others) {
        let headers = app.get(path).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
    }
}

#[tokio::test]
async fn a_view_with_everything_that_it_loads_is_below_100_kilobytes() {
    let app = TestApp::spawn().await;
    for _ in 0..60 {
        let expense = json!({
            "transaction": "<&\"w".repeat(500), "merchant": "<&\"m".repeat(50), "user_id": "u".repeat(128),
            "amount": "5.00",
        });
        app.decide(expense).await;
    }
    for path in ["/ui/", "/ui/decisions?limit=200", "/ui/policies"] {
        let html = view(&app, path).await;
        let mut n_bytes = html.len();
        for asset in assets(&html) {
            n_bytes += app.get(&asset).await.body.as_str().unwrap().len();
        }
        assert!(n_bytes < MAX_BYTES, "{path} has {n_bytes} bytes");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_a_view_and_no_body() {
    let app = TestApp::spawn().await;
    for path in VIEWS.into_iter().chain(["/ui/decisions.csv"]) {
        let request = app.request(reqwest::Method::HEAD, path, &[]);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers().contains_key("content-security-policy"));
        assert!(response.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn another_method_is_a_405_in_words_that_names_those_that_exist() {
    let app = TestApp::spawn().await;
    for (method, path, allowed) in [
        ("POST", "/ui/decisions", "GET,HEAD"),
        ("DELETE", "/ui/", "GET,HEAD"),
        ("GET", "/ui/demo", "POST"),
        ("PUT", "/ui/expense", "POST"),
    ] {
        let headers = [("sec-fetch-site", "same-origin")];
        let request = app.request(method.parse().unwrap(), path, &headers);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405, "{method} {path}");
        assert_eq!(response.headers()["allow"], allowed, "{method} {path}");
        assert!(
            response.text().await.unwrap().contains("<h1>"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_request_that_no_view_can_read_is_refused_in_words() {
    let app = TestApp::spawn().await;
    for path in [
        "/ui/?range=24h&range=7d",
        "/ui/decisions/%ff",
        "/ui/assets/%ff",
    ] {
        let reply = app.get(path).await;
        assert!(
            [400, 404].contains(&reply.status),
            "{path}: {}",
            reply.status
        );
        let html = reply.body.as_str().unwrap();
        assert!(html.contains("<h1>"), "{path}: {html}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let app = TestApp::spawn().await;
    for path in ["/ui/expense", "/ui/demo"] {
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("origin", "https://evil.example")],
        ] {
            let request = app.request(reqwest::Method::POST, path, headers);
            let response = request
                .body("transaction=Taxi&amount=5")
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 403, "{path} {headers:?}");
        }
    }
    let listed = app.get("/v1/expenses").await;
    assert_eq!(listed.body["decisions"], json!([]));
}

#[tokio::test]
async fn a_form_that_is_too_large_or_no_form_is_refused_in_words() {
    let app = TestApp::spawn().await;
    let huge = "x".repeat(70_000);
    let response = send_form(&app, "/ui/expense", &[("transaction", &huge)]).await;
    assert_eq!(response.status(), 413);
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
    ];
    let request = app.request(reqwest::Method::POST, "/ui/expense", &headers);
    let response = request.body("{}").send().await.unwrap();
    assert_eq!(response.status(), 415);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("This form cannot be read")
    );
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_told_in_words() {
    let store = TestStore::sqlite();
    let app = TestApp::with(Config {
        store: store.store.clone(),
        ..config()
    })
    .await;
    store
        .execute("ALTER TABLE decision RENAME TO gone; ALTER TABLE chain_head RENAME TO gone_too")
        .await;
    for path in ["/ui/", "/ui/decisions", "/ui/decisions.csv"] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        let html = reply.body.as_str().unwrap();
        assert!(html.contains("The ledger cannot be read"), "{path}: {html}");
    }
    let response = send_form(&app, "/ui/demo", &[]).await;
    assert_eq!(response.status(), 503);
    let html = response.text().await.unwrap();
    assert!(html.contains("40 of 40 were not decided"), "{html}");
}

#[tokio::test]
async fn why_a_view_cannot_be_shown_is_logged_and_not_shown() {
    let store = TestStore::sqlite();
    let app = TestApp::with(Config {
        store: store.store.clone(),
        ..config()
    })
    .await;
    store.execute("ALTER TABLE chain_head RENAME TO gone").await;
    let log = Log::default();
    let to_log = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || to_log.clone());
    // The service runs on the thread of this test.
    let guard = tracing::subscriber::set_default(subscriber.finish());
    let reply = app.get("/ui/decisions").await;
    drop(guard);
    let cause = "no such table: chain_head";
    assert_eq!(reply.status, 503);
    assert!(!reply.body.as_str().unwrap().contains(cause));
    let log = log.text();
    assert!(
        log.contains("a request for the page failed") && log.contains(cause),
        "{log}"
    );
}

/// Log lines, kept in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
