//! Group commit: writes that arrive while the ledger is busy share one transaction, and so one sync
//! of the disk. What is written is in the files beside; the loop that runs a write is in `write`.
//!
//! # Protocol
//!
//! Each database has one or more [`WriterQueue`]s, and a tenant always writes through the same one.
//! A queue holds at most one open [`Batch`], a transaction with what its writes share. The queue's
//! mutex is fair and asynchronous: a writer keeps it from [`GroupCommit::begin`] to
//! [`Slot::finish`], so the statements of two writers never interleave. A write passes three states:
//!
//! 1. *Waiting* for the mutex. The queue counts it in `n_waiting`.
//! 2. *Writing*, with a [`Slot`] in the open batch. The first writer of a batch begins its
//!    transaction.
//! 3. *Finished*, waiting outside the mutex for the commit. Only then does the caller get an answer,
//!    so an answered write is on disk.
//!
//! The last writer commits. A writer that finishes while others wait leaves the batch open for
//! them; one that finishes while none wait, or that fills the batch, commits it. Before it concludes
//! that none wait, it yields once, so that tasks which are ready to write can join the queue. The
//! commit runs detached from its caller and reports to all writers of the batch through a watch
//! channel; meanwhile the next batch fills. Where tenants do not share a transaction, a writer that
//! finds the batch of another tenant commits that one first.
//!
//! `n_waiting > 0` is therefore a promise: some writer will still take the mutex and see to the
//! batch. A writer leaves the count only while it holds the mutex, so a reader who holds the mutex
//! can rely on a count above zero. A waiting writer that is dropped (its client is gone) keeps the
//! promise from a spawned task: that task takes the mutex, leaves the count and commits the batch
//! if no one else waits. A count read too early is harmless: the batch is committed without its
//! newest candidate, which begins another one. All ordering that matters comes from the mutex, so
//! the counter itself is `Relaxed`.
//!
//! A write ends in one of three ways:
//!
//! - It succeeds, or it is *refused* before it has changed anything. It keeps its place in the
//!   batch, and waits for the commit even if refused, because what it lost to may be uncommitted.
//! - It fails, or is dropped midway. It may have written half of what it wanted, so the whole
//!   transaction is rolled back; the other writers of the batch get [`LedgerError::Interrupted`] and
//!   run again. A savepoint per write would spare them that, but costs more than most writes.
//! - The commit fails: all writers of the batch get the same error.
//!
//! Hand-written because a connection pool offers transactions, not the sharing of one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::yield_now;

use crate::ledger::db::{Connection, DbError, Pool};
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::sqlite::OpenFile;
use crate::ledger::transaction::Transaction;

/// Most writes of one transaction, so that its first writer is not kept waiting without limit.
const MAX_WRITES: usize = 64;

/// How long a successful commit counts as proof that the database accepts writes.
const PROOF_AGE: Duration = Duration::from_secs(1);

/// How a database wants its transactions.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    /// The statement that begins a transaction.
    pub(super) begin: &'static str,
    /// Number of writer queues; each tenant always uses the same one.
    pub(super) n_queues: usize,
    /// The statement that removes what rows held before from the files, as far as the database can.
    pub(super) truncate_wal: String,
    /// Whether tenants share a transaction. Where several transactions are open at once they must
    /// not: each locks its tenants, and two that want each other's would deadlock.
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
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = committed_at;
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One queue of writers, and the batch they share.
#[derive(Clone, Debug, Default)]
struct WriterQueue {
    /// Writers that wait for `open`, and have promised to see to the batch.
    n_waiting: Arc<AtomicUsize>,
    /// The open batch. Holding the mutex is the right to write.
    open: Arc<Mutex<Option<Batch>>>,
    last_commit: LastCommit,
}

impl WriterQueue {
    /// Waits for the right to write.
    async fn enter(&self) -> OwnedMutexGuard<Option<Batch>> {
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting {
            queue: self,
            has_entered: false,
        };
        let open = Arc::clone(&self.open).lock_owned().await;
        waiting.enter();
        open
    }

    /// Commits the open batch, if there is one, and reports the result to its writers.
    fn commit(&self, open: &mut Option<Batch>) {
        let Some(Batch {
            transaction,
            n_writes,
            committed,
            ..
        }) = open.take()
        else {
            return;
        };
        let last_commit = self.last_commit.clone();
        transaction.commit(n_writes, move |result| {
            last_commit.set(result.is_ok().then(Instant::now));
            committed.send_replace(Some(result.map_err(Arc::new)));
        });
    }

