//! What stands beside the spans for those who read the standard's other forms: log records over
//! OTLP, and the keys that some LLM backends read instead of the conventions'.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::binary::Service;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::otlp_logs::ReceivedRecord;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::otlp_spans::ReceivedSpan;
use crate::harness::replies::{advice_because, category};
use crate::harness::server::Nobody;

/// What left a service that decided on one flight, which its model took for a meal.
struct Sent {
    spans: Vec<ReceivedSpan>,
    records: Vec<ReceivedRecord>,
    log: String,
}

impl Sent {
    /// The span of that name, the first if there are several.
    fn span(&self, name: &str) -> &ReceivedSpan {
        self.spans
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("no span {name}"))
    }

    /// The records of that name in a span.
    fn records_in(&self, span: &ReceivedSpan, name: &str) -> Vec<&ReceivedRecord> {
        let is_in = |record: &&ReceivedRecord| {
            record.span_id == span.span_id && record.trace_id == span.trace_id
        };
        self.records
            .iter()
            .filter(is_in)
            .filter(|record| record.event_name == name)
            .collect()
    }

    fn keys(&self) -> Vec<&str> {
        self.spans
            .iter()
            .flat_map(|span| span.attributes.keys())
            .map(String::as_str)
            .collect()
    }
}

async fn sent(arguments: &[&str], variables: &[(&str, &str)], replies: Vec<Reply>) -> Sent {
    let (receiver, fake) = (OtlpReceiver::spawn().await, FakeOpenAi::spawn().await);
    fake.script(replies);
    let over_http = variables.contains(&("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
    let endpoint = if over_http {
        receiver.http_endpoint()
    } else {
        receiver.grpc_endpoint()
    };
    let base_url = fake.base_url();
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OPENAI_BASE_URL", &base_url),
    ];
    // An empty variable is none, so that is what the service does by itself.
    let service = Service::start(
        arguments,
        &[&own[..], &[("OTEL_LOGS_EXPORTER", "")], variables].concat(),
    )
    .await;
    let flight = json!({"transaction": "Flight to Chicago", "amount": "650.00", "date": "2026-03-14", "user_id": "ana"});
    assert_eq!(service.post(flight).await.0, 201);
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    Sent {
        spans: receiver.spans(),
        records: receiver.records(),
        log,
    }
}

/// A flight that is taken for a meal, and denied for the wrong reason.
fn wrong_category() -> Vec<Reply> {
    vec![
        category("meals"),
        advice_because("denied", "By the day cap.", &["meals-day-cap"]),
    ]
}

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
            let twin = [
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
            for (key, value) in twin {
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
    // Whatever is printed; and what stands in it is redacted.
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
    assert_eq!(message, "the model's endpoint returned HTTP status 400");
    assert_eq!(exceptions[0].severity, "ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_goes_where_it_is_wanted() {
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
async fn a_backend_that_takes_no_log_records_is_one_warning_and_no_harm() {
    let nobody = Nobody::new();
    let endpoint = nobody.origin();
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

/// Whether a key is one that the conventions do not know.
fn is_of_a_backend(key: &str) -> bool {
    key.starts_with("openinference.")
        || key.starts_with("langfuse.")
        || [
            "llm.model_name",
            "llm.token_count.prompt",
            "llm.token_count.completion",
        ]
        .contains(&key)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_no_key_of_theirs_is_sent() {
    let sent = sent(&[], &[], wrong_category()).await;
    let theirs: Vec<_> = sent
        .keys()
        .into_iter()
        .filter(|key| is_of_a_backend(key))
        .collect();
    assert!(theirs.is_empty(), "{theirs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_spans_say_what_the_backends_read() {
    let sent = sent(&["--compatibility-keys"], &[], wrong_category()).await;
    let theirs = |name: &str| -> BTreeMap<&str, Value> {
        let attributes = sent.span(name).attributes.iter();
        attributes
            .filter(|(key, _)| is_of_a_backend(key))
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect()
    };
    let chat = &sent.span("chat gpt-4o-mini").attributes;
    assert_eq!(
        theirs("chat gpt-4o-mini"),
        BTreeMap::from([
            ("openinference.span.kind", json!("LLM")),
            ("llm.model_name", json!("gpt-4o-mini")),
            (
                "llm.token_count.prompt",
                chat["gen_ai.usage.input_tokens"].clone()
            ),
            (
                "llm.token_count.completion",
                chat["gen_ai.usage.output_tokens"].clone()
            ),
            ("langfuse.observation.prompt.name", json!("classify")),
            ("langfuse.observation.prompt.version", json!("1")),
        ])
    );
    assert!(
        !sent
            .keys()
            .iter()
            .any(|key| key.starts_with("gen_ai.prompt")),
        "Langfuse would take it for the input"
    );
    let no_tokens = sent
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("gen_ai.usage.") && !key.ends_with("_tokens"));
    assert_eq!(no_tokens.count(), 0, "Langfuse would take it for tokens");
    let (kind, level) = ("openinference.span.kind", "langfuse.observation.level");
    let warning =
        |kind_of: &str| BTreeMap::from([(kind, json!(kind_of)), (level, json!("WARNING"))]);
    assert_eq!(theirs("invoke_agent expense_agent"), warning("AGENT"));
    assert_eq!(theirs("classify"), warning("CHAIN"));
    assert_eq!(theirs("decide"), BTreeMap::from([(kind, json!("CHAIN"))]));
    assert_eq!(
        theirs("execute_tool policy_lookup"),
        BTreeMap::from([(kind, json!("TOOL"))])
    );
    assert_eq!(theirs("POST /v1/expenses"), BTreeMap::new());
}
