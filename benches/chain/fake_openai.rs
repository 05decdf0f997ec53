//! A fake model endpoint that needs as little processor time as possible: its answers are built once,
//! and it searches a request only for the words that select the answer.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};

use super::server;

/// The endpoint.
pub(crate) struct FakeOpenAi {
    /// The base URL for a client of OpenAI.
    pub(crate) base_url: String,
}

/// A word in a transaction, and the answers of the model to it.
struct Answers {
    word: &'static str,
    classify: Bytes,
    decide: Bytes,
}

#[derive(Clone)]
struct Book {
    answers: &'static [Answers],
    latency: Duration,
}

impl FakeOpenAi {
    /// Starts an endpoint that answers after `latency`.
    pub(crate) async fn spawn(latency: Duration) -> anyhow::Result<Self> {
        let answers = [
            ("Flight", "travel", "denied", "travel-trip-cap"),
            (
                "Printer",
                "office",
                "needs_approval",
                "office-manager-approval",
            ),
            // A taxi is classified as a meal, so that a check fails.
            ("Taxi", "meals", "approved", "meals-day-cap"),
            // Everything else is a meal.
            ("", "meals", "approved", "meals-day-cap"),
        ];
        let answers = answers.map(|(word, category, decision, rule)| Answers {
            word,
            classify: completion(&json!({"category": category, "rationale": "It says so."})),
            decide: completion(&json!({"decision": decision, "reason": "The policy says so.", "cited_rules": [rule]})),
        });
        let book = Book {
            answers: Box::leak(Box::new(answers)),
            latency,
        };
        let router = Router::new()
            .route("/v1/chat/completions", post(answer))
            .layer(DefaultBodyLimit::disable());
        let origin = server::spawn(router.with_state(book)).await?;
        Ok(Self {
            base_url: format!("{origin}/v1"),
        })
    }
}

fn completion(content: &Value) -> Bytes {
    let body = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": content.to_string(), "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 700, "completion_tokens": 40, "total_tokens": 740},
    });
    body.to_string().into()
}

async fn answer(State(book): State<Book>, body: Bytes) -> impl IntoResponse {
    if !book.latency.is_zero() {
        tokio::time::sleep(book.latency).await;
    }
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let answers = book
        .answers
        .iter()
        .find(|answers| text.contains(answers.word));
    let is_classify = text.contains(r#""name":"classification""#);
    let reply = answers.map(|answers| {
        if is_classify {
            &answers.classify
        } else {
            &answers.decide
        }
    });
    (
        [(CONTENT_TYPE, "application/json")],
        reply.cloned().unwrap_or_default(),
    )
}
