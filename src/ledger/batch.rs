//! Group commit: all writes that wait when the ledger is free share one transaction, and so one
//! sync of the disk. Each is a [`Part`] of it, which is refused before it has written anything, and
//! so takes nothing from the others: savepoints would cost every part more than its writes. Knows
//! no decisions; what is written stands in the files beside.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::yield_now;

use crate::ledger::db::{Connection, DbError, Pool, Transaction};
use crate::ledger::seal::{self, Head};
use crate::ledger::{LedgerError, RecordError};

/// Writes that share a transaction at most, so that the first of them is not kept waiting for ever.
const MAX_PARTS: usize = 64;

/// How long a write that was committed speaks for the database.
const PROOF_AGE: Duration = Duration::from_secs(1);

/// How the transactions of a database are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The statement a transaction begins with.
    pub(super) begin: &'static str,
    /// How many queues writers stand in, each tenant's in the same one.
    pub(super) n_lanes: usize,
    /// Clears away what rows held before, as far as the database can.
    pub(super) forget: &'static str,
    /// Whether tenants share a transaction. Where several are open at once they must not: each
    /// locks its tenant, and two that want each other's would wait for ever.
    pub(super) mixes_tenants: bool,
}

/// The file that was opened. One that is removed or replaced can still be written to, and nobody
/// would ever read it.
#[derive(Clone, Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl OpenFile {
    pub(super) fn of(path: PathBuf) -> std::io::Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }

    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

/// What tells a file from every other one: device and inode.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// All writing to one database.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    pool: Pool,
    manner: Manner,
    file: Option<OpenFile>,
    lanes: Arc<[Lane]>,
    proof: Proof,
}

/// When a batch was last committed, unless one was given up since.
#[derive(Clone, Debug, Default)]
struct Proof(Arc<std::sync::Mutex<Option<Instant>>>);

impl Proof {
    fn set(&self, committed_at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = committed_at;
    }
}

/// One queue of writers, and the transaction they share.
#[derive(Clone, Debug, Default)]
struct Lane {
    n_waiting: Arc<AtomicUsize>,
    open: Arc<Mutex<Option<Batch>>>,
    proof: Proof,
}

impl Lane {
    /// Waits for its turn.
    async fn enter(&self) -> OwnedMutexGuard<Option<Batch>> {
        self.n_waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting {
            lane: self,
            has_entered: false,
        };
        let open = Arc::clone(&self.open).lock_owned().await;
        waiting.enter();
        open
    }

    /// Commits what is open.
    fn commit(&self, open: &mut Option<Batch>) {
        let Some(Batch {
            transaction,
            n_parts,
            committed,
            ..
        }) = open.take()
        else {
            return;
        };
        let proof = self.proof.clone();
        transaction.commit(n_parts, move |result| {
            proof.set(result.is_ok().then(Instant::now));
            committed.send_replace(Some(result.map_err(Arc::new)));
        });
    }

    fn is_awaited(&self) -> bool {
        self.n_waiting.load(Ordering::Acquire) > 0
    }
}

/// A writer that waits for its turn.
struct Waiting<'a> {
    lane: &'a Lane,
    has_entered: bool,
}

impl Waiting<'_> {
    fn enter(mut self) {
        self.has_entered = true;
        self.lane.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Waiting<'_> {
    /// One that goes away before its turn was counted on to end the batch of those before it.
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.has_entered {
            let lane = self.lane.clone();
            runtime.spawn(async move {
                let mut open = lane.open.lock().await;
                lane.n_waiting.fetch_sub(1, Ordering::AcqRel);
                if !lane.is_awaited() {
                    lane.commit(&mut open);
                }
            });
        }
    }
}

/// A transaction that is open, for all who take part in it.
#[derive(Debug)]
struct Batch {
    transaction: Transaction,
    tenant_id: String,
    n_parts: usize,
    heads: HashMap<String, Head>,
    /// How the commit went; dropped without a word when the transaction was given up.
    committed: watch::Sender<Option<Result<(), Arc<DbError>>>>,
}

