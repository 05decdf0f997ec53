//! Deciding an expense anew: a decision that was made without the model's advice is superseded by a
//! new one, unless a person resolved it.

use expense_agent::config::model::ModelConfig;
use expense_agent::ledger::Ledger;
use futures_util::future::join_all;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::{Office, by, odd_meal};
use crate::harness::binary::{run, text};
use crate::harness::expenses::{expense, id_of, laptop, meal, of_user, path_of, without_page};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::openai;
use crate::harness::replies::category;
use crate::harness::store::{TestStore, on_each_store};

/// A service whose offline model has this injected fault in every answer.
async fn with_fault(store: &TestStore, fault: &str) -> Office {
    let model = ModelConfig::Offline {
        faults: vec![fault.parse().unwrap()],
        fault_seed: 1,
    };
    Office::with_model(store, model).await
}

/// A service whose model does not answer.
async fn in_an_outage(store: &TestStore) -> Office {
    with_fault(store, "unavailable:1").await
}

/// A denial without advice: the model classifies the meal, but fails when it is asked for advice.
async fn deny_without_advice(store: &TestStore, meal: Value) -> Value {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category("meals")]);
    fake.always(Reply::status(400));
    let failing = Office::with_model(store, openai(&fake)).await;
    let denied = failing.decide(meal).await;
    assert_eq!(
        (&denied["outcome"], &denied["agent_outcome"]),
        (&json!("denied"), &json!("error"))
    );
    denied
}

fn superseding(mut expense: Value, old: &Value) -> Value {
    expense["supersedes"] = old["id"].clone();
    expense
}

async fn listed(office: &Office, query: &str) -> Vec<Value> {
    let page = office.get(&format!("/v1/expenses?{query}")).await;
    let decisions = page["decisions"].as_array().unwrap();
    decisions.iter().map(|one| one["id"].clone()).collect()
}

#[tokio::test]
async fn a_decision_without_the_models_advice_is_superseded_and_only_the_new_one_counts() {
    on_each_store(async |store| {
        let old = in_an_outage(&store).await.decide(laptop("1000.00")).await;
        assert_eq!(
            (&old["outcome"], &old["agent_outcome"]),
            (&json!("needs_review"), &json!("error"))
        );
        assert_eq!(old["superseded_by"], Value::Null);
        let office = Office::on(&store).await;
        assert_eq!(listed(&office, "pending=manager").await, [old["id"].clone()]);
        let new = office.decide(superseding(laptop("1000.00"), &old)).await;
        assert_eq!(
            (&new["outcome"], &new["supersedes"], &new["duplicates"]),
            (&json!("needs_approval"), &old["id"], &json!([]))
        );
        assert_eq!(office.used(laptop("1.00")).await, "1000.00");
        // The old decision is unchanged, except that it names the one that superseded it, and waits for
        // nobody.
        let mut read = office.get(&path_of(&old)).await;
        assert_eq!(read["superseded_by"], new["id"]);
        read["superseded_by"] = Value::Null;
        assert_eq!((read["pending"].take(), &old["pending"]), (Value::Null, &json!("manager")));
        read["pending"] = "manager".into();
        assert_eq!(without_page(read), without_page(old.clone()));
        assert_eq!(office.get(&path_of(&new)).await, new);
        let mine = "user_id=ana&category=office&outcome=needs_approval";
        assert_eq!(listed(&office, mine).await, [new["id"].clone()]);
        assert_eq!(listed(&office, "pending=manager").await, [new["id"].clone()]);
        assert_eq!(listed(&office, "outcome=needs_review").await, Vec::<Value>::new());
        let page = office.app.metrics().await;
        let waiting = page.sum("expense_decisions_pending", &[("expense_pending_role", "manager")]);
        assert_eq!(waiting.to_string(), "1");
        // The old decision can neither be resolved nor be refunded any more.
        let late = office
            .resolve("ea_manager", &old, by("ben", "approve", "manager"))
            .await;
        assert_eq!(
            (late.status, &late.body["code"]),
            (409, &json!("already_superseded"))
        );
        let credit = json!({"transaction": "Credit", "amount": "-1.00", "user_id": "ana", "refunds": old["id"]});
        let credit = office.app.post_as("ea_feed", credit).await;
        let message = credit.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("`superseded_by`"), "{message}");
        let done = office
            .resolve("ea_manager", &new, by("ben", "approve", "manager"))
            .await;
        assert_eq!(done.status, 201, "{:#}", done.body);
    })
    .await;
}

