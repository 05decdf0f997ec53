//! Expenses: submit one for a decision, and read a decision back. The list of them is in
//! `listing`, what an idempotency key does in `idempotency`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agent::{Case, JudgedExpense};
use crate::clock::day_of;
use crate::config::trace_url::TraceUrl;
use crate::domain::body::uuid;
use crate::domain::decision::{Decision, Submitter};
use crate::domain::expense::ANONYMOUS;
use crate::domain::resolution::Resolution;
use crate::domain::ruling::Role;
use crate::domain::submission::{self, Defaults, Submission};
use crate::http::AppState;
use crate::http::docs::{Problems, Route};
use crate::http::earlier::{plan_of, purchase_of, seen, superseded};
use crate::http::employee_group;
use crate::http::error::{Code, Problem};
use crate::http::idempotency::{self, Answer, MAX_KEY_CHARS, REPLAYED};
use crate::http::limits::{Arrived, JsonBytes};
use crate::keys::identity::Identity;
use crate::ledger::{KeyClaim, StoredDecision};
use crate::spelling::is_same_person;
use crate::telemetry::projections::server::{Decided, RequestTrace};

/// A decision, and where to see its trace.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionBody {
    /// The decision.
    #[serde(flatten)]
    #[schema(inline, value_type = Decision)]
    pub decision: Arc<Decision>,
    /// The lowest role that can act on it next; absent once it waits for nobody.
    pub pending: Option<Role>,
    /// Of an expense that several roles approve in a row: the approvals so far, the earliest first,
    /// without the one that ended it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Resolution>,
    /// How a person resolved it; absent while it is open, or when no resolution is needed.
    pub resolution: Option<Resolution>,
    /// The decision that superseded it, when the expense was decided anew.
    pub superseded_by: Option<Uuid>,
    /// Of a plan: the decision on its purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fulfilled_by: Option<Uuid>,
    /// Link to the trace when a trace UI is configured; to the decision itself when its trace is
    /// not kept.
    pub trace_url: Option<String>,
    /// Link to the decision on the page, when the service has a page and its address is known.
    pub page_url: Option<String>,
}

impl DecisionBody {
    /// The body that shows a decision.
    pub fn new(app: &AppState, stored: StoredDecision) -> Self {
        let pending = stored.pending();
        let StoredDecision {
            decision,
            approvals,
            resolution,
            superseded_by,
            fulfilled_by,
        } = stored;
        let link = |url: &TraceUrl| match app.sampling.keeps(&decision) {
            true => url.of(&decision.trace_id),
            false => path_of(&decision),
        };
        Self {
            page_url: app.page_url(&decision),
            trace_url: app.config.trace_url.as_ref().map(link),
            decision: Arc::new(decision),
            pending,
            approvals,
            resolution,
            superseded_by,
            fulfilled_by,
        }
    }
}

/// The path at which a decision can be read again.
fn path_of(decision: &Decision) -> String {
    format!("/v1/expenses/{}", decision.id)
}

/// `POST /v1/expenses`.
struct Create;