impl Batches {
    pub(super) fn new(pool: Pool, manner: Manner, file: Option<OpenFile>) -> Self {
        let proof = Proof::default();
        let lanes = (0..manner.n_lanes)
            .map(|_| Lane {
                proof: proof.clone(),
                ..Lane::default()
            })
            .collect();
        Self {
            pool,
            manner,
            file,
            lanes,
            proof,
        }
    }

    /// Whether the database took a write just now.
    pub(super) fn has_proof(&self) -> bool {
        let committed_at = *self.proof.0.lock().unwrap_or_else(PoisonError::into_inner);
        committed_at.is_some_and(|at| at.elapsed() < PROOF_AGE)
    }

    /// Waits for its turn, and begins a write for a tenant.
    pub(super) async fn enter(&self, tenant_id: &str) -> Result<Part, LedgerError> {
        let mut hasher = DefaultHasher::new();
        tenant_id.hash(&mut hasher);
        let n_lanes = u64::try_from(self.lanes.len()).unwrap_or(1);
        let lane = usize::try_from(hasher.finish() % n_lanes).unwrap_or(0);
        let lane = self.lanes[lane].clone();
        let mut part = Part {
            open: lane.enter().await,
            lane,
            has_left: false,
        };
        if !self.manner.mixes_tenants
            && part
                .open
                .as_ref()
                .is_some_and(|batch| batch.tenant_id != tenant_id)
        {
            part.commit();
        }
        if part.open.is_none() {
            if self.file.as_ref().is_some_and(|file| !file.is_there()) {
                self.proof.set(None);
                return Err(LedgerError::Gone);
            }
            let transaction = Transaction::begin(&self.pool, self.manner.begin).await?;
            *part.open = Some(Batch {
                transaction,
                tenant_id: tenant_id.to_owned(),
                n_parts: 0,
                heads: HashMap::new(),
                committed: watch::Sender::new(None),
            });
        }
        part.batch().n_parts += 1;
        seal::lock(&mut part, tenant_id).await?;
        Ok(part)
    }

    /// Clears away what rows held before: in the database's journal, and where rows were.
    pub(super) async fn forget(&self) -> Result<(), DbError> {
        self.pool.acquire().await?.forget(self.manner.forget).await
    }
}

/// One write, in the transaction of its batch. Dropped before it has left, it gives the whole
/// transaction up, and the others of its batch begin anew.
pub(super) struct Part {
    open: OwnedMutexGuard<Option<Batch>>,
    lane: Lane,
    has_left: bool,
}

impl Part {
    fn batch(&mut self) -> &mut Batch {
        self.open
            .as_mut()
            .expect("a part is handed out with its batch, which only its end takes away")
    }

    fn commit(&mut self) {
        self.lane.commit(&mut self.open);
    }

    /// Where its statements go.
    pub(super) fn transaction(&mut self) -> &mut Connection {
        &mut self.batch().transaction.connection
    }

    /// The ends of the chains that this transaction holds.
    pub(super) fn heads(&mut self) -> &mut HashMap<String, Head> {
        &mut self.batch().heads
    }

    /// Ends the write with what came of it, once all that it rests on is on disk. One that failed
    /// may have written half of what it wanted, and takes the whole transaction back.
    pub(super) async fn leave<T>(
        mut self,
        result: Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        if result.as_ref().is_err_and(|error| !error.is_refusal()) {
            return result;
        }
        if !self.lane.is_awaited() {
            // Whoever is ready to write now may join, and shares its pages as well as its sync.
            yield_now().await;
        }
        self.has_left = true;
        let mut committed = self.batch().committed.subscribe();
        if !self.lane.is_awaited() || self.batch().n_parts >= MAX_PARTS {
            self.commit();
        }
        drop(self);
        // Whoever is refused waits as well: what stands in his way can't be read before.
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

impl Drop for Part {
    fn drop(&mut self) {
        if !self.has_left {
            self.lane.proof.set(None);
            // Taken back by its own drop.
            *self.open = None;
        }
    }
}
