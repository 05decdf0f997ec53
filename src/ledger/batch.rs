//! Group commit: all writes that wait when the ledger is free share one transaction, and so one sync of the disk. Each is
//! a [`Part`] behind a savepoint of its own, so one that is refused takes nothing from the others. Knows no decisions;
//! what is written stands in the files beside.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Any, AnyPool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::ledger::seal::{self, Head};
use crate::ledger::{LedgerError, RecordError};

/// Writes that share a transaction at most, so that the first of them is not kept waiting for ever.
const MAX_PARTS: usize = 64;

/// How the transactions of a database are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The statement a transaction begins with.
    pub(super) begin: &'static str,
    /// How many transactions may be open at once.
    pub(super) n_lanes: usize,
    /// Clears away what rows held before, as far as the database can.
    pub(super) forget: &'static str,
    /// Whether tenants share a transaction. Where several are open at once they must not: each locks its tenant, and two
    /// that want each other's would wait for ever.
    pub(super) mixes_tenants: bool,
}

/// All writing to one database.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    pool: AnyPool,
    manner: Manner,
    lanes: Arc<[Lane]>,
}

/// One queue of writers, and the transaction they share.
#[derive(Clone, Debug, Default)]
struct Lane {
    n_waiting: Arc<AtomicUsize>,
    open: Arc<Mutex<Option<Batch>>>,
}

/// A transaction that is open, for all who take part in it.
#[derive(Debug)]
struct Batch {
    transaction: Transaction<'static, Any>,
    tenant_id: String,
    n_parts: usize,
    heads: HashMap<String, Head>,
    /// How the commit went; dropped without a word when the transaction was given up.
    committed: watch::Sender<Option<Result<(), Arc<sqlx::Error>>>>,
}

impl Batches {
    pub(super) fn new(pool: AnyPool, manner: Manner) -> Self {
        Self { pool, manner, lanes: (0..manner.n_lanes).map(|_| Lane::default()).collect() }
    }

    /// Waits for its turn, and begins a write for a tenant.
    pub(super) async fn enter(&self, tenant_id: &str) -> Result<Part, LedgerError> {
        let mut hasher = DefaultHasher::new();
        tenant_id.hash(&mut hasher);
        let n_lanes = u64::try_from(self.lanes.len()).unwrap_or(1);
        let lane = usize::try_from(hasher.finish() % n_lanes).unwrap_or(0);
        let lane = self.lanes[lane].clone();
        lane.n_waiting.fetch_add(1, Ordering::AcqRel);
        // In a task of its own: whoever is counted as waiting also comes in, even when its caller has gone away.
        let entering = tokio::spawn(async move {
            let open = Arc::clone(&lane.open).lock_owned().await;
            lane.n_waiting.fetch_sub(1, Ordering::AcqRel);
            Part { open, lane, has_left: false }
        });
        let mut part = entering.await.map_err(|_| LedgerError::Interrupted)?;
        if !self.manner.mixes_tenants && part.open.as_ref().is_some_and(|batch| batch.tenant_id != tenant_id) {
            part.commit();
        }
        if part.open.is_none() {
            let transaction = self.pool.begin_with(self.manner.begin).await?;
            *part.open = Some(Batch {
                transaction,
                tenant_id: tenant_id.to_owned(),
                n_parts: 0,
                heads: HashMap::new(),
                committed: watch::Sender::new(None),
            });
        }
        part.batch().n_parts += 1;
        // Before the savepoint: what is taken back behind it must not unlock the tenant.
        seal::lock(&mut part, tenant_id).await?;
        // Never released: the next one of this name hides it, and a commit ends them all.
        sqlx::raw_sql("SAVEPOINT part").execute(&mut **part.transaction()).await?;
        Ok(part)
    }

    /// Clears away what rows held before: in the database's journal, and where rows were.
    pub(super) async fn forget(&self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(self.manner.forget).execute(&self.pool).await?;
        Ok(())
    }

    /// Lets go of the database after the last write.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// One write, in the transaction of its batch. Dropped before it has left, it gives the whole transaction up, and
/// the others of its batch begin anew.
pub(super) struct Part {
    open: OwnedMutexGuard<Option<Batch>>,
    lane: Lane,
    has_left: bool,
}

impl Part {
    fn batch(&mut self) -> &mut Batch {
        self.open.as_mut().expect("a part is handed out with its batch, which only its end takes away")
    }

    /// Where its statements go.
    pub(super) fn transaction(&mut self) -> &mut Transaction<'static, Any> {
        &mut self.batch().transaction
    }

    /// The ends of the chains that this transaction holds.
    pub(super) fn heads(&mut self) -> &mut HashMap<String, Head> {
        &mut self.batch().heads
    }

    /// Ends the write with what came of it, once all that it rests on is on disk. What was refused is taken back.
    pub(super) async fn leave<T>(mut self, result: Result<T, RecordError>) -> Result<T, RecordError> {
        match &result {
            Ok(_) => {}
            // A database that failed may have given the transaction up by itself.
            Err(RecordError::Ledger(LedgerError::Database(_))) => return result,
            Err(_) => {
                let taken_back = sqlx::raw_sql("ROLLBACK TO SAVEPOINT part").execute(&mut **self.transaction()).await;
                taken_back.map_err(LedgerError::from)?;
            }
        }
        self.has_left = true;
        let mut committed = self.batch().committed.subscribe();
        if self.lane.n_waiting.load(Ordering::Acquire) == 0 || self.batch().n_parts >= MAX_PARTS {
            self.commit();
        }
        drop(self);
        // Whoever is refused waits as well: what stands in his way can't be read before.
        let committed = committed.wait_for(Option::is_some).await.map_err(|_| LedgerError::Interrupted)?;
        match &*committed {
            Some(Err(error)) => Err(LedgerError::Database(Arc::clone(error)).into()),
            _ => result,
        }
    }

    /// Commits the batch, in a task of its own: a caller that goes away must not leave the others in the dark.
    fn commit(&mut self) {
        let Some(Batch { transaction, committed, .. }) = self.open.take() else { return };
        tokio::spawn(async move {
            let result = transaction.commit().await.map_err(Arc::new);
            committed.send_replace(Some(result));
        });
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.has_left {
            // Rolled back by its own drop.
            *self.open = None;
        }
    }
}
