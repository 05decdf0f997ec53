//! What is measured: exact counts after decisions whose course is known, and no one's name in any
//! of it. What is pushed over OTLP is in `push`, the bound on tenants in `tenants`, and what shows
//! the state of the service now in `state`.

mod counts;
mod push;
mod state;
mod tenants;

use std::time::Duration;

use crate::harness::exposition::Page;
use crate::harness::{TestApp, poll};

/// How long something may take to show before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fails unless a metric counts so many for these labels.
fn assert_counts(page: &Page, name: &str, expected: &[(&[(&str, &str)], f64)]) {
    for (labels, count) in expected {
        assert_eq!(
            page.sum(name, labels),
            *count,
            "{name} {labels:?}\n{}",
            page.text
        );
    }
}

async fn metrics_when(app: &TestApp, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
    poll::until(PATIENCE, what, async || {
        let page = app.metrics().await;
        if holds(&page) {
            Ok(page)
        } else {
            Err(page.text)
        }
    })
    .await
}
