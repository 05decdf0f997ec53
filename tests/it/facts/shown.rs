//! To whom facts are shown: to people on the page, to a model only those that a rule asks for, and to
//! nobody by spans, logs and metrics.

use std::path::Path;

use expense_agent::config::Config;
use expense_agent::domain::facts::FactName;
use serde_json::Value;
use strum::IntoEnumIterator;
use tempfile::TempDir;

use crate::harness::binary::Service;
use crate::harness::expenses::{id_of, numbered_ride};
use crate::harness::facts::{MARK, stated, with_all_facts};
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::{advice, category};
use crate::harness::{TestApp, openai, policies_with};
use crate::page::{send_form, view};

/// The facts whose text no model sees.
const WITHHELD: [FactName; 2] = [FactName::Recipient, FactName::ReceiptUrl];

/// Policies of which the one for travel requires every fact.
fn demanding() -> TempDir {
    let names: Vec<String> = FactName::iter()
        .map(|name| format!("{:?}", name.to_string()))
        .collect();
    let names = names.join(", ");
    let rules = format!(
        "[[rule]]\nid = \"travel-facts\"\nkind = \"required\"\nfacts = [{names}]\ntext = \"Facts.\"\n\n\
         [[rule]]\nid = \"travel-project\"\nkind = \"cap\"\nper = \"year\"\nby = \"project\"\nmax = \"9000.00\"\ntext = \"Project.\"\n"
    );
    policies_with("travel.toml", &rules)
}

/// The expense in each prompt of one decision: of classify, and of decide.
async fn prompted(policies: &Path, body: Value) -> [Value; 2] {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category("travel")]);
    fake.on_decide([advice("approved", "travel-trip-cap")]);
    let app = TestApp::with(Config {
        model: openai(&fake),
        policies: policies.to_owned(),
        ..crate::harness::config()
    })
    .await;
    app.decide(body).await;
    let prompts: Vec<Value> = fake
        .requests()
        .iter()
        .map(|request| {
            let messages = request.body["messages"].as_array().unwrap();
            let facts = messages.last().unwrap()["content"].as_str().unwrap();
            serde_json::from_str::<Value>(facts).unwrap()["expense"].clone()
        })
        .collect();
    prompts.try_into().unwrap()
}

#[tokio::test]
async fn a_model_sees_only_the_facts_that_a_rule_of_the_policy_reads() {
    let body = with_all_facts(numbered_ride(1));
    for expense in prompted(&crate::harness::shipped_policies(), body.clone()).await {
        for name in FactName::iter() {
            assert_eq!(
                expense.get(name.to_string()),
                None,
                "no shipped rule reads a fact"
            );
        }
        assert!(!expense.to_string().contains(MARK));
    }
    let policies = demanding();
    let [classify, decide] = prompted(policies.path(), body).await;
    for name in FactName::iter() {
        let key = name.to_string();
        assert_eq!(classify.get(&key), None, "no policy is chosen yet");
        match WITHHELD.contains(&name) {
            true => {
                let shown = decide[&key].as_str().unwrap();
                assert!(
                    !shown.contains(MARK) && shown.starts_with('('),
                    "{key}: {shown}"
                );
            }
            false => assert_eq!(decide[&key], stated(name), "{key}"),
        }
    }
}

