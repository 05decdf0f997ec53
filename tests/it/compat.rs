//! Compatibility keys: what Phoenix and Langfuse read instead of the conventions' attributes.

use std::collections::BTreeMap;

use expense_agent::agent::prompts::CLASSIFY;
use expense_agent::config::Config;
use opentelemetry::trace::SpanKind;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::expenses::laptop;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::otlp_spans::ReceivedSpan;
use crate::harness::sent::{sent, wrong_category};
use crate::harness::{TestApp, config, telemetry_settings};

/// Whether a key is one that only Phoenix or Langfuse reads.
fn is_compatibility_key(key: &str) -> bool {
    key.starts_with("openinference.")
        || key.starts_with("annotations.")
        || key.starts_with("langfuse.")
        || [
            "llm.model_name",
            "llm.token_count.prompt",
            "llm.token_count.completion",
        ]
        .contains(&key)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_no_compatibility_key_is_sent() {
    let sent = sent(&[], &[], wrong_category()).await;
    let theirs: Vec<_> = sent
        .keys()
        .into_iter()
        .filter(|key| is_compatibility_key(key))
        .collect();
    assert!(theirs.is_empty(), "{theirs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_flag_spans_have_the_keys_that_the_backends_read() {
    let sent = sent(&["--compatibility-keys"], &[], wrong_category()).await;
    let theirs = |name: &str| -> BTreeMap<&str, Value> {
        let attributes = sent.span(name).attributes.iter();
        attributes
            .filter(|(key, _)| is_compatibility_key(key))
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
            (
                "langfuse.observation.prompt.version",
                json!(CLASSIFY.version)
            ),
        ])
    );
    assert!(
        !sent
            .keys()
            .iter()
            .any(|key| key.starts_with("gen_ai.prompt")),
        "Langfuse would show it as the input"
    );
    let no_tokens = sent
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("gen_ai.usage.") && !key.ends_with("_tokens"));
    assert_eq!(no_tokens.count(), 0, "Langfuse would count it as tokens");
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
    let chain = BTreeMap::from([(kind, json!("CHAIN"))]);
    assert_eq!(theirs("record_decision"), chain);
    assert_eq!(theirs("POST /v1/expenses"), chain);
}

/// Input and output of a span, as UIs list them.
fn listed(span: &ReceivedSpan) -> [Option<&Value>; 2] {
    ["input.value", "output.value"].map(|key| span.attributes.get(key))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_listed_with_its_expense_and_outcome() {
    const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let with_content = [(CAPTURE, "SPAN_ONLY")];
    let request = "POST /v1/expenses";

    let sent_without = sent(&["--compatibility-keys"], &[], wrong_category()).await;
    let span = sent_without.span(request);
    let id = &span.attributes["expense.id"];
    assert_eq!(listed(span), [Some(id), Some(&json!("needs_review"))]);

    let sent_with = sent(&["--compatibility-keys"], &with_content, wrong_category()).await;
    let span = sent_with.span(request);
    assert_eq!(
        listed(span),
        listed(sent_with.span("invoke_agent expense_agent"))
    );
    let [_, output] = listed(span);
    assert!(
        output
            .unwrap()
            .as_str()
            .unwrap()
            .starts_with("needs_review: ")
    );

    let other_ui = sent(&[], &with_content, wrong_category()).await;
    assert_eq!(listed(other_ui.span(request)), [None, None]);
}

#[tokio::test]
async fn lines_of_a_batch_and_resolutions_are_listed_too() {
    let keys = KeyFile::new(&[entry("keys", "default", "ea_keys", "roles = [\"manager\"]")]);
    let mut telemetry = telemetry_settings(&[]);
    telemetry.has_compatibility_keys = true;
    let app = TestApp::with(Config {
        http: keys.http_config(),
        telemetry,
        ..config()
    })
    .await;
    let reply = app
        .client
        .post(format!("{}/v1/expenses/batch", app.url))
        .bearer_auth("ea_keys")
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(laptop("510.00").to_string())
        .send()
        .await
        .unwrap();
    let line: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    let decision = &line["body"];
    let deny = json!({"action": "deny", "role": "manager", "actor": "ben", "reason": "No need."});
    let resolved = app.resolve("ea_keys", decision, deny).await.body;
    for (trace_id, output) in [
        (&decision["trace_id"], "needs_approval"),
        (&resolved["resolution"]["trace_id"], "deny"),
    ] {
        let trace = app.trace(trace_id);
        let request = trace
            .iter()
            .find(|span| span.span_kind == SpanKind::Server)
            .unwrap();
        let of = |key: &str| {
            let mut attributes = request.attributes.iter();
            let found = attributes.find(|attribute| attribute.key.as_str() == key);
            found
                .unwrap_or_else(|| panic!("no {key}"))
                .value
                .to_string()
        };
        assert_eq!(of("openinference.span.kind"), "CHAIN");
        assert_eq!(of("input.value"), decision["id"].as_str().unwrap());
        assert_eq!(of("output.value"), output);
    }
}
