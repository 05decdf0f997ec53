//! Notifications: what a receiver is told, that it is told at least once and in order, and that no
//! receiver can harm the service.

mod content;
mod delivery;
mod guide;
mod harm;
mod settings;
mod telemetry;

use std::time::Duration;

use expense_agent::config::Config;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::expenses::{laptop, of_user};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;
use crate::harness::webhook_receiver::WebhookReceiver;
use crate::harness::{TestApp, config, poll};

/// How long a delivery may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The key of a manager of the tenant `acme`.
const MANAGER: &str = "ea_boss";

/// A key that hands expenses in, and that of a manager.
fn keys() -> KeyFile {
    KeyFile::new(&[
        entry("feed", "acme", "ea_feed", ""),
        entry("boss", "acme", MANAGER, "roles = [\"manager\"]"),
    ])
}

/// Settings of a service that notifies a receiver.
fn notifying(receiver: &WebhookReceiver, store: &TestStore, keys: &KeyFile) -> Config {
    Config {
        http: keys.http_config(),
        store: store.store.clone(),
        notify: receiver.config(),
        ..config()
    }
}

/// A decision that waits for a manager, of an employee without other expenses.
async fn waiting(app: &TestApp) -> Value {
    let employee = Uuid::new_v4().to_string();
    let laptop = of_user(laptop("600.00"), &employee);
    let reply = app.post_as("ea_feed", laptop).await;
    assert_eq!(reply.body["outcome"], "needs_approval", "{:#}", reply.body);
    reply.body
}

/// Approves a decision as the manager.
async fn approve(app: &TestApp, decision: &Value) {
    let approval =
        json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "Secret reason."});
    let reply = app.resolve(MANAGER, decision, approval).await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
}

/// The rows of the outbox: type and number of attempts.
async fn outbox(store: &TestStore) -> Vec<(String, i64)> {
    let pool = store.connect().await;
    let rows = sqlx::query_as("SELECT type, n_attempts FROM outbox ORDER BY decision_id, ordinal")
        .fetch_all(&pool)
        .await
        .unwrap();
    pool.close().await;
    rows
}

/// Waits until nothing is left to be delivered; what becomes overdue some day stays.
async fn until_delivered(store: &TestStore) {
    poll::until(TIMEOUT, "outbox without anything due", async || {
        let rows = outbox(store).await;
        let is_undue =
            |(kind, n_attempts): &(String, i64)| kind == "expense.overdue" && *n_attempts == 0;
        if rows.iter().all(is_undue) {
            Ok(())
        } else {
            Err(rows)
        }
    })
    .await;
}
