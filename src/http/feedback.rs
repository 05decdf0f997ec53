//! Feedback: people say what they think of a decision, change it, take it back, and read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strum::VariantNames;
use utoipa::ToSchema;

use crate::agent::feedback::{FeedbackError, Given, Request};
use crate::agent::people::ActorError;
use crate::domain::body::{FieldError, ID, MAX_ID_CHARS, is_line};
use crate::domain::feedback::{self, Feedback, FeedbackName, FeedbackRequest};
use crate::http::AppState;
use crate::http::docs::{Problems, Route};
use crate::http::error::{Code, Problem};
use crate::http::expenses::find;
use crate::http::idempotency::REPLAYED;
use crate::http::limits::JsonBytes;
use crate::http::resolutions::no_key;
use crate::keys::identity::Identity;
use crate::ledger::StoredDecision;
use crate::redact::redact;
use crate::telemetry::projections::server::RequestTrace;

/// What people said of a decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackList {
    /// What holds: what the resolution implies, then what people said, the earliest first.
    pub feedback: Vec<Feedback>,
}

/// `GET /v1/expenses/{id}/feedback`.
struct List;

impl Route for List {
    const CODES: &'static [Code] = &[
        Code::MalformedRequest,
        Code::Unauthorized,
        Code::NotFound,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Read the feedback on a decision, with what its resolution implies.
#[utoipa::path(
    get, path = "/v1/expenses/{id}/feedback", tag = "expenses", operation_id = "list_feedback",
    params(("id" = String, Path, description = "The decision's id")),
    responses((status = 200, description = "The feedback that holds", body = FeedbackList), Problems<List>),
)]
pub async fn list(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<FeedbackList>, Problem> {
    let stored = find(&app, &identity, &id).await?;
    let feedback = app.agent.ledger.feedback(&stored).await?;
    Ok(Json(FeedbackList { feedback }))
}

/// `PUT /v1/expenses/{id}/feedback/{name}`.
struct Give;

impl Route for Give {
    const CODES: &'static [Code] = &[
        Code::NotJson,
        Code::BodyCutOff,
        Code::MalformedRequest,
        Code::Unauthorized,
        Code::RoleMissing,
        Code::AnotherActor,
        Code::NotFound,
        Code::NoSuchRoute,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::InvalidFeedback,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Say what is right or wrong with a decision.
///
/// A person has one say under each name: another one takes its place. No role is needed, and the
/// employee may say something too. The decision stays as it is.
#[utoipa::path(
    put, path = "/v1/expenses/{id}/feedback/{name}", tag = "expenses", operation_id = "give_feedback",
    request_body = FeedbackRequest,
    params(
        ("id" = String, Path, description = "The decision's id"),
        ("name" = FeedbackName, Path, description = "What the feedback is about"),
    ),
    responses(
        (
            status = 200, description = "The feedback, recorded in the ledger", body = Feedback,
            headers(("idempotency-replayed" = String, description = "`true` if the person had said the same before")),
        ),
        Problems<Give>,
    ),
)]
pub async fn give(
    State(app): State<Arc<AppState>>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    Path((id, name)): Path<(String, String)>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let name = parse_name(&name)?;
    let stored = find(&app, &identity, &id).await?;
    let mut wanted = feedback::parse(&body, name)
        .map_err(|error| Problem::body(error, Code::InvalidFeedback))?;
    if app.config.redacts_ledger {
        wanted.comment = wanted.comment.map(|text| redact(&text).into_owned());
    }
    let given = record(&app, trace, identity, stored, (name, wanted)).await?;
    let replay = given.record_hash.is_none().then_some([(REPLAYED, "true")]);
    Ok((replay, Json(given.feedback)).into_response())
}

/// `DELETE /v1/expenses/{id}/feedback/{name}`.
struct TakeBack;