#[tokio::test]
async fn superseding_keeps_the_hash_chain_valid_and_an_export_links_both_decisions() {
    let store = TestStore::sqlite();
    let old = in_an_outage(&store).await.decide(laptop("100.00")).await;
    let office = Office::on(&store).await;
    let new = office.decide(superseding(laptop("100.00"), &old)).await;
    let verified = run(&["ledger", "verify", "--data", store.folder()], &[]).await;
    assert!(verified.status.success(), "{verified:?}");
    let period = [
        "--from",
        "2020-01-01",
        "--to",
        "2100-01-01",
        "--data",
        store.folder(),
    ];
    let table = run(&[&["export"], &period[..]].concat(), &[]).await.stdout;
    let rows: Vec<std::collections::HashMap<String, String>> = csv::Reader::from_reader(&*table)
        .into_deserialize()
        .map(Result::unwrap)
        .collect();
    let ids = |row: usize| {
        [
            rows[row]["supersedes"].as_str(),
            rows[row]["superseded_by"].as_str(),
        ]
    };
    assert_eq!((ids(0), ids(1)), (["", id_of(&new)], [id_of(&old), ""]));
    let lines = run(
        &[&["export", "--format", "ndjson"], &period[..]].concat(),
        &[],
    )
    .await;
    let lines = text(lines.stdout);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["superseded_by"], new["id"]);
}

