//! What is measured: exact counts after decisions whose course is known, on the page for Prometheus
//! and over OTLP, and nobody's name in any of it.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use expense_agent::config::Config;
use expense_agent::telemetry::metrics::tenants::{OTHER, Tenants};
use expense_agent::telemetry::names;
use expense_agent::telemetry::names::metrics::{self as list, Kind, Metric};
use expense_agent::telemetry::names::name::Cardinality;
use expense_agent::telemetry::spans::request_time::RequestTime;
use serde_json::{Value, json};

use crate::harness::binary::Service;
use crate::harness::expenses::expense;
use crate::harness::exposition::Page;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::full_page::{EMPLOYEE, full_page};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::{advice, category};
use crate::harness::server::{Nobody, Server};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, assert_golden, config, poll, pseudonyms, telemetry_settings};

/// How long something may take to show before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a call costs that reads 100 tokens and writes 20, in US dollars.
const COST_OF_A_CALL: f64 = 0.000_027;

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

/// As the page writes a name.
fn exposed(metric: &Metric) -> String {
    let unit = if metric.unit == "s" { "_seconds" } else { "" };
    let suffix = match metric.kind {
        Kind::Counter => "_total",
        Kind::Gauge if metric.unit == "By" => "_bytes",
        Kind::Gauge => "",
        Kind::Histogram(_) => "_count",
    };
    format!("{}{unit}{suffix}", metric.key.replace('.', "_"))
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

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_on_the_page_by_its_own_labels_and_nobodys_name() {
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
fn no_metric_is_by_anything_of_high_cardinality_but_the_tenant() {
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

#[tokio::test]
async fn decisions_checks_and_spend_are_counted_exactly() {
    let fake = FakeOpenAi::spawn().await;
    let travel = |ruling| [category("travel"), decision(ruling, "travel-trip-cap")];
    let app = TestApp::with_openai(&fake).await;
    fake.script(travel("approved"));
    let ride = app.decide(expense("Uber ride", "45.00")).await;
    fake.script(travel("denied"));
    assert_eq!(
        app.decide(expense("Flight to Chicago", "650.00")).await["outcome"],
        "denied"
    );
    // More lenient than the policy: overruled.
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
    // An answer that is mended.
    fake.script([
        category("fun"),
        category("travel"),
        advice("approved", "travel-trip-cap"),
    ]);
    assert_eq!(
        app.decide(expense("Uber ride", "46.00")).await["agent_outcome"],
        "corrected"
    );
    // A model that cannot be reached: two retries, one call.
    fake.script([Reply::status(503), Reply::status(503), Reply::status(503)]);
    assert_eq!(
        app.decide(expense("Uber ride", "47.00")).await["agent_outcome"],
        "error"
    );
    let credit = json!({"transaction": "Credit note", "amount": "-5.00", "user_id": "ana", "refunds": ride["id"]});
    assert_eq!(app.decide(credit).await["outcome"], "approved");

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
async fn a_ledger_that_fails_shows_in_runs_and_requests_and_counts_no_decision() {
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
async fn a_request_that_is_given_up_says_so() {
    let fake = FakeOpenAi::spawn().await;
    fake.always(Reply::hang());
    let app = TestApp::with_openai(&fake).await;
    app.leave_once_the_model_is_asked(&fake, expense("Taxi", "5.00"))
        .await;
    let name = "http_server_request_duration_seconds_count";
    let page = metrics_when(&app, "given-up request", |page| page.sum(name, &[]) > 0.0).await;
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

#[tokio::test]
async fn resolutions_are_counted_and_what_waits_is_shown_by_role() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[entry(
            "vp",
            "acme",
            "ea_vp",
            "roles = [\"vp\", \"manager\"]",
        )]);
        let keyed = Config {
            api_keys: Some(keys.path.clone()),
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
        // A write that went well at the start speaks for the ledger for a moment.
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
async fn tenants_are_told_apart_up_to_the_bound_and_called_what_traces_call_them() {
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
fn a_tenant_keeps_its_series_and_strangers_never_get_one() {
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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_many_count_at_once_and_somebody_reads() {
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
async fn model_time_is_no_overhead() {
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
        "{request} s of which {own} s are said to be ours"
    );
    assert!(
        seconds("expense_agent_telemetry_duration") <= own,
        "{}",
        page.text
    );
}

#[test]
fn time_in_which_two_models_are_asked_counts_once() {
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

#[tokio::test]
async fn a_reload_is_counted_and_a_faulty_file_shows_until_it_is_mended() {
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
    let page = metrics_when(&app, "mended file", |page| seen(page) == (1.0, 1.0, 0.0)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_pushed_over_either_protocol() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = OtlpReceiver::spawn().await;
        let endpoint = if protocol == "grpc" {
            receiver.grpc_endpoint()
        } else {
            receiver.http_endpoint()
        };
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
            ("OTEL_SERVICE_NAME", "pushed"),
        ];
        let service = Service::start(&[], &variables).await;
        assert_eq!(
            service.post(expense("Flight to Chicago", "650.00")).await.0,
            201
        );
        let decisions = poll::until(PATIENCE, "pushed decision", async || {
            let metrics = receiver.metrics();
            metrics
                .iter()
                .rev()
                .find(|metric| metric.name == "expense.decisions")
                .cloned()
                .ok_or(metrics)
        })
        .await;
        let (attributes, n_decisions) = &decisions.series[0];
        assert_eq!((decisions.unit.as_str(), *n_decisions), ("{decision}", 1));
        assert_eq!(
            (
                &attributes["expense.outcome"],
                &attributes["expense.override"]
            ),
            (&json!("denied"), &json!(false))
        );
        assert_eq!(decisions.resource["service.name"], "pushed");
        let (ended, log) = service.stop().await;
        assert!(ended.success() && !log.contains("WARN"), "{log}");
        let pushed = receiver.metrics();
        for name in [
            "http.server.request.duration",
            "gen_ai.client.inference.duration",
            "telemetry.spans",
        ] {
            assert!(
                pushed.iter().any(|metric| metric.name == name),
                "{name} was not pushed over {protocol}"
            );
        }
        assert!(
            pushed
                .iter()
                .flat_map(|metric| &metric.series)
                .all(|(labels, _)| !labels.contains_key("user.id"))
        );
    }
}

/// A receiver that answers every push so, and sees `n_pushes` of them; whatever else it is asked is
/// well.
async fn answering(status: StatusCode, n_pushes: &Arc<AtomicUsize>) -> Server {
    let counted = Arc::clone(n_pushes);
    let answer = move |method: Method| async move {
        if method != Method::POST {
            return StatusCode::OK.into_response();
        }
        counted.fetch_add(1, Ordering::Relaxed);
        (status, [(LOCATION, "/elsewhere")]).into_response()
    };
    Server::spawn(Router::new().fallback(answer)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_or_sends_on_elsewhere_costs_one_warning() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::FOUND] {
        let n_pushes = Arc::new(AtomicUsize::new(0));
        let receiver = answering(status, &n_pushes).await;
        let variables = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.origin()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        ];
        let service = Service::start(&[], &variables).await;
        poll::until(PATIENCE, "third push", async || {
            assert_eq!(service.post(expense("Taxi", "5.00")).await.0, 201);
            let n_pushes = n_pushes.load(Ordering::Relaxed);
            if n_pushes >= 3 { Ok(()) } else { Err(n_pushes) }
        })
        .await;
        let (ended, log) = service.stop().await;
        assert!(ended.success(), "{log}");
        assert_eq!(
            log.matches("metrics cannot be delivered").count(),
            1,
            "{status}: {log}"
        );
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_is_asked_again_when_the_time_is_up() {
    for protocol in ["grpc", "http/protobuf"] {
        let n_pushes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&n_pushes);
        let never = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            pending::<()>()
        };
        let receiver = Server::spawn(Router::new().fallback(never)).await;
        let variables = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.origin()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        ];
        let service = Service::start(&[], &variables).await;
        poll::until(PATIENCE, "fifth push", async || {
            let n_pushes = n_pushes.load(Ordering::Relaxed);
            if n_pushes >= 5 { Ok(()) } else { Err(n_pushes) }
        })
        .await;
        let (ended, log) = service.stop().await;
        assert!(ended.success(), "{log}");
        assert_eq!(
            log.matches("metrics cannot be delivered").count(),
            1,
            "{protocol}: {log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_listens_costs_one_warning_and_none_costs_nothing() {
    let nobody = Nobody::new();
    let endpoint = nobody.origin();
    for (exporter, n_warnings) in [("otlp", 1), ("none", 0), ("prometheus", 0)] {
        let variables = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_METRICS_EXPORTER", exporter),
            ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        ];
        let service = Service::start(&[], &variables).await;
        for _ in 0..10 {
            assert_eq!(service.post(expense("Taxi", "5.00")).await.0, 201);
        }
        let (ended, log) = service.stop().await;
        assert!(ended.success(), "{log}");
        assert_eq!(
            log.matches("metrics cannot be delivered").count(),
            n_warnings,
            "{exporter}: {log}"
        );
    }
}
