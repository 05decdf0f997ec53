//! Which decisions a key shows. A key with a user and no role sees only what its user handed in or is
//! the employee of; every other key sees all decisions of its tenant.

use std::collections::BTreeSet;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::{Value, json};

use crate::harness::expenses::{id_of, laptop, of_user, path_of, resolution_of, taxi};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{Reply, TestApp, config};

/// Keys without a role: those of Ana, Ben and Kim, who hands in for others. A program, a manager with and
/// one without a user, and somebody of another tenant.
fn keys() -> KeyFile {
    let manager = "roles = [\"manager\"]";
    KeyFile::new(&[
        entry("ana", "acme", "ea_ana", "user = \"Ana\""),
        entry("ben", "acme", "ea_ben", "user = \"ben\""),
        entry("kim", "acme", "ea_kim", "user = \"Kim\""),
        entry("feed", "acme", "ea_feed", ""),
        entry(
            "mia",
            "acme",
            "ea_mia",
            &format!("{manager}\nuser = \"mia\""),
        ),
        entry("desk", "acme", "ea_desk", manager),
        entry("other", "zeta", "ea_other", "user = \"Ana\""),
    ])
}

struct Office {
    app: TestApp,
    _keys: KeyFile,
}

impl Office {
    async fn on(store: &TestStore, model: ModelConfig) -> Self {
        let keys = keys();
        let app = TestApp::with(Config {
            http: keys.http_config(),
            store: store.store.clone(),
            model,
            ..config()
        })
        .await;
        Self { app, _keys: keys }
    }

