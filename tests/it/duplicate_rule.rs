//! The rule on duplicates: an expense that is like an earlier one is asked about, or denied. How alike two
//! expenses are is tested in `duplicates`.

use expense_agent::config::Config;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::expenses::{laptop, of_user};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, config, policies_with};

/// A service with this rule on duplicates of office expenses, and the folder of its policies.
async fn office(store: &TestStore, keys: &str) -> (TestApp, TempDir) {
    let rule = format!(
        "[[rule]]\nid = \"no-twin\"\nkind = \"duplicate\"\n{keys}\ntext = \"Handed in once.\"\n"
    );
    let policies = policies_with("office.toml", &rule);
    let app = TestApp::with(Config {
        store: store.store.clone(),
        policies: policies.path().to_owned(),
        ..config()
    })
    .await;
    (app, policies)
}

fn with(mut body: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    body
}

#[tokio::test]
async fn an_expense_like_an_earlier_one_is_asked_about_from_the_score_on() {
    on_each_store(async |store| {
        let (app, _policies) = office(&store, "score = \"0.8\"\nrole = \"director\"").await;
        let at_dell = json!({"merchant": "Dell"});
        let first = with(laptop("100.00"), at_dell.clone());
        assert_eq!(app.decide(first.clone()).await["outcome"], "approved");
        for (second, score, outcome, approver) in [
            (first.clone(), "1.0", "needs_approval", json!("director")),
            // Another text of the same day, from 0.8 on.
            (
                with(first.clone(), json!({"transaction": "Laptop for Bo"})),
                "0.8",
                "needs_approval",
                json!("director"),
            ),
            // Another text of the next day, below it.
            (
                with(
                    first.clone(),
                    json!({"transaction": "Laptop for Cy", "date": "2026-03-15"}),
                ),
                "0.6",
                "approved",
                Value::Null,
            ),
            (of_user(first.clone(), "ben"), "", "approved", Value::Null),
            (
                with(first.clone(), json!({"amount": "100.01"})),
                "",
                "approved",
                Value::Null,
            ),
        ] {
            let decision = app.decide(second).await;
            assert_eq!(
                (&decision["outcome"], &decision["approver"]),
                (&json!(outcome), &approver),
                "{decision:#}"
            );
            let found = decision["duplicates"][0]["score"].as_str();
            assert_eq!(found.unwrap_or_default(), score);
        }
    })
    .await;
}

#[tokio::test]
async fn a_manager_is_asked_by_default_and_a_rule_may_deny_instead() {
    for (keys, outcome, approver) in [
        ("score = \"1.0\"", "needs_approval", json!("manager")),
        (
            "score = \"1.0\"\neffect = \"denied\"",
            "denied",
            Value::Null,
        ),
        (
            "score = \"1.0\"\neffect = \"denied\"\nexception = \"cfo\"",
            "denied",
            Value::Null,
        ),
    ] {
        let store = TestStore::sqlite();
        let (app, _policies) = office(&store, keys).await;
        app.decide(laptop("100.00")).await;
        let second = app.decide(laptop("100.00")).await;
        assert_eq!(
            (&second["outcome"], &second["approver"]),
            (&json!(outcome), &approver),
            "{keys}"
        );
        assert_eq!(second["findings"][0]["used"], "0.00");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_equal_expenses_at_once_one_passes() {
    on_each_store(async |store| {
        let (app, _policies) = office(&store, "score = \"0.8\"\neffect = \"denied\"").await;
        let replies = join_all((0..12).map(|_| app.decide(laptop("100.00")))).await;
        let approved = replies
            .iter()
            .filter(|reply| reply["outcome"] == "approved");
        assert_eq!(approved.count(), 1);
        assert!(
            replies
                .iter()
                .filter(|reply| reply["outcome"] != "approved")
                .all(|reply| reply["outcome"] == "denied"
                    && reply["findings"][0]["rule"] == "no-twin")
        );
    })
    .await;
}