impl Route for Create {
    const CODES: &'static [Code] = &[
        Code::NotJson,
        Code::BodyCutOff,
        Code::InvalidIdempotencyKey,
        Code::Unauthorized,
        Code::AlreadySettled,
        Code::AlreadySuperseded,
        Code::HasAdvice,
        Code::IdempotencyConflict,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::InvalidExpense,
        Code::Overloaded,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Decide one expense.
///
/// Classifies the expense, looks up its policy, asks the model for advice, and lets policy code
/// decide. Denials and reviews are decisions too, so they are answered with 201.
#[utoipa::path(
    post, path = "/v1/expenses", tag = "expenses", request_body = Submission,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; requests with the same key and body get the same decision")),
    responses(
        (
            status = 201, description = "The decision, recorded in the ledger", body = DecisionBody,
            headers(
                ("location" = String, description = "The path at which the decision can be read again"),
                ("idempotency-replayed" = String, description = "`true` if an earlier request with the key came to the decision"),
            ),
            links(
                ("read" = (operation_id = "get", parameters(("id" = "$response.body#/id")))),
                ("resolve" = (operation_id = "resolve_expense", parameters(("id" = "$response.body#/id")))),
                ("read_feedback" = (operation_id = "list_feedback", parameters(("id" = "$response.body#/id")))),
                ("give_feedback" = (operation_id = "give_feedback", parameters(("id" = "$response.body#/id")))),
                ("take_feedback_back" = (operation_id = "take_feedback_back", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        Problems<Create>,
    ),
)]
pub async fn create(
    State(app): State<Arc<AppState>>,
    Extension(trace): Extension<RequestTrace>,
    Extension(identity): Extension<Identity>,
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers, MAX_KEY_CHARS)?;
    let received_at = app.clock.now();
    let defaults = Defaults {
        date: day_of(received_at),
        user_id: identity.user_id.clone(),
    };
    let mut submitted = submission::parse(&body, defaults)
        .map_err(|error| Problem::body(error, Code::InvalidExpense))?;
    trace.set_employee(&submitted.expense.user_id);
    let submitted_by = submitter(&identity, &submitted.expense.user_id);
    let tenant_id = identity.tenant_id.clone();
    let idempotency = key.map(|key| KeyClaim {
        tenant_id: tenant_id.clone(),
        key,
        // Of the body as it was sent, before anything is redacted.
        fingerprint: submitted.fingerprint(),
        // Twice the deadline: a request that holds the key for longer is gone.
        leased_until: received_at + app.config.deadline * 2,
        expires_at: received_at + app.config.key_retention,
    });
    let supersedes = superseded(&app, &identity, &mut submitted).await?;
    let rulebook = app.rulebook(&tenant_id);
    let people = rulebook.people.as_deref();
    employee_group::settle(identity.api_key.as_deref(), people, &mut submitted.expense)?;
    let expense = match app.config.redacts_ledger {
        true => submitted.expense.redacted(),
        false => submitted.expense,
    };
    let refunds = purchase_of(&app, &identity, &expense).await?;
    let plan = plan_of(&app, &identity, &expense).await?;
    let permit = permit(&app)?;
    let case = Case {
        id: Uuid::now_v7(),
        received_at,
        submitted_by,
        trace_id: trace.trace_id,
        span_id: trace.span_id,
        agent_span_id: None,
        model_deadline: arrived.0 + model_time(&app),
        idempotency,
        judged: JudgedExpense {
            arrived: arrived.0,
            today: day_of(received_at),
            rulebook,
            tenant_id,
            expense,
            plan,
        },
        refunds,
        supersedes,
    };
    let answer = decide(&app, case, permit, arrived).await?;
    // Another person may have handed in the same expense with the same key.
    let may_be_hidden = answer.is_replay && identity.own_only().is_some();
    let id = answer.stored.decision.id;
    if may_be_hidden && seen(&app, &identity, id).await?.is_none() {
        return Err(idempotency::other_body());
    }
    Ok(created(&app, answer))
}

/// The submitter of an expense of this employee; `None` where no key is required.
fn submitter(identity: &Identity, employee: &str) -> Option<Submitter> {
    let api_key = identity.api_key.as_deref()?;
    // Only a program may name the person for whom it acts: the key of a person already does.
    let is_other = |user_id: &&String| {
        api_key.user_id.is_none() && *user_id != ANONYMOUS && !is_same_person(user_id, employee)
    };
    Some(Submitter {
        api_key: api_key.id.clone(),
        user_id: api_key.user_id.clone(),
        baggage_user_id: Some(&identity.user_id).filter(is_other).cloned(),
    })
}

/// A permit for one decision. A request beyond the limit is refused and does not queue: a queue
/// would delay every request behind it. The permit is acquired after the body was read, so that
/// slow uploads hold none.
fn permit(app: &AppState) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = app.permits.clone().try_acquire_owned();
    permit.map_err(|_| Problem::overloaded())
}

/// The part of the deadline that the model may use. The rest is for the ledger and the response.
fn model_time(app: &AppState) -> Duration {
    app.config.deadline * 9 / 10
}

/// Decides, and holds the permit until the decision is recorded, even if the client disconnects.
async fn decide(
    app: &Arc<AppState>,
    case: Case,
    permit: OwnedSemaphorePermit,
    arrived: Arrived,
) -> Result<Answer, Problem> {
    let shared = Arc::clone(app);
    let user_id = case.judged.expense.user_id.clone();
    let work = async move {
        let deadline = arrived.0 + shared.config.deadline;
        let model_time = model_time(&shared);
        let answer =
            idempotency::decide(&shared.agent, &shared.clock, case, deadline, model_time).await;
        drop(permit);
        answer
    };
    app.detached(&user_id, work).await?
}

fn created(app: &AppState, answer: Answer) -> Response {
    let body = DecisionBody::new(app, answer.stored);
    // Not `axum::Json`: for the hundreds of small pieces, its buffer takes twice as long as a
    // `Vec`, which has room for most decisions from the start.
    let mut json = Vec::with_capacity(8 << 10);
    serde_json::to_writer(&mut json, &body)
        .expect("a decision is texts, numbers and lists of them");
    let head = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::LOCATION, path_of(&body.decision)),
    ];
    let replay = answer.is_replay.then_some([(REPLAYED, "true")]);
    let decided = Extension(Decided(Arc::clone(&body.decision)));
    (StatusCode::CREATED, head, replay, decided, json).into_response()
}

/// `GET /v1/expenses/{id}`.
struct Get;

impl Route for Get {
    const CODES: &'static [Code] = &[
        Code::MalformedRequest,
        Code::Unauthorized,
        Code::NotFound,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// Read a decision, with every step, check, token count and cost.
#[utoipa::path(
    get, path = "/v1/expenses/{id}", tag = "expenses",
    params(("id" = String, Path, description = "The decision's id")),
    responses((status = 200, description = "The decision", body = DecisionBody), Problems<Get>),
)]
pub async fn get(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<DecisionBody>, Problem> {
    let stored = find(&app, &identity, &id).await?;
    Ok(Json(DecisionBody::new(&app, stored)))
}

/// A decision that the caller may see, by the id in a path.
///
/// # Errors
/// When there is no such decision, or the ledger fails.
pub async fn find(
    app: &AppState,
    identity: &Identity,
    id: &str,
) -> Result<StoredDecision, Problem> {
    let stored = match uuid(id) {
        Some(id) => seen(app, identity, id).await?,
        None => None,
    };
    stored.ok_or_else(|| Problem::new(Code::NotFound, "there is no decision with this id"))
}
