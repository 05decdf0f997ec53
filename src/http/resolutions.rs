//! Resolutions: a person resolves a decision that the agent left open.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::agent::resolve::refusal::ResolveError;
use crate::agent::resolve::{Request, Resolved};
use crate::domain::body::FieldError;
use crate::domain::resolution::{self, ResolutionRequest};
use crate::http::AppState;
use crate::http::docs::{Problems, Route};
use crate::http::error::{Code, Problem};
use crate::http::expenses::{DecisionBody, find};
use crate::http::idempotency::REPLAYED;
use crate::http::limits::JsonBytes;
use crate::keys::access::Access;
use crate::keys::identity::Identity;
use crate::redact::redact;
use crate::telemetry::projections::server::{RequestTrace, Settled};

/// `POST /v1/expenses/{id}/resolution`.
struct Create;

impl Route for Create {
    const CODES: &'static [Code] = &[
        Code::NotJson,
        Code::BodyCutOff,
        Code::MalformedRequest,
        Code::Unauthorized,
        Code::RoleMissing,
        Code::RoleTooLow,
        Code::OwnExpense,
        Code::AnotherActor,
        Code::ExceptionNeeded,
        Code::NotFound,
        Code::AlreadyApproved,
        Code::NotOpen,
        Code::AlreadySettled,
        Code::AlreadySuperseded,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::InvalidResolution,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Resolve an expense that needs approval or review.
///
/// The API key needs the role that the expense asks for, or a higher one. If the expense asks for
/// several in a row, it stays open until each has approved, and no person approves twice; one denial
/// ends it. People cannot approve or deny an expense of their own, or one that they handed in, but they can withdraw it. Denying or
/// withdrawing an expense returns what it used of the caps. The same resolution sent again gets the
/// same answer.
#[utoipa::path(
    post, path = "/v1/expenses/{id}/resolution", tag = "expenses", operation_id = "resolve_expense",
    request_body = ResolutionRequest,
    params(("id" = String, Path, description = "The decision's id")),
    responses(
        (
            status = 201, description = "The decision and its resolution", body = DecisionBody,
            headers(("idempotency-replayed" = String, description = "`true` if an earlier request resolved it in the same way")),
        ),
        Problems<Create>,
    ),
)]
pub async fn create(
    State(app): State<Arc<AppState>>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let api_key = identity.api_key.clone();
    let api_key = api_key.ok_or_else(|| no_key(&app.access))?;
    let stored = find(&app, &identity, &id).await?;
    let mut wanted = resolution::parse(&body, stored.decision.expense.currency)
        .map_err(|error| Problem::body(error, Code::InvalidResolution))?;
    if app.config.redacts_ledger {
        wanted.reason = redact(&wanted.reason).into_owned();
    }
    let actor = identity.actor(wanted.actor.as_deref()).to_owned();
    trace.set_employee(&actor);
    let request = Request {
        stored,
        wanted,
        api_key,
        rulebook: app.rulebook(&identity.tenant_id),
        trace_id: trace.trace_id,
        received_at: app.clock.now(),
    };
    let agent = app.agent.clone();
    let work = async move { agent.resolve(&request).await };
    let resolved = app.detached(&actor, work).await??;
    Ok(created(&app, resolved))
}

/// The caller has no key, so it is not known who acts and in which role.
pub(super) fn no_key(access: &Access) -> Problem {
    let detail = match access.local_key() {
        Some(_) => {
            "the key says who acts, and in which role; send the local key, which the service prints when it starts, as \
             `Authorization: Bearer KEY`"
        }
        None => {
            "the key says who acts, and in which role, and this service has none; name a file of keys with --api-keys, \
             or have it make a key with --local-key"
        }
    };
    Problem::new(Code::RoleMissing, detail)
}

fn created(app: &AppState, resolved: Resolved) -> Response {
    // Only the request that recorded the resolution knows the hash of its record, so an answer
    // without a hash is a replay.
    let replay = resolved
        .record_hash
        .is_none()
        .then_some([(REPLAYED, "true")]);
    let body = DecisionBody::new(app, resolved.stored);
    let settled = Settled {
        decision: Arc::clone(&body.decision),
        resolution: Box::new(resolved.resolution),
    };
    (StatusCode::CREATED, replay, Extension(settled), Json(body)).into_response()
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Refused { refusal, detail } => Self::new(refusal.into(), detail),
            ResolveError::Field { field, message } => {
                let detail = "one field of the body does not fit the expense";
                let field = field.to_owned();
                Self {
                    errors: vec![FieldError { field, message }],
                    ..Self::new(Code::InvalidResolution, detail)
                }
            }
            ResolveError::Ledger(error) => error.into(),
        }
    }
}
