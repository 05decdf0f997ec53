//! Reading: pages of decisions, filters, policies, and requests for what does not exist.

use serde_json::{Value, json};

use super::assert_problem;
use crate::harness::TestApp;
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::replies::category;

#[tokio::test]
async fn pages_hold_every_decision_once_and_the_newest_first() {
    let app = TestApp::spawn().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(
            app.decide(json!({"transaction": format!("Taxi {n}"), "amount": "5.00"}))
                .await["id"]
                .clone(),
        );
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/expenses?limit=3".to_owned();
    loop {
        let page = app.get(&path).await.body;
        seen.extend(
            page["decisions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|decision| decision["id"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/expenses?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn filters_narrow_the_list_and_unknown_ones_are_refused() {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category("meals")]);
    let app = TestApp::with_openai(&fake).await;
    // The model classifies the flight as meals and has no second answer, so it needs review.
    app.decide(json!({"transaction": "Flight", "amount": "5.00", "user_id": "ana"}))
        .await;
    let count = async |query: &str| {
        let reply = app.get(&format!("/v1/expenses?{query}")).await;
        assert_eq!(reply.status, 200, "{:#}", reply.body);
        reply.body["decisions"].as_array().unwrap().len()
    };
    for (query, n) in [
        ("outcome=needs_review", 1),
        ("outcome=approved", 0),
        ("category=meals", 1),
        ("user_id=ana&outcome=needs_review", 1),
        ("user_id=ben", 0),
        ("failed_validation=category_evidence", 1),
        ("failed_validation=tool_result", 0),
    ] {
        assert_eq!(count(query).await, n, "{query}");
    }
    for (query, code) in [
        ("outcome=maybe", "unknown_filter"),
        ("colour=red", "unknown_filter"),
        ("limit=0", "unknown_filter"),
        ("limit=201", "unknown_filter"),
        ("user_id=ana&user_id=ben", "unknown_filter"),
        ("limit=1&limit=2", "unknown_filter"),
        ("user_id=%00", "unknown_filter"),
        ("category=meals%0A", "unknown_filter"),
        ("user_id=", "unknown_filter"),
        ("cursor=abc", "unknown_cursor"),
        (
            "cursor=01a1fc3f-8232-75b3-ae94-bf307466c95a",
            "unknown_cursor",
        ),
    ] {
        assert_problem(&app.get(&format!("/v1/expenses?{query}")).await, 400, code);
    }
}

#[tokio::test]
async fn unknown_ids_paths_and_methods_are_problems_too() {
    let app = TestApp::spawn().await;
    assert_problem(
        &app.get("/v1/expenses/01a1fc3f-8232-75b3-ae94-bf307466c95a")
            .await,
        404,
        "not_found",
    );
    assert_problem(&app.get("/v1/expenses/7").await, 404, "not_found");
    assert_problem(&app.get("/v2").await, 404, "no_such_route");
    assert_problem(&app.get("/docs/nope.js").await, 404, "no_such_route");
    assert_problem(&app.get("/v1/expenses/%ff").await, 400, "malformed_request");
    let probe = app.post_to("/healthz", Value::Null, &[]).await;
    assert_eq!(probe.status, 405);
    assert_eq!(probe.body["code"], "no_such_method");
    assert_eq!(probe.headers["allow"], "GET,HEAD");
    let id = "01a1fc3f823275b3ae94bf307466c95a";
    assert_problem(
        &app.get(&format!("/v1/expenses/{id}")).await,
        404,
        "not_found",
    );
    assert_problem(
        &app.get(&format!("/v1/expenses?cursor={id}")).await,
        400,
        "unknown_cursor",
    );
    let response = app
        .request(reqwest::Method::DELETE, "/v1/expenses", &[])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    assert!(
        response.headers()["allow"]
            .to_str()
            .unwrap()
            .contains("POST")
    );
    assert_eq!(
        response.json::<Value>().await.unwrap()["code"],
        "no_such_method"
    );
}

#[tokio::test]
async fn policies_are_shown_with_version_and_hash() {
    let app = TestApp::spawn().await;
    let body = app.get("/v1/policies").await.body;
    let categories: Vec<&str> = body["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["category"].as_str().unwrap())
        .collect();
    assert_eq!(categories, ["meals", "office", "other", "travel"]);
    assert_eq!(body["policies"][0]["rules"][0]["max"], "75.00");
    assert_eq!(body["policies"][0]["hash"].as_str().unwrap().len(), 16);
}
