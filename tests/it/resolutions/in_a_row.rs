//! Expenses that several people approve, one after the other.

use expense_agent::config::Config;
use expense_agent::ledger::Ledger;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::by;
use crate::harness::expenses::{id_of, laptop, path_of};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::webhook_receiver::WebhookReceiver;
use crate::harness::{Reply, TestApp, config, policies_with};

/// Approvals of office expenses above 800.00.
pub(crate) const TWO_SIGNATURES: &str = r#"
[[rule]]
id = "two-signatures"
kind = "approval"
above = "800.00"
roles = ["manager", "cfo"]
text = "Above 800.00 a manager approves, then the chief financial officer."
"#;

/// A service whose office expenses above 800.00 need a manager and a chief financial officer.
struct Office {
    app: TestApp,
    _keys: KeyFile,
    _policies: TempDir,
}

impl Office {
    async fn on(store: &TestStore) -> Self {
        Self::with(store, config()).await
    }

    async fn with(store: &TestStore, config: Config) -> Self {
        let keys = KeyFile::new(&[
            entry("feed", "acme", "ea_feed", ""),
            entry(
                "office",
                "acme",
                "ea_office",
                "roles = [\"manager\", \"director\", \"vp\", \"cfo\"]",
            ),
            entry(
                "dora",
                "acme",
                "ea_dora",
                "roles = [\"manager\", \"cfo\"]\nuser = \"dora\"",
            ),
        ]);
        let policies = policies_with("office.toml", TWO_SIGNATURES);
        let app = TestApp::with(Config {
            http: keys.http_config(),
            store: store.store.clone(),
            policies: policies.path().to_owned(),
            ..config
        })
        .await;
        Self {
            app,
            _keys: keys,
            _policies: policies,
        }
    }

    async fn laptop(&self, amount: &str) -> Value {
        self.app.decide_as("ea_feed", laptop(amount)).await
    }

    async fn resolve(&self, decision: &Value, body: Value) -> Reply {
        self.app.resolve("ea_office", decision, body).await
    }

    async fn get(&self, path: &str) -> Value {
        let headers = [("authorization", "Bearer ea_feed")];
        self.app.get_with(path, &headers).await.body
    }

    /// The roles for which a decision waits, as the queues show it.
    async fn waits_for(&self, decision: &Value) -> Vec<&'static str> {
        let mut roles = Vec::new();
        for role in ["manager", "director", "vp", "cfo"] {
            let page = self.get(&format!("/v1/expenses?pending={role}")).await;
            let mut waiting = page["decisions"].as_array().unwrap().iter();
            if waiting.any(|waiting| waiting["id"] == decision["id"]) {
                roles.push(role);
            }
        }
        roles
    }

    /// How much of the year's cap is used.
    async fn used(&self) -> Value {
        self.laptop("9000.00").await["findings"][0]["used"].clone()
    }
}

fn refusal(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.body["code"].as_str().unwrap())
}

#[tokio::test]
async fn an_expense_waits_until_each_role_has_approved() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.laptop("800.01").await;
        assert_eq!(
            (&pending["outcome"], &pending["approver"]),
            (&json!("needs_approval"), &json!("manager"))
        );
        assert_eq!(pending["approvers"], json!(["manager", "cfo"]));
        assert_eq!(office.waits_for(&pending).await, ["manager"]);

        let first = office
            .resolve(&pending, by("ben", "approve", "manager"))
            .await;
        assert_eq!(first.status, 201, "{:#}", first.body);
        assert_eq!(first.body["resolution"], Value::Null);
        assert_eq!(first.body["pending"], "cfo");
        assert_eq!(first.body["approvals"][0]["actor"], "ben");
        assert_eq!(first.body["approvals"][0]["awaits"], json!(["cfo"]));
        assert_eq!(office.waits_for(&pending).await, ["cfo"]);
        assert_eq!(office.get(&path_of(&pending)).await, first.body);
        assert_eq!(office.used().await, "800.01", "it keeps its share");

        let again = office
            .resolve(&pending, by("Ben", "approve", "manager"))
            .await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");

        let second = office.resolve(&pending, by("eva", "approve", "cfo")).await;
        assert_eq!(second.status, 201, "{:#}", second.body);
        let resolution = &second.body["resolution"];
        assert_eq!(
            (&resolution["actor"], &resolution["amount"]),
            (&json!("eva"), &json!("800.01"))
        );
        assert_eq!(second.body["pending"], Value::Null);
        assert_eq!(second.body["approvals"], first.body["approvals"]);
        assert_eq!(office.waits_for(&pending).await, Vec::<&str>::new());
        assert_eq!(office.used().await, "800.01");
        office.app.stop().await;
        store.assert_chain_holds("acme").await;
    })
    .await;
}

