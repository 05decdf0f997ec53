//! What else the ledger knows about one decision: the other decisions of its employee that have to do
//! with it, and its state, from which a form tells whether the decision changed since it was shown.

use std::fmt;

use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::decision::{Decision, Submitter};
use crate::domain::money::Currency;
use crate::domain::ruling::Outcome;
use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::read;
use crate::ledger::records::RECORDS;
use crate::ledger::statement::query;
use crate::spelling::{self, is_same_person};

/// How many decisions of the employee are looked at on each side of a decision.
pub const N_NEIGHBOURS: u32 = 100;

/// What one decision of the employee has to do with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is a credit of the purchase.
    Credit,
    /// It belongs to the same trip.
    Trip,
    /// It is of the same day.
    Day,
}

/// Another decision of the same employee. Not the whole decision: a view must not depend on every
/// field of an old one being readable.
#[derive(Clone, Debug, Deserialize)]
pub struct Related {
    /// The decision.
    pub id: Uuid,
    /// Its outcome.
    pub outcome: Outcome,
    /// Its category.
    pub category: Option<String>,
    /// What was bought.
    pub transaction: String,
    /// The amount in `currency`.
    pub amount: Decimal,
    /// The currency of the expense.
    pub currency: Currency,
    #[serde(default)]
    submitted_by: Option<Submitter>,
    date: jiff::civil::Date,
    trip_id: Option<String>,
    #[serde(default)]
    refunds: Option<Uuid>,
}

impl Related {
    fn was_handed_in_by(&self, person: &str) -> bool {
        let submitters = self.submitted_by.iter();
        let mut people = submitters.flat_map(|submitter| submitter.people());
        people.any(|named| is_same_person(named, person))
    }

    /// What it has to do with a decision; `None` if nothing.
    pub fn relation(&self, decision: &Decision) -> Option<Relation> {
        let expense = &decision.expense;
        let trip = |id: &Option<String>| id.as_deref().map(|id| spelling::trip(id).into_owned());
        if self.refunds == Some(decision.id) {
            Some(Relation::Credit)
        } else if expense.trip_id.is_some() && trip(&self.trip_id) == trip(&expense.trip_id) {
            Some(Relation::Trip)
        } else {
            (self.date == expense.date).then_some(Relation::Day)
        }
    }
}

/// The state of a decision, as text that a form carries: it changes whenever a record is added to the
/// decision, the decision is superseded, or a credit takes something off it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The hash of the latest record of the decision; absent if the decision is older than the hash
    /// chain.
    pub record_hash: Option<String>,
    credited_minor: i64,
    superseded_by: Option<String>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            record_hash,
            credited_minor,
            superseded_by,
        } = self;
        f.write_str(record_hash.as_deref().unwrap_or("unsealed"))?;
        if *credited_minor != 0 {
            write!(f, "-{credited_minor}")?;
        }
        superseded_by.iter().try_for_each(|id| write!(f, "-{id}"))
    }
}

impl Ledger {
    /// The decisions of the same employee, at most [`N_NEIGHBOURS`] before and after this one, that
    /// have to do with it, the oldest first: all of them, or, with `seen_by`, those that this person
    /// may see.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn related(
        &self,
        decision: &Decision,
        seen_by: Option<&str>,
    ) -> Result<Vec<Related>, LedgerError> {
        let is_employee = |person: &str| is_same_person(person, &decision.expense.user_id);
        let handed_in_by = seen_by.filter(|person| !is_employee(person));
        let mut related = Vec::new();
        for (comparison, order) in [("<", "DESC"), (">", "ASC")] {
            let sql = format!(
                "SELECT document FROM decision WHERE tenant_id = $1 AND person = $2 AND id {comparison} $3
                 AND superseded_by IS NULL ORDER BY id {order} LIMIT {N_NEIGHBOURS}"
            );
            let documents: Vec<(String,)> = query(AssertSqlSafe(sql))
                .bind(&decision.tenant_id)
                .bind(spelling::person(&decision.expense.user_id).into_owned())
                .bind(decision.id.to_string())
                .fetch_all(&mut self.pool.acquire().await?)
                .await?;
            for (document,) in &documents {
                let other: Related = read(document)?;
                let is_seen = handed_in_by.is_none_or(|person| other.was_handed_in_by(person));
                if is_seen && other.relation(decision).is_some() {
                    related.push(other);
                }
            }
        }
        related.sort_by_key(|other| other.id);
        Ok(related)
    }

    /// The state of a decision.
    ///
    /// # Errors
    /// When the database cannot be read, or holds no such decision.
    pub async fn state(&self, tenant_id: &str, id: Uuid) -> Result<State, LedgerError> {
        let records = RECORDS.map(|kind| {
            let (id, table, owner) = (kind.id_column, kind.table, kind.owner_column);
            format!("SELECT {id} FROM {table} WHERE {owner} = $2")
        });
        // Only the decision is compared with the tenant, whose its records are too. With the tenant in
        // every condition, SQLite would walk all of the tenant's chain and feedback.
        let sql = format!(
            "SELECT (SELECT hash FROM chain WHERE record_id IN ({}) ORDER BY seq DESC LIMIT 1),
               COALESCE(credited_minor, 0), superseded_by
             FROM decision WHERE tenant_id = $1 AND id = $2",
            records.join(" UNION ALL ")
        );
        let (record_hash, credited_minor, superseded_by) = query(AssertSqlSafe(sql))
            .bind(tenant_id)
            .bind(id.to_string())
            .fetch_one(&mut self.pool.acquire().await?)
            .await?;
        Ok(State {
            record_hash,
            credited_minor,
            superseded_by,
        })
    }
}
