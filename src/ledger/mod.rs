//! The durable memory: decisions, and what they take of each cap. Recording a decision, taking its
//! share and sealing it into its tenant's chain is one write, which shares a transaction with
//! others. One SQL serves SQLite and Postgres. Decides nothing; what a cap is stands in `policy`.

mod batch;
mod db;
mod duplicates;
mod erase;
mod export;
mod idempotency;
mod query;
mod resolutions;
pub mod seal;
mod sqlite;
mod store;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::migrate::MigrateError;

use crate::domain::decision::Decision;
use crate::domain::money::{self, Currency};
use crate::domain::ruling::{Outcome, Window};
use batch::{Batches, Part};
use db::{Connection, Pool, query};

pub use db::DbError;
pub use export::{Exported, Period};
pub use idempotency::{KeyClaim, KeyState};
pub use query::{Entry, Filter, Page, PageRequest};
pub use store::Store;

/// How often a write that lost to another one is tried again.
const MAX_CONFLICTS: u32 = 8;
/// More than a decision takes with its indexes, so that a disk too full for one is found to be.
const PROBE_BYTES: usize = 128 * 1024;

/// The ledger cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder cannot be made, or the database cannot be opened.
    #[error("the ledger {0} cannot be opened")]
    Open(String, #[source] DbError),
    /// The tables cannot be brought up to date.
    #[error("the ledger's tables cannot be brought up to date")]
    Migrate(#[source] MigrateError),
    /// The database failed; shared by all whose writes failed with it.
    #[error("the ledger failed")]
    Database(#[source] Arc<DbError>),
    /// Its file was removed or replaced, so whatever is written is lost at the next start.
    #[error(
        "the ledger's file was removed or replaced under the service; put it back, or start the service anew"
    )]
    Gone,
    /// Another write took the transaction down with it, again and again.
    #[error("the write was interrupted")]
    Interrupted,
    /// A row does not hold what this program wrote.
    #[error("the ledger's row {0} is not a decision")]
    Corrupt(String, #[source] serde_json::Error),
    /// Other expenses kept taking the cap.
    #[error("too many expenses compete for one cap")]
    Contended,
    /// The request took longer than its hold on its idempotency key, and another one took the key.
    #[error("another request holds the idempotency key")]
    KeyLost,
}

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another expense took the cap since the verdict; nothing was recorded.
    #[error("the cap was taken meanwhile")]
    CapMoved,
    /// Somebody else has settled the expense, or the purchase that it refunds; nothing was
    /// recorded.
    #[error("the expense is settled")]
    AlreadyResolved,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl RecordError {
    /// Whether the write was refused, before it had written anything, and nothing failed.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::CapMoved | Self::AlreadyResolved | Self::Ledger(LedgerError::KeyLost)
        )
    }
}

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// For whoever does not try again.
impl From<RecordError> for LedgerError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Ledger(error) => error,
            RecordError::CapMoved | RecordError::AlreadyResolved => Self::Contended,
        }
    }
}

impl From<DbError> for RecordError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error.into())
    }
}

/// What a decision takes of the caps of its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The category the caps belong to.
    pub category: String,
    /// What the expense takes, in the policy's currency.
    pub amount: Decimal,
    /// The currency of the policy.
    pub currency: Currency,
    /// The windows that are capped, each with the most it may hold.
    pub caps: Vec<(Window, Decimal)>,
    /// The rules on split purchases that ask nobody yet: the days that count together, and what
    /// they may hold so.
    pub splits: Vec<(u16, Decimal)>,
}

/// How a write changes what expenses have taken of their caps.
#[derive(Clone, Copy, Debug)]
pub enum CapChange<'a> {
    /// Nothing changes.
    None,
    /// The expense takes its share. A decision takes it only when it is approved or pending
    /// approval.
    Take(&'a Reservation),
    /// A credit returns its amount to the share of the purchase it refunds; at most all of that
    /// share.
    Refund(&'a Entry),
    /// A resolution keeps this much of the share that its expense has taken, in the policy's
    /// currency, and frees the rest.
    Keep(Decimal),
}

/// The ledger of all tenants.
#[derive(Clone, Debug)]
pub struct Ledger {
    batches: Batches,
    pool: Pool,
    was_ready: Arc<AtomicBool>,
}

impl Ledger {
    /// Whether a decision could be recorded now: writes as much as one takes, and empties it again,
    /// unless a write went well just now.
    ///
    /// # Errors
    /// When the database cannot be written to.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let checked = if self.batches.has_proof() {
            Ok(())
        } else {
            self.try_write().await
        };
        self.was_ready.store(checked.is_ok(), Ordering::Relaxed);
        checked
    }

    /// What the last [`Ledger::check`] found, unless a write went well just now; true before the
    /// first.
    pub fn was_ready(&self) -> bool {
        self.batches.has_proof() || self.was_ready.load(Ordering::Relaxed)
    }

    async fn try_write(&self) -> Result<(), LedgerError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter("").await?;
            let result = probe(&mut part).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                return Ok(result?);
            }
        }
    }

    /// Records a decision, takes its share of the caps, binds its idempotency key and seals it: all
    /// of it or nothing. What may have been handed in before, and what a credit frees, is noted
    /// in the decision on the way. Gives the hash of the record.
    ///
    /// # Errors
    /// [`RecordError::CapMoved`] when a cap cannot hold the expense any more,
    /// [`RecordError::AlreadyResolved`] when the purchase that a credit refunds was settled since it
    /// was read.
    pub async fn record(
        &self,
        decision: &mut Decision,
        change: CapChange<'_>,
        key: Option<&KeyClaim>,
    ) -> Result<String, RecordError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter(&decision.tenant_id).await?;
            let result = record(&mut part, decision, change, key).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                return result;
            }
        }
    }

    /// Lets go of the database after the last write.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// How often a write was tried.
