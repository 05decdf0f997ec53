//! The durable memory: decisions, and what they take of each cap. Recording a decision and taking its share is one
//! transaction. Decides nothing; what a cap is stands in `policy`.

mod duplicates;
mod query;
mod usage;

use std::path::Path;
use std::time::Duration;

use rust_decimal::Decimal;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::domain::decision::{Decision, Outcome, Window};
use crate::domain::money::{self, Currency};

pub use query::{Filter, Page, PageRequest};

/// How long a writer waits for another one to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection before the ledger counts as down.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading; SQLite in WAL mode lets them read while one writes.
const N_READERS: u32 = 4;

/// The ledger cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder or the file cannot be made or opened.
    #[error("the ledger {0} cannot be opened")]
    Open(String, #[source] sqlx::Error),
    /// The folder cannot be made.
    #[error("the ledger's folder {0} cannot be made")]
    Folder(String, #[source] std::io::Error),
    /// The tables cannot be brought up to date.
    #[error("the ledger's tables cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("the ledger failed")]
    Database(#[from] sqlx::Error),
    /// A row does not hold what this program wrote.
    #[error("the ledger's row {0} is not a decision")]
    Corrupt(String, #[source] serde_json::Error),
    /// Other expenses kept taking the cap.
    #[error("too many expenses compete for one cap")]
    Contended,
}

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another expense took the cap since the verdict; nothing was recorded.
    #[error("the cap was taken meanwhile")]
    CapMoved,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
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
    /// The rules on split purchases: the days that count together, and what they may hold without anyone's approval.
    pub splits: Vec<(u16, Decimal)>,
}

/// The ledger of all tenants.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// SQLite has one writer at a time; one connection makes the queue fair and its waiting ours.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Ledger {
    /// Opens the ledger in a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, opened or brought up to date.
    pub async fn open(dir: &Path) -> Result<Self, LedgerError> {
        let folder = |error| LedgerError::Folder(dir.display().to_string(), error);
        tokio::fs::create_dir_all(dir).await.map_err(folder)?;
        let file = dir.join("ledger.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Full sync: what was answered survives a power cut, not just a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool =
            |n_connections| SqlitePoolOptions::new().max_connections(n_connections).acquire_timeout(ACQUIRE_TIMEOUT);
        let unopened = |error| LedgerError::Open(file.display().to_string(), error);
        let writer = pool(1).connect_with(options.clone()).await.map_err(unopened)?;
        sqlx::migrate!("src/ledger/migrations/sqlite").run(&writer).await?;
        let readers = pool(N_READERS).connect_with(options.create_if_missing(false)).await.map_err(unopened)?;
        Ok(Self { writer, readers })
    }

    /// Whether a decision could be recorded now: begins a write and takes it back.
    ///
    /// # Errors
    /// When the database cannot be written to.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let mut transaction = self.begin().await?;
        // The version is set to what it is, so the write is real although nothing changes.
        sqlx::query("UPDATE cap_usage SET used_minor = used_minor WHERE 1 = 0").execute(&mut *transaction).await?;
        Ok(transaction.rollback().await?)
    }

    /// Records a decision and takes its share of the caps, both or neither. What may have been handed in before is noted in
    /// the decision on the way.
    ///
    /// # Errors
    /// [`RecordError::CapMoved`] when a cap cannot hold the expense any more.
    pub async fn record(&self, decision: &mut Decision, reservation: Option<&Reservation>) -> Result<(), RecordError> {
        let mut transaction = self.begin().await?;
        decision.duplicates = duplicates::find(&mut transaction, decision).await?;
        // Windows count what is approved and what is pending approval; nothing else takes a share.
        if let (Some(reservation), Outcome::Approved | Outcome::NeedsApproval) = (reservation, decision.outcome) {
            usage::reserve(&mut transaction, decision, reservation).await?;
        }
        insert(&mut transaction, decision).await?;
        Ok(transaction.commit().await?)
    }

    /// A write transaction takes the database's one write lock at once, so it can't fail for it later.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Lets go of the database after the last write.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn insert(transaction: &mut Transaction<'static, Sqlite>, decision: &Decision) -> Result<(), sqlx::Error> {
    let document = serde_json::to_string(decision).expect("a decision holds nothing that JSON cannot");
    let id = decision.id.to_string();
    let expense = &decision.expense;
    sqlx::query(
        "INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, amount_minor, currency,
         expense_date) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&id)
    .bind(&decision.tenant_id)
    .bind(&expense.user_id)
    .bind(decision.outcome.to_string())
    .bind(&decision.category)
    .bind(&decision.trace_id)
    .bind(document)
    .bind(money::to_minor(expense.amount, expense.currency))
    .bind(expense.currency.code())
    .bind(expense.date.to_string())
    .execute(&mut **transaction)
    .await?;
    for kind in decision.failed_types() {
        sqlx::query("INSERT INTO failed_validation (tenant_id, type, decision_id) VALUES ($1, $2, $3)")
            .bind(&decision.tenant_id)
            .bind(kind.to_string())
            .bind(&id)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
