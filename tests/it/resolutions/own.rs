//! The four-eyes principle: neither the employee nor the submitter can approve or deny an expense,
//! regardless of the names in the request. Both may withdraw it.

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::{Value, json};

use super::by;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;
use crate::harness::{Reply, TestApp, config};

const ALL_ROLES: &str = "roles = [\"manager\", \"director\", \"vp\", \"cfo\"]";

fn personal(id: &str, user: &str) -> String {
    let more = format!("{ALL_ROLES}\nuser = \"{user}\"");
    entry(id, "acme", &format!("ea_{id}"), &more)
}

/// Two keys of Ben, one each of Mia and José, one of a program, and one of Kim, who has no role.
fn keys() -> KeyFile {
    KeyFile::new(&[
        personal("ben", "ben"),
        personal("ben2", "ben"),
        personal("mia", "mia"),
        personal("jose", "Jos\u{e9}"),
        entry("feed", "acme", "ea_feed", ALL_ROLES),
        entry("kim", "acme", "ea_kim", "user = \"Kim\""),
    ])
}

async fn app_on(store: &TestStore, keys: &KeyFile) -> TestApp {
    app_with_model(store, keys, config().model).await
}

async fn app_with_model(store: &TestStore, keys: &KeyFile, model: ModelConfig) -> TestApp {
    TestApp::with(Config {
        model,
        http: keys.http_config(),
        store: store.store.clone(),
        ..config()
    })
    .await
}

/// Submits a laptop that needs approval.
async fn submit(app: &TestApp, key: &str, user_id: Option<&str>, baggage: &str) -> Value {
    let mut body = json!({"transaction": "Laptop", "amount": "600.00"});
    if let Some(user_id) = user_id {
        body["user_id"] = user_id.into();
    }
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("baggage", baggage)];
    let reply = app.post_with(body, &headers).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    assert_eq!(reply.body["outcome"], "needs_approval");
    reply.body
}

/// Resolves a decision as a manager.
async fn act(
    app: &TestApp,
    key: &str,
    decision: &Value,
    action: &str,
    actor: Option<&str>,
) -> Reply {
    let mut body = json!({"action": action, "role": "manager", "reason": "Seen."});
    if let Some(actor) = actor {
        body["actor"] = actor.into();
    }
    app.resolve(key, decision, body).await
}

fn is_refused(reply: &Reply) -> bool {
    reply.status == 403 && reply.body["code"] == "own_expense"
}

#[tokio::test]
async fn the_submitter_can_neither_approve_nor_deny_an_expense_of_any_employee() {
    let keys = keys();
    let app = keys.app().await;
    for (user_id, baggage, employee) in [
        (None, "", "ben"),
        (None, "user.id=kim", "kim"),
        (Some("kim"), "user.id=ana", "kim"),
        (Some("ben"), "", "ben"),
        (Some("BE\u{ad}N"), "", "BE\u{ad}N"),
        (Some("anonymous"), "", "anonymous"),
    ] {
        let decision = submit(&app, "ea_ben", user_id, baggage).await;
        assert_eq!(decision["user_id"], employee);
        assert_eq!(
            decision["submitted_by"],
            json!({"api_key": "ben", "user_id": "ben"})
        );
        for (key, actor) in [
            ("ea_ben", None),
            ("ea_ben", Some("Ben")),
            ("ea_ben2", None),
            ("ea_feed", Some("ben")),
            ("ea_feed", Some("\u{ff22}en\u{200b}")),
            ("ea_feed", Some(employee)),
        ] {
            for action in ["approve", "deny"] {
                let reply = act(&app, key, &decision, action, actor).await;
                assert!(
                    is_refused(&reply),
                    "{employee} {key} {actor:?} {:#}",
                    reply.body
                );
            }
        }
        let reply = act(&app, "ea_mia", &decision, "approve", None).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        assert_eq!(reply.body["resolution"]["actor"], "mia");
    }
}

