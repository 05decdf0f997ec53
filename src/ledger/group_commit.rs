//! Group commit: writes that arrive while the ledger is busy share one transaction, and so one disk
//! sync. The loop that runs and retries a write is in `write`.
//!
//! # Protocol
//!
//! A database has one or more [`WriterQueue`]s, and a tenant always writes through the same one. A
//! queue has at most one open [`Batch`]: a transaction, and what its writes share. The queue's mutex,
//! which is asynchronous and fair, guards that batch. A writer, the task that runs a write, goes
//! through three states:
//!
//! 1. *Waiting* for the mutex. The queue counts it in `n_waiting`.
//! 2. *Writing*: it holds the mutex, by a [`Slot`], from [`GroupCommit::begin`] to [`Slot::finish`],
//!    so the statements of two writers never interleave. The first writer of a batch begins its
//!    transaction.
//! 3. *Finished*: it has released the mutex and waits for the commit. Its caller gets an answer only
//!    after the commit, so an answered write is on disk.
//!
//! ## Who commits
//!
//! - A writer that finishes while others wait leaves the batch open for them.
//! - A writer that finishes while no other waits, or that fills the batch, commits it. Before it
//!   concludes that no other waits, it yields once, so that tasks that are ready to write can start
//!   to wait.
//! - Where tenants do not share a transaction, a writer that finds the batch of another tenant
//!   commits that batch and begins its own.
//!
//! The commit runs in a task of its own, and reports its result to the writers of the batch through a
//! watch channel. Until then the next batch of the tenant cannot write: on SQLite its first writer
//! waits for the permit to begin a transaction, on Postgres for the tenant's lock. The writers that
//! queue behind it meanwhile share its transaction.
//!
//! ## Why no batch is forgotten
//!
//! A finishing writer leaves the batch open only if `n_waiting` is above zero, and the count is
//! decremented only by tasks that hold the mutex. So a writer that reads a count above zero while it
//! holds the mutex knows that another task will lock the mutex and decide about the batch. That task
//! is a writer; or, if a waiting writer was dropped (its client is gone), a spawned task that commits
//! the batch unless others wait.
//!
//! The count is incremented without the mutex. A finishing writer may therefore miss one that is
//! about to wait, which is harmless: that one begins another batch. All ordering that matters comes
//! from the mutex, so the counter is `Relaxed`.
//!
//! ## How a write ends
//!
//! - It succeeds, or is *refused* before it has changed anything. Either way it stays in the batch
//!   and waits for the commit. A refused write waits too, because the write that it lost to may still
//!   be uncommitted.
//! - It fails, or is dropped midway. It may have made half of its changes, so the whole transaction
//!   is rolled back; the other writers of the batch get [`LedgerError::Interrupted`] and run again. A
//!   savepoint per write would spare them that, but costs more than most writes.
//! - The commit fails. All writers of the batch get the same error.
//!
//! Hand-written because a connection pool offers transactions, not the sharing of one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::yield_now;

use crate::ledger::db::{Connection, DbError, Pool};
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::sqlite::OpenFile;
use crate::ledger::transaction::Transaction;
use crate::lock::lock;

/// The largest number of writes in one transaction, so that its first writer does not wait without
/// limit.
const MAX_WRITES: usize = 64;

/// How long a successful commit counts as proof that the database accepts writes.
const RECENT: Duration = Duration::from_secs(1);

/// What differs between SQLite and Postgres in how they run transactions.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    /// The statement that begins a transaction.
    pub(super) begin: &'static str,
    /// Number of writer queues; each tenant always uses the same one.
    pub(super) n_queues: usize,
    /// The statement that purges the database's files of texts that were erased from its rows.
    pub(super) purge: String,
    /// Whether tenants share a transaction. They must not where several transactions are open at
    /// once: each locks its tenants, and two that wait for each other's would deadlock.
    pub(super) mixes_tenants: bool,
}

/// All writing to one database.
#[derive(Clone, Debug)]
pub(super) struct GroupCommit {
    pool: Pool,
    dialect: Dialect,
    file: Option<OpenFile>,
    queues: Arc<[WriterQueue]>,
    last_commit: LastCommit,
}

