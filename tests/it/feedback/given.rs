//! What the routes accept and answer.

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Office, keys};
use crate::api::assert_problem;
use crate::harness::expenses::{feedback_on, flight, laptop, path_of, ride};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, config};

#[tokio::test]
async fn a_second_put_replaces_the_first_and_a_second_delete_changes_nothing() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let decision = office.decide(ride()).await;
        assert_eq!(office.standing(&decision).await, json!([]));
        let wrong = json!({"label": "wrong", "comment": "This was a team event."});
        let first = office.give("ea_ben", &decision, "decision", wrong).await;
        assert_eq!(first["expense_id"], decision["id"]);
        assert_eq!(
            office.standing(&decision).await,
            json!([[
                "decision",
                "wrong",
                "This was a team event.",
                "ben",
                "person"
            ]])
        );
        let right = json!({"label": "right"});
        let second = office.give("ea_ben", &decision, "decision", right).await;
        assert_ne!(first["id"], second["id"]);
        let note = json!({"comment": "Ask the hotel."});
        office.give("ea_ben", &decision, "note", note).await;
        let holds = json!([
            ["decision", "right", null, "ben", "person"],
            ["note", null, "Ask the hotel.", "ben", "person"],
        ]);
        assert_eq!(office.standing(&decision).await, holds);
        for _ in 0..2 {
            let reply = office.take_back("ea_ben", &decision, "decision").await;
            assert_eq!((reply.status, reply.body), (204, json!("")));
            assert_eq!(office.standing(&decision).await, json!([holds[1]]));
        }
        assert_eq!(
            office.take_back("ea_ben", &decision, "reason").await.status,
            204
        );
    })
    .await;
}

#[tokio::test]
async fn the_same_feedback_again_is_the_same_record() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    let body = json!({"label": "useful", "comment": "Clear."});
    let give = async || {
        office
            .app
            .give_feedback("ea_ben", &decision, "reason", body.clone())
            .await
    };
    let (first, again) = (give().await, give().await);
    assert_eq!(first.headers.get("idempotency-replayed"), None);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body, first.body);
    office.take_back("ea_ben", &decision, "reason").await;
    let anew = give().await;
    assert_eq!(anew.headers.get("idempotency-replayed"), None);
    assert_ne!(anew.body["id"], first.body["id"]);
}

#[tokio::test]
async fn feedback_leaves_the_decision_as_it_is() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(laptop("510.00")).await;
    let read = async || {
        let path = path_of(&decision);
        office.app.send_as("ea_feed", Method::GET, &path).await.body
    };
    let before = read().await;
    let category = json!({"label": "other", "comment": "It is a gift."});
    office.give("ea_ben", &decision, "category", category).await;
    assert_eq!(read().await, before);
}

#[tokio::test]
async fn every_name_takes_its_own_labels_and_no_others() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    for (name, body, wrong_field) in [
        ("decision", json!({"label": "right"}), None),
        (
            "decision",
            json!({"label": "wrong", "comment": "No."}),
            None,
        ),
        ("decision", json!({"label": "useful"}), Some("label")),
        ("decision", json!({"comment": "No."}), Some("label")),
        ("decision", json!({}), Some("label")),
        ("category", json!({"label": "meals"}), None),
        ("category", json!({"label": "travel"}), None),
        ("category", json!({"label": "fun"}), Some("label")),
        ("category", json!({"label": "right"}), Some("label")),
        ("category", json!({"label": " meals"}), Some("label")),
        ("category", json!({"comment": "Meals."}), Some("label")),
        ("reason", json!({"label": "useful"}), None),
        ("reason", json!({"label": "not_useful"}), None),
        ("reason", json!({"label": "right"}), Some("label")),
        ("note", json!({"comment": "Ask the hotel."}), None),
        ("note", json!({"label": null, "comment": "n"}), None),
        (
            "note",
            json!({"comment": "n", "label": "right"}),
            Some("label"),
        ),
        ("note", json!({}), Some("comment")),
        ("note", json!({"comment": " "}), Some("comment")),
        ("note", json!({"comment": "é".repeat(2_000)}), None),
        (
            "note",
            json!({"comment": "é".repeat(2_001)}),
            Some("comment"),
        ),
        ("note", json!({"comment": "a\u{7}"}), Some("comment")),
        ("note", json!({"comment": "n", "score": 1}), Some("score")),
        ("note", json!({"comment": "n", "actor": ""}), Some("actor")),
        ("note", json!([]), Some("body")),
    ] {
        let reply = office
            .app
            .give_feedback("ea_ben", &decision, name, body.clone())
            .await;
        let Some(field) = wrong_field else {
            assert_eq!(reply.status, 200, "{name} {body}: {:#}", reply.body);
            continue;
        };
        assert_problem(&reply, 422, "invalid_feedback");
        assert_eq!(reply.body["errors"][0]["field"], field, "{name} {body}");
    }
}

