//! Reading decisions back: one by id, or pages of them, newest first. A tenant sees only its own.
//! Exports read in the other order, in `export`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::expense::ConvertedAmount;
use crate::domain::resolution::Resolution;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::validation::ValidationType;
use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::statement::{Columns, query};
use crate::ledger::visibility;
use crate::spelling;

/// Which decisions to list: those that pass every filter that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those with this outcome.
    pub outcome: Option<Outcome>,
    /// Those of this category.
    pub category: Option<String>,
    /// Those of this employee, in any spelling.
    pub user_id: Option<String>,
    /// Those in which a check of this type failed and was not repaired.
    pub failed_validation: Option<ValidationType>,
    /// Those that are open, and for which this role is the lowest that can resolve them.
    pub pending: Option<Role>,
    /// Those received at this moment or later.
    pub received_from: Option<Timestamp>,
    /// Those received before this moment.
    pub received_until: Option<Timestamp>,
}

/// A decision as the ledger holds it, with what became of it: what people did, or the decision that
/// superseded it.
#[derive(Clone, Debug)]
pub struct StoredDecision {
    /// The decision.
    pub decision: Decision,
    /// The approvals that others have to follow, the earliest first: of several people who approve in
    /// a row, all but the last.
    pub approvals: Vec<Resolution>,
    /// How a person resolved it.
    pub resolution: Option<Resolution>,
    /// The decision that superseded it.
    pub superseded_by: Option<Uuid>,
    /// The purchase that took over its share, if it is a plan.
    pub fulfilled_by: Option<Uuid>,
}

impl StoredDecision {
    /// A decision that was just made.
    pub fn new(decision: Decision) -> Self {
        Self {
            decision,
            approvals: Vec::new(),
            resolution: None,
            superseded_by: None,
            fulfilled_by: None,
        }
    }

    /// The decision once a person has done this.
    pub fn after(&self, act: Resolution) -> Self {
        let mut after = self.clone();
        match act.is_final() {
            true => after.resolution = Some(act),
            false => after.approvals.push(act),
        }
        after
    }

    /// What people did with it, the earliest first: approvals in a row, then the resolution.
    pub fn acts(&self) -> impl Iterator<Item = &Resolution> {
        self.approvals.iter().chain(&self.resolution)
    }

    /// How often people acted on it.
    pub fn n_acts(&self) -> usize {
        self.acts().count()
    }

    /// The lowest role that can act on it next; absent once it waits for nobody.
    pub fn pending(&self) -> Option<Role> {
        let is_over = self.resolution.is_some() || self.superseded_by.is_some();
        self.pending_after(self.approvals.len())
            .filter(|_| !is_over)
    }

    /// The lowest role that could act on it next after its first `n_approvals` approvals.
    pub fn pending_after(&self, n_approvals: usize) -> Option<Role> {
        let latest = n_approvals.checked_sub(1);
        match latest.and_then(|latest| self.approvals.get(latest)) {
            Some(approval) => approval.awaits.first().copied(),
            None => self.decision.pending(),
        }
    }

    /// The category it is filed under: the one that a person chose, else the decision's.
    pub fn category(&self) -> Option<&str> {
        let chosen = self
            .resolution
            .as_ref()
            .and_then(|resolution| resolution.category.as_deref());
        chosen.or(self.decision.category.as_deref())
    }

    /// Its amount in the currency of its policy, where that differs from the currency of the expense.
    /// Set when a person approved an expense in review, else by the decision.
    pub fn converted_amount(&self) -> Option<&ConvertedAmount> {
        match &self.resolution {
            Some(resolution) if self.decision.outcome == Outcome::NeedsReview => {
                resolution.converted_amount.as_ref()
            }
            _ => self.decision.converted_amount.as_ref(),
        }
    }
}

/// The open decisions that wait for a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many there are.
    pub n_open: u64,
    /// When the oldest was received.
    pub oldest: Option<Timestamp>,
}

/// Which page of a list to read.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// The last decision of the previous page; `None` for the first page.
    pub after: Option<Uuid>,
    /// The largest number of decisions on the page.
    pub limit: u32,
}

/// A page of decisions, and where the next one begins.
#[derive(Clone, Debug)]
pub struct Page {
    /// The decisions, in the order of the list.
    pub decisions: Vec<StoredDecision>,
    /// The `after` of the next page; absent on the last page.
    pub next: Option<Uuid>,
}