#[tokio::test]
async fn one_approval_is_enough_up_to_the_amount() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let pending = office.laptop("800.00").await;
    assert_eq!(pending["approvers"], Value::Null);
    let approved = office
        .resolve(&pending, by("ben", "approve", "manager"))
        .await;
    assert_eq!(approved.body["resolution"]["actor"], "ben");
    assert_eq!(approved.body["approvals"], Value::Null);
}

#[tokio::test]
async fn no_person_approves_twice_in_any_spelling_or_with_any_key() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.laptop("900.00").await;
        let approve = |role: &str| json!({"action": "approve", "role": role, "reason": "Fine."});
        let first = office
            .app
            .resolve("ea_dora", &pending, approve("manager"))
            .await;
        assert_eq!(first.status, 201, "{:#}", first.body);
        let own_key = office
            .app
            .resolve("ea_dora", &pending, approve("cfo"))
            .await;
        assert_eq!(refusal(&own_key), (409, "already_approved"));
        for spelling in ["dora", "DORA", "Dora"] {
            let other_key = office
                .resolve(&pending, by(spelling, "approve", "cfo"))
                .await;
            assert_eq!(refusal(&other_key), (409, "already_approved"), "{spelling}");
        }
        let employee = office.resolve(&pending, by("ana", "approve", "cfo")).await;
        assert_eq!(refusal(&employee), (403, "own_expense"));
        let low = office
            .resolve(&pending, by("ben", "approve", "director"))
            .await;
        assert_eq!(refusal(&low), (403, "role_too_low"));
        let low = office.resolve(&pending, by("ben", "deny", "manager")).await;
        assert_eq!(refusal(&low), (403, "role_too_low"));
        assert_eq!(office.waits_for(&pending).await, ["cfo"]);
    })
    .await;
}

#[tokio::test]
async fn one_denial_ends_it_and_gives_the_share_back() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        for (n_before, action) in [(0, "deny"), (1, "deny"), (1, "withdraw")] {
            let pending = office.laptop("900.00").await;
            for _ in 0..n_before {
                let first = office
                    .resolve(&pending, by("ben", "approve", "manager"))
                    .await;
                assert_eq!(first.status, 201, "{:#}", first.body);
            }
            let denied = office.resolve(&pending, by("eva", action, "cfo")).await;
            assert_eq!(denied.body["resolution"]["action"], action);
            assert_eq!(denied.body["pending"], Value::Null);
            let late = office.resolve(&pending, by("fay", "approve", "cfo")).await;
            assert_eq!(refusal(&late), (409, "already_settled"));
            // What was said before the end is still answered as it was.
            let repeated = office.resolve(&pending, by("eva", action, "cfo")).await;
            assert_eq!((repeated.status, &repeated.body), (201, &denied.body));
            assert_eq!(office.used().await, "0.00", "{n_before} {action}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_later_approval_may_lower_the_amount_and_never_raise_it() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.laptop("900.00").await;
        let of = |actor: &str, role: &str, amount: &str| {
            let mut body = by(actor, "approve", role);
            body["amount"] = amount.into();
            body
        };
        let first = office
            .resolve(&pending, of("ben", "manager", "850.00"))
            .await;
        assert_eq!(first.body["approvals"][0]["amount"], "850.00");
        assert_eq!(office.used().await, "900.00");
        let more = office.resolve(&pending, of("eva", "cfo", "850.01")).await;
        assert_eq!(refusal(&more), (422, "invalid_resolution"));
        assert_eq!(more.body["errors"][0]["field"], "amount");
        let second = office.resolve(&pending, by("eva", "approve", "cfo")).await;
        assert_eq!(second.body["resolution"]["amount"], "850.00");
        assert_eq!(office.used().await, "850.00");

        let pending = office.laptop("900.00").await;
        office
            .resolve(&pending, of("ben", "manager", "850.00"))
            .await;
        let second = office.resolve(&pending, of("eva", "cfo", "810.00")).await;
        assert_eq!(second.body["resolution"]["amount"], "810.00");
        assert_eq!(office.used().await, "1660.00");
    })
    .await;
}

