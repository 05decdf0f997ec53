//! How much a span may hold: a limit on the number of attributes drops content first, a limit on
//! their length leaves JSON that parses, and a truncated value says how long it was.

use expense_agent::config::Config;
use opentelemetry_sdk::trace::SpanData;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::expenses::taxi;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::{MODEL, TestApp, config, openai, telemetry_settings};

const CHAT: &str = "chat offline-rules-1";
const LOOKUP: &str = "execute_tool policy_lookup";

/// The spans of one decision, made by a service with these environment variables about a text that
/// is longer by `n_chars`.
async fn spans(variables: &[(&str, &str)], n_chars: usize) -> Vec<SpanData> {
    let mut all = vec![(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "SPAN_ONLY",
    )];
    all.extend(variables);
    let app = TestApp::with(Config {
        telemetry: telemetry_settings(&all),
        ..config()
    })
    .await;
    let transaction = format!("Flight to Chicago {}", "x".repeat(n_chars));
    let decision = app
        .decide(json!({"transaction": transaction, "amount": "650.00"}))
        .await;
    app.trace(&decision["trace_id"])
}

fn span<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap()
}

fn keys(span: &SpanData) -> Vec<&str> {
    span.attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect()
}

fn value(span: &SpanData, key: &str) -> String {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .unwrap()
        .value
        .as_str()
        .into_owned()
}

#[tokio::test]
async fn a_limit_on_attributes_drops_content_and_nothing_else() {
    let off = (
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "NO_CONTENT",
    );
    let (plain, full) = (spans(&[off], 0).await, spans(&[], 0).await);
    for name in [CHAT, LOOKUP] {
        let core = keys(span(&plain, name));
        let limited = spans(
            &[("OTEL_ATTRIBUTE_COUNT_LIMIT", &core.len().to_string())],
            0,
        )
        .await;
        assert_eq!(keys(span(&limited, name)), core);
        let n_content = keys(span(&full, name)).len() - core.len();
        assert!(n_content > 0);
        assert_eq!(
            span(&limited, name).dropped_attributes_count as usize,
            n_content
        );
    }
}

#[tokio::test]
async fn a_limit_on_length_leaves_json_that_parses_and_says_what_is_missing() {
    let spans = spans(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "300")], 1_900).await;
    let chat = span(&spans, CHAT);
    for attribute in spans.iter().flat_map(|span| &span.attributes) {
        assert!(
            attribute.value.as_str().chars().count() <= 300,
            "{attribute:?}"
        );
    }
    let messages: Value = serde_json::from_str(&value(chat, "gen_ai.input.messages")).unwrap();
    assert_eq!(messages[0]["role"], "user");
    assert_eq!(messages[0]["parts"][0]["type"], "text");
    assert!(
        messages[0]["parts"][0]["content"]
            .as_str()
            .unwrap()
            .contains("…truncated, ")
    );
    let instructions: Value =
        serde_json::from_str(&value(chat, "gen_ai.system_instructions")).unwrap();
    assert!(
        instructions[0]["content"]
            .as_str()
            .unwrap()
            .contains("…truncated, ")
    );
    let found: Value =
        serde_json::from_str(&value(span(&spans, LOOKUP), "gen_ai.tool.call.result")).unwrap();
    assert!(!found.is_null());
    let facts: Value = serde_json::from_str(&value(chat, "input.value")).unwrap();
    assert!(facts.to_string().contains("…truncated, "), "{facts}");
}

#[tokio::test]
async fn without_a_limit_a_text_is_cut_at_8192_characters() {
    let fake = FakeOpenAi::spawn().await;
    let answer = json!({"category": "travel", "rationale": "x".repeat(10_000)});
    let n_chars = answer.to_string().chars().count();
    fake.script([Reply::content(answer)]);
    let telemetry = telemetry_settings(&[(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "SPAN_ONLY",
    )]);
    let app = TestApp::with(Config {
        model: openai(&fake),
        telemetry,
        ..config()
    })
    .await;
    let decision = app.decide(taxi()).await;
    let spans = app.trace(&decision["trace_id"]);
    let chat = span(&spans, &format!("chat {MODEL}"));
    let messages: Value = serde_json::from_str(&value(chat, "gen_ai.output.messages")).unwrap();
    for text in [
        messages[0]["parts"][0]["content"].as_str().unwrap(),
        &value(chat, "output.value"),
    ] {
        assert_eq!(text.chars().count(), 8_192);
        assert!(text.ends_with(&format!("…truncated, {n_chars} characters")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn no_attribute_is_longer_than_the_limit(limit in 1..2_000_usize) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let spans = runtime.block_on(spans(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", &limit.to_string())], 500));
        for attribute in spans.iter().flat_map(|span| &span.attributes) {
            if let opentelemetry::Value::String(text) = &attribute.value {
                prop_assert!(text.as_str().chars().count() <= limit, "{}", attribute.key);
            }
        }
    }
}
