//! What can go wrong in the ledger: its own failures, and refusals of a write.

use std::sync::Arc;

use sqlx::migrate::MigrateError;

use crate::ledger::db::{DbError, is_read_only};

/// The ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder cannot be created, or the database cannot be opened.
    #[error("the ledger {0} cannot be opened")]
    Open(String, #[source] DbError),
    /// The tables cannot be migrated to this version.
    #[error("the tables of the ledger cannot be migrated")]
    Migrate(#[source] MigrateError),
    /// The file is an SQLite database, but not a ledger.
    #[error(
        "{0} is the database of something else: it has tables, but none of a ledger; name the folder of a ledger \
         with --data"
    )]
    Foreign(String),
    /// The ledger cannot be written to, and its tables are of an earlier version.
    #[error(
        "the ledger {0} lacks tables of this version, and is on a read-only medium; copy its files into a folder \
         that can be written to, or run the version that wrote it"
    )]
    Outdated(String),
    /// The ledger cannot be written to, and has records that only its write-ahead log holds.
    #[error(
        "the ledger {0} is on a read-only medium, and its write-ahead log was not yet copied back; copy its files, \
         the -wal included, into a folder that can be written to"
    )]
    Unrecovered(String),
    /// The database failed; shared by all writes of the transaction that failed.
    #[error("the ledger failed")]
    Database(#[source] Arc<DbError>),
    /// The database file was removed or replaced. Anything written to the open file would be
    /// lost at the next start.
    #[error(
        "the ledger's file was removed or replaced while it was open; put it back or restart the service"
    )]
    Gone,
    /// Another write of the same transaction failed and rolled this one back, more often than it
    /// was retried.
    #[error("the write was rolled back together with another one that failed")]
    Interrupted,
    /// A row does not hold what this program wrote; the text is the beginning of its document.
    #[error("the ledger holds a document that cannot be read: {0}")]
    Corrupt(String, #[source] serde_json::Error),
    /// Other expenses kept taking the cap, more often than the verdict was recomputed.
    #[error("too many expenses compete for one cap")]
    Contended,
    /// The lease on the idempotency key expired, and another request took the key.
    #[error("another request holds the idempotency key")]
    KeyLost,
}

impl LedgerError {
    /// Whether the ledger can only be read.
    pub(super) fn is_read_only(&self) -> bool {
        match self {
            Self::Open(_, error) => error.is_read_only(),
            Self::Database(error) => error.is_read_only(),
            Self::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => is_read_only(error),
            _ => false,
        }
    }
}

/// Why a write was not recorded. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another expense took the cap since the verdict.
    #[error("another expense took the cap since the verdict")]
    CapMoved,
    /// The expense, or the purchase that it refunds, was resolved since it was read.
    #[error("the expense is already resolved")]
    AlreadyResolved,
    /// The decision, or the one that it should supersede, was superseded since it was read.
    #[error("the decision is already superseded")]
    AlreadySuperseded,
    /// Another purchase took over the plan since the verdict.
    #[error("another purchase took over the plan since the verdict")]
    PlanUsed,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl RecordError {
    /// Whether the write was refused before it had changed anything. Then its transaction can still
    /// be committed for the other writes.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::CapMoved | Self::AlreadyResolved | Self::AlreadySuperseded | Self::PlanUsed => {
                true
            }
            Self::Ledger(error) => matches!(error, LedgerError::KeyLost),
        }
    }

    /// Whether the same write may succeed when it runs again: the database aborted one of
    /// two competing transactions, or another write rolled this one back.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Interrupted) => true,
            Self::Ledger(LedgerError::Database(error)) => error.is_conflict(),
            _ => false,
        }
    }
}

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// For callers that do not retry a refusal.
impl From<RecordError> for LedgerError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Ledger(error) => error,
            RecordError::CapMoved
            | RecordError::AlreadyResolved
            | RecordError::AlreadySuperseded
            | RecordError::PlanUsed => Self::Contended,
        }
    }
}

impl From<DbError> for RecordError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error.into())
    }
}
