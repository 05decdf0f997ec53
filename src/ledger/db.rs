//! Connections to either database: the pool, what it hands out, and how it can fail. SQLite runs in
//! the caller's task: a statement takes microseconds, less than handing it to another thread and
//! back. Statements are in `statement`, transactions in `transaction`. Independent of the tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};
use strum::IntoStaticStr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::{sleep, timeout};

use crate::ledger::sqlite::{Access, BUSY_TIMEOUT, FilePool, PooledConnection, Purpose};

/// How long to wait for an answer from Postgres, which never comes when the host or the network has
/// failed. As long as Postgres keeps an idle transaction (see `store`).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Lets the statements of a Postgres connection run without a time limit.
pub(super) const UNLIMITED: &str = "SET statement_timeout = 0";
/// Pause between two attempts to truncate a write-ahead log that is in use.
const RETRY_TRUNCATE: Duration = Duration::from_millis(50);

/// A database failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite, in this process.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Postgres, or the migration of either database.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// Postgres, or the network in between, does not answer.
    #[error("the database has not answered for {} seconds", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    /// A reader still needs pages that exist only in the write-ahead log.
    #[error(
        "the write-ahead log cannot be truncated while the ledger is being read; run the command again later"
    )]
    WalInUse,
    /// The program is stopping, and dropped the task.
    #[error("the program stopped before the database answered")]
    Stopped(#[from] JoinError),
}

impl DbError {
    /// Whether Postgres aborted one of two competing transactions, which may succeed when it runs
    /// again. The SQLSTATE codes are those of a serialization failure and of a deadlock.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Sqlx(error) = self else {
            return false;
        };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| code == "40001" || code == "40P01")
    }

    /// Whether the database can only be read. SQLite also reports that it cannot open the file, when
    /// it cannot create the write-ahead log beside it.
    pub(super) fn is_read_only(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            ),
            Self::Sqlx(error) => is_read_only(error),
            _ => false,
        }
    }

    /// Whether another process holds the lock of the SQLite file.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

/// Whether a database said that it can only be read. The codes are the SQLSTATE of Postgres for a
/// write in a read-only transaction, and SQLite's `READONLY` (8) and `CANTOPEN` (14), whose low byte
/// is the same in their extended codes.
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| {
        let of_sqlite = || {
            code.parse()
                .is_ok_and(|code: u32| [8, 14].contains(&(code & 0xff)))
        };
        if code.len() == 5 {
            code == "25006"
        } else {
            of_sqlite()
        }
    })
}

/// A kind of database, by the name that OpenTelemetry gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Database {
    /// A file, in this process.
    Sqlite,
    /// A server.
    Postgresql,
}

/// Connections to one database, and a permit for each transaction that this process may have open
/// at once.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connections: Connections,
    permits: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Connections {
    /// To a file.
    Sqlite(Arc<FilePool>),
    /// To a server.
    Postgres(PgPool),
}

impl Pool {
    /// A pool for an existing SQLite file; `set_up` runs on every new connection.
    pub(super) fn sqlite(path: PathBuf, set_up: &'static str) -> Self {
        Self::of_file(FilePool::new(path, set_up, Access::ReadWrite))
    }

    /// A pool for an existing SQLite file that is only read.
    pub(super) fn sqlite_to_read(path: PathBuf, access: Access) -> Self {
        const SET_UP: &str = "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;";
        Self::of_file(FilePool::new(path, SET_UP, access))
    }

    fn of_file(file: FilePool) -> Self {
        Self {
            connections: Connections::Sqlite(Arc::new(file)),
            // SQLite writes one transaction at a time. The permit queues writers here, because
            // SQLite itself waits by polling.
            permits: Arc::new(Semaphore::new(1)),
        }
    }

    /// A pool for a server. `n_open` transactions may be open at once, fewer than there are
    /// connections, so that some are left to readers.
    pub(super) fn postgres(pool: PgPool, n_open: usize) -> Self {
        Self {
            connections: Connections::Postgres(pool),
            permits: Arc::new(Semaphore::new(n_open)),
        }
    }

