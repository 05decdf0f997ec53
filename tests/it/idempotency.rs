//! `Idempotency-Key`: one decision and one round of model calls, however often a request is sent
//! and however many copies of it are in flight at once.

use std::sync::Arc;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::domain::submission::{self, Defaults};
use expense_agent::ledger::{KeyClaim, KeyState, Ledger};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::expenses::{DAY, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, http_config, openai, poll};

const KEY: (&str, &str) = ("idempotency-key", "7f1c-42");

/// A model that classifies as travel after a short delay, and approves.
async fn slow_model() -> FakeOpenAi {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([Reply::delayed(
        Duration::from_millis(200),
        category("travel"),
    )]);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    fake
}

#[tokio::test]
async fn the_same_key_and_meaning_get_the_same_decision() {
    let fake = slow_model().await;
    let app = TestApp::with_openai(&fake).await;
    let first = app.post_with(ride(), &[KEY]).await;
    assert_eq!(first.body["outcome"], "approved");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    // Other bytes, the same meaning.
    let same = json!({
        "amount": 45,
        "currency": "USD",
        "date": DAY,
        "user_id": "ana",
        "receipt": false,
        "merchant": null,
        "transaction": "Uber ride to the client",
    });
    let second = app.post_with(same, &[KEY]).await;
    assert_eq!((second.status, &second.body), (201, &first.body));
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(fake.requests().len(), 2, "one classify and one decide");
    assert_eq!(
        app.get("/v1/expenses").await.body["decisions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_same_key_with_another_body_is_a_conflict() {
    let app = TestApp::spawn().await;
    app.post_with(ride(), &[KEY]).await;
    for (field, value) in [
        ("amount", json!("45.01")),
        ("user_id", json!("ben")),
        ("date", json!("2020-01-01")),
    ] {
        let mut other = ride();
        other[field] = value;
        let reply = app.post_with(other, &[KEY]).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (409, &json!("idempotency_conflict")),
            "{field}"
        );
    }
    // A key belongs to its tenant.
    let elsewhere = app
        .post_with(
            json!({"transaction": "Taxi", "amount": 1}),
            &[KEY, ("baggage", "tenant.id=acme")],
        )
        .await;
    assert_eq!(elsewhere.status, 201);
}

#[tokio::test]
async fn concurrent_requests_with_one_key_are_decided_once() {
    let fake = slow_model().await;
    let app = TestApp::with_openai(&fake).await;
    let key = [KEY];
    let together =
        futures_util::future::join_all((0..8).map(|_| app.post_with(ride(), &key))).await;
    for reply in &together {
        assert_eq!((reply.status, &reply.body), (201, &together[0].body));
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_disconnected_finds_its_decision_under_its_key() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    fake.on_classify([Reply::held(&gate, category("travel"))]);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    let app = TestApp::with_openai(&fake).await;
    app.disconnect_once_the_model_is_asked(&fake, ride(), &[KEY])
        .await;
    gate.notify_one();
    let reply = app.post_with(ride(), &[KEY]).await;
    assert_eq!(
        (reply.status, &reply.body["outcome"]),
        (201, &json!("approved"))
    );
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_key_whose_request_was_not_recorded_can_be_used_again() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        store.execute("ALTER TABLE cap_usage RENAME TO gone").await;
        assert_eq!(app.post_with(ride(), &[KEY]).await.status, 503);
        store.execute("ALTER TABLE gone RENAME TO cap_usage").await;
        assert_eq!(app.post_with(ride(), &[KEY]).await.status, 201);
        // A refused request never held the key.
        let key = [("idempotency-key", "another")];
        assert_eq!(app.post_with(json!({"amount": 1}), &key).await.status, 422);
        assert_eq!(app.post_with(ride(), &key).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn a_process_that_died_with_a_key_holds_it_no_longer_than_its_lease() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let first = app.post_with(ride(), &[KEY]).await;
        // The claim of a process that died: the same body under another key, leased for half a
        // second more.
        let ledger = Ledger::open(&store.store).await.unwrap();
        let now = Timestamp::now();
        let claim = KeyClaim {
            tenant_id: "default".to_owned(),
            key: "orphan".to_owned(),
            fingerprint: fingerprint(&ride()),
            leased_until: now + Duration::from_millis(500),
            expires_at: now + Duration::from_secs(3600),
        };
        assert!(matches!(
            ledger.claim(&claim, now).await.unwrap(),
            KeyState::Claimed
        ));
        let reply = app
            .post_with(ride(), &[("idempotency-key", "orphan")])
            .await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        assert!(
            Timestamp::now() >= claim.leased_until,
            "the lease was respected"
        );
        assert_ne!(reply.body["id"], first.body["id"]);
        // The other process, had it been slow and not dead, could no longer release the key.
        ledger.release(&claim).await.unwrap();
        let again = app
            .post_with(ride(), &[("idempotency-key", "orphan")])
            .await;
        assert_eq!(again.body["id"], reply.body["id"]);
    })
    .await;
}

#[tokio::test]
async fn waiting_for_a_key_does_not_shorten_the_time_for_the_model() {
    on_each_store(async |store| {
        let fake = slow_model().await;
        let deadline = Duration::from_secs(2);
        let config = Config {
            store: store.store.clone(),
            model: openai(&fake),
            http: HttpConfig {
                deadline,
                ..http_config()
            },
            ..config()
        };
        let app = TestApp::with(config).await;
        // Leased beyond the model's part of the deadline, 1.8 s, but not beyond the deadline.
        let ledger = Ledger::open(&store.store).await.unwrap();
        let now = Timestamp::now();
        let claim = KeyClaim {
            tenant_id: "default".to_owned(),
            key: KEY.1.to_owned(),
            fingerprint: fingerprint(&ride()),
            leased_until: now + Duration::from_millis(1_900),
            expires_at: now + Duration::from_secs(3600),
        };
        assert!(matches!(
            ledger.claim(&claim, now).await.unwrap(),
            KeyState::Claimed
        ));
        // The first request is answered at its own deadline at the latest; its decision continues,
        // and is kept under the key.
        let reply = poll::until(
            Duration::from_secs(60),
            "decision under the key",
            async || {
                let reply = app.post_with(ride(), &[KEY]).await;
                if reply.status == 201 {
                    Ok(reply)
                } else {
                    Err(reply)
                }
            },
        )
        .await;
        assert_eq!(
            (&reply.body["outcome"], &reply.body["agent_outcome"]),
            (&json!("approved"), &json!("success"))
        );
        assert_eq!(fake.requests().len(), 2);
    })
    .await;
}

/// The fingerprint of a body without a date, as the service computes it.
fn fingerprint(body: &Value) -> String {
    let defaults = Defaults {
        date: Timestamp::now().to_zoned(TimeZone::UTC).date(),
        user_id: String::new(),
    };
    submission::parse(body.to_string().as_bytes(), defaults)
        .unwrap()
        .fingerprint()
}

#[tokio::test]
async fn an_invalid_key_is_refused() {
    let app = TestApp::spawn().await;
    let long = "k".repeat(256);
    for key in ["", "two words", "é", long.as_str()] {
        let reply = app.post_with(ride(), &[("idempotency-key", key)]).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (400, &json!("invalid_idempotency_key")),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_key_of_a_batch_leaves_room_for_the_numbers_of_its_lines() {
    let app = TestApp::spawn().await;
    for (n_chars, status) in [(240, 200), (241, 400)] {
        let key = "k".repeat(n_chars);
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("idempotency-key", key.as_str()),
        ];
        let request = app.request(reqwest::Method::POST, "/v1/expenses/batch", &headers);
        let response = request.body(format!("{}{}", "\n".repeat(99_999), ride()));
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), status);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(
            answer["status"],
            if status == 200 { 201 } else { 400 },
            "{answer}"
        );
    }
}
