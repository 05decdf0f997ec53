//! The policies of the caller's tenant, with version and content hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::docs::{Problems, Route};
use crate::http::error::Code;
use crate::keys::identity::Identity;
use crate::policy::Policy;

/// Every version of every policy of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyList {
    /// Sorted by category and date.
    pub policies: Vec<Policy>,
}

/// `GET /v1/policies`.
struct List;

impl Route for List {
    const CODES: &'static [Code] = &[Code::Unauthorized];
}

/// List the policies of your tenant.
///
/// For a category in which the tenant has its own policies, only those apply.
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", operation_id = "list_policies",
    responses((status = 200, description = "The policies", body = PolicyList), Problems<List>),
)]
pub async fn list(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
) -> Json<PolicyList> {
    let policies = app.rulebook(&identity.tenant_id).policies;
    Json(PolicyList {
        policies: policies.iter().cloned().collect(),
    })
}
