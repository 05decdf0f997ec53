//! No span is left open, however a request ends: answered, refused, or given up by the client or by
//! the service.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use proptest::collection::vec;
use proptest::prelude::*;
use reqwest::Method;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::category;
use crate::harness::{TestApp, config, http_config, openai, poll, telemetry_settings};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A request, and how long its client stays.
#[derive(Clone, Debug)]
struct Visit {
    method: Method,
    path: &'static str,
    body: &'static str,
    key: Option<&'static str>,
    stays: Duration,
}

fn visit() -> impl Strategy<Value = Visit> {
    let target = prop_oneof![
        8 => Just((Method::POST, "/v1/expenses", r#"{"transaction": "Uber ride", "amount": "45.00"}"#)),
        1 => Just((Method::POST, "/v1/expenses", "no JSON")),
        1 => Just((Method::GET, "/v1/expenses", "")),
        1 => Just((Method::GET, "/v1/expenses/nobody", "")),
        1 => Just((Method::DELETE, "/v1/expenses", "")),
        1 => Just((Method::GET, "/nowhere", "")),
    ];
    let stays = prop_oneof![Just(60_000_u64), 0..40_u64].prop_map(Duration::from_millis);
    let key = prop_oneof![Just(None), Just(Some("again"))];
    (target, key, stays).prop_map(|((method, path, body), key, stays)| Visit {
        method,
        path,
        body,
        key,
        stays,
    })
}

fn reply() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "answer", "garbage", "late", "hang", "close", "refuse", "503",
    ])
}

fn scripted(reply: &str) -> Reply {
    let answer = || category("travel");
    match reply {
        "answer" => answer(),
        "garbage" => Reply::content("no JSON"),
        "late" => Reply::delayed(Duration::from_millis(15), answer()),
        "hang" => Reply::hang(),
        "close" => Reply::close(),
        "refuse" => Reply::refusal("No."),
        _ => Reply::status(503).header("retry-after", "0"),
    }
}

async fn all_end(visits: Vec<Visit>, replies: Vec<&str>) -> Result<(), TestCaseError> {
    let (receiver, fake) = (OtlpReceiver::spawn().await, FakeOpenAi::spawn().await);
    fake.script(replies.into_iter().map(scripted));
    fake.always(Reply::content("no JSON"));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.grpc_endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let telemetry = telemetry_settings(&variables);
    let deadline = Duration::from_millis(400);
    let app = TestApp::exporting(Config {
        model: openai(&fake),
        telemetry,
        http: HttpConfig {
            deadline,
            ..http_config()
        },
        ..config()
    })
    .await;
    let mut clients = JoinSet::new();
    for Visit {
        method,
        path,
        body,
        key,
        stays,
    } in visits
    {
        let headers: Vec<_> = key
            .map(|key| ("idempotency-key", key))
            .into_iter()
            .collect();
        let request = app
            .request(method, path, &headers)
            .header("content-type", "application/json")
            .body(body);
        // A client that leaves drops its connection, in the middle of any work.
        clients.spawn(tokio::time::timeout(stays, request.send()));
    }
    clients.join_all().await;
    let queue = app.queue();
    let counts = poll::until(TIMEOUT, "end of every span", async || {
        let counts = queue.counts();
        if counts.in_flight == 0 {
            Ok(counts)
        } else {
            Err(counts)
        }
    });
    let counts = counts.await;
    prop_assert_eq!((counts.exported, counts.dropped), (counts.started, 0));
    prop_assert_eq!(receiver.spans().len() as u64, counts.started);
    app.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_span_that_begins_ends(visits in vec(visit(), 1..20), replies in vec(reply(), 0..20)) {
        Runtime::new().unwrap().block_on(all_end(visits, replies))?;
    }
}
