//! What survives when the process is killed (`crashes`), and what happens when the disk or the
//! database accepts no writes (`storage`).

mod crashes;
mod storage;

use std::collections::BTreeMap;

use expense_agent::ledger::Store;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::binary::Service;
use crate::harness::expenses::id_of;
use crate::harness::store::TestStore;

/// Starts the service as a process on a store.
async fn start(store: &TestStore) -> Service {
    let quiet = ("OTEL_TRACES_EXPORTER", "none");
    match &store.store {
        Store::Sqlite(folder) => {
            Service::start(&["--data", folder.to_str().unwrap()], &[quiet]).await
        }
        Store::Postgres(url) => {
            Service::start(&[], &[quiet, ("DATABASE_URL", url.expose_secret())]).await
        }
    }
}

/// Every decision of a service's ledger.
async fn decisions(url: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut path = "/v1/expenses?limit=200".to_owned();
    loop {
        let page: Value = reqwest::get(format!("{url}{path}"))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let decisions = page["decisions"].as_array().unwrap().iter();
        all.extend(decisions.map(|decision| (id_of(decision).to_owned(), decision.clone())));
        let Some(cursor) = page["next_cursor"].as_str() else {
            return all;
        };
        path = format!("/v1/expenses?limit=200&cursor={cursor}");
    }
}

/// A small office expense that the policy approves.
fn paper(n: usize) -> Value {
    json!({
        "transaction": format!("Printer paper {n}"),
        "amount": "0.01",
        "date": "2026-03-14",
        "user_id": "ana",
    })
}
