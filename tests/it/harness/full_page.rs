//! A page of `/metrics` that shows every metric: of the real program with all metrics enabled, after
//! decisions of every kind.

use std::time::Duration;

use serde_json::{Value, json};

use super::binary::Service;
use super::expenses::{expense, feedback_on, of_user, resolution_of};
use super::exposition::Page;
use super::fake_openai::{FakeOpenAi, Reply};
use super::key_file::{KeyFile, entry};
use super::otlp_receiver::OtlpReceiver;
use super::replies::{advice, approved_trip, category};
use super::store::TestStore;
use super::webhook_receiver::{SECRET, WebhookReceiver};
use super::{MODEL, poll};

/// How long a metric may take to appear before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The employee of all expenses, whose id must not appear in a metric.
pub(crate) const EMPLOYEE: &str = "ana-the-employee";

/// An expense of the employee.
fn expense_of_employee(transaction: &str, amount: &str) -> Value {
    of_user(expense(transaction, amount), EMPLOYEE)
}

/// Runs the program through decisions of every kind, and reads the page.
pub(crate) async fn full_page() -> Page {
    let (fake, receiver) = (FakeOpenAi::spawn().await, OtlpReceiver::spawn().await);
    let keys = KeyFile::new(&[
        entry("feed", "acme", "ea_feed", ""),
        entry("boss", "acme", "ea_boss", "roles = [\"manager\"]"),
        entry("zeta", "zeta", "ea_zeta", ""),
    ]);
    let variables = [
        ("OPENAI_BASE_URL", fake.base_url()),
        ("EXPENSE_AGENT_MODEL_API", "openai".to_owned()),
        ("EXPENSE_AGENT_MODEL", MODEL.to_owned()),
        ("EXPENSE_AGENT_MODEL_RETRIES", "0".to_owned()),
        ("EXPENSE_AGENT_METRICS_TENANTS", "1".to_owned()),
        ("EXPENSE_AGENT_METRICS_OLD_NAMES", "true".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint()),
        ("EXPENSE_AGENT_NOTIFY_SECRET", SECRET.to_owned()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let webhooks = WebhookReceiver::spawn().await;
    let url = webhooks.url();
    let store = TestStore::sqlite();
    let service = Service::start(
        &[
            "--api-keys",
            keys.name(),
            "--data",
            store.folder(),
            "--notify",
            &url,
        ],
        &variables,
    )
    .await;
    let client = reqwest::Client::new();
    let send = async |path: &str, key: &str, body: Value| {
        let request = client
            .post(format!("{}{path}", service.url))
            .bearer_auth(key)
            .json(&body);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let decide = async |key: &str, transaction: &str, amount: &str, replies: Vec<Reply>| {
        fake.script(replies);
        let body = expense_of_employee(transaction, amount);
        let (status, decision) = send("/v1/expenses", key, body).await;
        assert_eq!(status, 201, "{decision:#}");
        decision
    };
    let taxi_status = async |key: &str, amount: &str| {
        let body = expense_of_employee("Taxi", amount);
        send("/v1/expenses", key, body).await.0
    };

    decide("ea_feed", "Uber ride", "45.00", approved_trip().into()).await;
    decide("ea_zeta", "Uber ride", "45.00", approved_trip().into()).await;
    // The advice is more lenient than the policy.
    decide(
        "ea_feed",
        "Flight to Chicago",
        "650.00",
        approved_trip().into(),
    )
    .await;
    decide("ea_feed", "Uber ride", "45.00", vec![Reply::status(503)]).await;
    let repaired = std::iter::once(category("fun"))
        .chain(approved_trip())
        .collect();
    decide("ea_feed", "Uber ride", "46.00", repaired).await;
    let unpriced = approved_trip()
        .into_iter()
        .map(|reply| reply.model("unheard-of"))
        .collect();
    decide("ea_feed", "Uber ride", "47.00", unpriced).await;
    let manager = || {
        vec![
            category("travel"),
            advice("needs_approval", "travel-manager-approval"),
        ]
    };
    decide("ea_feed", "Flight to Boston", "310.00", manager()).await;
    let open = decide("ea_feed", "Flight to Boston", "311.00", manager()).await;
    let resolution =
        json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "Talked to her."});
    let (status, resolved) = send(&resolution_of(&open), "ea_boss", resolution).await;
    assert_eq!(status, 201, "{resolved:#}");
    // A person overturns what the machine proposed, and says so in words.
    let open = decide("ea_feed", "Flight to Boston", "312.00", manager()).await;
    let resolution =
        json!({"action": "deny", "role": "manager", "actor": "ben", "reason": "Take the train."});
    let (status, resolved) = send(&resolution_of(&open), "ea_boss", resolution).await;
    assert_eq!(status, 201, "{resolved:#}");
    let note = json!({"label": "not_useful", "actor": "ben"});
    let put = client
        .put(format!("{}{}", service.url, feedback_on(&open, "reason")))
        .bearer_auth("ea_boss")
        .json(&note);
    assert_eq!(put.send().await.unwrap().status(), 200);
    assert_eq!(taxi_status("ea_nobody", "1.00").await, 401);
    assert_eq!(taxi_status("ea_feed", "-1.00").await, 422);

    // The policy lookup fails, so its tool span, the run and the request fail as well. Only an
    // expense of a trip makes it read what is used of the cap on a trip.
    store.execute("ALTER TABLE cap_usage RENAME TO gone").await;
    fake.script([category("travel")]);
    let mut of_a_trip = expense_of_employee("Taxi", "1.00");
    of_a_trip["trip_id"] = json!("fair");
    let (status, _) = send("/v1/expenses", "ea_feed", of_a_trip).await;
    assert_eq!(status, 503);

    let page = poll::until(
        TIMEOUT,
        "page with pending decisions and exported spans",
        async || {
            let text = client
                .get(format!("{}/metrics", service.url))
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            let page = Page::parse(&text);
            let n_pending = page.sum(
                "expense_decisions_pending",
                &[("expense_pending_role", "manager")],
            );
            let is_there = n_pending == 2.0
                && page.sum("telemetry_spans_total", &[]) > 0.0
                && page.sum("expense_notification_attempts_total", &[]) > 0.0;
            if is_there { Ok(page) } else { Err(page.text) }
        },
    )
    .await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    page
}
