//! A real grammar engine and a real llama.cpp server. With both schemas, the engine accepts valid
//! answers and refuses invalid ones. With the server, whose model has random weights, every expense is
//! decided, and no outcome is more lenient than the policy's verdict. The tests run if
//! `MODEL_SERVER_PYTHON` names a Python with the packages of the scripts in `tests/model_servers`.

use std::process::Stdio;
use std::time::Duration;

use expense_agent::rulebook::Rulebooks;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::binary::Service;
use crate::harness::skip::skip;
use crate::harness::{project_path, shipped_policies};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a script of `tests/model_servers` with pipes. Without a Python, prints that the test is
/// skipped and returns `None`.
fn script(name: &str) -> Option<Child> {
    let Ok(python) = std::env::var("MODEL_SERVER_PYTHON") else {
        skip("no Python with llguidance, gguf and xllamacpp; name one in MODEL_SERVER_PYTHON");
        return None;
    };
    let script = Command::new(python)
        .arg(project_path("tests/model_servers").join(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    Some(script.unwrap())
}

/// A schema as it is sent, with its keys in their order, and the texts that an engine has to accept or
/// to refuse.
#[derive(Serialize)]
struct Case<'a> {
    schema: &'a RawValue,
    accepted: &'a [&'a str],
    refused: &'a [&'a str],
}

/// Both schemas, as the script reads them.
fn cases() -> String {
    let rulebooks = Rulebooks::load(&shipped_policies()).unwrap();
    let policies = &rulebooks.shared.policies;
    let travel = policies.iter().find(|policy| policy.category == "travel");
    let cases = [
        Case {
            schema: policies.classification_schema(),
            accepted: &[
                r#"{"rationale": "A ride.", "category": "travel"}"#,
                r#"{"rationale":"Ein Menü, \"fein\".","category":"meals"}"#,
                r#"{"rationale": "", "category": "other"}"#,
            ],
            refused: &[
                r#"{"rationale": "A ride.", "category": "rides"}"#,
                r#"{"category": "travel"}"#,
                r#"{"category": "travel", "rationale": "A ride."}"#,
                r#"{"rationale": "A ride.", "confidence": 0.9, "category": "travel"}"#,
                r#"{"rationale": 7, "category": "travel"}"#,
                r#"["A ride.", "travel"]"#,
                "{\"rationale\": \"two\nlines\", \"category\": \"travel\"}",
                "travel",
                "",
            ],
        },
        Case {
            schema: &travel.unwrap().decision_schema,
            accepted: &[
                r#"{"cited_rules": ["travel-trip-cap"], "reason": "In it.", "decision": "approved"}"#,
                r#"{"cited_rules": [], "reason": "No.", "decision": "denied"}"#,
            ],
            refused: &[
                r#"{"cited_rules": ["meals-day-cap"], "reason": "No.", "decision": "denied"}"#,
                r#"{"cited_rules": [], "reason": "No.", "decision": "needs_review"}"#,
                r#"{"cited_rules": "", "reason": "No.", "decision": "denied"}"#,
                r#"{"decision": "denied", "reason": "No.", "cited_rules": []}"#,
                r#"{"cited_rules": [], "reason": null, "decision": "denied"}"#,
            ],
        },
    ];
    serde_json::to_string(&cases).unwrap()
}

#[tokio::test]
async fn a_real_grammar_engine_enforces_both_schemas() {
    let Some(mut engine) = script("grammar.py") else {
        return;
    };
    let mut stdin = engine.stdin.take().unwrap();
    stdin.write_all(cases().as_bytes()).await.unwrap();
    drop(stdin);
    let output = timeout(TIMEOUT, engine.wait_with_output());
    let output = output.await.expect("the script ends").unwrap();
    let wrong: Value = serde_json::from_slice(&output.stdout).expect("the script writes JSON");
    assert_eq!(wrong, json!([]));
}

/// Expenses of every verdict.
fn expenses() -> Vec<Value> {
    let texts = [
        ("Uber ride to the client", "45.00"),
        ("Flight to Chicago", "650.00"),
        ("Flight to Boston", "310.00"),
        ("Team lunch", "30.00"),
        ("Team dinner", "140.00"),
        ("Printer paper", "12.50"),
        ("Consulting", "80.00"),
    ];
    let expense = |n: usize| {
        let (text, amount) = texts[n % texts.len()];
        json!({"transaction": format!("{text} {n}"), "amount": amount, "user_id": format!("u{n}")})
    };
    (0..21).map(expense).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_llama_cpp_with_random_weights_never_overrules_the_policy() {
    let Some(mut server) = script("llama_server.py") else {
        return;
    };
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = timeout(TIMEOUT, lines.next_line());
    let base_url = line.await.expect("the server starts").unwrap();
    let base_url = base_url.expect("the server prints its URL");
    let arguments = [
        "--model",
        "random-weights",
        "--max-tokens",
        "400",
        "--model-timeout",
        "60s",
        "--deadline",
        "300s",
    ];
    let variables = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let service = Service::start(&arguments, &variables).await;
    let client = reqwest::Client::new();
    let decide = |expense: Value| {
        let request = client
            .post(format!("{}/v1/expenses", service.url))
            .json(&expense);
        async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json::<Value>().await.unwrap())
        }
    };
    let answers = futures_util::future::join_all(expenses().into_iter().map(decide)).await;
    let severity = |ruling: &Value| match ruling.as_str() {
        Some("approved") | None => 0,
        Some("needs_approval") => 1,
        Some("denied") => 2,
        // Reviews: a person decides, whatever the verdict.
        Some(_) => 3,
    };
    for (status, decision) in &answers {
        assert_eq!(*status, 201, "{decision:#}");
        let (outcome, verdict) = (&decision["outcome"], &decision["policy_verdict"]);
        assert!(severity(outcome) >= severity(verdict), "{decision:#}");
        let steps = decision["steps"].as_array().unwrap();
        let calls: Vec<_> = steps
            .iter()
            .flat_map(|step| step["calls"].as_array().unwrap())
            .collect();
        assert!(!calls.is_empty(), "{decision:#}");
        for call in calls {
            assert_eq!(
                (&call["error"], &call["retries"]),
                (&Value::Null, &json!(0))
            );
            assert!(call["input_tokens"].as_u64() > Some(0), "{call:#}");
        }
    }
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
}