    /// Hands an expense in with a key and baggage.
    async fn submit(&self, key: &str, body: Value, baggage: &str) -> Value {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("baggage", baggage)];
        let reply = self.app.post_with(body, &headers).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        reply.body
    }

    async fn get(&self, key: &str, path: &str) -> Reply {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        self.app.get_with(path, &headers).await
    }

    /// The ids that pages of a list show, each page of one decision.
    async fn listed(&self, key: &str, filter: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/expenses?limit=1{filter}{cursor}");
            let page = self.get(key, &path).await.body;
            for decision in page["decisions"].as_array().unwrap() {
                assert!(ids.insert(id_of(decision).to_owned()));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

/// Of this employee, no two of them equal.
fn ride_of(user_id: &str, n: usize) -> Value {
    let ride = json!({"transaction": format!("Uber ride {n}"), "amount": "45.00"});
    of_user(ride, user_id)
}

#[tokio::test]
async fn a_key_with_a_user_and_no_role_sees_what_its_user_handed_in_or_is_the_employee_of() {
    on_each_store(async |store| {
        let office = Office::on(&store, config().model).await;
        let submitted = [
            ("ea_ana", "Ana", "", ["ana"].as_slice()),
            // In another spelling of the name.
            ("ea_feed", "ANA", "", &["ana"]),
            ("ea_kim", "ana", "", &["ana", "kim"]),
            ("ea_kim", "ben", "", &["ben", "kim"]),
            // Only a program can name the person for whom it hands in.
            ("ea_feed", "ben", "user.id=KIM", &["ben", "kim"]),
            ("ea_kim", "ben", "user.id=ana", &["ben", "kim"]),
            ("ea_feed", "zoe", "", &[]),
            ("ea_mia", "zoe", "", &[]),
        ];
        let mut decisions = Vec::new();
        for (n, (key, employee, baggage, seen_by)) in submitted.into_iter().enumerate() {
            let decision = office.submit(key, ride_of(employee, n), baggage).await;
            decisions.push((decision, seen_by));
        }
        let all = ["feed", "mia", "desk"];
        for reader in ["ana", "ben", "kim", "feed", "mia", "desk", "other"] {
            let key = format!("ea_{reader}");
            let mut expected = BTreeSet::new();
            for (decision, seen_by) in &decisions {
                let is_seen = all.contains(&reader) || seen_by.contains(&reader);
                let reply = office.get(&key, &path_of(decision)).await;
                let status = if is_seen { 200 } else { 404 };
                assert_eq!(reply.status, status, "{reader} {decision:#}");
                if is_seen {
                    expected.insert(id_of(decision).to_owned());
                } else {
                    assert_eq!(reply.body["code"], "not_found");
                    let after = format!("/v1/expenses?cursor={}", id_of(decision));
                    let reply = office.get(&key, &after).await;
                    assert_eq!(reply.body["code"], "unknown_cursor", "{reader}");
                }
            }
            assert_eq!(office.listed(&key, "").await, expected, "{reader}");
            for filter in ["&outcome=approved", "&category=travel"] {
                assert_eq!(office.listed(&key, filter).await, expected, "{reader}");
            }
            let of_ben: BTreeSet<_> = decisions
                .iter()
                .filter(|(decision, _)| decision["user_id"] == "ben")
                .map(|(decision, _)| id_of(decision).to_owned())
                .filter(|id| expected.contains(id))
                .collect();
            assert_eq!(
                office.listed(&key, "&user_id=Ben").await,
                of_ben,
                "{reader}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_hidden_failure_does_not_crowd_out_one_that_may_be_seen() {
    on_each_store(async |store| {
        let model = ModelConfig::Offline {
            faults: vec!["misclassify:1".parse().unwrap()],
            fault_seed: 1,
        };
        let office = Office::on(&store, model).await;
        let mine = office.submit("ea_ana", ride_of("ana", 0), "").await;
        for n in 1..4 {
            office.submit("ea_ben", ride_of("ben", n), "").await;
        }
        let filter = "&failed_validation=category_evidence";
        let listed = office.listed("ea_ana", filter).await;
        assert_eq!(listed, BTreeSet::from([id_of(&mine).to_owned()]));
        assert_eq!(office.listed("ea_mia", filter).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_hidden_decision_cannot_be_resolved_credited_or_superseded() {
    on_each_store(async |store| {
        let office = Office::on(&store, config().model).await;
        let expense = of_user(laptop("600.00"), "ben");
        let open = office.submit("ea_ben", expense, "").await;
        let withdraw = json!({"action": "withdraw", "reason": "A mistake."});
        let reply = office.app.resolve("ea_ana", &open, withdraw.clone()).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (404, &json!("not_found"))
        );
        for field in ["refunds", "supersedes"] {
            let mut body = of_user(laptop("-10.00"), "ben");
            body[field] = open["id"].clone();
            if field == "supersedes" {
                body["amount"] = "600.00".into();
            }
            let reply = office.app.post_as("ea_ana", body.clone()).await;
            assert_eq!(reply.status, 422, "{:#}", reply.body);
            let mut unknown = body;
            unknown[field] = "01a1fc3f-8232-75b3-ae94-bf307466c95a".into();
            let expected = office.app.post_as("ea_ana", unknown).await;
            assert_eq!(reply.body["errors"], expected.body["errors"], "{field}");
        }
        let reply = office.app.resolve("ea_ben", &open, withdraw).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
    })
    .await;
}

#[tokio::test]
async fn who_handed_in_a_superseded_decision_sees_the_one_in_its_place() {
    on_each_store(async |store| {
        let outage = ModelConfig::Offline {
            faults: vec!["unavailable:1".parse().unwrap()],
            fault_seed: 1,
        };
        let failing = Office::on(&store, outage).await;
        let body = of_user(laptop("600.00"), "ben");
        let first = failing.submit("ea_kim", body.clone(), "").await;
        let mut anew = body.clone();
        anew["supersedes"] = first["id"].clone();
        let second = failing.submit("ea_ben", anew, "").await;
        let office = Office::on(&store, config().model).await;
        let mut anew = body;
        anew["supersedes"] = second["id"].clone();
        let third = office.submit("ea_ben", anew, "").await;
        for decision in [&first, &second, &third] {
            assert_eq!(office.get("ea_kim", &path_of(decision)).await.status, 200);
            assert_eq!(office.get("ea_ana", &path_of(decision)).await.status, 404);
        }
        let listed = office.listed("ea_kim", "").await;
        assert_eq!(listed, BTreeSet::from([id_of(&third).to_owned()]));
        let withdraw = json!({"action": "withdraw", "reason": "Not needed."});
        let bearer = [("authorization", "Bearer ea_kim")];
        let path = resolution_of(&third);
        assert_eq!(
            office.app.post_to(&path, withdraw, &bearer).await.status,
            201
        );
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_does_not_show_what_another_person_handed_in() {
    let store = TestStore::sqlite();
    let office = Office::on(&store, config().model).await;
    let post = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "1")];
        let body = of_user(taxi(), "ben");
        let reply = office.app.post_with(body, &headers).await;
        (reply.status, reply.body["code"].clone())
    };
    assert_eq!(post("ea_ben").await, (201, Value::Null));
    assert_eq!(post("ea_ben").await, (201, Value::Null));
    assert_eq!(post("ea_feed").await, (201, Value::Null));
    assert_eq!(post("ea_ana").await, (409, json!("idempotency_conflict")));
}