#[derive(Default)]
struct Tries {
    n_conflicts: u32,
}

impl Tries {
    /// Whether a write may succeed when it is tried again as it was: the database gave one of two
    /// competing transactions up, or another write took this one down with it.
    fn again<T>(&mut self, result: &Result<T, RecordError>) -> bool {
        let is_conflict = match result {
            Err(RecordError::Ledger(LedgerError::Interrupted)) => true,
            Err(RecordError::Ledger(LedgerError::Database(error))) => error.is_conflict(),
            _ => false,
        };
        self.n_conflicts += 1;
        is_conflict && self.n_conflicts <= MAX_CONFLICTS
    }
}

/// A write that leaves nothing behind, and still needs all that a write needs: the lock, a free
/// page and the disk.
async fn probe(part: &mut Part) -> Result<(), RecordError> {
    let filler = "0".repeat(PROBE_BYTES);
    query("INSERT INTO probe (filler) VALUES ($1)")
        .bind(filler)
        .execute(part.transaction())
        .await?;
    query("DELETE FROM probe")
        .execute(part.transaction())
        .await?;
    // Changes nothing; the tables have to be there all the same.
    query("UPDATE cap_usage SET used_minor = used_minor WHERE 1 = 0")
        .execute(part.transaction())
        .await?;
    Ok(())
}

async fn record(
    part: &mut Part,
    decision: &mut Decision,
    change: CapChange<'_>,
    key: Option<&KeyClaim>,
) -> Result<String, RecordError> {
    let transaction = part.transaction();
    if let CapChange::Refund(purchase) = change
        && resolutions::is_settled(transaction, &purchase.decision).await?
            != purchase.resolution.is_some()
    {
        return Err(RecordError::AlreadyResolved);
    }
    // Windows count what is approved and what is pending approval; nothing else takes a share.
    let taken = match (change, decision.outcome) {
        (CapChange::Take(reservation), Outcome::Approved | Outcome::NeedsApproval) => {
            Some(reservation)
        }
        _ => None,
    };
    if let Some(reservation) = taken {
        usage::check(transaction, decision, reservation).await?;
    }
    if let Some(claim) = key {
        idempotency::bind(transaction, claim, decision).await?;
    }
    let share_minor = match taken {
        Some(reservation) => usage::take(transaction, decision, reservation).await?,
        None => 0,
    };
    let refunded = match change {
        CapChange::Refund(purchase) => Some(usage::refund(transaction, decision, purchase).await?),
        CapChange::None | CapChange::Take(_) | CapChange::Keep(_) => None,
    };
    let duplicates = duplicates::find(transaction, decision).await?;
    decision.complete(duplicates, refunded);
    let record = json!(decision);
    insert(transaction, decision, text_of(&record), share_minor).await?;
    Ok(seal::append(part, &decision.tenant_id, &decision.id.to_string(), record).await?)
}

/// A record as the text that is kept of it; several times faster than its `to_string`.
fn text_of(record: &Value) -> String {
    serde_json::to_string(record).expect("a JSON value can be written")
}

async fn insert(
    transaction: &mut Connection,
    decision: &Decision,
    document: String,
    share_minor: i64,
) -> Result<(), DbError> {
    let id = decision.id.to_string();
    let expense = &decision.expense;
    query(
        "INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, amount_minor, currency,
         expense_date, standing, pending_role, share_minor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $4, $11, $12)",
    )
    .bind(&id)
    .bind(&decision.tenant_id)
    .bind(&expense.user_id)
    .bind(decision.outcome.to_string())
    .bind(decision.category.as_deref())
    .bind(&decision.trace_id)
    .bind(document)
    .bind(money::to_minor(expense.amount, expense.currency))
    .bind(expense.currency.code())
    .bind(expense.date.to_string())
    .bind(decision.pending().map(|role| role.to_string()))
    .bind(share_minor)
    .execute(transaction)
    .await?;
    for kind in decision.failed_types() {
        query("INSERT INTO failed_validation (tenant_id, type, decision_id) VALUES ($1, $2, $3)")
            .bind(&decision.tenant_id)
            .bind(kind.to_string())
            .bind(&id)
            .execute(transaction)
            .await?;
    }
    Ok(())
}
