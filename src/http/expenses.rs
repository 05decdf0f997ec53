//! Expenses: submit one for a decision, read decisions back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strum::VariantNames;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agent::{Case, JudgedExpense};
use crate::clock::day_of;
use crate::domain::body::{BodyError, FieldError, ID, MAX_ID_CHARS, is_line};
use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::domain::resolution::Resolution;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::submission::{self, Defaults, Submission};
use crate::domain::validation::ValidationType;
use crate::http::AppState;
use crate::http::error::Problem;
use crate::http::limits::{Arrived, JsonBytes};
use crate::http::once;
use crate::ledger::{Entry, Filter, KeyClaim, PageRequest};
use crate::telemetry::identity::{Identity, as_user};
use crate::telemetry::projections::server::{Decided, RequestTrace};

/// Decisions on a page when the caller does not say.
const DEFAULT_PAGE: u32 = 50;
/// Decisions on a page at most.
const MAX_PAGE: u32 = 200;

/// A decision, and where its trace can be looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionBody {
    /// The decision.
    #[serde(flatten)]
    #[schema(inline, value_type = Decision)]
    pub decision: Arc<Decision>,
    /// How a person settled it; absent when nobody has.
    pub resolution: Option<Resolution>,
    /// Opens the trace, when a trace UI is configured; the decision itself, when its trace is not
    /// kept.
    pub trace_url: Option<String>,
}

impl DecisionBody {
    /// What is shown of a decision.
    pub fn new(
        app: &AppState,
        Entry {
            decision,
            resolution,
        }: Entry,
    ) -> Self {
        let trace_url =
            app.config
                .trace_url
                .as_ref()
                .map(|url| match app.sampling.keeps(&decision) {
                    true => url.of(&decision.trace_id),
                    false => path_of(&decision),
                });
        Self {
            decision: Arc::new(decision),
            resolution,
            trace_url,
        }
    }
}

/// Where a decision can be read again.
fn path_of(decision: &Decision) -> String {
    format!("/v1/expenses/{}", decision.id)
}

/// A page of decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionPage {
    /// The decisions.
    pub decisions: Vec<DecisionBody>,
    /// Pass it as `cursor` for the next page; absent on the last one.
    pub next_cursor: Option<Uuid>,
}