/// When a batch was last committed; `None` once a later one failed. Behind a blocking mutex: it is
/// held for one assignment, never across an await.
#[derive(Clone, Debug, Default)]
struct LastCommit(Arc<std::sync::Mutex<Option<Instant>>>);

impl LastCommit {
    fn set(&self, committed_at: Option<Instant>) {
        *lock(&self.0) = committed_at;
    }

    fn get(&self) -> Option<Instant> {
        *lock(&self.0)
    }
}

/// One queue of writers, and the batch they share.
#[derive(Clone, Debug, Default)]
struct WriterQueue {
    /// Number of writers that wait for the mutex.
    n_waiting: Arc<AtomicUsize>,
    /// The open batch. Holding the mutex is the right to write.
    open_batch: Arc<Mutex<Option<Batch>>>,
    last_commit: LastCommit,
}

impl WriterQueue {
    /// Waits for the right to write.
    async fn lock(&self) -> OwnedMutexGuard<Option<Batch>> {
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting {
            queue: self,
            has_lock: false,
        };
        let open_batch = Arc::clone(&self.open_batch).lock_owned().await;
        waiting.end();
        open_batch
    }

    /// Commits the open batch, if there is one, and reports the result to its writers.
    fn commit(&self, open_batch: &mut Option<Batch>) {
        let Some(Batch {
            transaction,
            n_writes,
            committed,
            ..
        }) = open_batch.take()
        else {
            return;
        };
        let last_commit = self.last_commit.clone();
        transaction.commit(n_writes, move |result| {
            last_commit.set(result.is_ok().then(Instant::now));
            committed.send_replace(Some(result.map_err(Arc::new)));
        });
    }

    /// Whether another task will lock the mutex and decide about the batch. Reliable only while the
    /// caller holds the mutex.
    fn has_waiting(&self) -> bool {
        self.n_waiting.load(Ordering::Relaxed) > 0
    }
}

/// A writer that waits for the mutex, counted in `n_waiting`.
struct Waiting<'a> {
    queue: &'a WriterQueue,
    has_lock: bool,
}

impl Waiting<'_> {
    /// Ends the waiting; the caller now holds the mutex.
    fn end(mut self) {
        self.has_lock = true;
        self.queue.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    /// A writer that is dropped while it waits: the writer before may have left the batch open for
    /// it, so a spawned task waits in its place.
    fn drop(&mut self) {
        if self.has_lock {
            return;
        }
        // Without a runtime the process is ending, and no writer is left to wait for the commit.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let queue = self.queue.clone();
        runtime.spawn(async move {
            let mut open_batch = queue.open_batch.lock().await;
            queue.n_waiting.fetch_sub(1, Ordering::Relaxed);
            if !queue.has_waiting() {
                queue.commit(&mut open_batch);
            }
        });
    }
}

/// An open transaction, and what its writes share.
#[derive(Debug)]
struct Batch {
    transaction: Transaction,
    /// The tenant of the first write; the only tenant unless the dialect mixes tenants.
    tenant_id: String,
    n_writes: usize,
    /// The ends of the hash chains of the tenants that this transaction has locked, by tenant.
    heads: HashMap<String, Head>,
    /// The result of the commit; dropped without one when the transaction is rolled back.
    committed: watch::Sender<Option<Result<(), Arc<DbError>>>>,
}

/// Where a tenant's hash chain ends, as the open transaction sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) hash: String,
}

impl GroupCommit {
    pub(super) fn new(pool: Pool, dialect: Dialect, file: Option<OpenFile>) -> Self {
        let last_commit = LastCommit::default();
        let queues = (0..dialect.n_queues)
            .map(|_| WriterQueue {
                last_commit: last_commit.clone(),
                ..WriterQueue::default()
            })
            .collect();
        Self {
            pool,
            dialect,
            file,
            queues,
            last_commit,
        }
    }

    /// Whether the database committed a write within the last second.
    pub(super) fn has_recent_commit(&self) -> bool {
        let committed_at = self.last_commit.get();
        committed_at.is_some_and(|at| at.elapsed() < RECENT)
    }