impl Page {
    /// The first `limit` of these decisions. That there are more tells that there is a next page.
    pub(super) fn of(mut decisions: Vec<StoredDecision>, limit: u32) -> Self {
        let n_asked = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = decisions.len() > n_asked;
        decisions.truncate(n_asked);
        let last = decisions.last().map(|last| last.decision.id);
        Self {
            next: last.filter(|_| has_more),
            decisions,
        }
    }
}

impl Ledger {
    /// One decision of a tenant.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn get(
        &self,
        tenant_id: &str,
        id: Uuid,
    ) -> Result<Option<StoredDecision>, LedgerError> {
        // A range of one id, so that the database uses the index that begins with the tenant. By
        // the primary key it would fetch another tenant's row and then refuse it, and a caller could
        // tell from the time which ids exist.
        let sql = AssertSqlSafe(format!(
            "{SELECT} WHERE decision.tenant_id = $1 AND decision.id BETWEEN $2 AND $2"
        ));
        let row: Option<Row> = query(sql)
            .bind(tenant_id)
            .bind(id.to_string())
            .fetch_optional(&mut self.pool.acquire().await?)
            .await?;
        row.map(stored_decision).transpose()
    }

    /// A page of a tenant's decisions, without those that were superseded: all of them, or, with
    /// `seen_by`, those that this person may see.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(
        &self,
        tenant_id: &str,
        seen_by: Option<&str>,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page, LedgerError> {
        let rows: Vec<Row> = self.rows(SELECT, tenant_id, seen_by, filter, page).await?;
        let decisions = rows.into_iter().map(stored_decision);
        Ok(Page::of(decisions.collect::<Result<_, _>>()?, page.limit))
    }

    /// The rows of a page, and one more if there is a next page, as this head of the statement reads
    /// them.
    pub(super) async fn rows<T: Columns>(
        &self,
        head: &str,
        tenant_id: &str,
        seen_by: Option<&str>,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Vec<T>, LedgerError> {
        let (sql, values) = select(head, tenant_id, seen_by, filter, page);
        let query = values
            .iter()
            .fold(query(AssertSqlSafe(sql)), |query, value| query.bind(value));
        Ok(query.fetch_all(&mut self.pool.acquire().await?).await?)
    }

    /// What waits for each role, over all tenants. Roles for which nothing waits are absent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pending_by_role(&self) -> Result<BTreeMap<Role, Pending>, LedgerError> {
        let sql = "SELECT pending_role, COUNT(*), MIN(id) FROM decision WHERE pending_role IS NOT NULL GROUP BY pending_role";
        let rows: Vec<(String, i64, String)> = query(sql)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let pending = rows.into_iter().filter_map(|(role, n, oldest)| {
            let pending = Pending {
                n_open: u64::try_from(n).ok()?,
                oldest: oldest.parse().ok().and_then(received_at),
            };
            Some((role.parse().ok()?, pending))
        });
        Ok(pending.collect())
    }
}

/// When the decision with this id was received: ids begin with the time.
fn received_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
}