/// Decide one expense.
///
/// Classifies it, looks its policy up, asks the model, and lets policy code decide. Denials and
/// reviews are decisions too, so they are answered with 201.
#[utoipa::path(
    post, path = "/v1/expenses", tag = "expenses", request_body = Submission,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: the same key and body get the same decision")),
    responses(
        (status = 201, description = "The decision, already in the ledger", body = DecisionBody),
        (status = 400, description = "Not JSON, or an idempotency key that is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The idempotency key was used with another body", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON by its type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields that cannot be taken, all listed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Overloaded, out of time, or without a ledger", body = Problem, content_type = "application/problem+json"),
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
    let key = once::key(&headers)?;
    let received_at = app.clock.now();
    let defaults = Defaults {
        date: day_of(received_at),
        user_id: identity.user_id,
    };
    let submission::Submitted {
        expense,
        fingerprint,
    } = submission::parse(&body, defaults)
        .map_err(|error| Problem::body(error, "invalid_expense"))?;
    trace.is_about(&expense.user_id);
    let expense = if app.config.redacts_ledger {
        expense.redacted()
    } else {
        expense
    };
    let refunds = match expense.refunds {
        Some(id) => Some(Box::new(
            purchase(&app, &identity.tenant_id, id, &expense).await?,
        )),
        None => None,
    };
    // A queue would only make all requests late. The place is taken once the body is here, so that
    // slow uploads take none, and given back when the decision is recorded, whatever the client
    // does.
    let place = app
        .permits
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::overloaded())?;
    let key = key.map(|key| KeyClaim {
        tenant_id: identity.tenant_id.clone(),
        key,
        fingerprint,
        // Twice the deadline: who holds the key longer is gone.
        leased_until: received_at + app.config.deadline * 2,
        expires_at: received_at + app.config.key_retention,
    });
    // A tenth of the time is kept for the ledger and the way back.
    let model_time = app.config.deadline * 9 / 10;
    let case = Case {
        id: Uuid::now_v7(),
        received_at,
        trace_id: trace.trace_id,
        span_id: trace.span_id,
        model_deadline: arrived.0 + model_time,
        idempotency: key,
        judged: JudgedExpense {
            today: day_of(received_at),
            rulebook: app.folder.now().value.rulebook(&identity.tenant_id).clone(),
            tenant_id: identity.tenant_id,
            expense,
        },
        refunds,
    };
    // In a task of its own: a client that goes away does not stop a decision that was accepted.
    let (shared, deadline) = (Arc::clone(&app), arrived.0 + app.config.deadline);
    let user_id = case.judged.expense.user_id.clone();
    let work = app.decisions.spawn(as_user(&user_id, async move {
        let answer = once::decide(&shared.agent, &shared.clock, case, deadline, model_time).await;
        drop(place);
        answer
    }));
    let answer = work
        .await
        .map_err(|error| Problem::internal(error.to_string()))??;
    let body = DecisionBody::new(&app, answer.entry);
    let decision = Arc::clone(&body.decision);
    let location = path_of(&decision);
    let replay = answer.is_replay.then_some([(once::REPLAYED, "true")]);
    let headers = [(header::LOCATION, location)];
    Ok((
        StatusCode::CREATED,
        headers,
        replay,
        Extension(Decided(decision)),
        Json(body),
    )
        .into_response())
}

/// The purchase that a credit refunds.
async fn purchase(
    app: &AppState,
    tenant_id: &str,
    id: Uuid,
    credit: &Expense,
) -> Result<Entry, Problem> {
    let of_this_credit = |entry: &Entry| {
        let purchase = &entry.decision.expense;
        (&purchase.user_id, purchase.currency, purchase.refunds)
            == (&credit.user_id, credit.currency, None)
    };
    let entry = app
        .agent
        .ledger
        .get(tenant_id, id)
        .await?
        .filter(of_this_credit);
    let is_open = |entry: &Entry| {
        entry.decision.outcome == Outcome::NeedsReview && entry.resolution.is_none()
    };
    let message = match entry {
        Some(entry) if !is_open(&entry) => return Ok(entry),
        // An approval would take all of it, whatever has come back by then.
        Some(_) => {
            "this purchase waits for its review; have that settled first, then send the credit"
        }
        None => {
            "this employee has no such purchase in this currency; write the id that it was answered with"
        }
    };
    let fault = FieldError {
        field: "refunds".to_owned(),
        message: message.to_owned(),
    };
    Err(Problem::body(
        BodyError::Fields(vec![fault]),
        "invalid_expense",
    ))
}

/// Read a decision again, with every step, check, token count and cost.
#[utoipa::path(
    get, path = "/v1/expenses/{id}", tag = "expenses",
    params(("id" = String, Path, description = "The decision's id")),
    responses(
        (status = 200, description = "The decision", body = DecisionBody),
        (status = 400, description = "An id that is no text", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such decision", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Out of time, or without a ledger", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<DecisionBody>, Problem> {
    let entry = find(&app, &identity.tenant_id, &id).await?;
    Ok(Json(DecisionBody::new(&app, entry)))
}

/// A decision of a tenant by its id, as it stands in a path.
///
/// # Errors
/// When there is none, or the ledger fails.
pub async fn find(app: &AppState, tenant_id: &str, id: &str) -> Result<Entry, Problem> {
    let entry = match id.parse::<Uuid>() {
        Ok(id) => app.agent.ledger.get(tenant_id, id).await?,
        Err(_) => None,
    };
    let not_found = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no decision with this id",
        )
    };
    entry.ok_or_else(not_found)
}

