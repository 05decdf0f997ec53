//! Probes: whether the process is alive, and whether it can decide. Neither depends on the model or
//! the trace backend: without them the service still answers, and taking it out of rotation would
//! not help.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::http::AppState;
use crate::telemetry::Instruments;

/// The routes of the probes.
pub fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(
    State(app): State<Arc<AppState>>,
    Extension(instruments): Extension<Instruments>,
    Query(parameters): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let ledger = app.agent.ledger.check().await;
    if let Err(error) = &ledger {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the ledger is not ready"
        );
    }
    let is_ready = ledger.is_ok() && !app.is_draining();
    let checks = json!({
        "ledger": if ledger.is_ok() { "ok" } else { "failed" },
        "api_keys": app.access.to_string(),
        "policies": app.rulebooks.now().to_string(),
        "draining": app.is_draining(),
        "in_flight": app.decisions.len(),
        "model": app.agent.model.info().model,
    });
    let (status, word) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let mut body = json!({"status": word, "checks": checks});
    if parameters.contains_key("verbose") {
        body["spans"] = json!(instruments.span_counts());
        body["model_breaker"] = json!(
            app.breaker
                .as_ref()
                .map(|breaker| breaker.state(Instant::now()).to_string())
        );
        body["model_failures"] = json!(app.endpoint.failed_calls());
    }
    (status, Json(body))
}