#[tokio::test]
async fn a_person_in_another_spelling_cannot_resolve_their_own_expense() {
    let keys = keys();
    let app = keys.app().await;
    for user_id in [
        "Jose\u{301}",
        "JOS\u{c9}",
        "Jos\u{e9}\u{200b}",
        "\u{202e}Jos\u{e9}",
    ] {
        let decision = submit(&app, "ea_feed", Some(user_id), "").await;
        assert_eq!(decision["user_id"], user_id);
        let reply = act(&app, "ea_jose", &decision, "approve", None).await;
        assert!(is_refused(&reply), "{user_id:?} {:#}", reply.body);
        let reply = act(&app, "ea_feed", &decision, "deny", Some("jose\u{301}")).await;
        assert!(is_refused(&reply), "{user_id:?} {:#}", reply.body);
        // The key names José, so another spelling of the name is not another actor.
        let reply = act(&app, "ea_jose", &decision, "withdraw", Some("JOSE\u{301}")).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
    }
}

#[tokio::test]
async fn the_employee_and_the_submitter_may_withdraw_an_expense() {
    let keys = keys();
    let app = keys.app().await;
    for (key, actor) in [
        ("ea_ben", None),
        ("ea_jose", None),
        ("ea_feed", Some("jose\u{301}")),
    ] {
        let mut gift = json!({"transaction": "Retirement gift", "amount": "30.00"});
        gift["user_id"] = "jos\u{e9}".into();
        let gift = app.post_as("ea_ben", gift).await.body;
        // Only a vice president may approve it, but withdrawing needs no role.
        assert_eq!(gift["approver"], "vp");
        let reply = act(&app, key, &gift, "withdraw", actor).await;
        assert_eq!(reply.status, 201, "{key} {:#}", reply.body);
    }
    let gift = json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "kim"});
    let gift = app.post_as("ea_ben", gift).await.body;
    let reply = act(&app, "ea_mia", &gift, "withdraw", None).await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (403, &json!("role_too_low"))
    );
}

#[tokio::test]
async fn a_key_without_a_user_may_submit_for_one_person_and_resolve_for_another() {
    let keys = keys();
    let app = keys.app().await;
    let decision = submit(&app, "ea_feed", Some("kim"), "").await;
    assert_eq!(
        decision["submitted_by"],
        json!({"api_key": "feed", "user_id": null})
    );
    let reply = app
        .resolve("ea_feed", &decision, by("kim", "approve", "manager"))
        .await;
    assert!(is_refused(&reply), "{:#}", reply.body);
    let reply = app
        .resolve("ea_feed", &decision, by("zoe", "approve", "manager"))
        .await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    assert_eq!(reply.body["resolution"]["api_key"], "feed");
    assert_eq!(reply.body["submitted_by"]["api_key"], "feed");
}

#[tokio::test]
async fn a_program_names_the_submitter_in_its_baggage_and_the_employee_in_the_body() {
    let keys = keys();
    let app = keys.app().await;
    for (baggage, user_id, named) in [
        ("user.id=ben", Some("kim"), json!("ben")),
        ("user.id=Ben", Some("BEN"), Value::Null),
        ("user.id=ben", None, Value::Null),
        ("", Some("ben"), Value::Null),
    ] {
        let decision = submit(&app, "ea_feed", user_id, baggage).await;
        assert_eq!(decision["submitted_by"]["baggage_user_id"], named);
        for (key, actor) in [("ea_ben", None), ("ea_feed", Some("BEN"))] {
            let reply = act(&app, key, &decision, "approve", actor).await;
            assert!(is_refused(&reply), "{baggage} {user_id:?} {:#}", reply.body);
        }
        let reply = act(&app, "ea_feed", &decision, "approve", Some("zoe")).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
    }
    // With a personal key, the submitter is the user of the key. The baggage names no other one, so
    // Mia may still approve.
    let decision = submit(&app, "ea_ben", Some("kim"), "user.id=mia").await;
    let reply = act(&app, "ea_mia", &decision, "approve", None).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
}