/// List decisions, newest first.
#[utoipa::path(
    get, path = "/v1/expenses", tag = "expenses", operation_id = "list_expenses",
    params(
        ("outcome" = Option<Outcome>, Query, description = "Only decisions with this outcome"),
        ("category" = Option<String>, Query, description = "Only decisions of this category"),
        ("user_id" = Option<String>, Query, description = "Only decisions of this employee"),
        ("failed_validation" = Option<ValidationType>, Query, description = "Only decisions in which this check finally failed"),
        ("pending" = Option<Role>, Query, description = "Only decisions that are open and that this role can settle, where no lower one can"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Decisions on the page: 1 to 200, 50 by default", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of decisions", body = DecisionPage),
        (status = 400, description = "A filter or a cursor that does not exist", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is in force, where one is asked for", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Out of time, or without a ledger", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<DecisionPage>, Problem> {
    let (filter, page) = parse_query(&parameters)?;
    let tenant_id = &identity.tenant_id;
    if let Some(cursor) = page.after
        && app.agent.ledger.get(tenant_id, cursor).await?.is_none()
    {
        return Err(unknown_cursor());
    }
    let page = app.agent.ledger.list(tenant_id, &filter, page).await?;
    let decisions = page
        .entries
        .into_iter()
        .map(|entry| DecisionBody::new(&app, entry))
        .collect();
    Ok(Json(DecisionPage {
        decisions,
        next_cursor: page.next,
    }))
}

fn parse_query(parameters: &[(String, String)]) -> Result<(Filter, PageRequest), Problem> {
    let mut filter = Filter::default();
    let mut page = PageRequest {
        after: None,
        limit: DEFAULT_PAGE,
    };
    let unknown = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "unknown_filter", detail);
    for (index, (name, value)) in parameters.iter().enumerate() {
        if parameters[..index]
            .iter()
            .any(|(earlier, _)| earlier == name)
        {
            return Err(unknown(format!("`{name}` is given twice; write it once")));
        }
        let refused =
            |accepted: String| unknown(format!("`{name}` cannot be \"{value}\"; write {accepted}"));
        let line = || {
            let no_line = || unknown(format!("`{name}` cannot be \"{value}\"; {ID}"));
            is_line(value, MAX_ID_CHARS)
                .then(|| value.clone())
                .ok_or_else(no_line)
        };
        match name.as_str() {
            "outcome" => {
                let outcome = value
                    .parse()
                    .map_err(|_| refused(format!("one of {}", Outcome::VARIANTS.join(", "))))?;
                filter.outcome = Some(outcome);
            }
            "failed_validation" => {
                let variants =
                    || refused(format!("one of {}", ValidationType::VARIANTS.join(", ")));
                filter.failed_validation = Some(value.parse().map_err(|_| variants())?);
            }
            "pending" => {
                let role = value
                    .parse()
                    .map_err(|_| refused(format!("one of {}", Role::VARIANTS.join(", "))))?;
                filter.pending = Some(role);
            }
            "category" => filter.category = Some(line()?),
            "user_id" => filter.user_id = Some(line()?),
            "cursor" => page.after = Some(value.parse().map_err(|_| unknown_cursor())?),
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_PAGE).contains(limit));
                page.limit =
                    limit.ok_or_else(|| refused(format!("a number from 1 to {MAX_PAGE}")))?;
            }
            _ => {
                return Err(unknown(format!(
                    "`{name}` is no filter; there are outcome, category, user_id, failed_validation, pending, cursor and limit"
                )));
            }
        }
    }
    Ok((filter, page))
}

fn unknown_cursor() -> Problem {
    let detail =
        "this cursor is unknown; pass the `next_cursor` of a page, or none for the first page";
    Problem::new(StatusCode::BAD_REQUEST, "unknown_cursor", detail)
}
