//! Caps that count by a department, cost centre, project or recipient instead of by employee.

use serde_json::{Value, json};

use super::{app_with, cap, cap_of, toner};
use crate::harness::expenses::{id_of, of_user};
use crate::harness::store::{TestStore, on_each_store};

const FACTS: [&str; 4] = ["department", "cost_center", "project", "recipient"];

fn with(mut expense: Value, fact: &str, value: &str) -> Value {
    expense[fact] = value.into();
    expense
}

#[tokio::test]
async fn what_several_people_spend_for_one_project_counts_together() {
    on_each_store(async |store| {
        for fact in FACTS {
            let rules = cap(
                "key",
                &format!("per = \"month\"\nby = \"{fact}\""),
                "100.00",
            );
            let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
            for (user_id, key, amount, date, outcome, used) in [
                ("ana", "Apollo", "60.00", "2026-03-01", "approved", "0.00"),
                ("ben", "APOLLO", "40.01", "2026-03-31", "denied", "60.00"),
                (
                    "ben",
                    "apollo\u{200b}",
                    "40.00",
                    "2026-03-31",
                    "approved",
                    "60.00",
                ),
                ("ana", "Apollo", "0.01", "2026-03-15", "denied", "100.00"),
                ("ana", "Apollo", "100.00", "2026-04-01", "approved", "0.00"),
                ("ana", "Zeus", "100.00", "2026-03-15", "approved", "0.00"),
            ] {
                let decision = app
                    .decide(with(of_user(toner(amount, date), user_id), fact, key))
                    .await;
                let cap = cap_of(&decision, "key");
                assert_eq!(
                    (&decision["outcome"], &cap["used"], &cap["by"]),
                    (&json!(outcome), &json!(used), &json!(fact)),
                    "{fact} {key:?} {amount} on {date}: {decision:#}"
                );
                assert_eq!(cap["window_key"], date[..7]);
            }
            app.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_expense_that_does_not_say_what_a_cap_counts_by_asks_a_manager() {
    let store = TestStore::sqlite();
    let rules = cap("key", "per = \"month\"\nby = \"project\"", "100.00");
    let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
    let decision = app.decide(toner("5.00", "2026-03-14")).await;
    assert_eq!(
        (
            &decision["outcome"],
            &decision["approver"],
            &decision["missing"],
            &decision["model_decision"]
        ),
        (
            &json!("needs_approval"),
            &json!("manager"),
            &json!(["project"]),
            &json!("needs_approval")
        ),
        "{decision:#}"
    );
    let caps = decision["caps"].as_array().unwrap();
    assert!(caps.iter().all(|cap| cap["rule"] != "key"), "{caps:#?}");
    assert_eq!(store.column("SELECT fact FROM keyed_usage").await, [""; 0]);
}

#[tokio::test]
async fn credits_and_resolutions_give_back_to_the_same_key() {
    on_each_store(async |store| {
        let rules = cap("key", "per = \"year\"\nby = \"recipient\"\nover = \"all\"", "2000.00");
        let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
        let spend = async |user_id: &str, amount: &str| {
            let body = of_user(toner(amount, "2026-03-14"), user_id);
            app.decide(with(body, "recipient", "Dr. Ada Example")).await
        };
        let used = async || cap_of(&spend("zoe", "9000.00").await, "key")["used"].clone();
        let approved = spend("ana", "300.00").await;
        let pending = spend("ben", "600.00").await;
        assert_eq!(pending["outcome"], "needs_approval");
        assert_eq!(used().await, "900.00");
        let credit = json!({
            "transaction": "Credit note", "amount": "-100.00", "user_id": "ana", "refunds": id_of(&approved),
        });
        assert_eq!(app.decide(credit).await["outcome"], "approved");
        assert_eq!(used().await, "800.00");
        let key = app.local_key.clone().unwrap();
        let less = json!({
            "action": "approve", "role": "manager", "actor": "boss", "reason": "Half.", "amount": "250.00",
        });
        assert_eq!(app.resolve(&key, &pending, less).await.status, 201);
        assert_eq!(used().await, "450.00");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_name_is_stored_with_the_sums_and_two_tenants_hash_it_differently() {
    on_each_store(async |store| {
        let rules = cap("key", "per = \"year\"\nby = \"recipient\"", "100.00");
        let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
        for tenant in ["acme", "zeta"] {
            let body = with(toner("60.00", "2026-03-14"), "recipient", "Ada Example");
            let baggage = format!("tenant.id={tenant}");
            let reply = app.post_with(body, &[("baggage", &baggage)]).await;
            assert_eq!(reply.body["outcome"], "approved", "{:#}", reply.body);
        }
        app.stop().await;
        let hashes = store
            .column("SELECT key_hash FROM keyed_usage ORDER BY tenant_id")
            .await;
        assert_eq!(hashes.len(), 2);
        assert_ne!(hashes[0], hashes[1]);
        for hash in &hashes {
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        assert_eq!(
            store
                .column("SELECT key_hash FROM share_key ORDER BY tenant_id")
                .await,
            hashes
        );
    })
    .await;
}

#[tokio::test]
async fn erasing_an_employee_deletes_what_their_decisions_count_by_and_keeps_the_sums() {
    on_each_store(async |store| {
        let rules = cap("key", "per = \"year\"\nby = \"project\"", "100.00");
        let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
        let spend = async |user_id: &str, amount: &str| {
            let body = of_user(toner(amount, "2026-03-14"), user_id);
            app.decide(with(body, "project", "Apollo")).await
        };
        let bought = spend("ana", "60.00").await;
        spend("ben", "10.00").await;
        let ledger = expense_agent::ledger::Ledger::open(&store.store).await.unwrap();
        ledger.erase("default", "ana").await.unwrap();
        ledger.close().await;
        assert_eq!(store.column("SELECT key_hash FROM share_key").await.len(), 1);
        let credit = json!({
            "transaction": "Credit note", "amount": "-60.00", "user_id": "ana", "refunds": id_of(&bought),
        });
        assert_eq!(app.decide(credit).await["outcome"], "approved");
        // Nothing says any more for which project the money came back, so the project keeps the sum.
        let probe = spend("zoe", "90.00").await;
        assert_eq!(cap_of(&probe, "key")["used"], "70.00");
        app.stop().await;
    })
    .await;
}