#[tokio::test]
async fn a_category_that_no_policy_has_is_refused_with_those_that_exist() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    let reply = office
        .app
        .give_feedback("ea_ben", &decision, "category", json!({"label": "fun"}))
        .await;
    let message = reply.body["errors"][0]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "no policy has this category; write one of meals, office, other, travel"
    );
}

#[tokio::test]
async fn unknown_and_foreign_decisions_are_the_same_404_and_another_name_is_no_path() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    let unknown = json!({"id": "00000000-0000-7000-8000-000000000000"});
    let answer = async |key: &str, decision: &Value, method: &Method| {
        let path = match *method {
            Method::GET => format!("{}/feedback", path_of(decision)),
            _ => feedback_on(decision, "note"),
        };
        let mut reply = match *method {
            Method::PUT => {
                let note = json!({"comment": "n"});
                office.app.give_feedback(key, decision, "note", note).await
            }
            _ => office.app.send_as(key, method.clone(), &path).await,
        };
        assert_problem(&reply, 404, "not_found");
        reply.body.as_object_mut().unwrap().remove("trace_id");
        reply.body
    };
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let foreign = answer("ea_zeta", &decision, &method).await;
        assert_eq!(foreign, answer("ea_zeta", &unknown, &method).await);
        let not_seen = answer("ea_ana", &office.decide(of_ben()).await, &method).await;
        assert_eq!(
            foreign, not_seen,
            "a person without a role sees only their own"
        );
    }
    for name in ["mood", "Decision", "decision%20", "%7b%7d"] {
        let reply = office.take_back("ea_ben", &decision, name).await;
        assert_problem(&reply, 404, "no_such_route");
        let reply = office
            .app
            .give_feedback("ea_ben", &decision, name, json!({"comment": "n"}))
            .await;
        assert_problem(&reply, 404, "no_such_route");
    }
}

/// A trip that Ben paid for.
fn of_ben() -> Value {
    crate::harness::expenses::of_user(ride(), "ben")
}

#[tokio::test]
async fn a_ledger_without_its_table_of_feedback_still_decides_and_reads_decisions() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let decision = office.decide(ride()).await;
    store.execute("ALTER TABLE feedback RENAME TO gone").await;
    let reply = office
        .app
        .give_feedback("ea_ben", &decision, "note", json!({"comment": "n"}))
        .await;
    assert_problem(&reply, 503, "ledger_unavailable");
    let path = format!("{}/feedback", path_of(&decision));
    let reply = office.app.send_as("ea_feed", Method::GET, &path).await;
    assert_problem(&reply, 503, "ledger_unavailable");
    office.decide(flight()).await;
    let path = path_of(&decision);
    let reply = office.app.send_as("ea_feed", Method::GET, &path).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn hostile_text_comes_back_as_it_was_written_unless_the_ledger_redacts() {
    let comments = [
        "<script>alert(1)</script>",
        "'; DROP TABLE feedback; --",
        "{\"taken_back\": true}",
        "\u{202e}right-to-left",
        "=HYPERLINK(\"x\")",
        "line\r\nline",
        "card 4111 1111 1111 1111",
    ];
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    for comment in comments {
        let note = json!({"comment": comment});
        let given = office.give("ea_ben", &decision, "note", note).await;
        assert_eq!(given["comment"], comment);
        assert_eq!(office.standing(&decision).await[0][2], comment);
    }
    let keys = keys();
    let redacting = TestApp::with(Config {
        http: HttpConfig {
            redacts_ledger: true,
            ..keys.http_config()
        },
        ..config()
    })
    .await;
    let decision = redacting.post_as("ea_feed", ride()).await.body;
    let note = json!({"comment": comments[6]});
    let given = redacting
        .give_feedback("ea_ben", &decision, "note", note)
        .await;
    assert_eq!(given.body["comment"], "card [CARD]");
}
