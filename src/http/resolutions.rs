//! Resolutions: a person settles an expense that the machine left open.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::agent::resolve::{Request, ResolveError, Resolved};
use crate::domain::body::FieldError;
use crate::domain::resolution::{self, ResolutionRequest};
use crate::http::AppState;
use crate::http::error::Problem;
use crate::http::expenses::{DecisionBody, find};
use crate::http::limits::JsonBytes;
use crate::http::once;
use crate::ledger::Entry;
use crate::redact::redact;
use crate::telemetry::identity::{Identity, as_user};
use crate::telemetry::projections::server::RequestTrace;

/// Settle an expense that needs approval or review.
///
/// The person's key has to have the role that the expense asks for, or a higher one, and nobody
/// settles an expense of his own. Denying and withdrawing give the expense's share of the caps
/// back. The same settlement sent again is answered again.
#[utoipa::path(
    post, path = "/v1/expenses/{id}/resolution", tag = "expenses", operation_id = "resolve_expense",
    request_body = ResolutionRequest,
    params(("id" = String, Path, description = "The decision's id")),
    responses(
        (status = 201, description = "The decision, settled", body = DecisionBody),
        (status = 400, description = "Not JSON, or an id that is no text", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not this person's to settle, or not above this cap", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such decision", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not open, or settled by somebody else", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON by its type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields that cannot be taken, all listed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Out of time, or without a ledger", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Arc<AppState>>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let key = identity.key.ok_or_else(|| {
        let detail = "roles come from API keys, and this service has none; name a file of keys with --api-keys";
        Problem::new(StatusCode::FORBIDDEN, "role_missing", detail)
    })?;
    let entry = find(&app, &identity.tenant_id, &id).await?;
    let mut wanted = resolution::parse(&body, entry.decision.expense.currency)
        .map_err(|error| Problem::body(error, "invalid_resolution"))?;
    if app.config.redacts_ledger {
        wanted.reason = redact(&wanted.reason).into_owned();
    }
    let actor = key.user_id.clone().or_else(|| wanted.actor.clone());
    let actor = actor.unwrap_or(identity.user_id);
    trace.is_about(&actor);
    let rulebook = app.folder.now().value.rulebook(&identity.tenant_id).clone();
    let request = Request {
        entry,
        wanted,
        api_key: key,
        rulebook,
        trace_id: trace.trace_id,
        received_at: app.clock.now(),
    };
    // In a task of its own, as decisions are: a client that goes away does not stop it half way.
    let agent = app.agent.clone();
    let work = app.decisions.spawn(as_user(
        &actor,
        async move { agent.resolve(&request).await },
    ));
    let resolved = work
        .await
        .map_err(|error| Problem::internal(error.to_string()))??;
    let Resolved {
        decision,
        resolution,
        record_hash,
    } = resolved;
    let replay = record_hash.is_none().then_some([(once::REPLAYED, "true")]);
    let entry = Entry {
        decision,
        resolution: Some(resolution),
    };
    Ok((
        StatusCode::CREATED,
        replay,
        Json(DecisionBody::new(&app, entry)),
    )
        .into_response())
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Forbidden { code, detail } => {
                Self::new(StatusCode::FORBIDDEN, code, detail)
            }
            ResolveError::Conflict { code, detail } => {
                Self::new(StatusCode::CONFLICT, code, detail)
            }
            ResolveError::Field { field, message } => {
                let errors = vec![FieldError {
                    field: field.to_owned(),
                    message,
                }];
                let detail = "one field of the body does not fit the expense";
                Self {
                    errors,
                    ..Self::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "invalid_resolution",
                        detail,
                    )
                }
            }
            ResolveError::Ledger(error) => error.into(),
        }
    }
}