#[tokio::test]
async fn a_changed_superseded_by_is_found_by_verify() {
    let not_marked = "the decision that it supersedes does not name it";
    let wrongly_marked = "it is marked as superseded by a decision that does not supersede it";
    // The chain holds an old decision, the one that superseded it, and another one.
    for (newer_of, newer, seq, problem) in [
        (0, None, 2, not_marked),
        (0, Some(2), 1, wrongly_marked),
        (0, Some(0), 1, wrongly_marked),
        (1, Some(2), 2, wrongly_marked),
        (2, Some(0), 3, wrongly_marked),
        (2, Some(1), 3, wrongly_marked),
        (2, Some(3), 3, wrongly_marked),
    ] {
        on_each_store(async |store| {
            let old = in_an_outage(&store).await.decide(laptop("100.00")).await;
            let office = Office::on(&store).await;
            let new = office.decide(superseding(laptop("100.00"), &old)).await;
            let other = office.decide(laptop("7.00")).await;
            let unknown = json!({"id": "01890a5d-ac96-774b-bcce-b302099a8057"});
            let decisions = [old, new, other, unknown];
            let ledger = Ledger::open(&store.store).await.unwrap();
            assert_eq!(ledger.walk("acme", None).await.unwrap().broken, None);
            let newer = newer.map_or("NULL".to_owned(), |newer: usize| {
                format!("'{}'", id_of(&decisions[newer]))
            });
            let older = id_of(&decisions[newer_of]);
            let sql = format!("UPDATE decision SET superseded_by = {newer} WHERE id = '{older}'");
            store.execute(sqlx::AssertSqlSafe(sql)).await;
            let broken = ledger.walk("acme", None).await.unwrap().broken.unwrap();
            assert_eq!(
                (broken.seq, broken.problem),
                (seq, problem),
                "{newer_of} {newer}"
            );
            ledger.close().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_credit_of_a_decision_without_advice_is_refused_until_that_is_superseded() {
    on_each_store(async |store| {
        let outage = in_an_outage(&store).await;
        let office = Office::on(&store).await;
        let full = office.decide(meal("70.00")).await;
        let denied = deny_without_advice(&store, meal("8.00")).await;
        let reviewed = outage.decide(laptop("100.00")).await;
        let credit = |of: &Value| {
            json!({"transaction": "Credit", "amount": "-3.00", "user_id": "ana", "refunds": of["id"]})
        };
        for old in [&denied, &reviewed] {
            let early = office.app.post_as("ea_feed", credit(old)).await;
            assert_eq!(
                (early.status, &early.body["errors"][0]["field"]),
                (422, &json!("refunds")),
                "{:#}",
                early.body
            );
        }
        office.decide(json!({
            "transaction": "Credit", "amount": "-70.00", "user_id": "ana", "refunds": full["id"],
        })).await;
        let new = office.decide(superseding(meal("8.00"), &denied)).await;
        assert_eq!(new["outcome"], "approved");
        let late = office.decide(credit(&new)).await;
        assert_eq!(late["reimbursable"], "-3.00");
        assert_eq!(office.used(meal("1.00")).await, "5.00");
        // A denial that rests on advice stays, so a credit of it is accepted, and returns nothing.
        let stays = office.decide(meal("80.00")).await;
        assert_eq!(office.decide(credit(&stays)).await["reimbursable"], "0.00");
    })
    .await;
}

#[tokio::test]
async fn a_denial_without_advice_can_be_superseded_but_not_to_exceed_a_cap() {
    on_each_store(async |store| {
        let outage = in_an_outage(&store).await;
        let office = Office::on(&store).await;
        let full = office.decide(meal("70.00")).await;
        assert_eq!(full["outcome"], "approved");
        let denied = deny_without_advice(&store, meal("20.00")).await;
        let anew = office.decide(superseding(meal("20.00"), &denied)).await;
        assert_eq!(
            (&anew["outcome"], &anew["model_decision"]),
            (&json!("denied"), &json!("denied"))
        );
        let old = outage.decide(meal("10.00")).await;
        let again = outage.decide(superseding(meal("10.00"), &old)).await;
        assert_eq!(
            (&again["agent_outcome"], &again["supersedes"]),
            (&json!("error"), &old["id"]),
            "the outage continues"
        );
        let twice = office
            .app
            .post_as("ea_feed", superseding(meal("10.00"), &old))
            .await;
        assert_eq!(
            (twice.status, &twice.body["code"]),
            (409, &json!("already_superseded"))
        );
        let last = office.decide(superseding(meal("10.00"), &again)).await;
        assert_eq!(last["outcome"], "denied", "the cap of the day is 75.00");
        assert_eq!(
            listed(&office, "user_id=ana").await,
            [last["id"].clone(), anew["id"].clone(), full["id"].clone()]
        );
    })
    .await;
}

#[tokio::test]
async fn a_list_by_failed_check_omits_superseded_decisions_on_every_page() {
    on_each_store(async |store| {
        // The first answer is not JSON, and the repair gets no answer.
        let fake = FakeOpenAi::spawn().await;
        fake.always(Reply::status(400));
        let outage = Office::with_model(&store, openai(&fake)).await;
        let office = Office::on(&store).await;
        let mut stays = Vec::new();
        for n in 0..6 {
            fake.script([Reply::content("no JSON")]);
            let body = of_user(laptop("100.00"), &format!("ana-{n}"));
            let old = outage.decide(body.clone()).await;
            assert_eq!(old["agent_outcome"], "error", "{old:#}");
            match n % 2 {
                0 => stays.push(old["id"].clone()),
                _ => drop(office.decide(superseding(body, &old)).await),
            }
        }
        stays.reverse();
        let failed = "failed_validation=answer_schema";
        assert_eq!(listed(&office, failed).await, stays);
        let page = office.get(&format!("/v1/expenses?{failed}&limit=2")).await;
        let next = page["next_cursor"].as_str().unwrap();
        let rest = listed(&office, &format!("{failed}&cursor={next}")).await;
        assert_eq!(rest, stays[2..]);
    })
    .await;
}

#[tokio::test]
async fn a_decision_with_advice_or_a_resolution_or_of_another_employee_is_not_superseded() {
    on_each_store(async |store| {
        let outage = in_an_outage(&store).await;
        let office = Office::on(&store).await;
        let old = outage.decide(laptop("100.00")).await;
        let resolved = outage.decide(laptop("200.00")).await;
        office
            .resolve("ea_manager", &resolved, by("ben", "deny", "manager"))
            .await;
        let advised = office.decide(laptop("1000.00")).await;
        let reviewed = office.decide(odd_meal("60.00")).await;
        let nonsense = with_fault(&store, "garbage:1")
            .await
            .decide(laptop("300.00"))
            .await;
        let mut credit = laptop("-1.00");
        credit["refunds"] = advised["id"].clone();
        let unknown = json!({"id": "01890a5d-ac96-774b-bcce-b302099a8057"});
        let of_ben = of_user(laptop("100.00"), "ben");
        let foreign = json!({"id": "laptop"});
        for (body, status, code) in [
            (
                superseding(laptop("100.00"), &resolved),
                409,
                "already_settled",
            ),
            (superseding(laptop("100.00"), &advised), 409, "has_advice"),
            (superseding(laptop("100.00"), &reviewed), 409, "has_advice"),
            (superseding(laptop("100.00"), &nonsense), 409, "has_advice"),
            (superseding(of_ben, &old), 422, "invalid_expense"),
            (
                superseding(laptop("100.00"), &unknown),
                422,
                "invalid_expense",
            ),
            (
                superseding(laptop("100.00"), &foreign),
                422,
                "invalid_expense",
            ),
            (superseding(credit, &old), 422, "invalid_expense"),
        ] {
            let reply = office.app.post_as("ea_feed", body).await;
            assert_eq!(
                (reply.status, &reply.body["code"]),
                (status, &json!(code)),
                "{:#}",
                reply.body
            );
            if status == 422 {
                assert_eq!(reply.body["errors"][0]["field"], "supersedes");
            }
        }
        let elsewhere = office
            .app
            .post_as("ea_zeta", superseding(laptop("100.00"), &old))
            .await;
        assert_eq!(elsewhere.status, 422, "another tenant's decision");
        let read = office.get(&path_of(&old)).await;
        assert_eq!(without_page(read), without_page(old));
    })
    .await;
}

#[tokio::test]
async fn when_several_requests_supersede_or_resolve_one_decision_one_succeeds() {
    on_each_store(async |store| {
        let outage = in_an_outage(&store).await;
        let office = Office::on(&store).await;
        for n in 0..4 {
            let old = outage
                .decide(of_user(laptop("600.00"), &format!("ana-{n}")))
                .await;
            let body = superseding(of_user(laptop("600.00"), &format!("ana-{n}")), &old);
            let anew =
                (0..5).map(async |_| office.app.post_as("ea_feed", body.clone()).await.status);
            let mut approve = by("ben", "approve", "manager");
            approve["category"] = "office".into();
            let by_a_person = async { office.resolve("ea_manager", &old, approve).await.status };
            let (mut statuses, status) =
                futures_util::future::join(join_all(anew), by_a_person).await;
            statuses.push(status);
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
            let used = office
                .used(of_user(laptop("1.00"), &format!("ana-{n}")))
                .await;
            assert_eq!(used, "600.00", "one share");
        }
    })
    .await;
}

#[tokio::test]
async fn the_idempotency_key_of_a_superseding_request_replays_its_answer() {
    on_each_store(async |store| {
        let outage = in_an_outage(&store).await;
        let office = Office::on(&store).await;
        let send = async |office: &Office, key: &str, body: Value| {
            let headers = [
                ("authorization", "Bearer ea_feed"),
                ("idempotency-key", key),
            ];
            office.app.post_with(body, &headers).await
        };
        let old = send(&outage, "first", laptop("100.00")).await;
        let body = superseding(laptop("100.00"), &old.body);
        let new = send(&office, "second", body.clone()).await;
        let again = send(&office, "second", body.clone()).await;
        assert_eq!((again.status, &again.body), (201, &new.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let first = send(&office, "first", laptop("100.00")).await;
        assert_eq!(first.body["id"], old.body["id"]);
        assert_eq!(first.body["superseded_by"], new.body["id"]);
        let other = send(&office, "first", body.clone()).await;
        assert_eq!(
            other.body["code"], "idempotency_conflict",
            "`supersedes` is part of the meaning"
        );
        // A refused request frees its key.
        let refused = send(&office, "third", body).await;
        assert_eq!(refused.body["code"], "already_superseded");
        assert_eq!(send(&office, "third", laptop("1.00")).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn an_expense_without_a_date_keeps_the_date_of_the_decision_that_it_supersedes() {
    let store = TestStore::sqlite();
    let mut body = expense("Laptop", "100.00");
    let yesterday = (Timestamp::now() - 24.hours()).to_string()[..10].to_owned();
    body["date"] = yesterday.clone().into();
    let old = in_an_outage(&store).await.decide(body.clone()).await;
    let office = Office::on(&store).await;
    body.as_object_mut().unwrap().remove("date");
    let new = office.decide(superseding(body, &old)).await;
    assert_eq!(new["date"], yesterday);
}

#[tokio::test]
async fn the_trace_of_the_new_decision_links_to_the_old_one() {
    let store = TestStore::sqlite();
    let outage = in_an_outage(&store).await;
    let old = outage.decide(laptop("100.00")).await;
    let office = Office::on(&store).await;
    let new = office.decide(superseding(laptop("100.00"), &old)).await;
    let spans = office.app.trace(&new["trace_id"]);
    let run = spans
        .iter()
        .find(|span| span.name == "invoke_agent expense_agent")
        .unwrap();
    let named = run
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "expense.supersedes")
        .unwrap();
    assert_eq!(named.value.as_str(), id_of(&old));
    let link = &run.links.links[0].span_context;
    assert_eq!(
        (link.trace_id().to_string(), link.span_id().to_string()),
        (
            old["trace_id"].as_str().unwrap().to_owned(),
            old["span_id"].as_str().unwrap().to_owned()
        )
    );
}
