//! The shipped configuration of the Collector: a real one that runs with it keeps the traces that
//! the agent itself would keep, and lets nothing pass that must not be stored. `OTELCOL` names the
//! program; without it the tests skip.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::telemetry::sampling::Sampling;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::skip::skip;
use crate::harness::{TestApp, config, poll, telemetry_settings};

/// A Collector with the shipped configuration, killed when this value is dropped.
struct Collector {
    endpoint: String,
    _process: Child,
}

impl Collector {
    /// Starts the program that `OTELCOL` names, in front of a backend. If it is unset, prints why
    /// the test is skipped and returns `None`.
    async fn start(backend: &OtlpReceiver, threshold: &str) -> Option<Self> {
        let Ok(program) = std::env::var("OTELCOL") else {
            skip("through a real Collector; name the program in OTELCOL");
            return None;
        };
        let grpc = free_address().await;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/otel-collector.yaml");
        let process = Command::new(program)
            .arg("--config")
            .arg(file)
            .args(["--set=extensions::health_check::endpoint=127.0.0.1:0"])
            .env("COLLECTOR_GRPC", &grpc)
            .env("COLLECTOR_HTTP", "127.0.0.1:0")
            .env(
                "TRACE_BACKEND",
                backend.grpc_endpoint().trim_start_matches("http://"),
            )
            .env("SAMPLING_THRESHOLD", threshold)
            .env("DECISION_WAIT", "3s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        poll::until(
            Duration::from_secs(20),
            "the Collector listens",
            async || {
                tokio::net::TcpStream::connect(&grpc)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            },
        )
        .await;
        Some(Self {
            endpoint: format!("http://{grpc}"),
            _process: process,
        })
    }
}

/// An address on which nothing listened a moment ago.
async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// Requests that end in many ways, each with a trace id of its own that is the same in every run.
fn requests() -> Vec<(String, Value)> {
    let bodies = [
        json!({
            "transaction": "Uber ride to the client",
            "amount": "15.00",
            "date": "2026-03-14",
            "user_id": "ana",
        }),
        json!({
            "transaction": "Flight to Chicago",
            "amount": "650.00",
            "date": "2026-03-14",
            "user_id": "ana",
        }),
        json!({
            "transaction": "Team lunch",
            "amount": "12.00",
            "mcc": "4511",
            "date": "2026-03-14",
            "user_id": "ana",
        }),
        json!({
            "transaction": "Printer paper",
            "amount": "4.00",
            "date": "2026-03-14",
            "user_id": "ana",
        }),
    ];
    // Multiples of the golden ratio spread the random bits evenly.
    let id = |n: u128| {
        format!(
            "{:032x}",
            (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        )
    };
    (0..80)
        .map(|n| (id(n), bodies[usize::try_from(n % 4).unwrap()].clone()))
        .collect()
}

/// Posts all requests to a service that sends its spans to an endpoint. Returns the traces that
/// arrived at the backend.
async fn kept(
    endpoint: &str,
    sampling: Sampling,
    backend: &OtlpReceiver,
    last: &str,
) -> BTreeSet<String> {
    let mut telemetry = telemetry_settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
    telemetry.sampling = sampling;
    let model = ModelConfig::Offline {
        faults: vec!["misclassify:0.1".parse().unwrap()],
        fault_seed: 1,
    };
    let app = TestApp::exporting(Config {
        telemetry,
        model,
        ..config()
    })
    .await;
    for (trace_id, body) in requests() {
        let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
        assert_eq!(
            app.post_with(body, &[("traceparent", &traceparent)])
                .await
                .status,
            201
        );
    }
    app.stop().await;
    // When the last trace that is kept has arrived, all earlier ones have been decided.
    backend
        .wait_for(
            |spans| spans.iter().any(|span| span.trace_id == last),
            Duration::from_secs(30),
        )
        .await;
    backend
        .spans()
        .into_iter()
        .map(|span| span.trace_id)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_keeps_the_traces_that_the_agent_itself_would_keep() {
    let backend = OtlpReceiver::spawn().await;
    // Keeps a quarter of the traces without a reason.
    let Some(collector) = Collector::start(&backend, "c0000000000000").await else {
        return;
    };
    let ratio = |text: &str| Sampling {
        ratio: text.parse().unwrap(),
        slow: Duration::from_secs(3600),
        costly: Decimal::MAX,
    };
    let direct = OtlpReceiver::spawn().await;
    let endpoint = direct.grpc_endpoint();
    // A run without the Collector shows which of the kept traces comes last.
    let by_agent = kept_by_agent(&endpoint, ratio("0.25"), &direct).await;
    let all = requests();
    let last = all
        .iter()
        .rev()
        .map(|(id, _)| id)
        .find(|id| by_agent.contains(*id))
        .unwrap();
    let by_collector = kept(&collector.endpoint, ratio("1"), &backend, last).await;
    poll::until(Duration::from_secs(30), "the same traces", async || {
        let by_collector: BTreeSet<String> = backend
            .spans()
            .into_iter()
            .map(|span| span.trace_id)
            .collect();
        if by_collector == by_agent {
            Ok(())
        } else {
            Err((by_agent.len(), by_collector.len()))
        }
    })
    .await;
    assert!(by_collector.is_subset(&by_agent));
    assert!(
        (30..70).contains(&by_agent.len()),
        "some of each: {}",
        by_agent.len()
    );
}

async fn kept_by_agent(
    endpoint: &str,
    sampling: Sampling,
    backend: &OtlpReceiver,
) -> BTreeSet<String> {
    // Every fourth request ends in a review, which is always kept.
    let last = requests()
        .into_iter()
        .rev()
        .find(|(_, body)| body["mcc"] == "4511")
        .unwrap()
        .0;
    kept(endpoint, sampling, backend, &last).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_removes_personal_data_that_a_sender_did_not_redact() {
    let backend = OtlpReceiver::spawn().await;
    let Some(collector) = Collector::start(&backend, "00000000000000").await else {
        return;
    };
    let mut telemetry = telemetry_settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_RESOURCE_ATTRIBUTES", "owner=jane@example.com"),
    ]);
    telemetry.sampling = Sampling::default();
    let app = TestApp::exporting(Config {
        telemetry,
        ..config()
    })
    .await;
    app.decide(json!({"transaction": "Uber ride", "amount": "15.00", "user_id": "ana"}))
        .await;
    app.stop().await;
    backend
        .wait_for(|spans| !spans.is_empty(), Duration::from_secs(30))
        .await;
    let bytes = backend.bytes();
    assert!(
        !bytes.windows(4).any(|window| window == b"jane"),
        "the Collector looks at resources as well"
    );
}
