//! The policies that hold for the caller's tenant, with version and content hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::error::Problem;
use crate::policy::Policy;
use crate::telemetry::identity::Identity;

/// Every version of every policy that holds for a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyList {
    /// By category and date.
    pub policies: Vec<Policy>,
}

/// Show the policies that hold for your tenant.
///
/// For a category of which the tenant has policies of its own, these and no others.
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", operation_id = "list_policies",
    responses(
        (status = 200, description = "The policies", body = PolicyList),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
) -> Json<PolicyList> {
    let folder = app.folder.now().value;
    let policies = &folder.rulebook(&identity.tenant_id).policies;
    Json(PolicyList {
        policies: policies.iter().cloned().collect(),
    })
}
