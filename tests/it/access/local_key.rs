//! The local key: who holds it resolves, for every tenant, and nobody else does.

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::public_url::PublicUrl;
use serde_json::{Value, json};

use crate::harness::expenses::{id_of, laptop, path_of, resolution_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::{Reply, TestApp, config, http_config};

/// A service without API keys.
async fn with_http(http: HttpConfig) -> TestApp {
    TestApp::with(Config { http, ..config() }).await
}

async fn open_decision(app: &TestApp, baggage: &str) -> Value {
    let reply = app
        .post_with(laptop("600.00"), &[("baggage", baggage)])
        .await;
    assert_eq!(reply.body["outcome"], "needs_approval", "{:#}", reply.body);
    reply.body
}

async fn approve(app: &TestApp, decision: &Value, headers: &[(&str, &str)]) -> Reply {
    let body = json!({"action": "approve", "role": "cfo", "actor": "ben", "reason": "Agreed."});
    app.post_to(&resolution_of(decision), body, headers).await
}

#[tokio::test]
async fn the_local_key_resolves_and_nothing_else_does() {
    let app = TestApp::spawn().await;
    let key = app.local_key.clone().unwrap();
    let decision = open_decision(&app, "").await;
    let cut = &key[..key.len() - 1];
    for authorization in [
        "",
        "Bearer",
        "Bearer ea_local",
        "Bearer local",
        cut,
        &format!("Bearer {cut}"),
    ] {
        let reply = approve(&app, &decision, &[("authorization", authorization)]).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (403, &json!("role_missing"))
        );
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.contains("local key"), "{detail}");
    }
    // A proxy in front makes no difference.
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cookie"] {
        let reply = approve(&app, &decision, &[(name, "127.0.0.1")]).await;
        assert_eq!(reply.status, 403, "{name}");
    }
    let reply = app
        .resolve(
            &key,
            &decision,
            json!({"action": "approve", "role": "cfo", "reason": "Agreed."}),
        )
        .await;
    assert_eq!(
        reply.body["errors"][0]["field"], "actor",
        "{:#}",
        reply.body
    );
    let bearer = format!("Bearer {key}");
    let reply = approve(&app, &decision, &[("authorization", &bearer)]).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    let resolution = &reply.body["resolution"];
    assert_eq!(
        (&resolution["api_key"], &resolution["actor"]),
        (&json!("local"), &json!("ben"))
    );
}

#[tokio::test]
async fn the_local_key_acts_for_the_tenant_that_the_request_names() {
    let app = TestApp::spawn().await;
    let bearer = format!("Bearer {}", app.local_key.as_ref().unwrap());
    let acme = open_decision(&app, "tenant.id=acme").await;
    let auth = ("authorization", bearer.as_str());
    assert_eq!(approve(&app, &acme, &[auth]).await.status, 404);
    let named = [auth, ("baggage", "tenant.id=acme")];
    assert_eq!(approve(&app, &acme, &named).await.status, 201);
    let reply = app.post_with(taxi(), &named).await;
    assert_eq!(reply.body["tenant_id"], "acme");
    assert_eq!(
        reply.body["submitted_by"],
        json!({"api_key": "local", "user_id": null})
    );
}

#[tokio::test]
async fn with_the_local_key_four_eyes_are_still_needed() {
    let app = TestApp::spawn().await;
    let bearer = format!("Bearer {}", app.local_key.as_ref().unwrap());
    let auth = ("authorization", bearer.as_str());
    // Ben hands it in for Ana, and wants to approve it himself.
    let headers = [auth, ("baggage", "user.id=Ben")];
    let reply = app.post_with(laptop("600.00"), &headers).await;
    let reply = approve(&app, &reply.body, &[auth]).await;
    assert_eq!(reply.body["code"], "own_expense", "{:#}", reply.body);
}

#[tokio::test]
async fn without_a_local_key_nothing_is_resolved_and_the_problem_says_how_to_get_one() {
    let app = with_http(HttpConfig {
        makes_local_key: false,
        ..http_config()
    })
    .await;
    assert_eq!(app.local_key, None);
    let decision = open_decision(&app, "").await;
    let reply = app.resolve("ea_any", &decision, json!({})).await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (403, &json!("role_missing"))
    );
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("--api-keys") && detail.contains("--local-key"),
        "{detail}"
    );
}

#[tokio::test]
async fn with_api_keys_there_is_no_local_key() {
    let keys = KeyFile::new(&[entry("ana", "acme", "ea_ana", "")]);
    assert_eq!(keys.app().await.local_key, None);
}

#[tokio::test]
async fn an_answer_links_to_the_page_under_the_address_that_people_use() {
    let app = TestApp::spawn().await;
    let decision = open_decision(&app, "").await;
    let expected = format!("{}/ui/decisions/{}", app.url, id_of(&decision));
    assert_eq!(decision["page_url"], expected);
    assert_eq!(app.read(&decision).await["page_url"], expected);
    let listed = app.get("/v1/expenses").await.body;
    assert_eq!(listed["decisions"][0]["page_url"], expected);
    assert_eq!(app.get(&expected[app.url.len()..]).await.status, 200);
    let other = open_decision(&app, "tenant.id=a%26b").await;
    let url = other["page_url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("{}/ui/decisions/{}?tenant=a%26b", app.url, id_of(&other))
    );
    assert_eq!(app.get(&url[app.url.len()..]).await.status, 200);

    let public_url = PublicUrl::parse("https://expenses.example.com");
    let app = with_http(HttpConfig {
        public_url,
        ..http_config()
    })
    .await;
    let decision = open_decision(&app, "").await;
    let expected = format!(
        "https://expenses.example.com/ui/decisions/{}",
        id_of(&decision)
    );
    assert_eq!(decision["page_url"], expected);
}

#[tokio::test]
async fn without_the_page_no_route_and_no_link_leads_to_it() {
    let app = with_http(HttpConfig {
        has_page: false,
        ..http_config()
    })
    .await;
    let decision = open_decision(&app, "").await;
    assert_eq!(decision["page_url"], Value::Null);
    assert_eq!(
        app.get(&path_of(&decision)).await.body["page_url"],
        Value::Null
    );
    for path in [
        "/ui",
        "/ui/",
        "/ui/login",
        "/ui/decisions",
        "/ui/assets/x.js",
        "/",
    ] {
        let reply = app.get_with(path, &[("accept", "text/html")]).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (404, &json!("no_such_route")),
            "{path}"
        );
    }
}
