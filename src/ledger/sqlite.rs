//! SQLite in one file: connections that are lent and come back, and how the file is kept. What is
//! asked of it stands in `db`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use tokio::task::spawn_blocking;

/// How long others that write to the same file are waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Writes after which the journal is copied back: so many that a page which most of them change is
/// copied once for all of them, and so few that of decisions alone it stays below some 32 MiB.
const N_WRITES: usize = 400;
/// Statements that a connection keeps ready: more than there are.
const N_PREPARED: usize = 64;
/// A sync that takes less has written to no disk.
const AT_ONCE: Duration = Duration::from_micros(20);

/// A database in a file, and the connections to it that nobody uses; `None` once it is closed.
#[derive(Debug)]
pub(super) struct SqliteFile {
    path: PathBuf,
    set_up: &'static str,
    /// Whether there is no disk to wait for, so that a commit would be handed to another thread
    /// for nothing.
    pub(super) syncs_at_once: bool,
    idle: Mutex<Option<Idle>>,
    copying: Mutex<Copying>,
}

/// How far the journal is copied back into the file. That takes as long as dozens of decisions, so
/// most of it is done by another connection while decisions go on, and the rest, after which the
/// journal begins anew, between two of them.
#[derive(Clone, Copy, Debug)]
enum Copying {
    /// So many writes after the journal began.
    After(usize),
    /// Most of it is being copied.
    Most,
    /// The rest is to be copied.
    Rest,
}

/// What a connection is for. A connection forgets all pages it has read as soon as another one has
/// written, so there is one that writes and does nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Statements that change nothing.
    Reads,
    /// Transactions.
    Writes,
}

/// Connections that nobody uses.
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

/// Whether a sync of a file in a folder has no disk to wait for. One that is late says nothing, so
/// there are some tries.
fn syncs_at_once(folder: &Path) -> bool {
    const N_TRIES: usize = 3;
    let Ok(mut file) = tempfile::tempfile_in(folder) else {
        return false;
    };
    (0..N_TRIES).any(|_| {
        let begun = Instant::now();
        let synced = file.write_all(&[0; 4096]).and_then(|()| file.sync_data());
        synced.is_ok() && begun.elapsed() < AT_ONCE
    })
}

impl SqliteFile {
    /// A database in a file that is there; every connection begins with a statement.
    pub(super) fn new(path: PathBuf, set_up: &'static str) -> Self {
        let syncs_at_once = path.parent().is_some_and(syncs_at_once);
        let (idle, copying) = (
            Mutex::new(Some(Idle::default())),
            Mutex::new(Copying::After(0)),
        );
        Self {
            path,
            set_up,
            syncs_at_once,
            idle,
            copying,
        }
    }

    /// A connection that nobody else uses.
    pub(super) fn lend(file: &Arc<Self>, purpose: Purpose) -> rusqlite::Result<Lent> {
        let idle = file.idle().as_mut().and_then(|idle| idle.of(purpose).pop());
        let connection = idle.map_or_else(|| file.connect(), Ok)?;
        Ok(Lent {
            connection: Some(connection),
            purpose,
            home: Arc::clone(file),
        })
    }

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        // Nobody uses a connection that is lent to another, so it need not guard itself.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(self.set_up)?;
        // Otherwise it plans a statement anew whenever other values are bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(N_PREPARED);
        Ok(connection)
    }

    /// Has the journal copied back now and then. One copy that fails leaves it to the next.
    fn copy_back(self: &Arc<Self>, writer: &Lent, n_writes: usize) {
        const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";
        let mut copying = self.copying();
        *copying = match *copying {
            Copying::After(n_before) if n_before + n_writes < N_WRITES => {
                Copying::After(n_before + n_writes)
            }
            Copying::After(_) => {
                let file = Arc::clone(self);
                spawn_blocking(move || {
                    let _copied_or_not =
                        Self::lend(&file, Purpose::Reads).and_then(|lent| lent.run(COPY));
                    *file.copying() = Copying::Rest;
                });
                Copying::Most
            }
            Copying::Most => Copying::Most,
            Copying::Rest => {
                let _copied_or_not = writer.run(COPY);
                Copying::After(0)
            }
        };
    }

    fn copying(&self) -> MutexGuard<'_, Copying> {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections, those in use when they come back.
    pub(super) fn close(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a file, which goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    connection: Option<rusqlite::Connection>,
    purpose: Purpose,
    /// Where it goes back to.
    pub(super) home: Arc<SqliteFile>,
}

impl Lent {
    /// The connection.
    pub(super) fn get(&self) -> &rusqlite::Connection {
        self.connection
            .as_ref()
            .expect("only closing it takes it away, and nobody asks it afterwards")
    }

    /// Runs a statement without values, whatever rows it gives.
    pub(super) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.get().prepare_cached(sql)?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Commits a transaction of so many writes.
    pub(super) fn commit(&self, n_writes: usize) -> rusqlite::Result<()> {
        self.run("COMMIT")?;
        self.home.copy_back(self, n_writes);
        Ok(())
    }

    /// Closes it, with whatever it has not committed.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if let Some(idle) = &mut *self.home.idle() {
            idle.of(self.purpose).extend(connection);
        }
    }
}
