//! What a person settles: who may, what it does to the caps, and what is left of it in the ledger
//! and in the traces.

use std::collections::HashMap;

use expense_agent::config::{Config, ModelConfig};
use expense_agent::ledger::{Effect, Ledger, RecordError};
use serde_json::{Value, json};

use crate::harness::binary::run;
use crate::harness::expenses::{id_of, laptop, meal, path_of, resolution_of, ride};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{Reply, TestApp, config};

/// Keys of one tenant: a feed without roles, a manager, a vice president, a chief financial officer
/// who signs himself, and a manager of another tenant.
fn keys() -> KeyFile {
    KeyFile::new(&[
        entry("feed", "acme", "ea_feed", ""),
        entry("manager", "acme", "ea_manager", "roles = [\"manager\"]"),
        entry("vp", "acme", "ea_vp", "roles = [\"manager\", \"vp\"]"),
        entry(
            "cfo",
            "acme",
            "ea_cfo",
            "roles = [\"cfo\"]\nuser = \"dora\"",
        ),
        entry("zeta", "zeta", "ea_zeta", "roles = [\"cfo\"]"),
    ])
}

struct Office {
    app: TestApp,
    _keys: KeyFile,
    _store: Option<TestStore>,
}

impl Office {
    async fn on(store: &TestStore) -> Self {
        Self::with_model(store, config().model).await
    }

    async fn with_model(store: &TestStore, model: ModelConfig) -> Self {
        let keys = keys();
        let config = Config {
            api_keys: Some(keys.path.clone()),
            store: store.store.clone(),
            model,
            ..config()
        };
        Self {
            app: TestApp::with(config).await,
            _keys: keys,
            _store: None,
        }
    }

    async fn on_sqlite() -> Self {
        let store = TestStore::sqlite();
        let office = Self::on(&store).await;
        Self {
            _store: Some(store),
            ..office
        }
    }

    async fn decide(&self, body: Value) -> Value {
        let reply = self.app.post_as("ea_feed", body).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        reply.body
    }

    async fn resolve(&self, key: &str, decision: &Value, body: Value) -> Reply {
        self.app.resolve(key, decision, body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.app
            .get_with(path, &[("authorization", "Bearer ea_feed")])
            .await
            .body
    }

    /// What is used of the cap of the day's meals, the year's office or the trip, told by an
    /// expense far above it.
    async fn used(&self, mut body: Value) -> Value {
        body["amount"] = "9000.00".into();
        self.decide(body).await["findings"][0]["used"].clone()
    }
}

/// A meal whose merchant code says travel goes to review, and the person says that it is a meal.
fn odd_meal(amount: &str) -> Value {
    json!({"transaction": "Team lunch", "amount": amount, "mcc": "4511", "date": "2026-03-14", "user_id": "ana",
           "receipt": true})
}

fn by(actor: &str, action: &str, role: &str) -> Value {
    json!({"action": action, "role": role, "actor": actor, "reason": "Talked to her."})
}

fn as_a_meal(role: &str) -> Value {
    let mut body = by("ben", "approve", role);
    body["category"] = "meals".into();
    body
}

#[tokio::test]
async fn a_manager_approves_all_or_less_of_what_is_pending_and_the_rest_is_free_again() {
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
            "the machine's decision stays what it was"
        );
        assert_eq!(office.used(laptop("1.00")).await, "600.00");
        // Read again it is the same, and the same settlement sent again is answered again.
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
async fn what_is_denied_or_withdrawn_gives_its_share_back_and_is_nobodys_duplicate() {
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
async fn an_expense_in_review_is_approved_by_the_rules_and_above_a_cap_by_the_role_of_the_exception()
 {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let first = office.decide(odd_meal("60.00")).await;
        assert_eq!((&first["outcome"], &first["reviewer"]), (&json!("needs_review"), &json!("manager")));
        let approved = office.resolve("ea_manager", &first, as_a_meal("manager")).await;
        assert_eq!(approved.status, 201, "{:#}", approved.body);
        let meal = json!({"transaction": "Dinner", "date": "2026-03-14", "user_id": "ana", "receipt": true});
        assert_eq!(office.used(meal.clone()).await, "60.00", "an approval takes its share like any other");

        // Sixty and thirty are above the seventy-five of a day.
        let second = office.decide(odd_meal("30.00")).await;
        let refused = office.resolve("ea_manager", &second, as_a_meal("manager")).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("exception_needed")));
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("meals-day-cap") && detail.contains("15.00") && detail.contains("director"),
            "{detail}"
        );
        assert_eq!(office.used(meal.clone()).await, "60.00", "what is refused takes nothing");
        let excepted = office.resolve("ea_vp", &second, as_a_meal("vp")).await;
        assert_eq!(excepted.status, 201, "{:#}", excepted.body);
        assert_eq!(excepted.body["resolution"]["exceptions"], json!(["meals-day-cap"]));
        assert_eq!(office.used(meal).await, "90.00");
    })
    .await;
}

