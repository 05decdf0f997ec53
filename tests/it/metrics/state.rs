//! Metrics that show the current state of the service: open decisions, the readiness of the ledger,
//! and reloads of files. Also that the page needs no API key.

use std::collections::BTreeSet;
use std::time::Duration;

use expense_agent::config::Config;
use serde_json::{Value, json};

use super::{assert_counts, metrics_when};
use crate::harness::expenses::expense;
use crate::harness::exposition::Page;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, poll, telemetry_settings};

#[tokio::test]
async fn resolutions_are_counted_and_open_decisions_are_shown_by_role() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[entry(
            "vp",
            "acme",
            "ea_vp",
            "roles = [\"vp\", \"manager\"]",
        )]);
        let keyed = Config {
            http: keys.http_config(),
            store: store.store.clone(),
            ..config()
        };
        let app = TestApp::with(keyed).await;
        let key = [("authorization", "Bearer ea_vp")];
        let mut open = Vec::new();
        for (transaction, amount) in [
            ("Laptop", "600.00"),
            ("Laptop", "700.00"),
            ("Gift for a client", "30.00"),
        ] {
            open.push(app.post_with(expense(transaction, amount), &key).await.body);
        }
        let pending = |page: &Page, role| {
            page.sum(
                "expense_decisions_pending",
                &[("expense_pending_role", role)],
            )
        };
        let waiting = |page: &Page| {
            (
                pending(page, "manager"),
                pending(page, "vp"),
                pending(page, "cfo"),
            )
        };
        metrics_when(&app, "open decisions", |page| {
            waiting(page) == (2.0, 1.0, 0.0)
        })
        .await;
        let denial = json!({"action": "deny", "role": "manager", "actor": "ben", "reason": "No."});
        for _ in 0..2 {
            assert_eq!(
                app.resolve("ea_vp", &open[0], denial.clone()).await.status,
                201
            );
        }
        let again =
            json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "No."});
        assert_eq!(app.resolve("ea_vp", &open[0], again).await.status, 409);
        let page = metrics_when(&app, "one decision less", |page| {
            waiting(page) == (1.0, 1.0, 0.0)
        })
        .await;
        let labels = [
            ("expense_resolution_action", "deny"),
            ("expense_resolution_role", "manager"),
        ];
        assert_counts(
            &page,
            "expense_resolutions_total",
            &[(&[], 1.0), (&labels, 1.0)],
        );
        assert_counts(&page, "expense_decisions_total", &[(&[], 3.0)]);
    })
    .await;
}

#[tokio::test]
async fn the_ledger_is_ready_while_a_decision_could_be_recorded() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let is_ready = |page: &Page| {
            let sample = page
                .samples
                .iter()
                .find(|sample| sample.name == "expense_ledger_ready");
            sample.map(|sample| sample.value)
        };
        metrics_when(&app, "ready ledger", |page| is_ready(page) == Some(1.0)).await;
        store.execute("ALTER TABLE cap_usage RENAME TO gone").await;
        // For a short time after the start, `/readyz` relies on the write that was made at the start.
        poll::until(
            Duration::from_secs(10),
            "ledger that is not ready",
            async || {
                let ready = app.get("/readyz").await;
                if ready.status == 503 {
                    Ok(())
                } else {
                    Err(ready)
                }
            },
        )
        .await;
        metrics_when(&app, "ledger that is not ready", |page| {
            is_ready(page) == Some(0.0)
        })
        .await;
        store.execute("ALTER TABLE gone RENAME TO cap_usage").await;
        assert_eq!(app.get("/readyz").await.status, 200);
        metrics_when(&app, "ledger that is ready again", |page| {
            is_ready(page) == Some(1.0)
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn reloads_are_counted_and_a_broken_file_shows_until_it_is_repaired() {
    let good = entry("a", "acme", "ea_good", "");
    let keys = KeyFile::new(std::slice::from_ref(&good));
    let app = keys.app().await;
    let of = |files| [("expense_reload_files", files)];
    let reloads = |page: &Page, result| {
        page.sum(
            "expense_reloads_total",
            &[
                ("expense_reload_files", "api_keys"),
                ("expense_reload_result", result),
            ],
        )
    };
    let seen = |page: &Page| {
        (
            reloads(page, "taken"),
            reloads(page, "refused"),
            page.sum("expense_reload_stale", &of("api_keys")),
        )
    };
    assert_eq!(seen(&app.metrics().await), (0.0, 0.0, 0.0));
    keys.replace(&["no toml".to_owned()]);
    metrics_when(&app, "refused file", |page| seen(page) == (0.0, 1.0, 1.0)).await;
    keys.replace(&[good, entry("b", "acme", "ea_new", "")]);
    let page = metrics_when(&app, "repaired file", |page| seen(page) == (1.0, 1.0, 0.0)).await;
    assert_counts(&page, "expense_reloads_total", &[(&of("policies"), 0.0)]);
    assert_eq!(
        page.values("expense_reload_stale", "expense_reload_files"),
        BTreeSet::from(["api_keys", "policies"])
    );
}

#[tokio::test]
async fn the_page_needs_no_key_and_leaves_no_trace() {
    let keys = KeyFile::new(&[entry("a", "acme", "ea_key", "")]);
    let app = keys.app().await;
    let page = app.get("/metrics").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(page.headers.get("x-trace-id").is_none());
    assert!(app.ended_spans().is_empty());
}

#[tokio::test]
async fn without_telemetry_the_page_is_empty() {
    let telemetry = telemetry_settings(&[("OTEL_SDK_DISABLED", "true")]);
    let app = TestApp::with(Config {
        telemetry,
        ..config()
    })
    .await;
    app.decide(expense("Taxi", "5.00")).await;
    let page = app.get("/metrics").await;
    assert_eq!((page.status, &page.body), (200, &Value::from("")));
}
