//! Time and allocations of the single parts of a decision. The whole service is measured in `chain`.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use divan::{AllocProfiler, Bencher};
use expense_agent::agent::prompts::{CLASSIFY, Schema};
use expense_agent::domain::facts::NO_FACTS;
use expense_agent::domain::receipt::Receipt;
use expense_agent::domain::step::Step;
use expense_agent::domain::tokens::TokenUsage;
use expense_agent::http::admission;
use expense_agent::keys::access::Access;
use expense_agent::ledger::RecordedTenants;
use expense_agent::llm::{Answer, AnswerSchema, ChatModel, ChatRequest, ModelInfo, Reply};
use expense_agent::policy::evaluate::{self, RuleFacts, evaluate};
use expense_agent::policy::subject::Subject;
use expense_agent::redact::pseudonym::Pseudonyms;
use expense_agent::redact::redact;
use expense_agent::rulebook::{Rulebook, Rulebooks};
use expense_agent::telemetry::projections::chat::TracedModel;
use expense_agent::telemetry::projections::server;
use expense_agent::telemetry::provider::Telemetry;
use expense_agent::telemetry::settings::{TelemetrySettings, Variables};
use jiff::civil::date;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use rust_decimal::Decimal;
use tokio::time::Instant;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// The shipped policies and prices.
static RULEBOOK: LazyLock<Rulebook> = LazyLock::new(|| {
    let rulebooks = Rulebooks::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")));
    rulebooks.expect("the shipped policies are sound").shared
});

/// A meal within its cap.
const MEAL: Subject<'_> = Subject {
    amount: Decimal::from_parts(2_450, 0, 0, false, 2),
    receipt: Receipt::Attached,
    date: date(2026, 3, 14),
    today: date(2026, 3, 15),
    mcc: Some("5812"),
    merchant: Some("Caffe Nero"),
    transaction: "Lunch with the team",
    facts: &NO_FACTS,
};

fn main() {
    divan::main();
}

/// The verdict on an expense, for each policy. As for every decision, the rules are first combined
/// with their cap usage.
#[divan::bench(args = ["meals", "office", "other", "travel"])]
fn engine(bencher: Bencher, category: &str) {
    let policy = RULEBOOK
        .policies
        .in_force(category, MEAL.date)
        .expect("the category is shipped");
    bencher.bench(|| {
        let usage = evaluate::CapUsage::default();
        let rules: Vec<RuleFacts> = policy
            .rules
            .iter()
            .map(|rule| RuleFacts::new(rule, &usage))
            .collect();
        evaluate(&rules, black_box(&MEAL))
    });
}

/// The evidence from merchant category code, merchant and transaction.
#[divan::bench]
fn evidence(bencher: Bencher) {
    bencher.bench(|| {
        RULEBOOK
            .policies
            .evidence(MEAL.mcc, MEAL.merchant, black_box(MEAL.transaction), None)
    });
}

/// Redaction of texts: a word, a sentence, one with personal data, and the facts of a prompt.
#[divan::bench(args = ["word", "sentence", "findings", "prompt"])]
fn redaction(bencher: Bencher, text: &str) {
    let text = match text {
        "word" => "policy_lookup".to_owned(),
        "sentence" => {
            "One trip costs at most 500.00, limit included. 150.00 of this expense is above it."
                .to_owned()
        }
        "findings" => {
            "Dinner, paid with 4111 1111 1111 1111, receipt to ana@example.com".to_owned()
        }
        _ => RULEBOOK
            .policies
            .iter()
            .map(|policy| policy.text.as_str())
            .collect(),
    };
    bencher.bench(|| redact(black_box(&text)).into_owned());
}

/// The cost of a call from its tokens.
#[divan::bench]
fn cost(bencher: Bencher) {
    let Answer { model, usage, .. } = answer();
    let usage = usage.expect("the answer below has a usage");
    bencher.bench(|| {
        let (model, usage) = black_box((&model, usage));
        RULEBOOK.prices.cost("openai", model, usage, MEAL.today)
    });
}

/// A request without work, through the middleware that makes its span.
#[divan::bench(args = ["without traces", "with traces"])]
fn server_span(bencher: Bencher, traces: &str) {
    bench_requests(bencher, traces, Router::new().route("/", post(async || "")));
}

/// The same with one call of a model that answers at once, and the span of that call.
#[divan::bench(args = ["without traces", "with traces"])]
fn server_and_chat_span(bencher: Bencher, traces: &str) {
    let model = (
        TracedModel::new(InstantModel::new(), false),
        RULEBOOK.clone(),
    );
    bench_requests(
        bencher,
        traces,
        Router::new()
            .route("/", post(ask))
            .with_state(Arc::new(model)),
    );
}

/// Times one request at a time through the middleware. Spans are scrubbed as they end, and then
/// discarded.
fn bench_requests(bencher: Bencher, traces: &str, router: Router) {
    let variables: Variables = match traces {
        "with traces" => Variables::new(),
        _ => [("OTEL_SDK_DISABLED".to_owned(), "true".to_owned())].into(),
    };
    let settings = TelemetrySettings::parse(&variables, &mut Vec::new());
    let telemetry = Telemetry::with_exporter(
        &settings,
        Pseudonyms::new("the key of the benches".into()),
        DiscardingExporter,
    );
    let instruments = telemetry.instruments();
    let router = router
        .layer(from_fn_with_state(instruments.clone(), server::trace))
        .layer(from_fn_with_state(
            (
                Access::Anonymous { local_key: None },
                RecordedTenants::default(),
                instruments,
            ),
            admission::authenticate,
        ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    bencher.bench_local(|| {
        let request = Request::post("/").body(Body::empty()).expect("a request");
        runtime.block_on(router.clone().oneshot(request))
    });
}

async fn ask(State(model): State<Arc<(TracedModel<InstantModel>, Rulebook)>>) {
    let (model, rulebook) = &*model;
    let request = ChatRequest {
        step: Step::Classify,
        prompt: &CLASSIFY,
        messages: &[],
        schema: AnswerSchema {
            name: Schema::Classification.into(),
            schema: rulebook.policies.classification_schema(),
        },
        deadline: Instant::now(),
        rulebook,
        traceparent: None,
    };
    model.chat(&request).await;
}

/// A model that answers at once.
struct InstantModel {
    info: ModelInfo,
}

impl InstantModel {
    fn new() -> Self {
        let model = "gpt-4o-mini".to_owned();
        let info = ModelInfo {
            provider: "openai",
            model,
            server: None,
            max_tokens: None,
            temperature: None,
            seed: None,
        };
        Self { info }
    }
}

#[async_trait::async_trait]
impl ChatModel for InstantModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn chat(&self, _: &ChatRequest<'_>) -> Reply {
        Reply::new(Ok(answer()))
    }
}

fn answer() -> Answer {
    Answer {
        id: Some("chatcmpl-1".to_owned()),
        model: "gpt-4o-mini".to_owned(),
        finish_reason: Some("stop".to_owned()),
        usage: Some(TokenUsage {
            input_tokens: 700,
            output_tokens: 40,
            ..TokenUsage::default()
        }),
        ..Answer::default()
    }
}

/// Discards spans.
#[derive(Debug)]
struct DiscardingExporter;

impl SpanExporter for DiscardingExporter {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}