#[tokio::test]
async fn a_person_files_an_expense_in_review_under_another_category() {
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
async fn a_credit_frees_what_a_person_approved_under_the_category_and_the_rate_of_the_approval() {
    on_each_store(async |store| {
        // The machine finds neither category nor rate, so that all is the person's.
        let faults = vec!["garbage:1".parse().unwrap()];
        let lost = Office::with_model(&store, ModelConfig::Offline { faults, fault_seed: 1 }).await;
        let mut lunch = odd_meal("40.00");
        lunch["currency"] = "EUR".into();
        let lunch = lost.decide(lunch).await;
        assert_eq!((&lunch["category"], &lunch["converted_amount"]), (&Value::Null, &Value::Null));
        let office = Office::on(&store).await;
        let mut credit = json!({"transaction": "Credit note", "amount": "-10.00", "currency": "EUR", "user_id": "ana",
                                "refunds": lunch["id"]});
        let early = office.app.post_with(credit.clone(), &[("authorization", "Bearer ea_feed")]).await;
        assert_eq!((early.status, &early.body["errors"][0]["field"]), (422, &json!("refunds")));
        assert!(early.body["errors"][0]["message"].as_str().unwrap().contains("waits for its review"));

        let ledger = Ledger::open(&store.store).await.unwrap();
        let stale = ledger.get("acme", id_of(&lunch).parse().unwrap()).await.unwrap().unwrap();
        let approved = office.resolve("ea_manager", &lunch, as_a_meal("manager")).await;
        assert_eq!(approved.status, 201, "{:#}", approved.body);
        assert_eq!(approved.body["resolution"]["converted_amount"]["amount"], "43.40");
        let mut late = stale.decision.clone();
        late.id = uuid::Uuid::now_v7();
        let refused = ledger.record(&mut late, Effect::Free(&stale), None).await;
        assert!(matches!(refused, Err(RecordError::Settled)), "what was read of a purchase has to be so still");
        ledger.close().await;

        let meal = json!({"transaction": "Dinner", "date": "2026-03-14", "user_id": "ana", "receipt": true});
        assert_eq!(office.used(meal.clone()).await, "43.40");
        let back = office.decide(credit.clone()).await;
        assert_eq!((&back["category"], &back["reimbursable"]), (&json!("meals"), &json!("-10.85")), "{back:#}");
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

#[tokio::test]
async fn nobody_settles_without_the_role_for_himself_or_for_another_tenant() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let gift = office
        .decide(json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}))
        .await;
    assert_eq!(gift["approver"], "vp");
    let unsigned = json!({"action": "approve", "role": "manager", "reason": "Fine."});
    for (key, decision, body, status, code) in [
        (
            "ea_feed",
            &pending,
            by("ben", "approve", "manager"),
            403,
            "role_missing",
        ),
        (
            "ea_manager",
            &pending,
            by("ben", "approve", "cfo"),
            403,
            "role_missing",
        ),
        (
            "ea_manager",
            &pending,
            by("ana", "approve", "manager"),
            403,
            "own_expense",
        ),
        (
            "ea_manager",
            &pending,
            by("ana", "withdraw", "manager"),
            403,
            "own_expense",
        ),
        (
            "ea_manager",
            &gift,
            by("ben", "approve", "manager"),
            403,
            "role_too_low",
        ),
        (
            "ea_cfo",
            &pending,
            by("ben", "approve", "cfo"),
            403,
            "another_actor",
        ),
        (
            "ea_zeta",
            &pending,
            by("ben", "approve", "cfo"),
            404,
            "not_found",
        ),
        ("ea_manager", &pending, unsigned, 422, "invalid_resolution"),
    ] {
        let reply = office.resolve(key, decision, body.clone()).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (status, &json!(code)),
            "{key} {body}"
        );
    }
    // Nothing of all that has settled it.
    assert_eq!(
        office.get("/v1/expenses?pending=manager").await["decisions"][0]["id"],
        pending["id"]
    );
    let signed = json!({"action": "approve", "role": "cfo", "reason": "Fine."});
    let reply = office.resolve("ea_cfo", &pending, signed).await;
    assert_eq!(
        (reply.status, &reply.body["resolution"]["actor"]),
        (201, &json!("dora"))
    );

    let ride = office
        .decide(json!({"transaction": "Uber ride", "amount": "45.00", "user_id": "ana"}))
        .await;
    let closed = office
        .resolve("ea_manager", &ride, by("ben", "deny", "manager"))
        .await;
    assert_eq!(
        (closed.status, &closed.body["code"]),
        (409, &json!("not_open"))
    );
}

