//! Feedback on decisions. `given` tests what the routes accept and answer, `people` who may say what,
//! `records` what the ledger keeps, `overturned` how resolutions judge decisions, `audited` the
//! overturn rates of an audit, and `telemetry` what traces and log records show.

mod audited;
mod given;
mod overturned;
mod people;
mod records;
mod telemetry;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::expenses::{feedback_on, path_of};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;
use crate::harness::{Reply, TestApp};

/// Keys of one tenant: a program without roles, two employees, and a program of managers; and a key
/// of another tenant.
fn keys() -> KeyFile {
    KeyFile::new(&[
        entry("feed", "acme", "ea_feed", ""),
        entry("ana", "acme", "ea_ana", "user = \"ana\""),
        entry(
            "ben",
            "acme",
            "ea_ben",
            "user = \"ben\"\nroles = [\"manager\"]",
        ),
        entry("boss", "acme", "ea_boss", "roles = [\"manager\"]"),
        entry(
            "zeta",
            "zeta",
            "ea_zeta",
            "user = \"zoe\"\nroles = [\"cfo\"]",
        ),
    ])
}

/// A service that accepts the keys above.
struct Office {
    app: TestApp,
    _keys: KeyFile,
}

impl Office {
    async fn on(store: &TestStore) -> Self {
        let keys = keys();
        Self {
            app: keys.app_on(store).await,
            _keys: keys,
        }
    }

    async fn on_sqlite() -> Self {
        let keys = keys();
        Self {
            app: keys.app().await,
            _keys: keys,
        }
    }

    async fn decide(&self, body: Value) -> Value {
        self.app.decide_as("ea_feed", body).await
    }

    /// Gives feedback that is accepted.
    async fn give(&self, key: &str, decision: &Value, name: &str, body: Value) -> Value {
        let reply = self.app.give_feedback(key, decision, name, body).await;
        assert_eq!(reply.status, 200, "{name}: {:#}", reply.body);
        reply.body
    }

    /// Takes back what the user of a key said.
    async fn take_back(&self, key: &str, decision: &Value, name: &str) -> Reply {
        let path = feedback_on(decision, name);
        self.app.send_as(key, Method::DELETE, &path).await
    }

    /// The feedback that holds, each as its name, label, comment, author and source.
    async fn standing(&self, decision: &Value) -> Value {
        let path = format!("{}/feedback", path_of(decision));
        let reply = self.app.send_as("ea_feed", Method::GET, &path).await;
        assert_eq!(reply.status, 200, "{:#}", reply.body);
        let feedback = reply.body["feedback"].as_array().unwrap().iter();
        feedback
            .map(|one| {
                let fields = ["name", "label", "comment", "author", "source"];
                json!(fields.map(|field| &one[field]))
            })
            .collect()
    }
}
