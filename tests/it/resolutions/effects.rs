//! What a resolution does to the caps, the category, later credits and exported tables.

use std::collections::HashMap;

use expense_agent::config::model::ModelConfig;
use expense_agent::ledger::{CapChange, Ledger, RecordError};
use serde_json::{Value, json};

use super::{Office, as_a_meal, by, odd_meal};
use crate::harness::binary::run;
use crate::harness::expenses::{id_of, laptop, path_of};
use crate::harness::store::{TestStore, on_each_store};

#[tokio::test]
async fn an_approval_of_a_smaller_amount_frees_the_rest_of_the_share() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.decide(laptop("1000.00")).await;
        assert_eq!(
            (&pending["outcome"], &pending["approver"]),
            (&json!("needs_approval"), &json!("manager"))
        );
        let mut less = by("ben", "approve", "manager");
        less["amount"] = "600.00".into();
        let reply = office.resolve("ea_manager", &pending, less.clone()).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        let resolution = &reply.body["resolution"];
        assert_eq!(
            (&resolution["action"], &resolution["amount"]),
            (&json!("approve"), &json!("600.00"))
        );
        assert_eq!(
            (&resolution["actor"], &resolution["api_key"]),
            (&json!("ben"), &json!("manager"))
        );
        assert_eq!(
            (&resolution["category"], &resolution["exceptions"]),
            (&json!("office"), &json!([]))
        );
        assert_eq!(
            reply.body["outcome"], "needs_approval",
            "the agent's decision is unchanged"
        );
        assert_eq!(office.used(laptop("1.00")).await, "600.00");
        // The stored decision is the same, and the same resolution sent again gets the same
        // answer.
        let path = path_of(&pending);
        assert_eq!(office.get(&path).await, reply.body);
        let again = office.resolve("ea_manager", &pending, less).await;
        assert_eq!((again.status, &again.body), (201, &reply.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let other = office
            .resolve("ea_manager", &pending, by("ben", "deny", "manager"))
            .await;
        assert_eq!(
            (other.status, &other.body["code"]),
            (409, &json!("already_settled"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_denied_or_withdrawn_expense_frees_its_share_and_is_not_a_duplicate() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        for action in ["deny", "withdraw"] {
            let pending = office.decide(laptop("1000.00")).await;
            assert_eq!(pending["duplicates"], json!([]), "{action}");
            assert_eq!(office.used(laptop("1.00")).await, "1000.00");
            let reply = office
                .resolve("ea_vp", &pending, by("ben", action, "vp"))
                .await;
            assert_eq!(
                (reply.status, &reply.body["resolution"]["action"]),
                (201, &json!(action)),
                "{:#}",
                reply.body
            );
            assert_eq!(reply.body["resolution"]["amount"], Value::Null);
            assert_eq!(office.used(laptop("1.00")).await, "0.00");
        }
    })
    .await;
}

#[tokio::test]
async fn approving_a_reviewed_expense_above_a_cap_needs_the_role_of_the_exception() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let first = office.decide(odd_meal("60.00")).await;
        assert_eq!(
            (&first["outcome"], &first["reviewer"]),
            (&json!("needs_review"), &json!("manager"))
        );
        let approved = office
            .resolve("ea_manager", &first, as_a_meal("manager"))
            .await;
        assert_eq!(approved.status, 201, "{:#}", approved.body);
        let meal = json!({
            "transaction": "Dinner",
            "date": "2026-03-14",
            "user_id": "ana",
            "receipt": true,
        });
        assert_eq!(
            office.used(meal.clone()).await,
            "60.00",
            "an approval takes its share like any other"
        );

        // 60.00 and 30.00 together are above the cap of 75.00 a day.
        let second = office.decide(odd_meal("30.00")).await;
        let refused = office
            .resolve("ea_manager", &second, as_a_meal("manager"))
            .await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (403, &json!("exception_needed"))
        );
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("meals-day-cap")
                && detail.contains("15.00")
                && detail.contains("director"),
            "{detail}"
        );
        assert_eq!(
            office.used(meal.clone()).await,
            "60.00",
            "a refused resolution takes no share"
        );
        let excepted = office.resolve("ea_vp", &second, as_a_meal("vp")).await;
        assert_eq!(excepted.status, 201, "{:#}", excepted.body);
        assert_eq!(
            excepted.body["resolution"]["exceptions"],
            json!(["meals-day-cap"])
        );
        assert_eq!(office.used(meal).await, "90.00");
    })
    .await;
}

