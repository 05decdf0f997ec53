//! The policies that are loaded, with version and content hash.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::error::Problem;
use crate::policy::Policy;

/// Every version of every policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyList {
    /// By category and date.
    pub policies: Vec<Policy>,
}

/// Show the policies that are loaded.
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", operation_id = "list_policies",
    responses(
        (status = 200, description = "What is loaded", body = PolicyList),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<AppState>) -> Json<PolicyList> {
    Json(PolicyList { policies: app.chain.policies.iter().cloned().collect() })
}
