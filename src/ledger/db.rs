//! One way to ask either database. SQLite is asked on the spot: a statement takes microseconds,
//! less than handing it to another thread and back would. What may wait for the disk or for another
//! process, the beginning and the end of a [`Transaction`], goes where waiting keeps nobody up.
//! Knows no tables.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, params_from_iter};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, PgConnection, PgPool, Postgres, SqlSafeStr, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::ledger::sqlite::{BUSY_TIMEOUT, Lent, Purpose, SqliteFile};

/// How long Postgres is waited for: as long as it keeps a transaction itself that nobody goes on
/// with. A network or a host that is gone says nothing, not even that it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Lets a statement of Postgres run as long as it takes.
pub(super) const UNLIMITED: &str = "SET statement_timeout = 0";
/// How long until the journal is tried again that another one copies.
const RETRY: Duration = Duration::from_millis(50);

/// A database failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite, in this process.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Postgres, or the tables of either.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// Postgres, or the network between.
    #[error("the database has not answered for {} seconds", ANSWER_TIMEOUT.as_secs())]
    Silent,
    /// Somebody reads what stands in the journal alone, so it cannot be emptied.
    #[error(
        "the journal cannot be emptied while somebody reads the ledger; run it again when nobody does"
    )]
    Read,
    /// The program stopped meanwhile.
    #[error("the program stopped meanwhile")]
    Stopped(#[from] JoinError),
}

impl DbError {
    /// Whether one of two transactions that compete was given up, by SQLSTATE a serialisation
    /// failure or a deadlock, and may go well when it is tried again.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Sqlx(error) = self else {
            return false;
        };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| code == "40001" || code == "40P01")
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

/// A value of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// Nothing, in a column of texts.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(Cow<'a, str>),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// What a row of either database can be read as: any tuple of columns.
pub(super) trait Columns:
    for<'r> sqlx::FromRow<'r, PgRow>
    + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>
    + Send
    + Unpin
{
}

impl<T> Columns for T where
    T: for<'r> sqlx::FromRow<'r, PgRow>
        + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>
        + Send
        + Unpin
{
}

/// A statement and its values.
#[derive(Debug)]
pub(super) struct Query<'a> {
    sql: SqlStr,
    values: Vec<Value<'a>>,
}

/// A statement, without values so far.
pub(super) fn query<'a>(sql: impl SqlSafeStr) -> Query<'a> {
    Query {
        sql: sql.into_sql_str(),
        values: Vec::new(),
    }
}

impl<'a> Query<'a> {
    /// With the value of its next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it, and gives how many rows it changed.
    pub(super) async fn execute(self, db: &mut Connection) -> Result<u64, DbError> {
        match db {
            Connection::Sqlite(lent) => {
                let n_rows = lent
                    .get()
                    .prepare_cached(self.sql.as_str())?
                    .execute(params_from_iter(&self.values))?;
                Ok(n_rows.try_into().unwrap_or(u64::MAX))
            }
            Connection::Postgres(connection) => {
                let arguments = self.arguments()?;
                let query = sqlx::query_with(self.sql, arguments);
                Ok(
                    answer(connection, async |server| query.execute(server).await)
                        .await?
                        .rows_affected(),
                )
            }
        }
    }