#[tokio::test]
async fn a_role_that_is_named_itself_may_approve_first() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    let pending = office.laptop("900.00").await;
    let first = office.resolve(&pending, by("eva", "approve", "cfo")).await;
    assert_eq!(first.body["pending"], "manager");
    let second = office
        .resolve(&pending, by("ben", "approve", "manager"))
        .await;
    assert_eq!(second.body["resolution"]["actor"], "ben");

    // A vice president stands in for the manager, not for the chief financial officer.
    let pending = office.laptop("900.00").await;
    let first = office.resolve(&pending, by("vic", "approve", "vp")).await;
    assert_eq!(first.body["pending"], "cfo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_concurrent_approvals_as_many_are_recorded_as_there_are_roles() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let pending = office.laptop("900.00").await;
        // Each of four people sends the same three times; all of them could take either place.
        let people = ["ben", "eva", "fay", "gil"].into_iter().cycle().take(12);
        let approvals = people.map(|person| office.resolve(&pending, by(person, "approve", "cfo")));
        let replies = join_all(approvals).await;
        for reply in &replies {
            assert!(
                reply.status == 201 || refusal(reply) == (409, "already_settled"),
                "{:#}",
                reply.body
            );
        }
        let stored = office.get(&path_of(&pending)).await;
        let approvals = stored["approvals"].as_array().unwrap();
        assert_eq!(approvals.len(), 1);
        assert_eq!(stored["resolution"]["action"], "approve");
        assert_ne!(stored["resolution"]["actor"], approvals[0]["actor"]);
        assert_eq!(office.used().await, "900.00");
        office.app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let walk = ledger.walk("acme", None).await.unwrap();
        // Two decisions, the approval and the resolution.
        assert_eq!((walk.broken, walk.n_records), (None, 4));
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_expense_in_review_takes_its_share_with_the_last_approval() {
    on_each_store(async |store| {
        let office = Office::on(&store).await;
        let odd = json!({
            "transaction": "Laptop", "amount": "900.00", "mcc": "4511", "date": "2026-03-14", "user_id": "ana",
        });
        let review = office.app.decide_as("ea_feed", odd).await;
        assert_eq!(review["outcome"], "needs_review", "{review:#}");
        let in_office = |actor: &str, role: &str| {
            let mut body = by(actor, "approve", role);
            body["category"] = "office".into();
            body
        };
        let first = office.resolve(&review, in_office("ben", "manager")).await;
        assert_eq!(first.body["pending"], "cfo", "{:#}", first.body);
        assert_eq!(office.used().await, "0.00");
        let mut elsewhere = in_office("eva", "cfo");
        elsewhere["category"] = "other".into();
        let elsewhere = office.resolve(&review, elsewhere).await;
        assert_eq!(refusal(&elsewhere), (422, "invalid_resolution"));
        assert_eq!(elsewhere.body["errors"][0]["field"], "category");
        let second = office.resolve(&review, by("eva", "approve", "cfo")).await;
        assert_eq!(second.body["resolution"]["category"], "office");
        assert_eq!(office.used().await, "900.00");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_is_told_for_whom_an_expense_waits_next() {
    on_each_store(async |store| {
        let receiver = WebhookReceiver::spawn().await;
        let settings = Config {
            notify: receiver.config(),
            ..config()
        };
        let office = Office::with(&store, settings).await;
        let pending = office.laptop("900.00").await;
        office
            .resolve(&pending, by("ben", "approve", "manager"))
            .await;
        office.resolve(&pending, by("eva", "approve", "cfo")).await;
        let told = receiver.wait_for(3).await;
        let told: Vec<(String, Value, Value)> = told
            .iter()
            .map(|one| {
                let body = one.json();
                let id = one.header("webhook-id").replace(id_of(&pending), "ID");
                (id, body["type"].clone(), body["data"]["role"].clone())
            })
            .collect();
        let expected = [
            ("ID_expense_waiting", "expense.waiting", "manager"),
            ("ID_expense_waiting_1", "expense.waiting", "cfo"),
            ("ID_expense_resolved_1", "expense.resolved", "cfo"),
        ];
        let expected = expected.map(|(id, kind, role)| (id.to_owned(), json!(kind), json!(role)));
        assert_eq!(told, expected);
    })
    .await;
}
