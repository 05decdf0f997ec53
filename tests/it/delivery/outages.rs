//! Receivers that are killed or absent: which spans are kept meanwhile, and which are evicted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use expense_agent::config::Config;
use expense_agent::telemetry::export::queue::SpanCounts;
use futures_util::future::join_all;
use opentelemetry::Context;
use opentelemetry::trace::Tracer;
use serde_json::json;

use super::{PROTOCOLS, TIMEOUT, settled, shut_down, span_ids, telemetry, trace, tracer};
use crate::harness::binary::Service;
use crate::harness::expenses::ride;
use crate::harness::otlp_receiver::Behaviour;
use crate::harness::receiver_process::ReceiverProcess;
use crate::harness::restartable_receiver::RestartableReceiver;
use crate::harness::{SPANS_OF_A_DECISION, TestApp, config, poll, telemetry_settings};

/// A receiver in a process of its own is killed twice with SIGKILL while decisions are made, each
/// time before it has answered a request.
async fn killed_twice_under_load(protocol: &str) {
    let mut receiver = ReceiverProcess::stopped();
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
        receiver.run_and_kill_after(10).await;
        receiver.run_and_kill_after(10).await;
        receiver.start(usize::MAX).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (trace_ids, ()) = tokio::join!(join_all((0..4).map(|_| load())), lives);
    let counts = poll::until(TIMEOUT, "settled spans", async || {
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
        assert_eq!(n_spans, SPANS_OF_A_DECISION, "{trace_id}: {log}");
    }
    // The start of the service is a span as well.
    let n_started = trace_ids.len() * SPANS_OF_A_DECISION + 1;
    assert_eq!(received.len(), n_started);
    let expected = json!({
        "started": n_started, "exported": n_started, "sampled_out": 0, "dropped": 0, "in_flight": 0,
    });
    assert_eq!(counts, expected);
    assert!(
        received.values().any(|n_times| *n_times > 1),
        "a message without an acknowledgement is sent again"
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
    let mut receiver = RestartableReceiver::stopped();
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
    receiver.start().await;
    let counts = settled(&queue).await;
    let n_received = span_ids(&receiver.spans()).len() as u64;
    assert_eq!(counts.started, 50 * SPANS_OF_A_DECISION as u64);
    assert_eq!(counts.exported, n_received);
    assert_eq!(counts.dropped, counts.started - n_received);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_evicts_its_oldest_traces_and_keeps_failed_ones() {
    let mut receiver = RestartableReceiver::stopped();
    let telemetry = telemetry(&receiver, "grpc", &[], 256 * 1024);
    let tracer = tracer(&telemetry);
    let text = "x".repeat(2_000);
    let traces: Vec<(bool, String)> = (0..300)
        .map(|n| (n % 30 == 0, trace(&tracer, &text, n % 30 == 0)))
        .collect();
    receiver.start().await;
    let counts = settled(&telemetry.queue().unwrap()).await;
    shut_down(telemetry).await;
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    for span in receiver.spans() {
        *received.entry(span.trace_id).or_default() += 1;
    }
    assert!(
        received.values().all(|n| *n == 3),
        "traces are evicted whole"
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

/// Spans start, end and stay open on several threads, while the receiver accepts, rejects, refuses
/// and hangs in turn.
#[tokio::test(flavor = "multi_thread")]
async fn the_counts_add_up_at_every_moment() {
    for protocol in PROTOCOLS {
        let mut receiver = RestartableReceiver::spawn().await;
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
        for behaviour in [
            Behaviour::Accept,
            Behaviour::RejectSpans(1),
            Behaviour::Busy,
            Behaviour::Reject,
            Behaviour::Hang,
            Behaviour::Accept,
        ] {
            receiver.behave(behaviour);
            let before = queue.counts();
            poll::until(TIMEOUT, "a thousand more spans", async || {
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
        receiver.start().await;
        is_over.store(true, Ordering::Relaxed);
        makers.into_iter().for_each(|maker| maker.join().unwrap());
        let counts = adds_up(settled(&queue).await);
        assert!(counts.exported > 0 && counts.dropped > 0, "{counts:?}");
        shut_down(telemetry).await;
    }
}
