//! Metrics that are pushed over OTLP: over either protocol, to a receiver that works, fails, hangs
//! or is not there.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

use super::TIMEOUT;
use crate::harness::binary::Service;
use crate::harness::expenses::expense;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::poll;
use crate::harness::server::{Server, UnusedPort};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_pushed_over_either_protocol() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = OtlpReceiver::spawn().await;
        let endpoint = receiver.endpoint(protocol);
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
        let decisions = poll::until(TIMEOUT, "pushed decision", async || {
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

/// A receiver that answers every push with this status and counts it in `n_pushes`; any other
/// request succeeds.
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
async fn a_receiver_that_fails_or_redirects_logs_one_warning() {
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
        poll::until(TIMEOUT, "third push", async || {
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
async fn a_receiver_that_hangs_is_tried_again_after_the_timeout() {
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
        poll::until(TIMEOUT, "fifth push", async || {
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
async fn an_endpoint_without_a_listener_causes_one_warning_and_a_disabled_exporter_none() {
    let unused_port = UnusedPort::new();
    let endpoint = unused_port.origin();
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
