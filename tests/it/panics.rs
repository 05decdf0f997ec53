//! A part of the service that panics: the caller gets an answer, the trace shows where, and the
//! service continues.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, header};
use expense_agent::agent::Agent;
use expense_agent::clock::Clock;
use expense_agent::http::{AppState, router};
use expense_agent::keys::access::Access;
use expense_agent::ledger::{Ledger, Store};
use expense_agent::llm::{ChatModel, ChatRequest, ModelInfo, Reply};
use expense_agent::reload::{ReloadRequests, Reloaded};
use expense_agent::rulebook::Rulebooks;
use expense_agent::rulebook::files::FolderFiles;
use expense_agent::telemetry::projections::chat::TracedModel;
use expense_agent::telemetry::provider::Telemetry;
use expense_agent::telemetry::sampling::Sampling;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::harness::{http_config, pseudonyms, shipped_policies, telemetry_settings};

/// The shipped policies.
fn policies() -> Reloaded<Rulebooks> {
    let read = || FolderFiles::read(&shipped_policies());
    let hour = Duration::from_secs(3600);
    Reloaded::start(
        "policies",
        read,
        Rulebooks::parse,
        hour,
        &ReloadRequests::default(),
    )
    .unwrap()
}

/// A model whose client panics.
struct Panicking(ModelInfo);

#[async_trait]
impl ChatModel for Panicking {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    async fn chat(&self, _: &ChatRequest<'_>) -> Reply {
        panic!("the model's client has a bug")
    }
}

#[tokio::test]
async fn a_panic_is_a_500_with_errors_on_its_spans_and_the_service_continues() {
    let folder = tempfile::tempdir().unwrap();
    let spans = InMemorySpanExporter::default();
    let telemetry = Telemetry::with_exporter(&telemetry_settings(&[]), pseudonyms(), spans.clone());
    let info = ModelInfo {
        provider: "openai",
        model: "broken".to_owned(),
        server: None,
        max_tokens: None,
        temperature: None,
        seed: None,
    };
    let state = AppState {
        agent: Agent {
            model: Arc::new(TracedModel::new(Panicking(info), false)),
            ledger: Ledger::open(&Store::Sqlite(folder.path().to_owned()))
                .await
                .unwrap(),
            redacts_prompts: true,
        },
        rulebooks: policies(),
        access: Access::Anonymous { local_key: None },
        breaker: None,
        endpoint: Arc::default(),
        clock: Clock::system(),
        sampling: Sampling::default(),
        config: http_config(),
        permits: Arc::new(Semaphore::new(1)),
        model_concurrency: None,
        decisions: TaskTracker::new(),
        stopping: CancellationToken::new(),
        page_origin: Default::default(),
    };
    let router = router(Arc::new(state), telemetry.instruments());
    // Two requests with one permit: a panic returns its permit.
    for _ in 0..2 {
        let request =
            Request::post("/v1/expenses").header(header::CONTENT_TYPE, "application/json");
        let body = Body::from(r#"{"transaction": "Taxi", "amount": 5}"#);
        let response = router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 1 << 16)
            .await
            .unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "internal");
        assert!(
            !problem["detail"].as_str().unwrap().contains("bug"),
            "the caller does not see the panic's message"
        );
    }
    let ended = spans.get_finished_spans().unwrap();
    assert_eq!(
        ended.len(),
        2 * 4,
        "server, agent, classify and chat have ended"
    );
    for span in &ended {
        assert!(matches!(span.status, Status::Error { .. }), "{}", span.name);
        let error_type = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == "error.type")
            .unwrap();
        let expected = if span.name == "POST /v1/expenses" {
            "500"
        } else {
            "panic"
        };
        assert_eq!(error_type.value.as_str(), expected, "{}", span.name);
    }
}
