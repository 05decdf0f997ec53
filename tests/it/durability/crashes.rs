//! A service that is killed, and a write-ahead log that grows: no answered decision is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{decisions, start};
use crate::harness::expenses::{id_of, numbered_ride, of_user, without_page};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, poll};

const N_KILLS: usize = 20;

const N_CLIENTS: usize = 4;

#[tokio::test]
async fn checkpoints_bound_the_size_of_the_write_ahead_log() {
    // A checkpoint begins after 400 writes. Without one, this many rounds take over 50 MiB.
    const N_ROUNDS: usize = 2;
    const N_DECISIONS: usize = 450;
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let n_bytes = |name: &str| {
        let file = PathBuf::from(store.folder()).join(name);
        std::fs::metadata(file).unwrap().len()
    };
    for _ in 0..N_ROUNDS {
        let before = n_bytes("ledger.sqlite");
        // One after the other, because writes that share a transaction take less of the log.
        for n in 0..N_DECISIONS {
            app.decide(of_user(numbered_ride(n), &format!("user-{}", n % 100)))
                .await;
        }
        // The next round must not begin while the checkpoint still waits for its turn.
        poll::until(
            Duration::from_secs(60),
            "checkpoint, after which the database file has the pages of the log",
            async || match n_bytes("ledger.sqlite") {
                now if now > before => Ok(()),
                now => Err(now),
            },
        )
        .await;
    }
    let log_mib = n_bytes("ledger.sqlite-wal") >> 20;
    assert!(log_mib < 40, "the write-ahead log has {log_mib} MiB");
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
                recorded.get(id).cloned().map(without_page),
                Some(without_page(decision.clone())),
                "an answered decision is in the ledger, unchanged"
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
