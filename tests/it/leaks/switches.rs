//! Names of spans, logs, prompts and the ledger: what is redacted always, and what a setting turns
//! on or off.

use serde_json::{Value, json};

use super::{assert_clean, metrics_page};
use crate::harness::binary::{Service, run};
use crate::harness::expenses::{path_of, taxi};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::{advice_because, category_because};

#[tokio::test(flavor = "multi_thread")]
async fn names_and_events_of_spans_are_redacted_as_well() {
    let (receiver, fake) = (OtlpReceiver::spawn().await, FakeOpenAi::spawn().await);
    // The name of a model is in the name of a span, and in a log line that becomes an event of the
    // span `start`.
    let arguments = ["--model", "jane.canary@example.com"];
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint()),
        ("OPENAI_BASE_URL", fake.base_url()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let service = Service::start(&arguments, &variables).await;
    fake.on_classify([Reply::refusal("No.")]);
    service.post(taxi()).await;
    let metrics = metrics_page(&service).await;
    assert_clean("the metrics", &metrics);
    assert!(
        metrics.contains("gen_ai_request_model=\"[EMAIL]\""),
        "{metrics}"
    );
    let (_, log) = service.stop().await;
    assert_clean("the log", &log);
    assert_clean("OTLP", &String::from_utf8_lossy(&receiver.bytes()));
    let spans = receiver.spans();
    assert!(spans.iter().any(|span| span.name == "chat [EMAIL]"));
    let start = spans.iter().find(|span| span.name == "start").unwrap();
    assert!(
        start
            .events
            .iter()
            .any(|event| event.attributes.get("model") == Some(&json!("[EMAIL]")))
    );
}

#[tokio::test]
async fn no_log_filter_prints_a_models_answer() {
    let fake = FakeOpenAi::spawn().await;
    // The client library logs an answer that it cannot parse, and an error of the server.
    let unreadable = json!({"choices": "whatever the model says"}).to_string();
    fake.script([
        Reply::raw(200, "application/json", unreadable),
        Reply::status(500),
    ]);
    let filter = "trace,async_openai=trace,async_openai::error=trace,async_openai::client=trace";
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OPENAI_BASE_URL", &fake.base_url()),
        ("RUST_LOG", filter),
    ];
    let service = Service::start(&["--model-retries", "0"], &variables).await;
    for _ in 0..2 {
        assert_eq!(service.post(taxi()).await.0, 201);
    }
    assert_eq!(fake.requests().len(), 2);
    let (_, log) = service.stop().await;
    assert!(
        !log.contains("whatever the model says") && !log.contains("async_openai::"),
        "{log}"
    );
}

#[tokio::test]
async fn with_raw_prompts_the_model_gets_the_unredacted_text() {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify([category_because("travel", "A taxi.")]);
    fake.on_decide([advice_because("approved", "Fine.", &["travel-trip-cap"])]);
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OPENAI_BASE_URL", &fake.base_url()),
    ];
    let service = Service::start(&["--raw-prompts"], &variables).await;
    service
        .post(json!({"transaction": "Taxi, jane.canary@example.com", "amount": "5.00"}))
        .await;
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests
            .iter()
            .all(|request| request.body.to_string().contains("jane.canary@example.com"))
    );
}

#[tokio::test]
async fn the_ledger_stores_the_original_texts_unless_redaction_is_on() {
    let body = json!({
        "transaction": "Taxi, 4012888888881881",
        "merchant": "jane.canary@example.com",
        "amount": "5.00",
    });
    for (arguments, transaction, merchant) in [
        (&[][..], "Taxi, 4012888888881881", "jane.canary@example.com"),
        (&["--redact-ledger"][..], "Taxi, [CARD]", "[EMAIL]"),
    ] {
        let service = Service::start(arguments, &[("OTEL_TRACES_EXPORTER", "none")]).await;
        let (_, decision) = service.post(body.clone()).await;
        let location = format!("{}{}", service.url, path_of(&decision));
        let kept: Value = reqwest::get(location).await.unwrap().json().await.unwrap();
        assert_eq!(
            (&kept["transaction"], &kept["merchant"]),
            (&json!(transaction), &json!(merchant))
        );
        assert_eq!(kept, decision, "the ledger keeps what was answered");
    }
}

#[tokio::test]
async fn the_key_of_pseudonyms_is_kept_beside_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = [
        "pseudonym",
        "jane.canary@example.com",
        "--data",
        data.to_str().unwrap(),
    ];
    let first = run(&arguments, &[]).await;
    let second = run(&arguments, &[]).await;
    assert!(
        first.status.success() && first.stdout.starts_with(b"user-"),
        "{first:?}"
    );
    assert_eq!(first.stdout, second.stdout);
    let other = run(
        &["pseudonym", "u-1042", "--data", data.to_str().unwrap()],
        &[],
    )
    .await;
    assert_eq!(other.stdout, b"u-1042\n");
    let postgres = run(
        &arguments,
        &[("DATABASE_URL", "postgres://expense@localhost/expense")],
    )
    .await;
    assert!(
        String::from_utf8(postgres.stderr)
            .unwrap()
            .contains("set EXPENSE_AGENT_PSEUDONYM_KEY")
    );
    let short = run(&arguments, &[("EXPENSE_AGENT_PSEUDONYM_KEY", "short")]).await;
    assert!(
        String::from_utf8(short.stderr)
            .unwrap()
            .contains("--pseudonym-key is too short")
    );
}