#[tokio::test]
async fn an_approval_of_a_reviewed_expense_may_choose_another_category() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let odd = office.decide(odd_meal("60.00")).await;
        let mut body = by("ben", "approve", "manager");
        body["category"] = "yachts".into();
        let unknown = office.resolve("ea_manager", &odd, body.clone()).await;
        assert_eq!(
            (unknown.status, &unknown.body["errors"][0]["field"]),
            (422, &json!("category"))
        );
        body["category"] = "travel".into();
        let reply = office.resolve("ea_manager", &odd, body).await;
        assert_eq!(
            (reply.status, &reply.body["resolution"]["category"]),
            (201, &json!("travel")),
            "{:#}",
            reply.body
        );
    })
    .await;
}

#[tokio::test]
async fn a_credit_uses_the_category_and_the_rate_of_the_approval() {
    on_each_store(async |store| {
        // The decision has neither category nor rate, so both come from the resolution.
        let faults = vec!["garbage:1".parse().unwrap()];
        let garbled = Office::with_model(
            &store,
            ModelConfig::Offline {
                faults,
                fault_seed: 1,
            },
        )
        .await;
        let mut lunch = odd_meal("40.00");
        lunch["currency"] = "EUR".into();
        let lunch = garbled.decide(lunch).await;
        assert_eq!(
            (&lunch["category"], &lunch["converted_amount"]),
            (&Value::Null, &Value::Null)
        );
        let office = Office::on(&store).await;
        let mut credit = json!({
            "transaction": "Credit note",
            "amount": "-10.00",
            "currency": "EUR",
            "user_id": "ana",
            "refunds": lunch["id"],
        });
        let early = office
            .app
            .post_with(credit.clone(), &[("authorization", "Bearer ea_feed")])
            .await;
        assert_eq!(
            (early.status, &early.body["errors"][0]["field"]),
            (422, &json!("refunds"))
        );
        assert!(
            early.body["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains("waits for its review")
        );

        let ledger = Ledger::open(&store.store).await.unwrap();
        let stale = ledger
            .get("acme", id_of(&lunch).parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let approved = office
            .resolve("ea_manager", &lunch, as_a_meal("manager"))
            .await;
        assert_eq!(approved.status, 201, "{:#}", approved.body);
        assert_eq!(
            approved.body["resolution"]["converted_amount"]["amount"],
            "43.40"
        );
        let mut late = stale.decision.clone();
        late.id = uuid::Uuid::now_v7();
        let refused = ledger
            .record(&mut late, CapChange::Credit(&stale), None)
            .await;
        assert!(
            matches!(refused, Err(RecordError::AlreadyResolved)),
            "the purchase was resolved since it was read"
        );
        ledger.close().await;

        let meal = json!({
            "transaction": "Dinner",
            "date": "2026-03-14",
            "user_id": "ana",
            "receipt": true,
        });
        assert_eq!(office.used(meal.clone()).await, "43.40");
        let back = office.decide(credit.clone()).await;
        assert_eq!(
            (&back["category"], &back["reimbursable"]),
            (&json!("meals"), &json!("-10.85")),
            "{back:#}"
        );
        assert_eq!(office.used(meal.clone()).await, "32.55");
        credit["amount"] = "-30.00".into();
        assert_eq!(office.decide(credit).await["reimbursable"], "-32.55");
        assert_eq!(office.used(meal).await, "0.00");
    })
    .await;
}

#[tokio::test]
async fn a_table_of_decisions_shows_the_category_that_a_person_chose() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let odd = office.decide(odd_meal("60.00")).await;
    assert_eq!(
        office
            .resolve("ea_manager", &odd, as_a_meal("manager"))
            .await
            .status,
        201
    );
    let today = odd["received_at"]
        .as_str()
        .unwrap()
        .split('T')
        .next()
        .unwrap();
    let table = run(
        &[
            "export",
            "--data",
            store.folder(),
            "--from",
            today,
            "--to",
            today,
        ],
        &[],
    )
    .await
    .stdout;
    let rows = csv::Reader::from_reader(&*table).into_deserialize::<HashMap<String, String>>();
    let row = rows.last().unwrap().unwrap();
    assert_eq!(
        (&*row["resolution"], &*row["resolution_category"]),
        ("approve", "meals")
    );
}