/// The statement that reads a page, and its values; nothing that a caller sent is part of the SQL.
/// With each filter alone an index finds the page, however many decisions there are. Only a pair of
/// filters that hardly ever match together reads more.
fn select(
    head: &str,
    tenant_id: &str,
    seen_by: Option<&str>,
    filter: &Filter,
    page: PageRequest,
) -> (String, Vec<String>) {
    let columns = column_filters(filter);
    let is_unfiltered = seen_by.is_none() && columns.iter().all(|(_, _, value)| value.is_none());
    let mut sql =
        format!("{head} WHERE decision.tenant_id = $1 AND decision.superseded_by IS NULL");
    let mut values = vec![tenant_id.to_owned()];
    for (column, suffix, value) in columns {
        let Some(value) = value else { continue };
        values.push(value);
        sql.push_str(&format!(" AND {column}{suffix} = ${}", values.len()));
    }
    if let Some(person) = seen_by {
        values.push(spelling::person(person).into_owned());
        sql.push_str(&visibility::condition(values.len()));
    }
    let mut range = String::new();
    let bounds = [
        ("<", page.after),
        ("<", filter.received_until.map(first_id)),
        (">=", filter.received_from.map(first_id)),
    ];
    for (comparison, id) in bounds {
        let Some(id) = id else { continue };
        values.push(id.to_string());
        sql.push_str(&format!(" AND decision.id {comparison} ${}", values.len()));
        range.push_str(&format!(" AND decision_id {comparison} ${}", values.len()));
    }
    // One more than asked for tells whether there is a next page.
    let n_rows = u64::from(page.limit) + 1;
    if let Some(kind) = filter.failed_validation {
        values.push(kind.to_string());
        let failed = format!(
            "SELECT decision_id FROM failed_validation WHERE tenant_id = $1 AND type = ${}{range}",
            values.len()
        );
        // As the only filter it selects the newest failures. With other filters it selects all of them
        // and looks each up in the index of another filter: most decisions pass their checks, so the
        // list is short. `EXISTS` would read the row of every decision that passes the other filters.
        let newest = match is_unfiltered {
            true => format!(" ORDER BY decision_id DESC LIMIT {n_rows}"),
            false => String::new(),
        };
        sql.push_str(&format!(" AND decision.id IN ({failed}{newest})"));
    }
    sql.push_str(&format!(" ORDER BY decision.id DESC LIMIT {n_rows}"));
    (sql, values)
}

/// The filters on columns: each column, an SQL suffix that keeps SQLite from using its index, and
/// the value that it must have.
fn column_filters(filter: &Filter) -> [(&'static str, &'static str, Option<String>); 4] {
    let pending = filter.pending.map(|role| role.to_string());
    // What one employee handed in, or what waits for a role, is a short list, so their indexes come
    // first. SQLite does not know how selective a condition is and might take another index;
    // appending an empty text to a column keeps it from using that column's index.
    let person = filter
        .user_id
        .as_deref()
        .map(|user_id| spelling::person(user_id).into_owned());
    let is_short = filter.user_id.is_some() || pending.is_some();
    let unindexed = |holds| if holds { " || ''" } else { "" };
    [
        ("decision.person", "", person),
        (
            "decision.pending_role",
            unindexed(filter.user_id.is_some()),
            pending,
        ),
        (
            "decision.outcome",
            unindexed(is_short),
            filter.outcome.map(|outcome| outcome.to_string()),
        ),
        (
            "decision.category",
            unindexed(is_short),
            filter.category.clone(),
        ),
    ]
}

/// A decision's document, its resolution's, the ids of the decision that superseded it and of the purchase
/// that took over a plan, and the documents of the approvals that others have to follow, separated by
/// commas.
pub(super) type Row = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);
pub(super) const SELECT: &str =
    "SELECT decision.document, resolution.document, decision.superseded_by, decision.fulfilled_by,
     CASE WHEN decision.n_approvals > 0 THEN (SELECT string_agg(approval.document, ',' ORDER BY approval.ordinal)
       FROM approval WHERE approval.decision_id = decision.id) END
     FROM decision LEFT JOIN resolution ON resolution.decision_id = decision.id";

/// Reads a row.
pub(super) fn stored_decision(
    (decision, resolution, superseded_by, fulfilled_by, approvals): Row,
) -> Result<StoredDecision, LedgerError> {
    let approvals = approvals.map(|documents| read(&format!("[{documents}]")));
    Ok(StoredDecision {
        decision: read(&decision)?,
        approvals: approvals.transpose()?.unwrap_or_default(),
        resolution: resolution.as_deref().map(read).transpose()?,
        superseded_by: id(superseded_by),
        fulfilled_by: id(fulfilled_by),
    })
}

/// The id in a column that names another decision.
fn id(column: Option<String>) -> Option<Uuid> {
    column.and_then(|id| id.parse().ok())
}

/// Reads a document.
///
/// # Errors
/// [`LedgerError::Corrupt`] with the beginning of the document.
pub(super) fn read<T: DeserializeOwned>(document: &str) -> Result<T, LedgerError> {
    serde_json::from_str(document).map_err(|error| {
        let excerpt = document.chars().take(60).collect();
        LedgerError::Corrupt(excerpt, error)
    })
}

/// The smallest id of a decision that was received at a moment: ids begin with the time.
pub(super) fn first_id(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
