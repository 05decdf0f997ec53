//! Metrics. `counts` has exact counts and the labels of every metric, `state` the metrics that show
//! the service as it is now, `tenants` the bound on series by tenant, and `push` the delivery over
//! OTLP.

mod counts;
mod push;
mod state;
mod tenants;

use std::time::Duration;

use crate::harness::exposition::Page;
use crate::harness::{TestApp, poll};

/// How long a change may take to appear on the page before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Asserts the sums of a metric: for each set of labels, the sum of the samples that have them.
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

/// The page of a service as soon as a condition holds.
async fn metrics_when(app: &TestApp, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
    poll::until(TIMEOUT, what, async || {
        let page = app.metrics().await;
        if holds(&page) {
            Ok(page)
        } else {
            Err(page.text)
        }
    })
    .await
}
