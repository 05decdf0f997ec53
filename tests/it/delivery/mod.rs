//! Delivery of spans to a backend that dies, hangs, refuses or limits messages, over both
//! protocols: no span is lost without being counted, and the counts agree with what the backend has
//! received. `outages` tests receivers that are down, `receivers` those that are up.

mod outages;
mod receivers;

use std::collections::BTreeSet;
use std::time::Duration;

use expense_agent::telemetry::export::queue::{Queue, SpanCounts};
use expense_agent::telemetry::provider::Telemetry;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use crate::harness::otlp_spans::ReceivedSpan;
use crate::harness::restartable_receiver::RestartableReceiver;
use crate::harness::{poll, pseudonyms, telemetry_settings};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

const TIMEOUT: Duration = Duration::from_secs(60);

/// Telemetry that sends to a receiver, with more variables.
fn telemetry(
    receiver: &RestartableReceiver,
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

/// The bytes of a queue that no test fills.
const ROOMY: usize = 64 * 1024 * 1024;

fn tracer(telemetry: &Telemetry) -> SdkTracer {
    telemetry.tracer_provider().tracer("test")
}

/// Makes a trace of three spans, whose size `text` determines. Returns its id.
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

/// Waits until no span is in flight, and returns the counts.
async fn settled(queue: &Queue) -> SpanCounts {
    poll::until(TIMEOUT, "settled spans", async || {
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
