//! The bare proxy: it calls the model twice and does nothing else, in as few lines as possible and
//! with the libraries of the service. It is the floor of the cost of a decision; what the service
//! costs above this floor is due to checks, ledger and traces.

use std::io::Write;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::server;

const CLASSIFY: &str = include_str!("../../src/agent/prompts/classify.md");
const DECIDE: &str = include_str!("../../src/agent/prompts/decide.md");

#[derive(Clone)]
struct Proxy {
    http: reqwest::Client,
    url: String,
}

/// Serves until it is killed, and prints its address in the same form as the service.
pub(crate) async fn serve(upstream: String) -> anyhow::Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()?;
    let proxy = Proxy {
        http,
        url: format!("{upstream}/chat/completions"),
    };
    let origin = server::spawn(
        Router::new()
            .route("/v1/expenses", post(forward))
            .with_state(proxy),
    )
    .await?;
    writeln!(std::io::stdout(), "listening on {origin};")?;
    std::future::pending().await
}

async fn forward(
    State(proxy): State<Proxy>,
    Json(expense): Json<Value>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let category = proxy.ask("classification", CLASSIFY, &expense).await;
    let category = category.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let decision = proxy
        .ask(
            "decision",
            DECIDE,
            &json!({"expense": expense, "category": category}),
        )
        .await;
    Ok((
        StatusCode::CREATED,
        Json(decision.map_err(|_| StatusCode::BAD_GATEWAY)?),
    ))
}

impl Proxy {
    async fn ask(
        &self,
        schema: &str,
        instructions: &str,
        facts: &Value,
    ) -> Result<Value, reqwest::Error> {
        let body = json!({
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": facts.to_string()},
            ],
            "response_format": {"type": "json_schema", "json_schema": {"name": schema, "strict": true}},
        });
        let mut completion: Value = self
            .http
            .post(&self.url)
            .json(&body)
            .send()
            .await?
            .json()
            .await?;
        Ok(completion["choices"][0]["message"]["content"].take())
    }
}
