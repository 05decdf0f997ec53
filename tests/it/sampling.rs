//! Tail sampling: each reason to keep a trace, the share of the other traces, spans that end after
//! the decision, and what an answer links to when its trace is not kept.

use std::time::{Duration, Instant};

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::telemetry::export::queue::SpanCounts;
use expense_agent::telemetry::export::tail::{DECISION_WAIT, TailBuffer, TailDecision};
use expense_agent::telemetry::export::traces::EndedSpan;
use expense_agent::telemetry::provider::Telemetry;
use expense_agent::telemetry::sampling::{Ratio, Sampling};
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status, TraceContextExt, TraceId, Tracer, TracerProvider};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::expenses::{flight, path_of, ride};
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::{advice, category};
use crate::harness::{
    SPANS_OF_A_DECISION, TestApp, config, openai, pseudonyms, telemetry_settings,
};

/// Keeps only traces with a reason; no request counts as slow or costly.
fn only_with_reason() -> Sampling {
    Sampling {
        ratio: "0".parse().unwrap(),
        slow: Duration::from_secs(3600),
        costly: Decimal::MAX,
    }
}

fn exporting(receiver: &OtlpReceiver, sampling: Sampling) -> Config {
    let mut telemetry =
        telemetry_settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.grpc_endpoint())]);
    telemetry.sampling = sampling;
    Config {
        telemetry,
        ..config()
    }
}

fn offline(fault: &str) -> ModelConfig {
    ModelConfig::Offline {
        faults: vec![fault.parse().unwrap()],
        fault_seed: 1,
    }
}

