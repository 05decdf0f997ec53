//! SQLite in one file: a pool of connections, and the checkpoints of its write-ahead log. Statements
//! are in `statement`, transactions in `transaction`.
//!
//! # Checkpoints
//!
//! A commit appends pages to the write-ahead log (WAL); a checkpoint copies them back into the
//! database file. SQLite's automatic checkpoint would do that inside a commit, where it takes as
//! long as dozens of decisions. Here a commit only counts its writes, and [`Checkpoint`] is a
//! small state machine. The writer advances it after each commit, the background task when it is
//! done:
//!
//! - `Idle(n)`: `n` writes were committed since the last checkpoint. At [`CHECKPOINT_AFTER`] a blocking
//!   task starts a passive checkpoint on a connection of its own, while writing goes on.
//! - `Running`: that task copies. Commits start no other checkpoint.
//! - `Finish`: most pages are copied. The next commit copies the few that were added meanwhile, on
//!   the writing connection and so between two transactions; after that the log begins anew.
//!
//! A checkpoint that fails leaves its pages to the next one. Should all fail, the automatic
//! checkpoint of the connection set-up bounds the log.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use tokio::task::spawn_blocking;

use crate::lock::lock;

/// How long to wait for other processes that write to the same file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Writes between two checkpoints: many enough that a page which most of them change is copied once
/// for all, and few enough that decisions alone keep the WAL below about 32 MiB.
const CHECKPOINT_AFTER: usize = 400;
/// Prepared statements that a connection keeps: more than the ledger has.
const MAX_PREPARED: usize = 64;

/// The identity of the file that was opened. A file that is removed or replaced can still be
/// written to, but what is written is lost once it is closed.
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

    /// Whether the path still leads to the file that was opened.
    pub(super) fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

/// Device and inode, which identify a file as long as it is open.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A database in a file, and its idle connections; `None` once it is closed.
#[derive(Debug)]
pub(super) struct FilePool {
    path: PathBuf,
    set_up: &'static str,
    access: Access,
    idle: Mutex<Option<Idle>>,
    checkpoint: Mutex<Checkpoint>,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// To read and write.
    ReadWrite,
    /// To read, with the write-ahead log and its index beside the file.
    ReadOnly,
    /// To read a file that no process writes to. Needs no index of the write-ahead log, and ignores
    /// the log.
    Immutable,
}

impl Access {
    fn flags(self) -> OpenFlags {
        match self {
            Self::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Self::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Self::Immutable => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        }
    }
}

/// The URI that opens a file as one that never changes. Three characters have a meaning in it.
fn immutable(path: &Path) -> String {
    let path = path.display().to_string();
    let path = path
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    format!("file:{path}?immutable=1")
}

/// How far the current checkpoint has come; see the module documentation.
#[derive(Clone, Copy, Debug)]
enum Checkpoint {
    /// None is under way; this many writes were committed since the last one.
    Idle(usize),
    /// A background task copies most of the log.
    Running,
    /// The next commit copies the rest.
    Finish,
}

/// What a connection is for. SQLite drops a connection's page cache when another connection has
/// written, so one connection does all the writing and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Statements that change nothing.
    Reads,
    /// Transactions.
    Writes,
}

/// Connections that are not in use.
#[derive(Debug, Default)]
struct Idle {
    readers: Vec<rusqlite::Connection>,
    writers: Vec<rusqlite::Connection>,
}

impl Idle {
    fn of(&mut self, purpose: Purpose) -> &mut Vec<rusqlite::Connection> {
        match purpose {
            Purpose::Reads => &mut self.readers,
            Purpose::Writes => &mut self.writers,
        }
    }
}

impl FilePool {
    /// A pool for an existing file; `set_up` runs on every new connection.
    pub(super) fn new(path: PathBuf, set_up: &'static str, access: Access) -> Self {
        Self {
            path,
            set_up,
            access,
            idle: Mutex::new(Some(Idle::default())),
            checkpoint: Mutex::new(Checkpoint::Idle(0)),
        }
    }

    /// An idle connection, or a new one. The pool has no limit: a connection is held only while a
    /// statement or a transaction runs, so there are hardly more of them than threads.
    pub(super) fn acquire(
        pool: &Arc<Self>,
        purpose: Purpose,
    ) -> rusqlite::Result<PooledConnection> {
        let idle = pool.idle().as_mut().and_then(|idle| idle.of(purpose).pop());
        let connection = idle.map_or_else(|| pool.connect(), Ok)?;
        Ok(PooledConnection {
            connection: Some(connection),
            purpose,
            pool: Arc::clone(pool),
        })
    }

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        // The pool hands a connection to one user at a time, so SQLite need not lock it itself.
        let flags = self.access.flags() | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self.access {
            Access::ReadWrite | Access::ReadOnly => {
                rusqlite::Connection::open_with_flags(&self.path, flags)?
            }
            Access::Immutable => {
                rusqlite::Connection::open_with_flags(immutable(&self.path), flags)?
            }
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(self.set_up)?;
        // Query plans that do not depend on bound values; otherwise SQLite plans a statement anew
        // for other values.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(MAX_PREPARED);
        Ok(connection)
    }

    /// Advances the checkpoint after a commit of this many writes.
    fn checkpoint(self: &Arc<Self>, writer: &PooledConnection, n_writes: usize) {
        const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";
        let mut checkpoint = self.checkpoint_state();
        *checkpoint = match *checkpoint {
            Checkpoint::Idle(n_before) if n_before + n_writes < CHECKPOINT_AFTER => {
                Checkpoint::Idle(n_before + n_writes)
            }
            Checkpoint::Idle(_) => {
                let pool = Arc::clone(self);
                spawn_blocking(move || {
                    // A failure leaves the pages to the next checkpoint, here and below.
                    let _copied = Self::acquire(&pool, Purpose::Reads)
                        .and_then(|connection| connection.run(COPY));
                    *pool.checkpoint_state() = Checkpoint::Finish;
                });
                Checkpoint::Running
            }
            Checkpoint::Running => Checkpoint::Running,
            Checkpoint::Finish => {
                let _copied = writer.run(COPY);
                Checkpoint::Idle(0)
            }
        };
    }

    fn checkpoint_state(&self) -> MutexGuard<'_, Checkpoint> {
        lock(&self.checkpoint)
    }

    /// Closes the idle connections, and every other one when it is returned.
    pub(super) fn close(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle>> {
        lock(&self.idle)
    }
}

/// A connection that returns to its pool when it is dropped, unless it was closed.
#[derive(Debug)]
pub(super) struct PooledConnection {
    connection: Option<rusqlite::Connection>,
    purpose: Purpose,
    pool: Arc<FilePool>,
}

impl PooledConnection {
    /// The connection itself.
    pub(super) fn get(&self) -> &rusqlite::Connection {
        self.connection
            .as_ref()
            .expect("only `close` takes the connection, and it is the last call")
    }

    /// Runs a statement without values, and ignores its rows.
    pub(super) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.get().prepare_cached(sql)?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Commits a transaction of this many writes.
    pub(super) fn commit(&self, n_writes: usize) -> rusqlite::Result<()> {
        self.run("COMMIT")?;
        self.pool.checkpoint(self, n_writes);
        Ok(())
    }

    /// Closes the connection, which rolls back what it has not committed.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if let Some(idle) = &mut *self.pool.idle() {
            idle.of(self.purpose).extend(connection);
        }
    }
}
