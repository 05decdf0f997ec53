//! Exact counts on the page for Prometheus, after decisions whose outcome is known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use expense_agent::telemetry::names;
use expense_agent::telemetry::names::attribute::Cardinality;
use expense_agent::telemetry::names::instrument::{Kind, Metric};
use expense_agent::telemetry::names::metrics as list;
use expense_agent::telemetry::spans::request_time::RequestTime;
use serde_json::json;

use super::{assert_counts, metrics_when};
use crate::harness::expenses::expense;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::full_page::{EMPLOYEE, full_page};
use crate::harness::replies::{advice, category};
use crate::harness::store::TestStore;
use crate::harness::{TestApp, assert_golden};

/// Cost of a call that reads 100 tokens and writes 20, in US dollars.
const COST_OF_A_CALL: f64 = 0.000_027;

/// The name of a metric on the page.
fn exposed(metric: &Metric) -> String {
    let unit = if metric.unit == "s" { "_seconds" } else { "" };
    let suffix = match metric.kind {
        Kind::Counter => "_total",
        Kind::Gauge if metric.unit == "By" => "_bytes",
        Kind::Gauge => "",
        Kind::Histogram => "_count",
    };
    format!("{}{unit}{suffix}", metric.key.replace('.', "_"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_on_the_page_with_its_declared_labels_and_no_personal_data() {
    let page = full_page().await;
    assert_golden("metrics", &page.normalised());
    for metric in list::ALL {
        let name = exposed(metric);
        let labels: BTreeSet<String> = page.labels(&name).into_iter().map(str::to_owned).collect();
        let expected: BTreeSet<String> = metric
            .attributes
            .iter()
            .map(|name| name.key.replace('.', "_"))
            .collect();
        assert!(
            page.samples.iter().any(|sample| sample.name == name),
            "{name} is not on the page"
        );
        assert_eq!(labels, expected, "{name}");
    }
    for personal in [
        EMPLOYEE,
        "ben",
        "user_id",
        "ea_feed",
        "zeta",
        "unheard-of",
        "Chicago",
    ] {
        assert!(
            !page.text.contains(personal),
            "{personal} is on the page:\n{}",
            page.text
        );
    }
}

#[test]
fn no_metric_has_a_label_of_high_cardinality_except_the_tenant() {
    let keys: BTreeSet<_> = list::ALL.iter().map(|metric| metric.key).collect();
    assert_eq!(keys.len(), list::ALL.len(), "a metric is listed twice");
    for metric in list::ALL {
        let high = metric
            .attributes
            .iter()
            .filter(|name| name.cardinality == Cardinality::High);
        let high: Vec<_> = high
            .filter(|name| **name != names::TENANT_ID)
            .map(|name| name.key)
            .collect();
        assert!(high.is_empty(), "{} is by {high:?}", metric.key);
    }
}

/// Makes seven decisions: an approval, a denial, an override, a failed check, a repaired answer, an
/// unavailable model, and a credit, which needs no model.
async fn seven_decisions(app: &TestApp, fake: &FakeOpenAi) {
    let travel = |ruling| [category("travel"), advice(ruling, "travel-trip-cap")];
    fake.script(travel("approved"));
    let ride = app.decide(expense("Uber ride", "45.00")).await;
    fake.script(travel("denied"));
    assert_eq!(
        app.decide(expense("Flight to Chicago", "650.00")).await["outcome"],
        "denied"
    );
    // The advice is more lenient than the policy, so it is overruled.
    fake.script(travel("approved"));
    assert_eq!(
        app.decide(expense("Flight to Chicago", "651.00")).await["override"],
        true
    );
    // The right denial for the wrong reason.
    fake.script([category("meals"), advice("denied", "meals-day-cap")]);
    assert_eq!(
        app.decide(expense("Flight to Chicago", "652.00")).await["outcome"],
        "needs_review"
    );
    // An answer that is repaired.
    fake.script([
        category("fun"),
        category("travel"),
        advice("approved", "travel-trip-cap"),
    ]);
    assert_eq!(
        app.decide(expense("Uber ride", "46.00")).await["agent_outcome"],
        "corrected"
    );
    // A model that is unavailable: two retries, counted as one call.
    fake.script([Reply::status(503), Reply::status(503), Reply::status(503)]);
    assert_eq!(
        app.decide(expense("Uber ride", "47.00")).await["agent_outcome"],
        "error"
    );
    let credit = json!({
        "transaction": "Credit note",
        "amount": "-5.00",
        "user_id": "ana",
        "refunds": ride["id"],
    });
    assert_eq!(app.decide(credit).await["outcome"], "approved");
}

#[tokio::test]
async fn decisions_checks_and_spend_are_counted_exactly() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;
    seven_decisions(&app, &fake).await;

    let page = app.metrics().await;
    assert_counts(
        &page,
        "expense_decisions_total",
        &[
            (&[], 7.0),
            (&[("expense_outcome", "approved")], 3.0),
            (
                &[
                    ("expense_outcome", "denied"),
                    ("expense_category", "travel"),
                ],
                2.0,
            ),
            (
                &[
                    ("expense_outcome", "needs_review"),
                    ("agent_outcome", "escalated"),
                ],
                1.0,
            ),
            (&[("agent_outcome", "error")], 1.0),
            (&[("agent_outcome", "corrected")], 2.0),
            (&[("validation_status", "failed")], 2.0),
            (&[("validation_status", "passed")], 3.0),
            (&[("expense_override", "true")], 1.0),
        ],
    );
    assert_counts(
        &page,
        "expense_validations_total",
        &[
            (
                &[
                    ("validation_type", "category_membership"),
                    ("validation_result", "repaired"),
                ],
                1.0,
            ),
            (
                &[
                    ("validation_type", "category_membership"),
                    ("validation_result", "passed"),
                ],
                5.0,
            ),
            (
                &[
                    ("validation_type", "category_evidence"),
                    ("validation_result", "failed"),
                ],
                1.0,
            ),
            (
                &[
                    ("validation_type", "decision_consistency"),
                    ("validation_result", "failed"),
                ],
                1.0,
            ),
            (&[("validation_result", "failed")], 2.0),
            (
                &[
                    ("validation_type", "tool_result"),
                    ("validation_result", "passed"),
                ],
                5.0,
            ),
        ],
    );
    let calls = "gen_ai_client_inference_duration_seconds_count";
    assert_counts(
        &page,
        calls,
        &[(&[], 12.0), (&[("error_type", "503")], 1.0)],
    );
    assert_counts(
        &page,
        "gen_ai_client_inference_usage_input_tokens_total",
        &[(&[], 1_100.0)],
    );
    assert_counts(
        &page,
        "gen_ai_client_inference_usage_output_tokens_total",
        &[(&[], 220.0)],
    );
    assert_counts(
        &page,
        "gen_ai_invoke_agent_duration_seconds_count",
        &[(&[], 7.0)],
    );
    assert_counts(
        &page,
        "gen_ai_execute_tool_duration_seconds_count",
        &[(&[], 5.0)],
    );
    assert_counts(
        &page,
        "expense_record_duration_seconds_count",
        &[(&[], 7.0)],
    );
    let created = [
        ("http_request_method", "POST"),
        ("http_route", "/v1/expenses"),
        ("http_response_status_code", "201"),
    ];
    assert_counts(
        &page,
        "http_server_request_duration_seconds_count",
        &[(&[], 7.0), (&created, 7.0)],
    );
    // No model was asked about the credit.
    assert_counts(
        &page,
        "expense_agent_overhead_duration_seconds_count",
        &[(&[], 6.0)],
    );
    assert_counts(
        &page,
        "expense_agent_telemetry_duration_seconds_count",
        &[(&[], 6.0)],
    );
    let n_calls =
        |name: &str, labels: &[(&str, &str)]| (page.sum(name, labels) / COST_OF_A_CALL).round();
    assert_eq!(n_calls("expense_cost_total", &[]), 11.0);
    assert_eq!(
        n_calls(
            "expense_cost_total",
            &[
                ("step_name", "classify"),
                ("gen_ai_request_model", "gpt-4o-mini")
            ]
        ),
        6.0
    );
    assert_eq!(n_calls("expense_decision_cost_total", &[]), 11.0);
    assert_eq!(
        n_calls(
            "expense_decision_cost_total",
            &[("validation_status", "failed")]
        ),
        4.0
    );
    assert!(
        !page.text.contains("tenant_id") && !page.text.contains("gen_ai_client_operation"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn a_failing_ledger_shows_in_runs_and_requests_and_counts_no_decision() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    store.execute("ALTER TABLE cap_usage RENAME TO gone").await;
    assert_eq!(app.post(expense("Taxi", "5.00")).await.status, 503);
    let page = app.metrics().await;
    assert_counts(&page, "expense_decisions_total", &[(&[], 0.0)]);
    assert_counts(
        &page,
        "gen_ai_invoke_agent_duration_seconds_count",
        &[(&[("error_type", "ledger")], 1.0)],
    );
    assert_counts(
        &page,
        "http_server_request_duration_seconds_count",
        &[(&[("error_type", "503")], 1.0)],
    );
    assert_counts(&page, "expense_cost_unknown_total", &[(&[], 0.0)]);
}

#[tokio::test]
async fn a_replayed_decision_is_counted_once() {
    let app = TestApp::spawn().await;
    for _ in 0..3 {
        let reply = app
            .post_with(expense("Taxi", "5.00"), &[("idempotency-key", "k")])
            .await;
        assert_eq!(reply.status, 201);
    }
    let page = app.metrics().await;
    assert_counts(&page, "expense_decisions_total", &[(&[], 1.0)]);
    assert_counts(
        &page,
        "http_server_request_duration_seconds_count",
        &[(&[], 3.0)],
    );
    assert_counts(
        &page,
        "expense_agent_overhead_duration_seconds_count",
        &[(&[], 1.0)],
    );
}

#[tokio::test]
async fn an_abandoned_request_is_counted_as_cancelled() {
    let fake = FakeOpenAi::spawn().await;
    fake.always(Reply::hang());
    let app = TestApp::with_openai(&fake).await;
    app.disconnect_once_the_model_is_asked(&fake, expense("Taxi", "5.00"), &[])
        .await;
    let name = "http_server_request_duration_seconds_count";
    let page = metrics_when(&app, "cancelled request", |page| page.sum(name, &[]) > 0.0).await;
    assert_counts(
        &page,
        name,
        &[(
            &[("error_type", "cancelled"), ("http_route", "/v1/expenses")],
            1.0,
        )],
    );
    assert!(!page.labels(name).contains("http_response_status_code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_and_readers_lose_no_count() {
    let app = Arc::new(TestApp::spawn().await);
    let decisions = (0..120).map(|n| {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let body =
                json!({"transaction": "Taxi", "amount": "5.00", "user_id": format!("user-{n}")});
            assert_eq!(app.post(body).await.status, 201);
            if n % 10 == 0 {
                app.metrics().await;
            }
        })
    });
    for decided in futures_util::future::join_all(decisions).await {
        decided.unwrap();
    }
    let page = app.metrics().await;
    assert_counts(&page, "expense_decisions_total", &[(&[], 120.0)]);
    assert_counts(
        &page,
        "gen_ai_client_inference_duration_seconds_count",
        &[(&[], 240.0)],
    );
    assert_counts(
        &page,
        "http_server_request_duration_seconds_count",
        &[(&[], 120.0)],
    );
    assert!(!page.text.contains("user-"), "{}", page.text);
}

#[tokio::test]
async fn model_time_is_not_overhead() {
    let fake = FakeOpenAi::spawn().await;
    let slow = |reply| Reply::delayed(Duration::from_millis(200), reply);
    fake.script([
        slow(category("travel")),
        slow(advice("approved", "travel-trip-cap")),
    ]);
    let app = TestApp::with_openai(&fake).await;
    app.decide(expense("Uber ride", "45.00")).await;
    let page = app.metrics().await;
    let seconds = |name: &str| page.sum(&format!("{name}_seconds_sum"), &[]);
    let (request, own) = (
        seconds("http_server_request_duration"),
        seconds("expense_agent_overhead_duration"),
    );
    assert!(
        request - own >= 0.4,
        "{own} s of {request} s are counted as overhead"
    );
    assert!(
        seconds("expense_agent_telemetry_duration") <= own,
        "{}",
        page.text
    );
}

#[test]
fn the_time_of_overlapping_model_calls_counts_once() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    for (calls, expected) in [
        (vec![], None),
        (vec![(1, 3)], Some(2)),
        (vec![(1, 3), (3, 4)], Some(3)),
        (vec![(5, 7), (1, 3)], Some(4)),
        (vec![(1, 5), (2, 3)], Some(4)),
        (vec![(2, 6), (1, 3), (5, 9), (20, 21)], Some(9)),
    ] {
        let time = RequestTime::default();
        for (began, ended) in &calls {
            time.add_call(at(*began), at(*ended));
        }
        assert_eq!(
            time.of_model(),
            expected.map(Duration::from_secs),
            "{calls:?}"
        );
    }
}
