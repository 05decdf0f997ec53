//! Who gives feedback, and who that is in relation to the expense.

use reqwest::Method;
use serde_json::{Value, json};

use super::Office;
use crate::api::assert_problem;
use crate::harness::TestApp;
use crate::harness::expenses::{feedback_on, of_user, ride};

#[tokio::test]
async fn the_author_is_the_user_of_the_key_else_the_actor_who_is_named() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    for (key, actor, expected) in [
        ("ea_ben", json!(null), Ok("ben")),
        ("ea_ben", json!("ben"), Ok("ben")),
        ("ea_ben", json!("BEN"), Ok("ben")),
        ("ea_ben", json!("dora"), Err((403, "another_actor"))),
        ("ea_boss", json!("dora"), Ok("dora")),
        ("ea_boss", json!(null), Err((422, "invalid_feedback"))),
    ] {
        let body = json!({"label": "right", "actor": actor});
        // Baggage names an employee, and never the person who acts.
        let headers = [
            ("authorization", &*format!("Bearer {key}")),
            ("baggage", "user.id=eve"),
        ];
        let put = office
            .app
            .request(Method::PUT, &feedback_on(&decision, "decision"), &headers)
            .json(&body);
        let response = put.send().await.unwrap();
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap();
        match expected {
            Ok(author) => assert_eq!(answer["author"], author, "{key} {actor}"),
            Err((code, name)) => {
                assert_eq!(
                    (status, &answer["code"]),
                    (code, &json!(name)),
                    "{key} {actor}"
                );
            }
        }
        let span = office.app.trace(&answer["trace_id"]);
        let shown = span.iter().any(|span| {
            span.attributes.iter().any(|attribute| {
                attribute.key.as_str() == "user.id" && attribute.value.as_str() == "eve"
            })
        });
        assert!(!shown || expected.is_err(), "{key} {actor}");
    }
}

#[tokio::test]
async fn each_person_has_a_say_of_their_own_in_every_spelling_of_their_id() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(ride()).await;
    let say = async |actor: &str, label: &str| {
        let body = json!({"label": label, "actor": actor});
        office.give("ea_boss", &decision, "decision", body).await
    };
    say("dora", "wrong").await;
    say("eve", "right").await;
    say("DORA", "right").await;
    let holds = json!([
        ["decision", "right", null, "eve", "person"],
        ["decision", "right", null, "DORA", "person"],
    ]);
    assert_eq!(office.standing(&decision).await, holds);
    let delete = async |query: &str| {
        let path = format!("{}{query}", feedback_on(&decision, "decision"));
        office.app.send_as("ea_boss", Method::DELETE, &path).await
    };
    assert_problem(&delete("").await, 422, "invalid_feedback");
    for query in ["?user=eve", "?actor=", "?actor=%20", "?actor=eve&actor=eve"] {
        assert_problem(&delete(query).await, 400, "unknown_filter");
    }
    assert_eq!(delete("?actor=Dora").await.status, 204);
    assert_eq!(office.standing(&decision).await, json!([holds[0]]));
    let path = format!("{}?actor=eve", feedback_on(&decision, "decision"));
    let reply = office.app.send_as("ea_ben", Method::DELETE, &path).await;
    assert_problem(&reply, 403, "another_actor");
}

#[tokio::test]
async fn feedback_of_the_employee_or_of_who_handed_the_expense_in_says_so() {
    let office = Office::on_sqlite().await;
    let of_ana = office.decide(ride()).await;
    let by_ana = of_user(ride(), "carl");
    let by_ana = office.app.post_as("ea_ana", by_ana).await.body;
    let by_anas_program = {
        let headers = [
            ("authorization", "Bearer ea_feed"),
            ("baggage", "user.id=ana"),
        ];
        let body = of_user(ride(), "dan");
        office.app.post_with(body, &headers).await.body
    };
    for (decision, key, actor, source) in [
        (&of_ana, "ea_ana", None, "employee"),
        (&of_ana, "ea_boss", Some("ANA"), "employee"),
        (&of_ana, "ea_ben", None, "person"),
        // The key of a program handed it in, and belongs to no person.
        (&of_ana, "ea_feed", Some("eve"), "person"),
        (&by_ana, "ea_ana", None, "employee"),
        (&by_ana, "ea_boss", Some("carl"), "employee"),
        (&by_ana, "ea_boss", Some("dan"), "person"),
        (&by_anas_program, "ea_boss", Some("ana"), "employee"),
        (&by_anas_program, "ea_boss", Some("dan"), "employee"),
        (&by_anas_program, "ea_boss", Some("carl"), "person"),
    ] {
        let body = json!({"label": "useful", "actor": actor});
        let given = office.give(key, decision, "reason", body).await;
        assert_eq!(given["source"], source, "{key} {actor:?}");
    }
}

#[tokio::test]
async fn without_api_keys_no_person_is_known_so_feedback_is_refused_and_reading_is_not() {
    let app = TestApp::spawn().await;
    let decision = app.decide(ride()).await;
    let path = feedback_on(&decision, "note");
    for method in [Method::PUT, Method::DELETE] {
        let body = json!({"comment": "n", "actor": "ben"});
        let request = app.request(method, &path, &[]).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 403);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "role_missing");
    }
    let list = app.get(path.trim_end_matches("/note")).await;
    assert_eq!((list.status, list.body), (200, json!({"feedback": []})));
}
