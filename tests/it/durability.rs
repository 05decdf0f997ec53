//! What survives when the process does not: it is killed under load, again and again, and what its clients hold is
//! compared with what the ledger holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use expense_agent::ledger::Store;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::binary::Service;
use crate::harness::poll;
use crate::harness::store::{TestStore, on_each_store};

const N_KILLS: usize = 20;
const N_CLIENTS: usize = 4;

/// The process on a store.
async fn start(store: &TestStore) -> Service {
    let quiet = ("OTEL_TRACES_EXPORTER", "none");
    match &store.store {
        Store::Sqlite(folder) => Service::start(&["--data", folder.to_str().unwrap()], &[quiet]).await,
        Store::Postgres(url) => Service::start(&[], &[quiet, ("DATABASE_URL", url.expose_secret())]).await,
    }
}

/// Posts small office expenses until the service is gone; gives the decisions that were answered.
async fn post_until_gone(url: String, n_answered: Arc<AtomicUsize>) -> Vec<Value> {
    let client = reqwest::Client::new();
    let mut answered = Vec::new();
    loop {
        let body = json!({"transaction": "Printer paper", "amount": "0.01", "date": "2026-03-14", "user_id": "ana"});
        let Ok(response) = client.post(format!("{url}/v1/expenses")).json(&body).send().await else { return answered };
        let Ok(decision) = response.json::<Value>().await else { return answered };
        answered.push(decision);
        n_answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every decision of a service's ledger.
async fn decisions(url: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut path = "/v1/expenses?limit=200".to_owned();
    loop {
        let page: Value = reqwest::get(format!("{url}{path}")).await.unwrap().json().await.unwrap();
        let decisions = page["decisions"].as_array().unwrap().iter();
        all.extend(decisions.map(|decision| (decision["id"].as_str().unwrap().to_owned(), decision.clone())));
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        path = format!("/v1/expenses?limit=200&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_no_answered_decision_and_leave_no_half_one() {
    on_each_store(async |store| {
        let mut answered: Vec<Value> = Vec::new();
        for n in 0..N_KILLS {
            let service = start(&store).await;
            let n_answered = Arc::new(AtomicUsize::new(0));
            let clients: Vec<_> = (0..N_CLIENTS)
                .map(|_| tokio::spawn(post_until_gone(service.url.clone(), Arc::clone(&n_answered))))
                .collect();
            poll::until(Duration::from_secs(30), "some are answered", async || {
                let n_so_far = n_answered.load(Ordering::Relaxed);
                if n_so_far > n { Ok(()) } else { Err(n_so_far) }
            })
            .await;
            service.signal("KILL").await;
            service.ended().await;
            for client in clients {
                answered.extend(client.await.unwrap());
            }
        }
        let service = start(&store).await;
        let recorded = decisions(&service.url).await;
        assert!(answered.len() > N_KILLS);
        for decision in &answered {
            let id = decision["id"].as_str().unwrap();
            assert_eq!(recorded.get(id), Some(decision), "an answered decision is in the ledger as it was answered");
        }
        // What is used of the year is what the recorded decisions took: no half of one without the other.
        let granted = recorded.values().filter(|decision| decision["outcome"] == "approved");
        let granted: Decimal =
            granted.map(|decision| decision["amount"].as_str().unwrap().parse::<Decimal>().unwrap()).sum();
        let probe = json!({"transaction": "Laptop", "amount": "2500.00", "date": "2026-03-15", "user_id": "ana"});
        let (_, probe) = service.post(probe).await;
        assert_eq!(probe["findings"][0]["used"], granted.to_string(), "{probe:#}");
    })
    .await;
}
