//! A prompt can be replaced by a variant with another name, and dashboards keep working: cost is
//! counted for the step that asked, and the name of the prompt is on the span.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use expense_agent::agent::ask::{Question, StepRun, ask};
use expense_agent::agent::prompts::Schema;
use expense_agent::agent::prompts::answers::CategoryAnswer;
use expense_agent::domain::step::{Cost, Step};
use expense_agent::http::admission;
use expense_agent::keys::access::Access;
use expense_agent::ledger::RecordedTenants;
use expense_agent::llm::{Answer, AnswerSchema, ChatModel, ChatRequest, ModelInfo, Prompt, Reply};
use expense_agent::rulebook::Rulebooks;
use expense_agent::telemetry::projections::chat::TracedModel;
use expense_agent::telemetry::projections::server;
use expense_agent::telemetry::provider::Telemetry;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use rust_decimal::Decimal;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::harness::exposition::Page;
use crate::harness::{pseudonyms, shipped_policies, telemetry_settings};

/// A variant of the prompt that classifies.
static VARIANT: LazyLock<Prompt> =
    LazyLock::new(|| Prompt::new("classify_briefly", "1", "Name the category."));

/// A model whose every answer has a price, or none.
struct Priced(ModelInfo, Option<Cost>);

#[async_trait]
impl ChatModel for Priced {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    async fn chat(&self, _: &ChatRequest<'_>) -> Reply {
        let text = r#"{"category": "travel", "rationale": "A ride."}"#;
        let answer = Answer {
            text: Some(text.to_owned()),
            ..Answer::default()
        };
        Reply {
            cost: self.1.clone(),
            ..Reply::new(Ok(answer))
        }
    }
}

/// Asks the variant once, and returns the metrics and the prompt's name on the `chat` span.
async fn ask_the_variant(cost: Option<Cost>) -> (Page, String) {
    let info = ModelInfo {
        provider: "openai",
        model: "gpt-4o-mini".to_owned(),
        server: None,
        max_tokens: None,
        temperature: None,
        seed: None,
    };
    let handler = async move || {
        let rulebook = Rulebooks::load(&shipped_policies()).unwrap().shared;
        let question = Question {
            prompt: &VARIANT,
            facts: "{}".to_owned(),
            schema: AnswerSchema {
                name: Schema::Classification.into(),
                schema: rulebook.policies.classification_schema(),
            },
            rulebook: &rulebook,
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let model = TracedModel::new(Priced(info.clone(), cost.clone()), false);
        let run = StepRun::begin(Step::Classify, Instant::now());
        let asked = ask(&model, run, question, |_: &CategoryAnswer, _| None).await;
        assert_eq!(asked.run.report.attempts, 1);
    };
    let spans = InMemorySpanExporter::default();
    let telemetry = Telemetry::with_exporter(&telemetry_settings(&[]), pseudonyms(), spans.clone());
    let instruments = telemetry.instruments();
    let authenticate = (
        Access::Anonymous { local_key: None },
        RecordedTenants::default(),
        instruments.clone(),
    );
    let router = Router::new()
        .route("/", post(handler))
        .layer(from_fn_with_state(instruments, server::trace))
        .layer(from_fn_with_state(authenticate, admission::authenticate));
    let request = Request::post("/").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);

    let spans = spans.get_finished_spans().unwrap();
    let prompt = spans
        .iter()
        .flat_map(|span| &span.attributes)
        .find(|attribute| attribute.key.as_str() == "gen_ai.prompt.name");
    let prompt = prompt.unwrap().value.to_string();
    let page = telemetry.instruments().metrics_page().unwrap();
    (Page::parse(&page), prompt)
}

#[tokio::test]
async fn cost_is_counted_for_the_step_that_asked_and_not_for_the_name_of_its_prompt() {
    let price = Cost {
        total: Decimal::TWO,
        prompt: Decimal::ONE,
        completion: Decimal::ONE,
        source: "a test".to_owned(),
    };
    for (cost, metric) in [
        (Some(price), "expense_cost_total"),
        (None, "expense_cost_unknown_total"),
    ] {
        let (page, prompt) = ask_the_variant(cost).await;
        assert_eq!(page.values(metric, "step_name"), ["classify"].into());
        assert_eq!(prompt, VARIANT.name);
    }
}
