//! Resolutions. `permissions` tests who may resolve, `own` that people do not resolve their own
//! expenses, `in_a_row` that several people approve one, `credits` what is paid of a purchase with credits, `effects` what a resolution does to
//! caps and category, `superseding` how an expense is decided anew, and `open` which decisions are open
//! and what happens when many people resolve the same one.

mod credits;
mod effects;
pub(crate) mod in_a_row;
mod open;
mod own;
mod permissions;
mod superseding;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::{Value, json};

use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;
use crate::harness::{Reply, TestApp, config};

/// Keys of one tenant: a feed without roles, a manager, a vice president and a chief financial officer
/// whose key names a user; and a chief financial officer of another tenant.
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

/// A service that accepts the keys above.
struct Office {
    app: TestApp,
    _keys: KeyFile,
}

impl Office {
    async fn on(store: &TestStore) -> Self {
        Self::with_model(store, config().model).await
    }

    async fn with_model(store: &TestStore, model: ModelConfig) -> Self {
        let keys = keys();
        let config = Config {
            http: keys.http_config(),
            store: store.store.clone(),
            model,
            ..config()
        };
        Self {
            app: TestApp::with(config).await,
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

    async fn resolve(&self, key: &str, decision: &Value, body: Value) -> Reply {
        self.app.resolve(key, decision, body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.app
            .get_with(path, &[("authorization", "Bearer ea_feed")])
            .await
            .body
    }

    /// How much of the cap of an expense is used, read from the finding of an expense far above it.
    async fn used(&self, mut body: Value) -> Value {
        body["amount"] = "9000.00".into();
        self.decide(body).await["findings"][0]["used"].clone()
    }
}

/// A meal with a merchant category code of travel, so that it needs review.
fn odd_meal(amount: &str) -> Value {
    json!({
        "transaction": "Team lunch",
        "amount": amount,
        "mcc": "4511",
        "date": "2026-03-14",
        "user_id": "ana",
        "receipt": true,
    })
}

/// The body of a resolution by a person, in a role.
fn by(actor: &str, action: &str, role: &str) -> Value {
    json!({"action": action, "role": role, "actor": actor, "reason": "Talked to her."})
}

/// The body of an approval as a meal.
fn as_a_meal(role: &str) -> Value {
    let mut body = by("ben", "approve", role);
    body["category"] = "meals".into();
    body
}
