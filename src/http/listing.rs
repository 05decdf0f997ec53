//! The list of decisions: its filters, its pages, and how a query is read.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, State};
use serde::Serialize;
use strum::VariantNames;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::body::{ID, MAX_ID_CHARS, is_line, uuid};
use crate::domain::ruling::{Outcome, Role};
use crate::domain::validation::ValidationType;
use crate::http::AppState;
use crate::http::docs::{Problems, Route};
use crate::http::earlier::seen;
use crate::http::error::{Code, Problem};
use crate::http::expenses::DecisionBody;
use crate::keys::identity::Identity;
use crate::ledger::{Filter, PageRequest};

/// Decisions on a page by default.
const DEFAULT_PAGE: u32 = 50;
/// The most decisions on a page.
const MAX_PAGE: u32 = 200;

/// A page of decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionPage {
    /// The decisions.
    pub decisions: Vec<DecisionBody>,
    /// Pass it as `cursor` to get the next page; absent on the last one.
    pub next_cursor: Option<Uuid>,
}

/// `GET /v1/expenses`.
struct List;

impl Route for List {
    const CODES: &'static [Code] = &[
        Code::UnknownFilter,
        Code::UnknownCursor,
        Code::Unauthorized,
        Code::DeadlineExceeded,
        Code::LedgerUnavailable,
    ];
}

/// List decisions, newest first.
#[utoipa::path(
    get, path = "/v1/expenses", tag = "expenses", operation_id = "list_expenses",
    params(
        ("outcome" = Option<Outcome>, Query, description = "Only decisions with this outcome"),
        ("category" = Option<String>, Query, description = "Only decisions in this category"),
        ("user_id" = Option<String>, Query, description = "Only decisions of this employee"),
        ("failed_validation" = Option<ValidationType>, Query, description = "Only decisions in which this check failed for good"),
        ("pending" = Option<Role>, Query, description = "Only open decisions for which this role is the lowest that can resolve them"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page"),
        ("limit" = Option<u32>, Query, description = "Decisions on a page, 1 to 200; 50 by default", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "A page of decisions", body = DecisionPage), Problems<List>),
)]
pub async fn list(
    State(app): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<DecisionPage>, Problem> {
    let (filter, page) = parse(&parameters)?;
    if let Some(cursor) = page.after
        && seen(&app, &identity, cursor).await?.is_none()
    {
        return Err(unknown_cursor());
    }
    let ledger = &app.agent.ledger;
    let page = ledger
        .list(&identity.tenant_id, identity.own_only(), &filter, page)
        .await?;
    let decisions = page
        .decisions
        .into_iter()
        .map(|stored| DecisionBody::new(&app, stored))
        .collect();
    Ok(Json(DecisionPage {
        decisions,
        next_cursor: page.next,
    }))
}

/// Reads the parameters of a query, each at most once.
///
/// # Errors
/// A problem that names the parameter and what it may be.
pub(crate) fn parse(parameters: &[(String, String)]) -> Result<(Filter, PageRequest), Problem> {
    let mut filter = Filter::default();
    let mut page = PageRequest {
        after: None,
        limit: DEFAULT_PAGE,
    };
    refuse_repeated(parameters)?;
    for (name, value) in parameters {
        let given = Parameter { name, value };
        match name.as_str() {
            "outcome" => filter.outcome = Some(given.variant()?),
            "failed_validation" => filter.failed_validation = Some(given.variant()?),
            "pending" => filter.pending = Some(given.variant()?),
            "category" => filter.category = Some(given.line()?),
            "user_id" => filter.user_id = Some(given.line()?),
            "cursor" => page.after = Some(uuid(value).ok_or_else(unknown_cursor)?),
            "limit" => page.limit = given.limit()?,
            _ => {
                return Err(unknown(format!(
                    "`{name}` is not a filter; filters are outcome, category, user_id, failed_validation, pending, \
                     cursor and limit"
                )));
            }
        }
    }
    Ok((filter, page))
}

/// Refuses parameters of which one is there twice.
///
/// # Errors
/// A problem that names it.
pub(crate) fn refuse_repeated(parameters: &[(String, String)]) -> Result<(), Problem> {
    for (index, (name, _)) in parameters.iter().enumerate() {
        let earlier = &parameters[..index];
        if earlier.iter().any(|(other, _)| other == name) {
            return Err(unknown(format!("`{name}` is repeated; write it once")));
        }
    }
    Ok(())
}

/// One parameter of a query.
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl Parameter<'_> {
    /// One of the values of an enum.
    pub(crate) fn variant<T: FromStr + VariantNames>(&self) -> Result<T, Problem> {
        let parsed = self.value.parse();
        parsed.map_err(|_| self.refused(&format!("write one of {}", T::VARIANTS.join(", "))))
    }

    /// A text of one line.
    pub(crate) fn line(&self) -> Result<String, Problem> {
        match is_line(self.value, MAX_ID_CHARS) {
            true => Ok(self.value.to_owned()),
            false => Err(self.refused(ID)),
        }
    }

    fn limit(&self) -> Result<u32, Problem> {
        let limit = self.value.parse().ok();
        limit
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| self.refused(&format!("write a number from 1 to {MAX_PAGE}")))
    }

    pub(crate) fn refused(&self, accepted: &str) -> Problem {
        let Self { name, value } = self;
        unknown(format!("`{name}` cannot be \"{value}\"; {accepted}"))
    }
}

fn unknown(detail: String) -> Problem {
    Problem::new(Code::UnknownFilter, detail)
}

fn unknown_cursor() -> Problem {
    let detail = "this cursor is unknown; pass the `next_cursor` of a page, or leave it out for the first page";
    Problem::new(Code::UnknownCursor, detail)
}
