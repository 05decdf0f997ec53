//! What the ledger keeps: every change is sealed, exported and erased, and the latest one holds.

use std::collections::BTreeMap;

use expense_agent::domain::feedback::{Feedback, FeedbackName, FeedbackSource, standing};
use expense_agent::ledger::{Ledger, Period};
use futures_util::future::join_all;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Office;
use crate::harness::expenses::{id_of, numbered_ride, of_user, ride};
use crate::harness::store::{TestStore, on_each_store};

const TENANT: &str = "acme";

/// Every document of the table of feedback, in the order of the ledger.
async fn documents(store: &TestStore) -> Vec<Value> {
    let pool = store.connect().await;
    let rows: Vec<(String,)> = sqlx::query_as("SELECT document FROM feedback ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    pool.close().await;
    let documents = rows.iter().map(|(text,)| serde_json::from_str(text));
    documents.collect::<Result<_, _>>().unwrap()
}

/// The number of valid records of the chain, or where and why it is broken.
async fn walk(store: &TestStore) -> Result<i64, (i64, &'static str)> {
    let ledger = Ledger::open(&store.store).await.unwrap();
    let walk = ledger.walk(TENANT, None).await.unwrap();
    ledger.close().await;
    match walk.broken {
        Some(broken) => Err((broken.seq, broken.problem)),
        None => Ok(walk.n_records),
    }
}

#[tokio::test]
async fn every_change_is_a_record_of_the_chain_and_the_same_again_is_none() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let decision = office.decide(ride()).await;
        for label in ["wrong", "wrong", "right"] {
            let body = json!({"label": label, "comment": "Hm."});
            office.give("ea_ben", &decision, "decision", body).await;
        }
        for _ in 0..2 {
            office.take_back("ea_ben", &decision, "decision").await;
        }
        let changes: Vec<Value> = documents(&store)
            .await
            .iter()
            .map(|one| json!([one["label"], one["comment"], one["taken_back"]]))
            .collect();
        let expected = json!([
            ["wrong", "Hm.", false],
            ["right", "Hm.", false],
            [null, null, true],
        ]);
        assert_eq!(json!(changes), expected);
        office.app.stop().await;
        assert_eq!(walk(&store).await, Ok(4));
    })
    .await;
}

#[tokio::test]
async fn feedback_that_is_changed_removed_or_moved_past_the_service_is_found() {
    for (tampering, problem) in [
        (
            "UPDATE feedback SET document = REPLACE(document, 'wrong', 'right')",
            "its document was changed, or a record before it was",
        ),
        ("DELETE FROM feedback", "its document is missing"),
        (
            "UPDATE feedback SET decision_id = (SELECT record_id FROM chain WHERE seq = 2)",
            "it is stored under another tenant or expense than its document names",
        ),
    ] {
        on_each_store(async |store| {
            let office = Office::on(&store).await;
            let decision = office.decide(ride()).await;
            office.decide(numbered_ride(1)).await;
            let wrong = json!({"label": "wrong"});
            office.give("ea_ben", &decision, "decision", wrong).await;
            office.app.stop().await;
            assert_eq!(walk(&store).await, Ok(3));
            store.execute(tampering).await;
            assert_eq!(walk(&store).await, Err((3, problem)), "{tampering}");
        })
        .await;
    }
}

