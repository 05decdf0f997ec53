//! Receivers that are up but limit, reject or refuse messages, hang, or answer nonsense.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use expense_agent::telemetry::export::queue::SpanCounts;
use expense_agent::telemetry::provider::Telemetry;
use opentelemetry::trace::{Span as _, Tracer};
use opentelemetry::{Context, KeyValue};

use super::{PROTOCOLS, ROOMY, TIMEOUT, settled, shut_down, span_ids, telemetry, trace, tracer};
use crate::harness::otlp_receiver::Behaviour;
use crate::harness::restartable_receiver::RestartableReceiver;
use crate::harness::server::Server;
use crate::harness::{poll, pseudonyms, telemetry_settings};

#[tokio::test(flavor = "multi_thread")]
async fn large_spans_reach_a_receiver_that_accepts_four_mebibytes() {
    for protocol in PROTOCOLS {
        let receiver = RestartableReceiver::spawn().await;
        receiver.behave(Behaviour::MaxBytes(4 * 1024 * 1024));
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
async fn a_receiver_that_accepts_only_small_messages_gets_small_ones() {
    for protocol in PROTOCOLS {
        let receiver = RestartableReceiver::spawn().await;
        receiver.behave(Behaviour::MaxBytes(300_000));
        let telemetry = telemetry(&receiver, protocol, &[], ROOMY);
        let tracer = tracer(&telemetry);
        let text = "x".repeat(20 * 1024);
        (0..100).for_each(|_| _ = trace(&tracer, &text, false));
        // One span is larger than the limit by itself: only this one is refused.
        trace(&tracer, &"x".repeat(400_000), false);
        (0..100).for_each(|_| _ = trace(&tracer, &text, false));
        let counts = settled(&telemetry.queue().unwrap()).await;
        assert_eq!((counts.exported, counts.dropped), (602, 1), "{protocol}");
        assert_eq!(span_ids(&receiver.spans()).len(), 602);
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_receiver_rejects_are_counted_as_dropped() {
    for protocol in PROTOCOLS {
        let receiver = RestartableReceiver::spawn().await;
        receiver.behave(Behaviour::RejectSpans(2));
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

        receiver.behave(Behaviour::Reject);
        trace(&tracer(&telemetry), "", false);
        queue.flush();
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (1, 5), "{protocol}");

        receiver.behave(Behaviour::Accept);
        trace(&tracer(&telemetry), "", false);
        queue.flush();
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (4, 5), "{protocol}");
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_or_is_busy_is_retried() {
    for protocol in PROTOCOLS {
        let mut receiver = RestartableReceiver::spawn().await;
        let telemetry = telemetry(
            &receiver,
            protocol,
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "200")],
            ROOMY,
        );
        let queue = telemetry.queue().unwrap();
        receiver.behave(Behaviour::Busy);
        let first = trace(&tracer(&telemetry), "", false);
        receiver.behave(Behaviour::Hang);
        receiver.wait_for_unanswered(2).await;
        receiver.behave(Behaviour::Accept);
        let counts = settled(&queue).await;
        assert_eq!((counts.exported, counts.dropped), (3, 0), "{protocol}");
        assert!(receiver.spans().iter().all(|span| span.trace_id == first));
        receiver.kill();
        shut_down(telemetry).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_delivers_the_queue_and_counts_what_it_cannot_deliver() {
    for protocol in PROTOCOLS {
        let receiver = RestartableReceiver::spawn().await;
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

        receiver.behave(Behaviour::Hang);
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

/// Sends one trace over HTTP to a receiver. Returns the counts after the stop.
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
async fn a_redirect_does_not_count_as_exported() {
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
async fn an_endless_response_with_status_200_counts_as_exported() {
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
async fn a_backend_that_never_accepted_anything_is_tried_four_times_at_the_stop() {
    /// The attempt in progress when the stop comes. It gets no answer and is not one of the four.
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
    poll::until(TIMEOUT, "attempt under way", async || {
        match n_tried.load(Ordering::Relaxed) {
            UNDER_WAY => Ok(()),
            n => Err(n),
        }
    })
    .await;
    shut_down(telemetry).await;
    assert_eq!(n_tried.load(Ordering::Relaxed) - UNDER_WAY, 4);
}
