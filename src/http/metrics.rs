//! `/metrics`: every metric in the text format of Prometheus. It shares the listener with the API
//! and needs no API key, because scrapers have none; it names no user, and tenants only where
//! `--metrics-tenants` allows it. Like the probes it is not traced.

use std::sync::Arc;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::AppState;
use crate::http::docs::{Problems, Untraced};
use crate::http::error::Problem;
use crate::telemetry::Instruments;

/// The media type of the text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route of the page.
pub fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// All metrics, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"), Problems<Untraced>),
)]
async fn show(Extension(instruments): Extension<Instruments>) -> Result<Response, Problem> {
    let page = instruments
        .metrics_page()
        .map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], page).into_response())
}
