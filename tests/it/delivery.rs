//! Nothing lost unseen: what becomes of spans when the backend dies, hangs, refuses or is choosy,
//! over both protocols. The counts say at each moment where every span is, and agree with what the
//! backend has.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use expense_agent::config::Config;
use expense_agent::telemetry::export::queue::{Queue, SpanCounts};
use expense_agent::telemetry::provider::Telemetry;
use futures_util::future::join_all;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use serde_json::json;

use crate::harness::binary::Service;
use crate::harness::expenses::{flight, ride};
use crate::harness::mortal_receiver::MortalReceiver;
use crate::harness::otlp_receiver::{Manner, ReceivedSpan};
use crate::harness::receiver_process::ReceiverProcess;
use crate::harness::server::Server;
use crate::harness::{TestApp, config, poll, pseudonyms, telemetry_settings};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];
const PATIENCE: Duration = Duration::from_secs(60);
/// Spans of one decision.
const N_SPANS: usize = 7;

/// Telemetry that sends to a receiver, with more variables.
fn telemetry(
    receiver: &MortalReceiver,
    protocol: &str,
    variables: &[(&str, &str)],
    max_bytes: usize,
) -> Telemetry {
    let endpoint = receiver.endpoint(protocol);
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    all.extend(variables);
    let mut settings = telemetry_settings(&all);
    settings.queue.max_bytes = max_bytes;
    Telemetry::start(&settings, pseudonyms()).unwrap()
}

const ROOMY: usize = 64 * 1024 * 1024;

fn tracer(telemetry: &Telemetry) -> SdkTracer {
    telemetry.tracer_provider().tracer("test")
}

/// A trace of three spans; its text makes it as large as the test wants it. Returns its id.
fn trace(tracer: &SdkTracer, text: &str, has_failed: bool) -> String {
    let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
    let step = root.with_span(tracer.start_with_context("step", &root));
    let mut leaf = tracer.start_with_context("leaf", &step);
    leaf.set_attribute(KeyValue::new("text", text.to_owned()));
    leaf.end();
    let status = if has_failed { "failed" } else { "passed" };
    step.span()
        .set_attribute(KeyValue::new("validation.status", status));
    step.span().end();
    root.span().end();
    root.span().span_context().trace_id().to_string()
}

fn span_ids(spans: &[ReceivedSpan]) -> BTreeSet<String> {
    spans.iter().map(|span| span.span_id.clone()).collect()
}

/// Waits until nothing is in flight, and gives the counts then.
async fn settled(queue: &Queue) -> SpanCounts {
    poll::until(PATIENCE, "settled spans", async || {
        let counts = queue.counts();
        if counts.in_flight == 0 {
            Ok(counts)
        } else {
            Err(counts)
        }
    })
    .await
}

async fn shut_down(telemetry: Telemetry) {
    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
}

