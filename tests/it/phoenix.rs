//! A real Phoenix reads what the service sends with `--compatibility-keys`: kinds, tokens, content,
//! which check failed, and what its list of traces shows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::SPANS_OF_A_DECISION;
use crate::harness::binary::Service;
use crate::harness::expenses::expense;
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::poll;
use crate::harness::replies::{advice, category};
use crate::harness::skip::skip;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Waits until Phoenix has all spans of a decision, and returns them by name: of the two model
/// calls, which share a name, the later one.
async fn spans(phoenix: &str, project: &str) -> BTreeMap<String, Value> {
    let url = format!("{phoenix}/v1/projects/{project}/spans?limit=100");
    poll::until(TIMEOUT, "spans in Phoenix", async || {
        let found = reqwest::get(&url).await.unwrap().text().await.unwrap();
        // Until the project's first span arrives, the answer is a text that there is no such project.
        let found: Value = serde_json::from_str(&found).unwrap_or_else(|_| found.into());
        let mut spans = found["data"].as_array().cloned().unwrap_or_default();
        spans.sort_by_key(|span| span["start_time"].to_string());
        let of_decision = spans.into_iter().filter(|span| span["name"] != "start");
        let named: Vec<_> = of_decision
            .map(|span| (span["name"].as_str().unwrap().to_owned(), span))
            .collect();
        if named.len() == SPANS_OF_A_DECISION {
            Ok(named.into_iter().collect())
        } else {
            Err(found)
        }
    })
    .await
}

/// What Phoenix's list of traces shows of a project: name, kind, input and output of each first span
/// but that of the start. The condition is the one with which the list opens.
async fn listed(phoenix: &str, project: &str) -> Vec<[String; 4]> {
    let query = "query ($project: String!) { getProjectByName(name: $project) {
        spans(first: 50, filterCondition: \"parent_id is None\") {
          edges { node { name spanKind input { value } output { value } } } } } }";
    let request = json!({"query": query, "variables": {"project": project}});
    let url = format!("{phoenix}/graphql");
    let reply = reqwest::Client::new().post(url).json(&request).send().await;
    let found: Value = reply.unwrap().json().await.unwrap();
    let spans = found["data"]["getProjectByName"]["spans"]["edges"].as_array();
    let spans = spans.unwrap_or_else(|| panic!("{found:#}")).iter();
    let columns = ["/name", "/spanKind", "/input/value", "/output/value"];
    let row = |span: &Value| {
        columns.map(|column| {
            let text = span["node"].pointer(column).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        })
    };
    spans
        .map(row)
        .filter(|[name, ..]| name != "start")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_phoenix_shows_kinds_tokens_content_and_the_failed_check() {
    let Ok(phoenix) = std::env::var("PHOENIX_URL") else {
        skip("no real Phoenix; name one in PHOENIX_URL, such as http://localhost:6006");
        return;
    };
    let fake = FakeOpenAi::spawn().await;
    fake.script([category("meals"), advice("denied", "meals-day-cap")]);
    let folder = tempfile::tempdir().unwrap();
    let project = format!(
        "expenses{}",
        folder.path().file_name().unwrap().to_str().unwrap()
    );
    let headers = format!("x-project-name={project}");
    let base_url = fake.base_url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", phoenix.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ("OTEL_METRICS_EXPORTER", "none"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_ONLY",
        ),
        ("OPENAI_BASE_URL", &base_url),
        ("EXPENSE_AGENT_MODEL_API", "openai"),
    ];
    let service = Service::start(&["--compatibility-keys"], &variables).await;
    assert_eq!(
        service.post(expense("Flight to Chicago", "650.00")).await.0,
        201
    );
    let (ended, log) = service.stop().await;
    assert!(
        ended.success() && !log.contains("cannot be delivered"),
        "{log}"
    );

    let spans = spans(&phoenix, &project).await;
    let kinds: BTreeMap<_, _> = spans
        .iter()
        .map(|(name, span)| (name.as_str(), &span["span_kind"]))
        .collect();
    let expected = json!({
        "POST /v1/expenses": "CHAIN", "invoke_agent expense_agent": "AGENT", "classify": "CHAIN",
        "execute_tool policy_lookup": "TOOL", "decide": "CHAIN", "chat gpt-4o-mini": "LLM",
        "record_decision": "CHAIN",
    });
    assert_eq!(json!(kinds), expected);
    let [[name, kind, input, output]] = &listed(&phoenix, &project).await[..] else {
        panic!("not one trace");
    };
    assert_eq!((&**name, &**kind), ("POST /v1/expenses", "chain"));
    assert_eq!(input, "Flight to Chicago");
    assert!(
        output.starts_with("needs_review: A person has to review"),
        "{output}"
    );
    let of = |name: &str, key: &str| &spans[name]["attributes"][key];
    let chat = "chat gpt-4o-mini";
    assert_eq!(of(chat, "llm.model_name"), "gpt-4o-mini");
    assert_eq!(
        (
            of(chat, "llm.token_count.prompt"),
            of(chat, "llm.token_count.completion")
        ),
        (&json!(100), &json!(20))
    );
    for (name, input, output) in [
        (chat, "Flight to Chicago", "cited_rules"),
        (
            "invoke_agent expense_agent",
            "Flight to Chicago",
            "needs_review: A person has to review this expense",
        ),
    ] {
        for (key, shown) in [("input.value", input), ("output.value", output)] {
            assert!(
                of(name, key)
                    .as_str()
                    .is_some_and(|text| text.contains(shown)),
                "{name} {key}: {}",
                of(name, key)
            );
        }
    }
    let classify = &spans["classify"];
    assert_eq!(classify["status_code"], "ERROR");
    assert_eq!(
        of("invoke_agent expense_agent", "validation.failed_types"),
        &json!(["category_evidence"])
    );
    let events = classify["events"].as_array().unwrap().iter();
    let failed: Vec<_> = events
        .filter(|event| event["name"] == "validation.failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0]["attributes"]["validation.type"],
        "category_evidence"
    );
}