    /// Whether a later writer will see to the batch. Reliable only while `open` is held.
    fn is_awaited(&self) -> bool {
        self.n_waiting.load(Ordering::Relaxed) > 0
    }
}

/// A writer that waits for its turn.
struct Waiting<'a> {
    queue: &'a WriterQueue,
    has_entered: bool,
}

impl Waiting<'_> {
    /// Leaves the count; the caller holds the mutex.
    fn enter(mut self) {
        self.has_entered = true;
        self.queue.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    /// The writer before may have left the batch open for this one, so a spawned task takes its
    /// turn.
    fn drop(&mut self) {
        if self.has_entered {
            return;
        }
        // Without a runtime the process is ending, and no writer is left to wait for the commit.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let queue = self.queue.clone();
        runtime.spawn(async move {
            let mut open = queue.open.lock().await;
            queue.n_waiting.fetch_sub(1, Ordering::Relaxed);
            if !queue.is_awaited() {
                queue.commit(&mut open);
            }
        });
    }
}

/// An open transaction, and what its writes share.
#[derive(Debug)]
struct Batch {
    transaction: Transaction,
    /// The tenant of the first write; the only one where the dialect mixes none.
    tenant_id: String,
    n_writes: usize,
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
    pub(super) fn has_proof(&self) -> bool {
        let committed_at = self.last_commit.get();
        committed_at.is_some_and(|at| at.elapsed() < PROOF_AGE)
    }

    /// Waits for the turn of a write of this tenant, and gives it a place in the open batch.
    ///
    /// # Errors
    /// [`LedgerError::Gone`] when the file of the ledger is not the one that was opened,
    /// [`LedgerError::Database`] when no transaction can be begun.
    pub(super) async fn begin(&self, tenant_id: &str) -> Result<Slot, LedgerError> {
        let queue = self.queue(tenant_id).clone();
        let mut slot = Slot {
            open: queue.enter().await,
            queue,
            is_finished: false,
        };
        let is_other_tenants = |batch: &Batch| batch.tenant_id != tenant_id;
        if !self.dialect.mixes_tenants && slot.open.as_ref().is_some_and(is_other_tenants) {
            slot.commit();
        }
        if slot.open.is_none() {
            *slot.open = Some(self.open_batch(tenant_id).await?);
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

    async fn open_batch(&self, tenant_id: &str) -> Result<Batch, LedgerError> {
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

    /// Removes what rows held before from the files: from the write-ahead log of SQLite, from the
    /// tables of Postgres.
    pub(super) async fn truncate_wal(&self) -> Result<(), DbError> {
        let connection = self.pool.acquire().await?;
        connection.truncate_wal(&self.dialect.truncate_wal).await
    }
}

/// The place of one write in the open batch, and the right to write. Dropped before it is
/// finished, it rolls the whole transaction back, and the other writes of the batch run again.
pub(super) struct Slot {
    open: OwnedMutexGuard<Option<Batch>>,
    queue: WriterQueue,
    is_finished: bool,
}

impl Slot {
    fn batch(&mut self) -> &mut Batch {
        self.open
            .as_mut()
            .expect("a slot is handed out with an open batch, which only its end takes away")
    }

    fn commit(&mut self) {
        self.queue.commit(&mut self.open);
    }

    /// The connection that the statements of the write go to.
    pub(super) fn transaction(&mut self) -> &mut Connection {
        &mut self.batch().transaction.connection
    }

    /// The ends of the hash chains that this transaction has locked, by tenant.
    pub(super) fn heads(&mut self) -> &mut HashMap<String, Head> {
        &mut self.batch().heads
    }

    /// Ends the write with its result, and returns that once all it rests on is on disk.
    ///
    /// # Errors
    /// The error of the write; [`LedgerError::Interrupted`] when another write rolled the
    /// transaction back; [`LedgerError::Database`] when the commit failed.
    pub(super) async fn finish<T>(
        mut self,
        result: Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        if result.as_ref().is_err_and(|error| !error.is_refusal()) {
            // Dropped unfinished, which rolls back.
            return result;
        }
        if !self.queue.is_awaited() {
            yield_now().await;
        }
        self.is_finished = true;
        let mut committed = self.batch().committed.subscribe();
        if !self.queue.is_awaited() || self.batch().n_writes >= MAX_WRITES {
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
            *self.open = None;
        }
    }
}