#[tokio::test]
async fn a_key_whose_user_changed_still_cannot_resolve_what_it_submitted() {
    let store = TestStore::sqlite();
    let first = keys();
    let app = app_on(&store, &first).await;
    let from_ben = submit(&app, "ea_ben", Some("kim"), "").await;
    let from_feed = submit(&app, "ea_feed", Some("kim"), "").await;
    app.stop().await;
    let renamed = KeyFile::new(&[
        personal("ben", "benjamin"),
        personal("feed", "zoe"),
        personal("mia", "mia"),
    ]);
    let app = app_on(&store, &renamed).await;
    for (key, decision) in [("ea_ben", &from_ben), ("ea_feed", &from_feed)] {
        let reply = act(&app, key, decision, "approve", None).await;
        assert!(is_refused(&reply), "{key} {:#}", reply.body);
        let reply = act(&app, "ea_mia", decision, "approve", None).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
    }
}

#[tokio::test]
async fn the_submitter_of_a_superseded_decision_cannot_approve_the_new_one() {
    let (store, keys) = (TestStore::sqlite(), keys());
    let without_model = ModelConfig::Offline {
        faults: vec!["unavailable:1".parse().unwrap()],
        fault_seed: 1,
    };
    let outage = app_with_model(&store, &keys, without_model).await;
    let app = app_on(&store, &keys).await;
    let laptop = json!({
        "transaction": "Laptop", "amount": "600.00", "user_id": "kim", "date": "2026-03-14",
    });
    let mut newest = outage.post_as("ea_ben", laptop.clone()).await.body;
    for (app, key) in [(&outage, "ea_mia"), (&app, "ea_feed")] {
        let mut anew = laptop.clone();
        anew["supersedes"] = newest["id"].clone();
        newest = app.post_as(key, anew).await.body;
    }
    assert_eq!(newest["outcome"], "needs_approval", "{newest:#}");
    for (key, actor) in [
        ("ea_ben", None),
        ("ea_ben2", None),
        ("ea_mia", None),
        ("ea_feed", Some("BEN")),
        ("ea_feed", Some("kim")),
    ] {
        let reply = act(&app, key, &newest, "approve", actor).await;
        assert!(is_refused(&reply), "{key} {actor:?} {:#}", reply.body);
    }
    let reply = act(&app, "ea_jose", &newest, "approve", None).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
}

#[tokio::test]
async fn without_api_keys_a_decision_has_no_submitter() {
    let app = TestApp::spawn().await;
    let decision = app
        .decide(json!({"transaction": "Taxi", "amount": "5.00"}))
        .await;
    assert_eq!(
        (&decision["submitted_by"], &decision["user_id"]),
        (&Value::Null, &json!("anonymous"))
    );
}

#[tokio::test]
async fn an_employee_without_a_role_may_only_withdraw_their_own_expense() {
    let keys = keys();
    let app = keys.app().await;
    let own = submit(&app, "ea_feed", Some("kim"), "").await;
    let other = submit(&app, "ea_feed", Some("ana"), "").await;
    let without_role = |action: &str| json!({"action": action, "reason": "Not needed."});
    for (key, decision, action) in [
        ("ea_kim", &own, "approve"),
        ("ea_kim", &own, "deny"),
        ("ea_mia", &other, "withdraw"),
    ] {
        let reply = app.resolve(key, decision, without_role(action)).await;
        assert_eq!(
            (
                reply.status,
                &reply.body["code"],
                &reply.body["errors"][0]["field"]
            ),
            (422, &json!("invalid_resolution"), &json!("role")),
            "{action}"
        );
    }
    let reply = app
        .resolve("ea_kim", &other, without_role("withdraw"))
        .await;
    assert_eq!(reply.body["code"], "not_found", "{:#}", reply.body);
    let reply = act(&app, "ea_kim", &own, "withdraw", None).await;
    assert_eq!(reply.body["code"], "role_missing", "{:#}", reply.body);
    for is_replay in [false, true] {
        let reply = app.resolve("ea_kim", &own, without_role("withdraw")).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        assert_eq!(
            reply.headers.contains_key("idempotency-replayed"),
            is_replay
        );
        assert_eq!(
            (
                &reply.body["resolution"]["role"],
                &reply.body["resolution"]["actor"]
            ),
            (&Value::Null, &json!("Kim"))
        );
    }
}