impl Route for TakeBack {
    const CODES: &'static [Code] = &[
        Code::MalformedRequest,
        Code::UnknownFilter,
        Code::Unauthorized,
        Code::RoleMissing,
        Code::AnotherActor,
        Code::NotFound,
        Code::NoSuchRoute,
        Code::InvalidFeedback,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Take back what a person said of a decision.
///
/// The record stays in the ledger, with one that takes it back. Without feedback under this name,
/// nothing happens.
#[utoipa::path(
    delete, path = "/v1/expenses/{id}/feedback/{name}", tag = "expenses", operation_id = "take_feedback_back",
    params(
        ("id" = String, Path, description = "The decision's id"),
        ("name" = FeedbackName, Path, description = "What the feedback is about"),
        ("actor" = Option<String>, Query, description = "The person who gave it. Default: the user of the key"),
    ),
    responses(
        (status = 204, description = "The person has no feedback under this name"),
        Problems<TakeBack>,
    ),
)]
pub async fn take_back(
    State(app): State<Arc<AppState>>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    Path((id, name)): Path<(String, String)>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<StatusCode, Problem> {
    let name = parse_name(&name)?;
    let stored = find(&app, &identity, &id).await?;
    let wanted = FeedbackRequest {
        label: None,
        comment: None,
        actor: parse_actor(&parameters)?,
    };
    record(&app, trace, identity, stored, (name, wanted)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Records what a person says.
async fn record(
    app: &AppState,
    trace: RequestTrace,
    identity: Identity,
    stored: StoredDecision,
    (name, wanted): (FeedbackName, FeedbackRequest),
) -> Result<Given, Problem> {
    let api_key = identity.api_key.clone();
    let api_key = api_key.ok_or_else(|| no_key(&app.access))?;
    let actor = identity.actor(wanted.actor.as_deref()).to_owned();
    trace.set_employee(&actor);
    let request = Request {
        stored,
        name,
        wanted,
        api_key,
        rulebook: app.rulebook(&identity.tenant_id),
        trace_id: trace.trace_id,
        received_at: app.clock.now(),
    };
    let agent = app.agent.clone();
    let work = async move { agent.give_feedback(&request).await };
    Ok(app.detached(&actor, work).await??)
}

/// The name in a path. Another one is a path that does not exist.
fn parse_name(text: &str) -> Result<FeedbackName, Problem> {
    text.parse().map_err(|_| {
        let names = FeedbackName::VARIANTS.join(", ");
        let detail = format!("feedback has no such name; write one of {names}");
        Problem::new(Code::NoSuchRoute, detail)
    })
}

/// The parameter `actor` of a query, at most once.
fn parse_actor(parameters: &[(String, String)]) -> Result<Option<String>, Problem> {
    match parameters {
        [] => Ok(None),
        [(name, actor)] if name == "actor" && is_line(actor, MAX_ID_CHARS) => {
            Ok(Some(actor.clone()))
        }
        [(name, _)] if name == "actor" => Err(unknown(&format!("`actor` is no name; {ID}"))),
        _ => Err(unknown(
            "the only parameter is `actor`; write it at most once",
        )),
    }
}

fn unknown(detail: &str) -> Problem {
    Problem::new(Code::UnknownFilter, detail)
}

impl From<FeedbackError> for Problem {
    fn from(error: FeedbackError) -> Self {
        let message = error.to_string();
        let field = match error {
            FeedbackError::Actor(ActorError::Another(_)) => {
                return Self::new(Code::AnotherActor, message);
            }
            FeedbackError::Ledger(error) => return error.into(),
            FeedbackError::Actor(ActorError::Unnamed) => "actor",
            FeedbackError::UnknownCategory(_) => "label",
        };
        let detail = "one field of the feedback cannot be accepted";
        Self {
            errors: vec![FieldError {
                field: field.to_owned(),
                message,
            }],
            ..Self::new(Code::InvalidFeedback, detail)
        }
    }
}
