//! Probes: whether the process is alive, and whether it can decide. Neither depends on the model or
//! the trace backend: without them the service still answers, and taking it out of rotation would
//! not help.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::AppState;
use crate::http::docs::{Problems, Untraced};
use crate::llm::health::FailedCalls;
use crate::telemetry::Instruments;
use crate::telemetry::export::queue::SpanCounts;

/// The routes of the probes.
pub fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// Always `ok`.
    pub status: &'static str,
}

/// Whether a decision could be recorded now, and what that depends on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: &'static str,
    /// What was checked.
    pub checks: Checks,
    /// What `?verbose` adds.
    #[serde(flatten)]
    #[schema(inline, value_type = Verbose)]
    pub verbose: Option<Verbose>,
}

/// What a probe checks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checks {
    /// Whether the ledger can be written: `ok` or `failed`.
    pub ledger: &'static str,
    /// The API keys that are loaded, or `off`.
    pub api_keys: String,
    /// The policies that are loaded.
    pub policies: String,
    /// Whether the service has begun to stop.
    pub draining: bool,
    /// How many decisions are in progress.
    pub in_flight: usize,
    /// The name of the model.
    pub model: String,
}

/// What `?verbose` adds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verbose {
    /// What became of every span so far; null when spans are not exported.
    pub spans: Option<SpanCounts>,
    /// The state of the model's circuit breaker: `closed`, `half_open` or `open`; null when the model
    /// has none.
    pub model_breaker: Option<String>,
    /// The calls of the model that failed in a row; null when the last one was answered.
    pub model_failures: Option<FailedCalls>,
}

/// Whether the process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "The process is alive", body = Liveness), Problems<Untraced>),
)]
async fn live() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

/// Whether a decision could be recorded now. It does not depend on the model or the trace backend.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    params(("verbose" = Option<String>, Query, description = "Given, with or without a value: the answer has the counts of spans and the state of the model's endpoint as well")),
    responses(
        (status = 200, description = "A decision could be recorded", body = Readiness),
        (status = 503, description = "The ledger cannot be written, or the service has begun to stop", body = Readiness),
        Problems<Untraced>,
    ),
)]
async fn ready(
    State(app): State<Arc<AppState>>,
    Extension(instruments): Extension<Instruments>,
    Query(parameters): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Readiness>) {
    let ledger = app.agent.ledger.check().await;
    if let Err(error) = &ledger {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the ledger is not ready"
        );
    }
    let is_ready = ledger.is_ok() && !app.is_draining();
    let checks = Checks {
        ledger: if ledger.is_ok() { "ok" } else { "failed" },
        api_keys: app.access.to_string(),
        policies: app.rulebooks.now().to_string(),
        draining: app.is_draining(),
        in_flight: app.decisions.len(),
        model: app.agent.model.info().model.clone(),
    };
    let (status, word) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let verbose = parameters.contains_key("verbose").then(|| Verbose {
        spans: instruments.span_counts(),
        model_breaker: app
            .breaker
            .as_ref()
            .map(|breaker| breaker.state(Instant::now()).to_string()),
        model_failures: app.endpoint.failed_calls(),
    });
    let readiness = Readiness {
        status: word,
        checks,
        verbose,
    };
    (status, Json(readiness))
}
