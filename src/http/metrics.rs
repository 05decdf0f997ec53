//! `/metrics`: everything that is measured, as Prometheus reads it. It stands on the listener of
//! everything else and asks for no API key, because scrapers have none; it names no user, and
//! tenants only where that is switched on. Like the probes it is not traced.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use crate::http::AppState;
use crate::http::error::Problem;
use crate::telemetry::Instruments;

/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route of the page.
pub fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/metrics", get(show))
}

async fn show(Extension(instruments): Extension<Instruments>) -> Result<Response, Problem> {
    let page = instruments
        .metrics_page()
        .map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], page).into_response())
}
