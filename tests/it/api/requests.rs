//! Too many requests at once, clients that disconnect, and probes.

use std::sync::Arc;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use serde_json::json;
use tokio::sync::Notify;

use super::assert_problem;
use crate::harness::fake_openai::{FakeOpenAi, Reply as ModelReply};
use crate::harness::replies::category;
use crate::harness::{TestApp, config, http_config, openai, poll};

#[tokio::test]
async fn a_request_above_the_limit_is_refused_with_retry_after() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    let travel = category("travel");
    fake.script([ModelReply::held(&gate, travel.clone())]);
    fake.always(travel);
    let app = TestApp::with(Config {
        http: HttpConfig {
            max_in_flight: 1,
            ..http_config()
        },
        model: openai(&fake),
        ..config()
    })
    .await;
    let (first, second) = tokio::join!(
        app.post(json!({"transaction": "Taxi", "amount": 1})),
        async {
            fake.wait_for_requests(1).await;
            let second = app.post(json!({"transaction": "Taxi", "amount": 1})).await;
            // Until now the first request was in progress, however long the second one took.
            gate.notify_one();
            second
        }
    );
    assert_problem(&second, 503, "overloaded");
    assert_eq!(second.headers["retry-after"], "1");
    assert_eq!(first.status, 201);
    assert_eq!(first.body["outcome"], "needs_review");
    // Probes are not counted among requests.
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_stop_its_decision() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    let travel = category("travel");
    fake.script([
        ModelReply::held(&gate, travel.clone()),
        travel.clone(),
        travel,
    ]);
    let app = TestApp::with_openai(&fake).await;
    app.disconnect_once_the_model_is_asked(&fake, json!({"transaction": "Taxi", "amount": 1}), &[])
        .await;
    // The model answers only after the service has noticed that the client has disconnected.
    // Otherwise the decision might be recorded before.
    let server = poll::until(
        Duration::from_secs(10),
        "end of the server span",
        async || {
            app.ended_spans()
                .into_iter()
                .find(|span| span.name == "POST /v1/expenses")
                .ok_or("not yet")
        },
    )
    .await;
    gate.notify_one();
    let decision = poll::until(
        Duration::from_secs(10),
        "the decision is recorded",
        async || {
            let page = app.get("/v1/expenses").await.body;
            page["decisions"].get(0).cloned().ok_or(page)
        },
    )
    .await;
    assert_eq!(
        decision["trace_id"],
        server.span_context.trace_id().to_string()
    );
    let error_type = server
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "error.type")
        .unwrap();
    assert_eq!(error_type.value.as_str(), "cancelled");
    assert!(
        server
            .attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "user.id")
    );
    let agent = poll::until(
        Duration::from_secs(10),
        "end of the agent's span",
        async || {
            app.ended_spans()
                .into_iter()
                .find(|span| span.name.starts_with("invoke_agent"))
                .ok_or("not yet")
        },
    )
    .await;
    assert!(
        !agent
            .attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "error.type")
    );
}

#[tokio::test]
async fn probes_leave_no_span() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (200, &json!("ready"))
    );
    assert!(app.ended_spans().is_empty());
}