/// A receiver of its own process is killed twice with SIGKILL while decisions are made, each time
/// owing an answer.
async fn killed_twice_under_load(protocol: &str) {
    let mut receiver = ReceiverProcess::dead();
    let endpoint = receiver.endpoint(protocol);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let service = Service::start(&[], &variables).await;
    let is_over = AtomicBool::new(false);
    let load = async || {
        let mut trace_ids = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let (status, decision) = service.post(ride()).await;
            assert_eq!(status, 201);
            trace_ids.push(decision["trace_id"].as_str().unwrap().to_owned());
        }
        trace_ids
    };
    let lives = async {
        receiver.live_and_be_killed(10).await;
        receiver.live_and_be_killed(10).await;
        receiver.live(usize::MAX).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (trace_ids, ()) = tokio::join!(join_all((0..4).map(|_| load())), lives);
    let counts = poll::until(PATIENCE, "settled spans", async || {
        let counts = service.get("/readyz?verbose").await["spans"].clone();
        if counts["in_flight"] == 0 {
            Ok(counts)
        } else {
            Err(counts)
        }
    })
    .await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");

    let received = receiver.spans();
    let trace_ids: Vec<_> = trace_ids.concat();
    for trace_id in &trace_ids {
        let n_spans = received
            .keys()
            .filter(|(of_trace, _)| of_trace == trace_id)
            .count();
        assert_eq!(n_spans, N_SPANS, "{trace_id}: {log}");
    }
    // The start of the service is a span as well.
    let n_started = trace_ids.len() * N_SPANS + 1;
    assert_eq!(received.len(), n_started);
    let expected = json!({
        "started": n_started, "exported": n_started, "sampled_out": 0, "dropped": 0, "in_flight": 0,
    });
    assert_eq!(counts, expected);
    assert!(
        received.values().any(|n_times| *n_times > 1),
        "what was not acknowledged comes again"
    );
    assert!(
        !log.contains("lost") && !log.contains("not delivered"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_twice_under_load_loses_nothing_over_grpc() {
    killed_twice_under_load("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_twice_under_load_loses_nothing_over_http() {
    killed_twice_under_load("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_receiver_decisions_go_on_within_a_bound_and_the_loss_is_exact() {
    let mut receiver = MortalReceiver::dead();
    let endpoint = receiver.endpoint("grpc");
    let max_bytes = 64 * 1024;
    let mut settings = telemetry_settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ]);
    settings.queue.max_bytes = max_bytes;
    let app = TestApp::exporting(Config {
        telemetry: settings,
        ..config()
    })
    .await;
    let queue = app.queue();
    for _ in 0..50 {
        app.decide(ride()).await;
        assert!(queue.n_bytes() <= max_bytes);
    }
    let spans = app.get("/readyz?verbose").await.body["spans"].clone();
    assert!(spans["dropped"].as_u64().unwrap() > 0, "{spans}");
    assert_eq!(app.get("/readyz").await.body.get("spans"), None);
    let page = app.metrics().await;
    assert_eq!(
        page.sum("telemetry_spans_total", &[("telemetry_result", "dropped")]),
        spans["dropped"]
    );
    assert_eq!(
        page.sum("telemetry_spans_in_flight", &[]),
        spans["in_flight"]
    );
    assert_eq!(
        page.sum("telemetry_queue_memory_bytes", &[]),
        queue.n_bytes() as f64
    );
    receiver.revive().await;
    let counts = settled(&queue).await;
    let n_received = span_ids(&receiver.spans()).len() as u64;
    assert_eq!(counts.started, 50 * N_SPANS as u64);
    assert_eq!(counts.exported, n_received);
    assert_eq!(counts.dropped, counts.started - n_received);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_gives_up_its_oldest_traces_and_keeps_those_that_failed() {
    let mut receiver = MortalReceiver::dead();
    let telemetry = telemetry(&receiver, "grpc", &[], 256 * 1024);
    let tracer = tracer(&telemetry);
    let text = "x".repeat(2_000);
    let traces: Vec<(bool, String)> = (0..300)
        .map(|n| (n % 30 == 0, trace(&tracer, &text, n % 30 == 0)))
        .collect();
    receiver.revive().await;
    let counts = settled(&telemetry.queue().unwrap()).await;
    shut_down(telemetry).await;
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    for span in receiver.spans() {
        *received.entry(span.trace_id).or_default() += 1;
    }
    assert!(
        received.values().all(|n| *n == 3),
        "traces are given up whole"
    );
    assert!(
        traces
            .iter()
            .filter(|(has_failed, _)| *has_failed)
            .all(|(_, id)| received.contains_key(id))
    );
    let ordinary: Vec<_> = traces
        .iter()
        .filter(|(has_failed, _)| !has_failed)
        .collect();
    let n_kept = ordinary
        .iter()
        .filter(|(_, id)| received.contains_key(id))
        .count();
    assert!((1..ordinary.len()).contains(&n_kept));
    assert!(
        ordinary
            .iter()
            .rev()
            .take(n_kept)
            .all(|(_, id)| received.contains_key(id)),
        "the youngest are kept"
    );
    let n_received = 3 * received.len() as u64;
    let expected = SpanCounts {
        started: 900,
        exported: n_received,
        sampled_out: 0,
        dropped: 900 - n_received,
        in_flight: 0,
    };
    assert_eq!(counts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_spans_pass_a_receiver_of_four_mebibytes() {
    for protocol in PROTOCOLS {
        let receiver = MortalReceiver::spawn().await;
        receiver.behave(Manner::AtMost(4 * 1024 * 1024));
        let telemetry = telemetry(
            &receiver,
            protocol,
            &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
            ROOMY,
        );
        let text = "x".repeat(20 * 1024);
        let tracer = tracer(&telemetry);
        for _ in 0..512 {
            let mut span = tracer.start_with_context("large", &Context::new());
            span.set_attribute(KeyValue::new("text", text.clone()));
        }
        let counts = settled(&telemetry.queue().unwrap()).await;
        assert_eq!((counts.exported, counts.dropped), (512, 0));
        assert_eq!(span_ids(&receiver.spans()).len(), 512);
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_smaller_messages_gets_smaller_ones() {
    for protocol in PROTOCOLS {
        let receiver = MortalReceiver::spawn().await;
        receiver.behave(Manner::AtMost(300_000));
        let telemetry = telemetry(&receiver, protocol, &[], ROOMY);
        let tracer = tracer(&telemetry);
        let text = "x".repeat(20 * 1024);
        (0..100).for_each(|_| _ = trace(&tracer, &text, false));
        // One that no message of this size can hold: it is refused, and the others are not.
        trace(&tracer, &"x".repeat(400_000), false);
        (0..100).for_each(|_| _ = trace(&tracer, &text, false));
        let counts = settled(&telemetry.queue().unwrap()).await;
        assert_eq!((counts.exported, counts.dropped), (602, 1), "{protocol}");
        assert_eq!(span_ids(&receiver.spans()).len(), 602);
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_rejects_is_counted_as_dropped() {
    for protocol in PROTOCOLS {
        let receiver = MortalReceiver::spawn().await;
        receiver.behave(Manner::TakeAllBut(2));
        let telemetry = telemetry(
            &receiver,
            protocol,
            &[("OTEL_BSP_SCHEDULE_DELAY", "600000")],
            ROOMY,
        );
        let queue = telemetry.queue().unwrap();
        trace(&tracer(&telemetry), "", false);
        queue.flush();
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (1, 2), "{protocol}");

        receiver.behave(Manner::Refuse);
        trace(&tracer(&telemetry), "", false);
        queue.flush();
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (1, 5), "{protocol}");

        receiver.behave(Manner::Take);
        trace(&tracer(&telemetry), "", false);
        queue.flush();
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (4, 5), "{protocol}");
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_or_is_busy_is_asked_again() {
    for protocol in PROTOCOLS {
        let mut receiver = MortalReceiver::spawn().await;
        let telemetry = telemetry(
            &receiver,
            protocol,
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "200")],
            ROOMY,
        );
        let queue = telemetry.queue().unwrap();
        receiver.behave(Manner::Busy);
        let first = trace(&tracer(&telemetry), "", false);
        receiver.behave(Manner::Hang);
        receiver.hanging(2).await;
        receiver.behave(Manner::Take);
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (3, 0), "{protocol}");
        assert!(receiver.spans().iter().all(|span| span.trace_id == first));
        receiver.kill();
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_delivers_what_waits_and_counts_what_it_cannot() {
    for protocol in PROTOCOLS {
        let receiver = MortalReceiver::spawn().await;
        let telemetry = telemetry(
            &receiver,
            protocol,
            &[("OTEL_BSP_SCHEDULE_DELAY", "600000")],
            ROOMY,
        );
        let queue = telemetry.queue().unwrap();
        (0..1000).for_each(|_| _ = trace(&tracer(&telemetry), "text", false));
        shut_down(telemetry).await;
        assert_eq!(span_ids(&receiver.spans()).len(), 3000);
        let expected = SpanCounts {
            started: 3000,
            exported: 3000,
            ..SpanCounts::default()
        };
        assert_eq!(queue.counts(), expected);

        receiver.behave(Manner::Hang);
        let telemetry = self::telemetry(&receiver, protocol, &[], ROOMY);
        let queue = telemetry.queue().unwrap();
        (0..10).for_each(|_| _ = trace(&tracer(&telemetry), "text", false));
        shut_down(telemetry).await;
        assert_eq!(
            queue.counts(),
            SpanCounts {
                started: 30,
                dropped: 30,
                ..SpanCounts::default()
            }
        );
    }
}

/// Sends one trace over HTTP to a receiver that answers so, and gives the counts after the stop.
async fn counts_of_a_trace(receiver: Router) -> SpanCounts {
    let receiver = Server::spawn(receiver).await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.origin()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let telemetry = Telemetry::start(&telemetry_settings(&variables), pseudonyms()).unwrap();
    let queue = telemetry.queue().unwrap();
    trace(&tracer(&telemetry), "", false);
    shut_down(telemetry).await;
    queue.counts()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_on_elsewhere_does_not_count_as_exported() {
    let elsewhere = |method: Method| async move {
        match method {
            Method::POST => (StatusCode::FOUND, [(LOCATION, "/elsewhere")]).into_response(),
            _ => StatusCode::OK.into_response(),
        }
    };
    let counts = counts_of_a_trace(Router::new().fallback(elsewhere)).await;
    assert_eq!(
        counts,
        SpanCounts {
            started: 3,
            dropped: 3,
            ..SpanCounts::default()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_answer_without_an_end_the_beginning_is_enough() {
    let endless = || async {
        Body::from_stream(futures_util::stream::repeat(Ok::<_, Infallible>(
            "never the end",
        )))
    };
    let counts = counts_of_a_trace(Router::new().fallback(endless)).await;
    assert_eq!(
        counts,
        SpanCounts {
            started: 3,
            exported: 3,
            ..SpanCounts::default()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_never_took_anything_is_tried_four_times_when_the_program_stops() {
    /// The attempt that is under way when the stop comes: it gets no answer, and is none of the
    /// four.
    const UNDER_WAY: u64 = 5;
    let n_tried = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&n_tried);
    let receiver = Server::spawn(Router::new().fallback(move || async move {
        if counted.fetch_add(1, Ordering::Relaxed) + 1 == UNDER_WAY {
            pending::<()>().await;
        }
        StatusCode::SERVICE_UNAVAILABLE
    }))
    .await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.origin()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
    ];
    let telemetry = Telemetry::start(&telemetry_settings(&variables), pseudonyms()).unwrap();
    trace(&tracer(&telemetry), "", false);
    poll::until(PATIENCE, "attempt under way", async || {
        match n_tried.load(Ordering::Relaxed) {
            UNDER_WAY => Ok(()),
            n => Err(n),
        }
    })
    .await;
    shut_down(telemetry).await;
    assert_eq!(n_tried.load(Ordering::Relaxed) - UNDER_WAY, 4);
}

/// Spans that begin, end and are left open on several threads, while the receiver does whatever it
/// likes.
#[tokio::test(flavor = "multi_thread")]
async fn the_counts_add_up_at_every_moment() {
    for protocol in PROTOCOLS {
        let mut receiver = MortalReceiver::spawn().await;
        let variables = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64"),
        ];
        let telemetry = telemetry(&receiver, protocol, &variables, 128 * 1024);
        let queue = telemetry.queue().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let makers: Vec<_> = (0..3)
            .map(|n| {
                let (tracer, is_over) = (tracer(&telemetry), Arc::clone(&is_over));
                std::thread::spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let open = tracer.start_with_context("open", &Context::new());
                        trace(&tracer, &"x".repeat(100 * n), n == 1);
                        drop(open);
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        let adds_up = |counts: SpanCounts| {
            assert_eq!(
                counts.started,
                counts.exported + counts.sampled_out + counts.dropped + counts.in_flight,
                "{counts:?}"
            );
            counts
        };
        for manner in [
            Manner::Take,
            Manner::TakeAllBut(1),
            Manner::Busy,
            Manner::Refuse,
            Manner::Hang,
            Manner::Take,
        ] {
            receiver.behave(manner);
            let before = queue.counts();
            poll::until(PATIENCE, "a thousand more spans", async || {
                let counts = adds_up(queue.counts());
                assert!(queue.n_bytes() <= 128 * 1024);
                if counts.started > before.started + 1000 {
                    Ok(())
                } else {
                    Err(counts)
                }
            })
            .await;
        }
        receiver.kill();
        receiver.revive().await;
        is_over.store(true, Ordering::Relaxed);
        makers.into_iter().for_each(|maker| maker.join().unwrap());
        let counts = adds_up(settled(&queue).await);
        assert!(counts.exported > 0 && counts.dropped > 0, "{counts:?}");
        shut_down(telemetry).await;
    }
}