    /// Waits until a write of this tenant has the right to write, and gives it a slot in the open
    /// batch.
    ///
    /// # Errors
    /// [`LedgerError::Gone`] when the file of the ledger is not the one that was opened,
    /// [`LedgerError::Database`] when no transaction can be begun.
    pub(super) async fn begin(&self, tenant_id: &str) -> Result<Slot, LedgerError> {
        let queue = self.queue(tenant_id).clone();
        let mut slot = Slot {
            open_batch: queue.lock().await,
            queue,
            is_finished: false,
        };
        let is_of_another_tenant = |batch: &Batch| batch.tenant_id != tenant_id;
        if !self.dialect.mixes_tenants && slot.open_batch.as_ref().is_some_and(is_of_another_tenant)
        {
            slot.commit();
        }
        if slot.open_batch.is_none() {
            *slot.open_batch = Some(self.begin_batch(tenant_id).await?);
        }
        slot.batch().n_writes += 1;
        Ok(slot)
    }

    fn queue(&self, tenant_id: &str) -> &WriterQueue {
        let mut hasher = DefaultHasher::new();
        tenant_id.hash(&mut hasher);
        let n_queues = u64::try_from(self.queues.len()).unwrap_or(1);
        let index = usize::try_from(hasher.finish() % n_queues).unwrap_or(0);
        &self.queues[index]
    }

    async fn begin_batch(&self, tenant_id: &str) -> Result<Batch, LedgerError> {
        if self.file.as_ref().is_some_and(|file| !file.is_there()) {
            return Err(LedgerError::Gone);
        }
        Ok(Batch {
            transaction: Transaction::begin(&self.pool, self.dialect.begin).await?,
            tenant_id: tenant_id.to_owned(),
            n_writes: 0,
            heads: HashMap::new(),
            committed: watch::Sender::new(None),
        })
    }

    /// Purges the files of texts that were erased: SQLite keeps old pages in its write-ahead log,
    /// Postgres keeps old rows in its tables.
    pub(super) async fn purge(&self) -> Result<(), DbError> {
        let connection = self.pool.acquire().await?;
        connection.purge(&self.dialect.purge).await
    }
}

/// The place of one write in the open batch, and the right to write. If it is dropped before it is
/// finished, the whole transaction is rolled back, and the other writes of the batch run again.
pub(super) struct Slot {
    open_batch: OwnedMutexGuard<Option<Batch>>,
    queue: WriterQueue,
    is_finished: bool,
}

impl Slot {
    fn batch(&mut self) -> &mut Batch {
        self.open_batch
            .as_mut()
            .expect("a slot has an open batch until it is finished")
    }

    fn commit(&mut self) {
        self.queue.commit(&mut self.open_batch);
    }

    /// The connection that the statements of the write go to.
    pub(super) fn transaction(&mut self) -> &mut Connection {
        &mut self.batch().transaction.connection
    }

    /// The ends of the hash chains of the tenants that this transaction has locked, by tenant.
    pub(super) fn heads(&mut self) -> &mut HashMap<String, Head> {
        &mut self.batch().heads
    }

    /// Ends the write, and returns its result once the batch is on disk.
    ///
    /// # Errors
    /// The error of the write; [`LedgerError::Interrupted`] when another write rolled the
    /// transaction back; [`LedgerError::Database`] when the commit failed.
    pub(super) async fn finish<T>(
        mut self,
        result: Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        if result.as_ref().is_err_and(|error| !error.is_refusal()) {
            // The slot is dropped unfinished, which rolls back.
            return result;
        }
        if !self.queue.has_waiting() {
            yield_now().await;
        }
        self.is_finished = true;
        let mut committed = self.batch().committed.subscribe();
        if !self.queue.has_waiting() || self.batch().n_writes >= MAX_WRITES {
            self.commit();
        }
        drop(self);
        let committed = committed
            .wait_for(Option::is_some)
            .await
            .map_err(|_| LedgerError::Interrupted)?;
        match &*committed {
            Some(Err(error)) => Err(LedgerError::Database(Arc::clone(error)).into()),
            _ => result,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_finished {
            self.queue.last_commit.set(None);
            // Dropping the transaction rolls it back; dropping the channel interrupts the others.
            *self.open_batch = None;
        }
    }
}
