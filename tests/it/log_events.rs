//! Log records over OTLP: one for every check, one for every failed dependency, captured content,
//! and the service's own log lines.

use serde_json::{Value, json};

use crate::harness::fake_openai::Reply;
use crate::harness::sent::{sent, wrong_category};
use crate::harness::server::UnusedPort;

async fn every_check_is_an_evaluation(protocol: &str) {
    let sent = sent(
        &[],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
        wrong_category(),
    )
    .await;
    let mut n_checks = 0;
    for span in &sent.spans {
        let events: Vec<_> = span
            .events
            .iter()
            .filter(|event| event.name.starts_with("validation."))
            .collect();
        let records = sent.records_in(span, "gen_ai.evaluation.result");
        assert_eq!(records.len(), events.len(), "{}", span.name);
        n_checks += records.len();
        for (record, event) in records.iter().zip(events) {
            let passed = event.name == "validation.passed";
            let expected = [
                (
                    "gen_ai.evaluation.name",
                    event.attributes["validation.type"].clone(),
                ),
                (
                    "gen_ai.evaluation.score.value",
                    json!(if passed { 1.0 } else { 0.0 }),
                ),
                (
                    "gen_ai.evaluation.score.label",
                    json!(if passed { "pass" } else { "fail" }),
                ),
                (
                    "gen_ai.evaluation.explanation",
                    event.attributes["validation.message"].clone(),
                ),
            ];
            for (key, value) in expected {
                assert_eq!(record.attributes[key], value, "{key}");
            }
            assert_eq!(record.severity, if passed { "INFO" } else { "WARN" });
            assert_eq!(
                record.attributes.get("gen_ai.response.id"),
                event.attributes.get("gen_ai.response.id")
            );
            assert_eq!(record.resource["service.name"], "expense-agent");
        }
    }
    assert_eq!(n_checks, 8);
    let failed = sent.records_in(sent.span("classify"), "gen_ai.evaluation.result");
    assert_eq!(
        failed[2].attributes["gen_ai.evaluation.score.label"],
        "fail"
    );
    assert!(!sent.log.contains("cannot be delivered"), "{}", sent.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_is_an_evaluation_over_grpc() {
    every_check_is_an_evaluation("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_is_an_evaluation_over_http() {
    every_check_is_an_evaluation("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_sent_with_the_span_they_were_written_in() {
    // `RUST_LOG` filters the console alone, and the text of a record is redacted.
    let variables = [
        ("OTEL_TRACES_SAMPLER", "jane.canary@example.com"),
        ("RUST_LOG", "off"),
    ];
    let sent = sent(&[], &variables, wrong_category()).await;
    let line = |text: &str| {
        let found = sent
            .records
            .iter()
            .find(|record| record.body.as_str().is_some_and(|body| body.contains(text)));
        found.unwrap_or_else(|| panic!("no line with {text}"))
    };
    assert!(
        line("OTEL_TRACES_SAMPLER")
            .body
            .as_str()
            .unwrap()
            .contains("[EMAIL]")
    );
    let (ready, start) = (line("ready to decide"), sent.span("start"));
    assert_eq!(ready.attributes["model"], "gpt-4o-mini");
    assert_eq!(
        (&ready.trace_id, &ready.span_id),
        (&start.trace_id, &start.span_id)
    );
    assert_eq!(sent.log, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_fails_is_an_exception() {
    let sent = sent(&[], &[], vec![Reply::status(400)]).await;
    let chat = sent.span("chat gpt-4o-mini");
    let exceptions = sent.records_in(chat, "exception");
    assert_eq!(exceptions.len(), 1);
    assert_eq!(exceptions[0].attributes["exception.type"], "400");
    let message = exceptions[0].attributes["exception.message"]
        .as_str()
        .unwrap();
    assert_eq!(
        message,
        "the model's endpoint returned HTTP status 400 (invalid_request_error): scripted status 400"
    );
    assert_eq!(exceptions[0].severity, "ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_goes_where_the_setting_says() {
    let details = "gen_ai.client.inference.operation.details";
    for (mode, on_spans, in_events) in [
        ("", false, false),
        ("SPAN_ONLY", true, false),
        ("EVENT_ONLY", false, true),
        ("SPAN_AND_EVENT", true, true),
    ] {
        let sent = sent(
            &[],
            &[("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)],
            wrong_category(),
        )
        .await;
        let chat = sent.span("chat gpt-4o-mini");
        let records = sent.records_in(chat, details);
        assert_eq!(records.len(), usize::from(in_events), "{mode}");
        for key in [
            "gen_ai.system_instructions",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
        ] {
            assert_eq!(chat.attributes.contains_key(key), on_spans, "{mode}: {key}");
            for record in &records {
                let content: Value =
                    serde_json::from_str(record.attributes[key].as_str().unwrap()).unwrap();
                assert!(content.is_array(), "{key}");
            }
        }
        for record in records {
            assert_eq!(record.attributes["gen_ai.operation.name"], "chat");
            assert_eq!(
                record.attributes["gen_ai.response.id"],
                chat.attributes["gen_ai.response.id"]
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_records_can_be_turned_off() {
    let off = [
        ("OTEL_LOGS_EXPORTER", "none"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "EVENT_ONLY",
        ),
    ];
    let sent = sent(&[], &off, wrong_category()).await;
    assert_eq!(sent.records.len(), 0);
    assert!(
        sent.spans.len() > 6 && !sent.log.contains("WARN"),
        "{}",
        sent.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_accepts_no_log_records_causes_one_warning() {
    let unused_port = UnusedPort::new();
    let endpoint = unused_port.origin();
    let variables = [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint.as_str()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ];
    let sent = sent(&[], &variables, wrong_category()).await;
    assert_eq!(sent.records.len(), 0);
    assert!(sent.spans.len() > 6);
    assert_eq!(
        sent.log.matches("log records cannot be delivered").count(),
        1,
        "{}",
        sent.log
    );
}