#[tokio::test]
async fn without_keys_there_are_no_roles_and_nobody_settles() {
    let app = TestApp::spawn().await;
    let pending = app.decide(laptop("1000.00")).await;
    let path = resolution_of(&pending);
    let reply = app
        .post_to(&path, by("ben", "approve", "manager"), &[])
        .await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (403, &json!("role_missing"))
    );
}

#[tokio::test]
async fn every_fault_of_a_settlement_is_named() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let wrong =
        json!({"action": "burn", "role": "boss", "actor": " ", "amount": "-1", "colour": "red"});
    let reply = office.resolve("ea_manager", &pending, wrong).await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (422, &json!("invalid_resolution"))
    );
    let fields = reply.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap());
    assert_eq!(
        fields.collect::<Vec<_>>(),
        ["colour", "action", "role", "actor", "reason", "amount"]
    );
    let mut more = by("ben", "approve", "manager");
    more["amount"] = "1000.01".into();
    let reply = office.resolve("ea_manager", &pending, more).await;
    assert_eq!(
        (reply.status, &reply.body["errors"][0]["field"]),
        (422, &json!("amount"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_settle_at_once_one_does() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.decide(laptop("1000.00")).await;
        let settle = async |n: usize| {
            let action = if n.is_multiple_of(2) {
                "approve"
            } else {
                "deny"
            };
            office
                .resolve(
                    "ea_manager",
                    &pending,
                    by(&format!("boss-{n}"), action, "manager"),
                )
                .await
        };
        let replies = futures_util::future::join_all((0..20).map(settle)).await;
        let (done, late): (Vec<&Reply>, Vec<&Reply>) =
            replies.iter().partition(|reply| reply.status == 201);
        assert_eq!((done.len(), late.len()), (1, 19));
        assert!(
            late.iter()
                .all(|reply| reply.status == 409 && reply.body["code"] == "already_settled")
        );
        let is_approved = done[0].body["resolution"]["action"] == "approve";
        let used = if is_approved { "1000.00" } else { "0.00" };
        assert_eq!(office.used(laptop("1.00")).await, used);
        assert_eq!(
            office.get("/v1/expenses?pending=manager").await["decisions"],
            json!([])
        );
    })
    .await;
}

#[tokio::test]
async fn the_queue_of_a_role_holds_what_is_open_for_it() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let laptop = office.decide(laptop("1000.00")).await;
        let meal = office.decide(odd_meal("60.00")).await;
        let gift = office
            .decide(json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}))
            .await;
        let queue = async |role: &str| {
            let page = office.get(&format!("/v1/expenses?pending={role}")).await;
            page["decisions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|decision| decision["id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            queue("manager").await,
            [meal["id"].clone(), laptop["id"].clone()]
        );
        assert_eq!(queue("vp").await, [gift["id"].clone()]);
        assert_eq!(queue("cfo").await, Vec::<Value>::new());
        office
            .resolve("ea_vp", &gift, by("ben", "approve", "vp"))
            .await;
        assert_eq!(queue("vp").await, Vec::<Value>::new());
        assert_eq!(
            office.get("/v1/expenses?pending=boss").await["code"],
            "unknown_filter"
        );
    })
    .await;
}

#[tokio::test]
async fn a_resolution_has_a_trace_of_its_own_that_leads_to_the_decisions() {
    let office = Office::on_sqlite().await;
    let pending = office.decide(laptop("1000.00")).await;
    let reply = office
        .resolve("ea_manager", &pending, by("ben", "approve", "manager"))
        .await;
    let spans = office.app.trace(&reply.body["resolution"]["trace_id"]);
    assert_ne!(reply.body["resolution"]["trace_id"], pending["trace_id"]);
    let span = spans
        .iter()
        .find(|span| span.name == "resolve_expense")
        .unwrap();
    let attribute = |key: &str| {
        let found = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.as_str().into_owned())
    };
    assert_eq!(attribute("expense.id").unwrap(), id_of(&pending));
    assert_eq!(attribute("expense.resolution.action").unwrap(), "approve");
    assert_eq!(attribute("user.id").unwrap(), "ben");
    assert_eq!(attribute("expense.record.hash").unwrap().len(), 64);
    let link = &span.links.links[0].span_context;
    let decided = office.app.trace(&pending["trace_id"]);
    let server = decided
        .iter()
        .find(|span| span.name == "POST /v1/expenses")
        .unwrap();
    assert_eq!(
        (link.trace_id(), link.span_id()),
        (
            server.span_context.trace_id(),
            server.span_context.span_id()
        )
    );

    let refused = office
        .resolve("ea_manager", &pending, by("ana", "approve", "manager"))
        .await;
    let spans = office.app.trace(&refused.body["trace_id"]);
    let span = spans
        .iter()
        .find(|span| span.name == "resolve_expense")
        .unwrap();
    assert!(
        span.attributes
            .iter()
            .any(|a| a.key.as_str() == "expense.resolution.refused")
    );
}
