//! A service that is killed, and a write-ahead log that grows: no answered decision is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{decisions, start};
use crate::harness::expenses::id_of;
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, poll};

const N_KILLS: usize = 20;

const N_CLIENTS: usize = 4;

#[tokio::test]
async fn checkpoints_bound_the_size_of_the_write_ahead_log() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let ride = |n: usize| {
        json!({
            "transaction": "Uber ride",
            "amount": "45.00",
            "user_id": format!("user-{}", n % 100),
        })
    };
    let size = |name: &str| {
        std::fs::metadata(PathBuf::from(store.folder()).join(name))
            .unwrap()
            .len()
            >> 20
    };
    let mut n_decided = 0;
    poll::until(
        Duration::from_secs(60),
        "a database file that has the pages of the log",
        async || {
            futures_util::future::join_all(
                (n_decided..n_decided + 100).map(|n| app.decide(ride(n))),
            )
            .await;
            n_decided += 100;
            assert!(
                size("ledger.sqlite-wal") < 40,
                "the write-ahead log has {} MiB",
                size("ledger.sqlite-wal")
            );
            if size("ledger.sqlite") >= 8 {
                Ok(())
            } else {
                Err(n_decided)
            }
        },
    )
    .await;
    app.stop().await;
}

/// Posts small office expenses until the service is gone; returns the decisions that were answered.
async fn post_until_gone(url: String, n_answered: Arc<AtomicUsize>) -> Vec<Value> {
    let client = reqwest::Client::new();
    let mut answered = Vec::new();
    loop {
        let body = json!({
            "transaction": "Printer paper",
            "amount": "0.01",
            "date": "2026-03-14",
            "user_id": "ana",
        });
        let Ok(response) = client
            .post(format!("{url}/v1/expenses"))
            .json(&body)
            .send()
            .await
        else {
            return answered;
        };
        let Ok(decision) = response.json::<Value>().await else {
            return answered;
        };
        answered.push(decision);
        n_answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_no_answered_decision_and_leave_none_incomplete() {
    on_each_store(async |store| {
        let mut answered: Vec<Value> = Vec::new();
        for n in 0..N_KILLS {
            let service = start(&store).await;
            let n_answered = Arc::new(AtomicUsize::new(0));
            let clients: Vec<_> = (0..N_CLIENTS)
                .map(|_| {
                    tokio::spawn(post_until_gone(
                        service.url.clone(),
                        Arc::clone(&n_answered),
                    ))
                })
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
            let id = id_of(decision);
            assert_eq!(
                recorded.get(id),
                Some(decision),
                "an answered decision is in the ledger as it was answered"
            );
        }
        // The cap usage of the year equals the recorded amounts: neither was written without the
        // other.
        let granted = recorded
            .values()
            .filter(|decision| decision["outcome"] == "approved");
        let granted: Decimal = granted
            .map(|decision| {
                decision["amount"]
                    .as_str()
                    .unwrap()
                    .parse::<Decimal>()
                    .unwrap()
            })
            .sum();
        let probe = json!({
            "transaction": "Laptop",
            "amount": "2500.00",
            "date": "2026-03-15",
            "user_id": "ana",
        });
        let (_, probe) = service.post(probe).await;
        assert_eq!(
            probe["findings"][0]["used"],
            granted.to_string(),
            "{probe:#}"
        );
    })
    .await;
}