    /// All of its rows.
    pub(super) async fn fetch_all<T: Columns>(
        self,
        db: &mut Connection,
    ) -> Result<Vec<T>, DbError> {
        match db {
            Connection::Sqlite(lent) => {
                let mut statement = lent.get().prepare_cached(self.sql.as_str())?;
                let rows =
                    statement.query_map(params_from_iter(&self.values), |row| T::try_from(row))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Connection::Postgres(connection) => {
                let arguments = self.arguments()?;
                let query = sqlx::query_as_with(self.sql, arguments);
                answer(connection, async |server| query.fetch_all(server).await).await
            }
        }
    }

    /// Its first row, if there is one.
    pub(super) async fn fetch_optional<T: Columns>(
        self,
        db: &mut Connection,
    ) -> Result<Option<T>, DbError> {
        Ok(self.fetch_all(db).await?.into_iter().next())
    }

    /// Its first row, which has to be there.
    pub(super) async fn fetch_one<T: Columns>(self, db: &mut Connection) -> Result<T, DbError> {
        self.fetch_optional(db)
            .await?
            .ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    fn arguments(&self) -> Result<PgArguments, DbError> {
        let mut arguments = PgArguments::default();
        for value in &self.values {
            let added = match value {
                Value::Null => arguments.add(None::<&str>),
                Value::Integer(number) => arguments.add(number),
                Value::Text(text) => arguments.add(&**text),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}

/// Connections to one database, and a permit for each transaction that this process may have open
/// on it at once.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connections: Connections,
    turns: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Connections {
    /// To a file. None is held for longer than it takes, so there are hardly more of them than
    /// threads.
    Sqlite(Arc<SqliteFile>),
    /// To a server.
    Postgres(PgPool),
}

impl Pool {
    /// Of a database in a file that is there; every connection begins with a statement.
    pub(super) fn sqlite(path: PathBuf, set_up: &'static str) -> Self {
        let file = SqliteFile::new(path, set_up);
        // It has one transaction at a time, and would sleep a while for it itself, and look again.
        Self {
            connections: Connections::Sqlite(Arc::new(file)),
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    /// Of a server, with so many transactions open at once, which leave connections to those who
    /// read.
    pub(super) fn postgres(pool: PgPool, n_open: usize) -> Self {
        Self {
            connections: Connections::Postgres(pool),
            turns: Arc::new(Semaphore::new(n_open)),
        }
    }

    /// A connection that nobody else uses, to read with.
    pub(super) async fn acquire(&self) -> Result<Connection, DbError> {
        self.connection(Purpose::Reads).await
    }

    async fn connection(&self, purpose: Purpose) -> Result<Connection, DbError> {
        Ok(match &self.connections {
            Connections::Sqlite(file) => Connection::Sqlite(SqliteFile::lend(file, purpose)?),
            // In a box: it takes four kilobytes, which all that waits for a connection would carry,
            // SQLite's as well.
            Connections::Postgres(pool) => Connection::Postgres(Box::pin(pool.acquire()).await?),
        })
    }

    /// Waits until this process may begin a transaction.
    ///
    /// # Errors
    /// When that takes as long as no commit does on a disk that works.
    async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, DbError> {
        let turn = timeout(BUSY_TIMEOUT, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map(Result::ok)
            .map_err(|_| sqlx::Error::PoolTimedOut.into())
    }

    /// Closes all connections, those in use when they come back.
    pub(super) async fn close(&self) {
        match &self.connections {
            Connections::Sqlite(file) => file.close(),
            Connections::Postgres(pool) => pool.close().await,
        }
    }
}

/// A connection to either database.
#[derive(Debug)]
pub(super) enum Connection {
    /// To a file.
    Sqlite(Lent),
    /// To a server.
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    /// Runs a statement without values.
    pub(super) async fn run(&mut self, sql: &'static str) -> Result<(), DbError> {
        match self {
            Self::Sqlite(lent) => lent.run(sql)?,
            Self::Postgres(connection) => {
                answer(connection, async |server| {
                    sqlx::raw_sql(sql).execute(server).await
                })
                .await?;
            }
        }
        Ok(())
    }

    /// The same, unless it would have to wait for another process.
    async fn run_unless_busy(&mut self, sql: &'static str) -> Result<(), DbError> {
        let Self::Sqlite(lent) = self else {
            return self.run(sql).await;
        };
        lent.get().busy_timeout(Duration::ZERO)?;
        let result = lent.run(sql);
        lent.get().busy_timeout(BUSY_TIMEOUT)?;
        Ok(result?)
    }

    /// Clears away what rows held before, with a statement that may take its time.
    pub(super) async fn forget(mut self, sql: &'static str) -> Result<(), DbError> {
        match &mut self {
            Self::Sqlite(lent) => {
                let begun = Instant::now();
                // Who copies the journal back is not waited for by SQLite itself.
                while lent.get().query_row(sql, (), |row| row.get(0))? {
                    if begun.elapsed() >= BUSY_TIMEOUT {
                        return Err(DbError::Read);
                    }
                    sleep(RETRY).await;
                }
            }
            Self::Postgres(connection) => {
                // It would go back without a limit.
                connection.close_on_drop();
                sqlx::raw_sql(UNLIMITED).execute(&mut **connection).await?;
                sqlx::raw_sql(sql).execute(&mut **connection).await?;
            }
        }
        Ok(())
    }
}

/// What a server answers. A connection that gets no answer is worth nothing.
async fn answer<T>(
    connection: &mut PoolConnection<Postgres>,
    ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, DbError> {
    let Ok(answer) = timeout(ANSWER_TIMEOUT, ask(connection)).await else {
        connection.close_on_drop();
        return Err(DbError::Silent);
    };
    Ok(answer?)
}

/// A transaction on a connection of its own. Unless it is committed the connection is closed with
/// it, which takes back what it did: a database that failed may have ended the transaction by
/// itself, and a connection that doubts where it stands is worth nothing.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Where its statements go.
    pub(super) connection: Connection,
    is_committed: bool,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Transaction {
    /// Begins with a statement.
    pub(super) async fn begin(pool: &Pool, statement: &'static str) -> Result<Self, DbError> {
        let turn = pool.turn().await?;
        let mut begun = Self {
            connection: pool.connection(Purpose::Writes).await?,
            is_committed: false,
            _turn: turn,
        };
        let begin = begun.connection.run_unless_busy(statement).await;
        if !begin.as_ref().is_err_and(DbError::is_busy) {
            return begin.map(|()| begun);
        }
        // Another process writes.
        let wait = async move { begun.connection.run(statement).await.map(|()| begun) };
        spawn(true, wait).await?
    }

    /// Commits so many writes, whatever becomes of the caller, and says how it went; where it went
    /// well, all of it is on disk.
    pub(super) fn commit(
        mut self,
        n_writes: usize,
        tell: impl FnOnce(Result<(), DbError>) + Send + 'static,
    ) {
        let file = match &self.connection {
            Connection::Sqlite(lent) => Some(Arc::clone(&lent.home)),
            Connection::Postgres(_) => None,
        };
        let commit = async move {
            let result = match &mut self.connection {
                Connection::Sqlite(lent) => lent.commit(n_writes).map_err(DbError::from),
                postgres @ Connection::Postgres(_) => postgres.run("COMMIT").await,
            };
            self.is_committed = result.is_ok();
            drop(self);
            tell(result);
        };
        match file {
            // SQLite never gives way, so this is the whole of it.
            Some(file) if file.syncs_at_once => drop(commit.now_or_never()),
            file => drop(spawn(file.is_some(), commit)),
        }
    }
}

/// Work in a task of its own; what waits without giving way, as SQLite does, on a thread of its
/// own.
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
                Connection::Sqlite(lent) => lent.close(),
                Connection::Postgres(connection) => connection.close_on_drop(),
            }
        }
    }
}