#[tokio::test]
async fn of_many_who_write_at_once_every_person_has_one_say_and_the_chain_is_valid() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let decision = office.decide(ride()).await;
        let say = async |author: usize, label: &str| {
            let body = json!({"label": label, "actor": format!("person {author}")});
            let given = office.give("ea_boss", &decision, "decision", body).await;
            assert_eq!(given["label"], label);
        };
        let writes = (0..40).map(|n| say(n % 4, if n % 3 == 0 { "right" } else { "wrong" }));
        join_all(writes).await;
        let holds = office.standing(&decision).await;
        assert_eq!(holds.as_array().unwrap().len(), 4, "{holds:#}");
        let same = (0..20).map(|_| say(9, "right"));
        join_all(same).await;
        let of_nine = documents(&store).await;
        let of_nine = of_nine.iter().filter(|one| one["author"] == "person 9");
        assert_eq!(of_nine.count(), 1, "the same feedback is recorded once");
        // The record that came last into the chain holds.
        let latest: BTreeMap<String, Value> = documents(&store)
            .await
            .into_iter()
            .map(|one| (one["author"].to_string(), one["label"].clone()))
            .collect();
        for one in office.standing(&decision).await.as_array().unwrap() {
            assert_eq!(one[1], latest[&one[3].to_string()]);
        }
        office.app.stop().await;
        assert!(walk(&store).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn an_export_lists_every_change_in_order() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let (decision, other) = (
            office.decide(ride()).await,
            office.decide(numbered_ride(1)).await,
        );
        for (key, comment) in [("ea_ben", "one"), ("ea_ana", "two"), ("ea_ben", "three")] {
            let note = json!({"comment": comment});
            office.give(key, &decision, "note", note).await;
        }
        office.take_back("ea_ana", &decision, "note").await;
        office.app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let period = Period {
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::MAX,
        };
        let tenants = Some(&[TENANT.to_owned()][..]);
        for exported in ledger.export(period, tenants, None).await.unwrap() {
            let feedback = exported.attached["feedback"].as_array().unwrap();
            let comments: Vec<_> = feedback.iter().map(|one| &one["comment"]).collect();
            let id = exported.stored.decision.id.to_string();
            match id == id_of(&other) {
                true => assert!(comments.is_empty()),
                false => assert_eq!(json!(comments), json!(["one", "two", "three", null])),
            }
        }
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn erasing_a_person_erases_what_they_wrote_and_what_others_wrote_about_their_expenses() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let of_ana = office.decide(ride()).await;
        let of_carl = office.decide(of_user(ride(), "carl")).await;
        for (decision, actor, comment) in [
            (&of_ana, "ana", "by ana of ana"),
            (&of_ana, "carl", "by carl of ana"),
            (&of_carl, "ANA", "by ana of carl"),
            (&of_carl, "dora", "by dora of carl"),
        ] {
            let note = json!({"comment": comment, "actor": actor});
            office.give("ea_boss", decision, "note", note).await;
        }
        // More than one page of records of one author, on one decision.
        for n in 0..120 {
            let note = json!({"comment": format!("by ana of carl {n}"), "actor": "ana"});
            office.give("ea_boss", &of_carl, "note", note).await;
        }
        office.app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        // Ana's decision, the two notes on it, and her 121 on Carl's.
        assert_eq!(ledger.erase(TENANT, "ana").await.unwrap(), 1 + 2 + 121);
        assert_eq!(ledger.erase(TENANT, "ana").await.unwrap(), 0);
        ledger.close().await;
        let left: Vec<Value> = documents(&store)
            .await
            .iter()
            .map(|one| one["comment"].clone())
            .filter(|comment| !comment.as_str().unwrap().starts_with("sha256:"))
            .collect();
        assert_eq!(json!(left), json!(["by dora of carl"]));
        assert_eq!(walk(&store).await, Ok(2 + 4 + 120));
    })
    .await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_fails_the_list_and_nothing_else() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let decision = office.decide(ride()).await;
    let note = json!({"comment": "n"});
    office.give("ea_ben", &decision, "note", note).await;
    let broken = "UPDATE feedback SET document = '{\"name\": \"mood\"}'";
    store.execute(AssertSqlSafe(broken)).await;
    let path = format!("/v1/expenses/{}", id_of(&decision));
    let get = async |path: &str| {
        let reply = office.app.send_as("ea_feed", reqwest::Method::GET, path);
        reply.await.status
    };
    assert_eq!(get(&path).await, 200);
    assert_eq!(get("/v1/expenses").await, 200);
    assert_eq!(get(&format!("{path}/feedback")).await, 503);
}

/// One record of a model test: who says what under which name; without a label, it is taken back.
fn record(author: u8, name: u8, label: Option<u8>) -> Feedback {
    let names = [FeedbackName::Decision, FeedbackName::Reason];
    Feedback {
        id: Uuid::now_v7(),
        expense_id: Uuid::nil(),
        name: names[usize::from(name)],
        label: label.map(|label| label.to_string()),
        comment: None,
        author: author.to_string(),
        api_key: String::new(),
        source: FeedbackSource::Person,
        taken_back: label.is_none(),
        tenant_id: String::new(),
        trace_id: String::new(),
        given_at: Timestamp::UNIX_EPOCH,
    }
}

proptest! {
    #[test]
    fn what_holds_is_the_latest_of_each_author_under_each_name(
        records in proptest::collection::vec((0..3_u8, 0..2_u8, proptest::option::of(0..3_u8)), 0..30)
    ) {
        let mut expected = BTreeMap::new();
        for (author, name, label) in &records {
            expected.insert((*author, *name), *label);
        }
        expected.retain(|_, label| label.is_some());
        let records = records.into_iter().map(|(author, name, label)| record(author, name, label));
        let holds = standing(records.collect());
        let held: BTreeMap<_, _> = holds
            .iter()
            .map(|one| {
                let name = u8::from(one.name == FeedbackName::Reason);
                let label = one.label.as_ref().map(|label| label.parse().unwrap());
                ((one.author.parse().unwrap(), name), label)
            })
            .collect();
        prop_assert_eq!(holds.len(), held.len());
        prop_assert_eq!(held, expected);
    }
}
