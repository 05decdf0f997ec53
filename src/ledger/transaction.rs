//! One transaction on a connection of its own. Its statements run in the caller's task. Its `BEGIN`
//! and `COMMIT` may have to wait for another process or for the disk, and do so where they block no
//! other task: SQLite on a blocking thread, Postgres in a task of its own. Which writes share a
//! transaction is decided in `group_commit`.
//!
//! A transaction owns its connection and its permit. Until `COMMIT` has succeeded, dropping it
//! closes the connection instead of returning it to the pool, and that rolls back: a database that
//! failed may have ended the transaction by itself, so the state of the connection is unknown. The
//! permit is released last, when the next transaction can begin.

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::ledger::db::{Connection, DbError, Pool};

/// An open transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    /// The connection that its statements go to.
    pub(super) connection: Connection,
    is_committed: bool,
    // Below the connection, because fields are dropped in their order.
    _permit: OwnedSemaphorePermit,
}

impl Transaction {
    /// Waits for a permit, then begins a transaction with the `BEGIN` of the dialect.
    pub(super) async fn begin(pool: &Pool, statement: &'static str) -> Result<Self, DbError> {
        let (connection, permit) = pool.acquire_to_write().await?;
        let mut begun = Self {
            connection,
            is_committed: false,
            _permit: permit,
        };
        let begin = begun.connection.run_unless_busy(statement).await;
        if !begin.as_ref().is_err_and(DbError::is_busy) {
            return begin.map(|()| begun);
        }
        // Only SQLite is ever busy: another process is writing, and waiting for it blocks the thread.
        let wait = async move { begun.connection.run(statement).await.map(|()| begun) };
        let is_sqlite = true;
        spawn(is_sqlite, wait).await?
    }

    /// Commits a transaction of this many writes, whether or not the caller is still there, and
    /// reports the result. After `Ok` all of it is on disk.
    pub(super) fn commit(
        mut self,
        n_writes: usize,
        report: impl FnOnce(Result<(), DbError>) + Send + 'static,
    ) {
        let is_sqlite = matches!(self.connection, Connection::Sqlite(_));
        let commit = async move {
            let result = match &mut self.connection {
                Connection::Sqlite(connection) => {
                    connection.commit(n_writes).map_err(DbError::from)
                }
                postgres @ Connection::Postgres(_) => postgres.run("COMMIT").await,
            };
            self.is_committed = result.is_ok();
            // Returns the permit before the report, so that the next transaction can begin at once.
            drop(self);
            report(result);
        };
        drop(spawn(is_sqlite, commit));
    }
}

/// Runs work in a task of its own; SQLite's, which blocks its thread, on a blocking thread.
fn spawn<T: Send + 'static>(
    is_sqlite: bool,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    match is_sqlite {
        true => spawn_blocking(|| Handle::current().block_on(work)),
        false => tokio::spawn(work),
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_committed {
            match &mut self.connection {
                Connection::Sqlite(connection) => connection.close(),
                Connection::Postgres(connection) => connection.close_on_drop(),
            }
        }
    }
}
