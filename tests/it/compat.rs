//! Compatibility keys: what Phoenix and Langfuse read instead of the conventions' attributes.

use std::collections::BTreeMap;

use expense_agent::agent::prompts::CLASSIFY;
use serde_json::{Value, json};

use crate::harness::sent::{sent, wrong_category};

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
    assert_eq!(theirs("POST /v1/expenses"), BTreeMap::new());
}