/// Posts bodies. Returns the id and the reason of each trace that was kept, and the final counts.
async fn kept(
    receiver: &OtlpReceiver,
    config: Config,
    bodies: &[Value],
) -> (Vec<(String, Value)>, SpanCounts) {
    let app = TestApp::exporting(config).await;
    let queue = app.queue();
    let mut trace_ids = Vec::new();
    for body in bodies {
        trace_ids.push(
            app.decide(body.clone()).await["trace_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    app.stop().await;
    let spans = receiver.spans();
    let kept = trace_ids.into_iter().flat_map(|trace_id| {
        let root = spans
            .iter()
            .find(|span| span.trace_id == trace_id && span.name == "POST /v1/expenses")?;
        assert_eq!(root.attributes["sampling.ratio"], 1.0);
        Some((trace_id, root.attributes["sampling.keep"].clone()))
    });
    (kept.collect(), queue.counts())
}

async fn reason(sampling: Sampling, model: ModelConfig, body: Value) -> Value {
    let receiver = OtlpReceiver::spawn().await;
    let (mut kept, counts) = kept(
        &receiver,
        Config {
            model,
            ..exporting(&receiver, sampling)
        },
        &[body],
    )
    .await;
    assert_eq!(
        (counts.sampled_out, counts.dropped, counts.in_flight),
        (0, 0, 0)
    );
    kept.pop().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_keeps_a_trace() {
    let sound = || ModelConfig::Offline {
        faults: Vec::new(),
        fault_seed: 1,
    };
    let slow = Sampling {
        slow: Duration::ZERO,
        ..only_with_reason()
    };
    let costly = Sampling {
        costly: Decimal::ZERO,
        ..only_with_reason()
    };
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category("travel")]);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    for (sampling, model, body, expected) in [
        (
            only_with_reason(),
            offline("unavailable:1"),
            ride(),
            "error",
        ),
        (
            only_with_reason(),
            offline("approve_everything:1"),
            flight(),
            "override",
        ),
        (
            only_with_reason(),
            offline("misclassify:1"),
            ride(),
            "failed_validation",
        ),
        (costly, openai(&fake), ride(), "costly"),
        (slow, sound(), ride(), "slow"),
        (only_with_reason(), sound(), flight(), "first_of_rule"),
    ] {
        assert_eq!(reason(sampling, model, body).await, expected);
    }
}

/// At present every review has a failed check or an error as well; a review without them would be
/// kept too.
#[tokio::test]
async fn a_review_alone_is_a_reason() {
    let app = TestApp::spawn().await;
    let mut body = app.decide(ride()).await;
    let keeps =
        |body: &Value| only_with_reason().keeps(&serde_json::from_value(body.clone()).unwrap());
    assert!(!keeps(&body));
    body["outcome"] = json!("needs_review");
    assert!(keeps(&body));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_decision_of_a_rule_is_kept() {
    let receiver = OtlpReceiver::spawn().await;
    let (kept, counts) = kept(
        &receiver,
        exporting(&receiver, only_with_reason()),
        &[flight(), flight(), flight()],
    )
    .await;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        counts,
        SpanCounts {
            started: 3 * SPANS_OF_A_DECISION as u64,
            exported: SPANS_OF_A_DECISION as u64,
            sampled_out: 2 * SPANS_OF_A_DECISION as u64,
            ..SpanCounts::default()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_links_to_the_decision_if_its_trace_is_not_kept() {
    let receiver = OtlpReceiver::spawn().await;
    let app = TestApp::exporting(exporting(&receiver, only_with_reason())).await;
    let ordinary = app.decide(ride()).await;
    let path = path_of(&ordinary);
    assert_eq!(ordinary["trace_url"], path);
    assert_eq!(app.get(&path).await.body["id"], ordinary["id"]);
    let review = app
        .decide(json!({"transaction": "Uber ride", "amount": "45.00", "date": "1999-12-31"}))
        .await;
    assert!(
        review["trace_url"]
            .as_str()
            .unwrap()
            .ends_with(review["trace_id"].as_str().unwrap())
    );
    // Metrics count every request, whether or not its trace is kept.
    let page = app.metrics().await;
    assert_eq!(page.sum("expense_decisions_total", &[]), 2.0);
    let posted = [("http_request_method", "POST")];
    assert_eq!(
        page.sum("http_server_request_duration_seconds_count", &posted),
        2.0
    );
    app.stop().await;
    let spans = receiver.spans();
    assert!(spans.iter().all(|span| span.trace_id == review["trace_id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_kept_by_the_ratio_carries_the_ratio() {
    let receiver = OtlpReceiver::spawn().await;
    let mut settings = exporting(&receiver, only_with_reason()).telemetry;
    settings.sampling.ratio = "0.5".parse().unwrap();
    let telemetry = Telemetry::start(&settings, pseudonyms()).unwrap();
    let tracer = telemetry.tracer_provider().tracer("test");
    let trace_ids: Vec<_> = (0..100)
        .map(|_| {
            let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
            tracer.start_with_context("child", &root);
            root.span().span_context().trace_id()
        })
        .collect();
    let queue = telemetry.queue().unwrap();
    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
    let expected: Vec<_> = trace_ids
        .into_iter()
        .filter(|id| settings.sampling.ratio.keeps(*id))
        .collect();
    let roots: Vec<_> = receiver
        .spans()
        .into_iter()
        .filter(|span| span.name == "root")
        .collect();
    assert_eq!(
        roots
            .iter()
            .map(|root| root.trace_id.clone())
            .collect::<Vec<_>>(),
        expected.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    assert!(
        roots
            .iter()
            .all(|root| root.attributes["sampling.ratio"] == 0.5)
    );
    let n_kept = 2 * expected.len() as u64;
    let counts = SpanCounts {
        started: 200,
        exported: n_kept,
        sampled_out: 200 - n_kept,
        ..SpanCounts::default()
    };
    assert_eq!(queue.counts(), counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_without_a_decision_at_the_stop_are_sent() {
    let receiver = OtlpReceiver::spawn().await;
    let telemetry = Telemetry::start(
        &exporting(&receiver, only_with_reason()).telemetry,
        pseudonyms(),
    )
    .unwrap();
    let tracer = telemetry.tracer_provider().tracer("test");
    let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
    tracer.start_with_context("child", &root);
    let queue = telemetry.queue().unwrap();
    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
    assert_eq!(receiver.spans()[0].name, "child");
    assert_eq!(
        queue.counts(),
        SpanCounts {
            started: 2,
            exported: 1,
            in_flight: 1,
            ..SpanCounts::default()
        }
    );
}

/// A sampler behind the service may look at the root alone, and must keep the same traces as the
/// service itself.
#[tokio::test]
async fn every_trace_with_an_error_has_a_reason_on_its_root() {
    for fault in [
        "misclassify:1",
        "invalid_category:1",
        "garbage:1",
        "truncated:1",
        "unavailable:1",
    ] {
        let app = TestApp::with(Config {
            model: offline(fault),
            ..config()
        })
        .await;
        let decision = app.decide(ride()).await;
        let spans = app.trace(&decision["trace_id"]);
        assert!(
            spans
                .iter()
                .any(|span| matches!(span.status, Status::Error { .. })),
            "{fault}"
        );
        let root = spans
            .iter()
            .find(|span| span.name == "POST /v1/expenses")
            .unwrap();
        assert!(
            root.attributes
                .iter()
                .any(|attribute| attribute.key.as_str() == "sampling.keep"),
            "{fault}"
        );
    }
}

fn trace_id(random: u64) -> TraceId {
    let mut bytes = [0xff; 16];
    bytes[8..].copy_from_slice(&random.to_be_bytes());
    TraceId::from_bytes(bytes)
}

#[test]
fn the_low_56_bits_of_a_trace_id_decide() {
    let quarter: Ratio = "0.25".parse().unwrap();
    let threshold = 3 << 54;
    // The byte above them is not random in the ids of every tracing library.
    for top in [0, 0xab << 56] {
        assert!(quarter.keeps(trace_id(top | threshold)));
        assert!(!quarter.keeps(trace_id(top | (threshold - 1))));
    }
    assert!(Ratio::ALL.keeps(trace_id(0)));
    assert!(!"0".parse::<Ratio>().unwrap().keeps(trace_id(u64::MAX)));
    for invalid in ["-0.1", "1.1", "half", ""] {
        invalid.parse::<Ratio>().unwrap_err();
    }
}

proptest! {
    #[test]
    fn a_larger_share_keeps_every_trace_of_a_smaller_one(random: u64, a in 0..=1000_u32, b in 0..=1000_u32) {
        let ratio = |thousandths: u32| -> Ratio { Decimal::new(thousandths.into(), 3).to_string().parse().unwrap() };
        let (small, large) = (ratio(a.min(b)), ratio(a.max(b)));
        prop_assert!(!small.keeps(trace_id(random)) || large.keeps(trace_id(random)));
    }
}

/// A span of a trace that has no reason to be kept.
fn ended(trace: u8, span: u8, parent: u8, is_local_root: bool) -> EndedSpan {
    EndedSpan {
        trace_id: TraceId::from_bytes([trace; 16]),
        span_id: SpanId::from_bytes([span; 8]),
        parent_id: SpanId::from_bytes([parent; 8]),
        at: Instant::now(),
        is_local_root,
        has_failed_validation: false,
        must_keep: false,
        encoded: vec![0; 1_000].into(),
    }
}

fn buffer(max_bytes: usize) -> TailBuffer {
    TailBuffer::new("0".parse().unwrap(), max_bytes)
}

fn waits(decision: &TailDecision) -> bool {
    *decision == TailDecision::default()
}

#[test]
fn two_requests_of_one_trace_get_a_sampling_decision_each() {
    let mut buffer = buffer(usize::MAX);
    assert!(waits(&buffer.push(ended(1, 11, 1, false))));
    assert!(waits(&buffer.push(EndedSpan {
        must_keep: true,
        ..ended(1, 22, 21, false)
    })));
    assert!(waits(&buffer.push(ended(1, 21, 2, false))));
    let ordinary = buffer.push(ended(1, 1, 0, true));
    assert_eq!((ordinary.kept.len(), ordinary.n_sampled_out), (0, 2));
    let failed = buffer.push(ended(1, 2, 0, true));
    assert_eq!((failed.kept.len(), failed.n_sampled_out), (3, 0));
    assert_eq!(
        (buffer.traces().n_spans(), buffer.traces().n_bytes()),
        (0, 0)
    );
}

#[test]
fn a_span_that_ends_after_its_root_follows_the_decision_on_it() {
    let mut buffer = buffer(usize::MAX);
    let kept = buffer.push(EndedSpan {
        must_keep: true,
        ..ended(1, 1, 0, true)
    });
    assert_eq!(kept.kept.len(), 1);
    assert!(
        waits(&buffer.push(ended(1, 12, 11, false))),
        "the span between is still open"
    );
    assert_eq!(buffer.push(ended(1, 11, 1, false)).kept.len(), 2);
    assert_eq!(buffer.push(ended(2, 2, 0, true)).n_sampled_out, 1);
    assert_eq!(buffer.push(ended(2, 21, 2, false)).n_sampled_out, 1);
    let late_error = EndedSpan {
        must_keep: true,
        ..ended(2, 22, 2, false)
    };
    assert_eq!(
        buffer.push(late_error).kept.len(),
        1,
        "an error is kept, however late"
    );
}

#[test]
fn a_full_buffer_keeps_its_oldest_trace_and_the_later_spans_of_it() {
    let mut buffer = buffer(5_000);
    assert!(waits(&buffer.push(ended(1, 11, 1, false))));
    assert!(waits(&buffer.push(ended(2, 21, 2, false))));
    assert!(waits(&buffer.push(ended(3, 31, 3, false))));
    let forwarded = buffer.push(ended(4, 41, 4, false)).kept;
    assert!(forwarded.len() == 1 && forwarded[0].trace_id == trace_id_of(1));
    assert_eq!(buffer.push(ended(1, 1, 0, true)).kept.len(), 1);
    assert_eq!(buffer.push(ended(2, 2, 0, true)).n_sampled_out, 2);
}

fn trace_id_of(trace: u8) -> TraceId {
    TraceId::from_bytes([trace; 16])
}

#[test]
fn a_trace_without_a_decision_waits_for_a_minute() {
    let mut buffer = buffer(usize::MAX);
    buffer.push(ended(1, 11, 1, false));
    let now = Instant::now();
    assert!(buffer.keep_overdue(now).is_empty());
    assert_eq!(
        buffer
            .keep_overdue(now + DECISION_WAIT + Duration::from_secs(1))
            .len(),
        1
    );
    assert_eq!(buffer.push(ended(1, 1, 0, true)).kept.len(), 1);
}
