//! Metrics by tenant, up to a bound, because every tenant is a time series.

use std::collections::BTreeSet;

use expense_agent::telemetry::metrics::tenants::{OTHER, Tenants};

use super::assert_counts;
use crate::harness::expenses::expense;
use crate::harness::{TestApp, config, pseudonyms};

#[tokio::test]
async fn tenants_have_series_up_to_the_bound_under_the_names_that_traces_use() {
    let mut config = config();
    config.telemetry.metrics.max_tenants = 2;
    let app = TestApp::with(config).await;
    for tenant in [
        "acme",
        "zeta@example.com",
        "beta",
        "acme",
        "gamma",
        "zeta@example.com",
    ] {
        let reply = app
            .post_with(
                expense("Taxi", "5.00"),
                &[("baggage", &format!("tenant.id={tenant}"))],
            )
            .await;
        assert_eq!(reply.status, 201);
    }
    let page = app.metrics().await;
    let pseudonym = pseudonyms().name("tenant", "zeta@example.com").into_owned();
    assert!(pseudonym.starts_with("tenant-"), "{pseudonym}");
    for name in [
        "expense_decisions_total",
        "expense_cost_total",
        "expense_decision_cost_total",
    ] {
        assert_eq!(
            page.values(name, "tenant_id"),
            BTreeSet::from(["acme", &pseudonym, OTHER]),
            "{name}"
        );
    }
    for tenant in ["acme", &pseudonym, OTHER] {
        assert_counts(
            &page,
            "expense_decisions_total",
            &[(&[("tenant_id", tenant)], 2.0)],
        );
    }
}

#[test]
fn a_tenant_keeps_its_series_and_those_beyond_the_bound_share_one() {
    let tenants = Tenants::new(3);
    let series = |tenant: &str| tenants.series(tenant);
    for tenant in ["a", "b", "c"] {
        assert_eq!(series(tenant).as_deref(), Some(tenant));
    }
    for n in 0..10_000 {
        assert_eq!(series(&n.to_string()).as_deref(), Some(OTHER));
    }
    assert_eq!(series("b").as_deref(), Some("b"));
    assert_eq!(Tenants::new(0).series("a"), None);
}