#[tokio::test]
async fn the_personal_facts_in_a_prompt_are_redacted() {
    let policies = demanding();
    let mut body = with_all_facts(numbered_ride(1));
    for name in FactName::iter().filter(|name| name.declaration().personal) {
        if name != FactName::ReceiptUrl {
            body[name.to_string()] = "jane.canary@example.com".into();
        }
    }
    let [_, decide] = prompted(policies.path(), body).await;
    assert!(!decide.to_string().contains("jane"), "{decide}");
    assert_eq!(decide["purpose"], "[EMAIL]");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_personal_fact_is_on_a_span_a_log_line_or_a_metric_unless_content_is_captured() {
    let policies = demanding();
    let capture = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for captured in [false, true] {
        let receiver = OtlpReceiver::spawn().await;
        let endpoint = receiver.grpc_endpoint();
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("RUST_LOG", "trace"),
        ];
        if captured {
            variables.push((capture, "true"));
        }
        let arguments = ["--policies", policies.path().to_str().unwrap()];
        let service = Service::start(&arguments, &variables).await;
        let (status, decided) = service.post(with_all_facts(numbered_ride(1))).await;
        assert_eq!(status, 201);
        let refused = service
            .post(with_all_facts(serde_json::json!({"amount": MARK})))
            .await;
        assert_eq!(refused.0, 422);
        let path = format!("{}/metrics", service.url);
        let metrics = reqwest::get(path).await.unwrap().text().await.unwrap();
        let (_, log) = service.stop().await;
        let sent = String::from_utf8_lossy(&receiver.bytes()).into_owned();
        assert!(sent.contains(id_of(&decided)), "the trace was sent");
        assert!(!metrics.contains(MARK) && !log.contains(MARK));
        assert_eq!(sent.contains(MARK), captured, "{}", around(&sent));
    }
}

/// What is sent around the mark.
fn around(sent: &str) -> &str {
    let at = sent.find(MARK).unwrap_or_default();
    let start = (0..=at.saturating_sub(200))
        .rev()
        .find(|at| sent.is_char_boundary(*at));
    &sent[start.unwrap_or_default()..at]
}

#[tokio::test]
async fn the_page_shows_every_fact_and_links_the_receipt_without_a_referrer() {
    let app = TestApp::spawn().await;
    let decided = app.decide(with_all_facts(numbered_ride(1))).await;
    for path in [
        format!("/ui/decisions/{}", id_of(&decided)),
        "/ui/review".to_owned(),
    ] {
        let html = view(&app, &path).await;
        if !html.contains("dl class=\"expense\"") {
            continue;
        }
        for name in FactName::iter() {
            let shown = match stated(name) {
                Value::String(text) => text,
                Value::Array(words) => words
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                other => other.to_string(),
            };
            assert!(
                html.contains(&shown.replace('&', "&amp;")),
                "{path} lacks {name}"
            );
        }
        let link = format!(
            "<a href=\"https://receipts.example/{MARK}?page=1\" rel=\"noreferrer noopener\">"
        );
        assert!(html.contains(&link), "{html}");
        for loaded in ["<img", "<iframe", "prefetch", "preload"] {
            assert!(!html.contains(loaded), "{loaded} would fetch the receipt");
        }
    }
}

#[tokio::test]
async fn the_form_that_tries_an_expense_takes_the_common_facts() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/").await;
    let mut form = vec![
        ("transaction".to_owned(), "Client dinner".to_owned()),
        ("amount".to_owned(), "20.00".to_owned()),
        ("receipt".to_owned(), "itemized".to_owned()),
    ];
    let offered: Vec<FactName> = FactName::iter()
        .filter(|name| html.contains(&format!("name=\"{name}\"")))
        .collect();
    assert!(
        offered.len() >= 8 && !offered.contains(&FactName::EmployeeGroup),
        "{offered:?}"
    );
    for name in &offered {
        let typed = stated(*name);
        form.push((
            name.to_string(),
            typed
                .as_str()
                .map_or_else(|| typed.to_string(), str::to_owned),
        ));
    }
    let fields: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(send_form(&app, "/ui/expense", &fields).await.status(), 303);
    let decision = &app.get("/v1/expenses").await.body["decisions"][0];
    assert_eq!(decision["receipt"], "itemized");
    for name in offered {
        assert_eq!(decision[name.to_string()], stated(name));
    }
    let refused = send_form(
        &app,
        "/ui/expense",
        &[("transaction", "Car"), ("amount", "1"), ("nights", "none")],
    )
    .await;
    assert_eq!(refused.status(), 422);
    let html = refused.text().await.unwrap();
    assert!(
        html.contains("value=\"none\"") && html.contains("whole number from 1 to 99"),
        "{html}"
    );
}