    /// What it connects to.
    pub(super) fn database(&self) -> Database {
        match self.connections {
            Connections::Sqlite(_) => Database::Sqlite,
            Connections::Postgres(_) => Database::Postgresql,
        }
    }

    /// A connection to read with.
    pub(super) async fn acquire(&self) -> Result<Connection, DbError> {
        self.connection(Purpose::Reads).await
    }

    /// A connection, and a permit that has to be kept as long as the transaction on it.
    ///
    /// # Errors
    /// When no permit becomes free within [`BUSY_TIMEOUT`], longer than any commit takes on a disk
    /// that works.
    pub(super) async fn acquire_to_write(
        &self,
    ) -> Result<(Connection, OwnedSemaphorePermit), DbError> {
        let permit = timeout(BUSY_TIMEOUT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        Ok((self.connection(Purpose::Writes).await?, permit))
    }

    async fn connection(&self, purpose: Purpose) -> Result<Connection, DbError> {
        Ok(match &self.connections {
            Connections::Sqlite(pool) => Connection::Sqlite(FilePool::acquire(pool, purpose)?),
            // Boxed: the future takes four kilobytes, which every future that acquires a connection
            // would embed, even with SQLite.
            Connections::Postgres(pool) => Connection::Postgres(Box::pin(pool.acquire()).await?),
        })
    }

    /// Closes all connections; those in use when they are returned.
    pub(super) async fn close(&self) {
        match &self.connections {
            Connections::Sqlite(pool) => pool.close(),
            Connections::Postgres(pool) => pool.close().await,
        }
    }
}

/// A connection to either database.
#[derive(Debug)]
pub(super) enum Connection {
    /// To a file.
    Sqlite(PooledConnection),
    /// To a server.
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    /// Runs a statement without values.
    pub(super) async fn run(&mut self, sql: &'static str) -> Result<(), DbError> {
        match self {
            Self::Sqlite(connection) => connection.run(sql)?,
            Self::Postgres(connection) => {
                with_time_limit(connection, async |server| {
                    sqlx::raw_sql(sql).execute(server).await
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Runs a statement without values, and fails at once where it would block the thread until
    /// another process releases its lock.
    pub(super) async fn run_unless_busy(&mut self, sql: &'static str) -> Result<(), DbError> {
        let Self::Sqlite(connection) = self else {
            return self.run(sql).await;
        };
        connection.get().busy_timeout(Duration::ZERO)?;
        let result = connection.run(sql);
        connection.get().busy_timeout(BUSY_TIMEOUT)?;
        Ok(result?)
    }

    /// Purges the files of texts that were erased, with the statement of the dialect, which may take
    /// long.
    ///
    /// # Errors
    /// [`DbError::WalInUse`] when readers keep an SQLite log in use for ten seconds.
    pub(super) async fn purge(mut self, sql: &str) -> Result<(), DbError> {
        match &mut self {
            Self::Sqlite(connection) => {
                let started = Instant::now();
                // SQLite's own busy timeout does not cover a checkpoint that is running.
                while connection.get().query_row(sql, (), |row| row.get(0))? {
                    if started.elapsed() >= BUSY_TIMEOUT {
                        return Err(DbError::WalInUse);
                    }
                    sleep(RETRY_TRUNCATE).await;
                }
            }
            Self::Postgres(connection) => {
                // A connection without a time limit must not return to the pool.
                connection.close_on_drop();
                sqlx::raw_sql(UNLIMITED).execute(&mut **connection).await?;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .execute(&mut **connection)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Runs a statement on Postgres, with a time limit. A connection that got no answer in time is
/// closed, because its state is unknown.
pub(super) async fn with_time_limit<T>(
    connection: &mut PoolConnection<Postgres>,
    run: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, DbError> {
    let Ok(answer) = timeout(ANSWER_TIMEOUT, run(connection)).await else {
        connection.close_on_drop();
        return Err(DbError::NoAnswer);
    };
    Ok(answer?)
}
