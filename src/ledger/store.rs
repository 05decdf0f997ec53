//! Where a ledger is stored, and opening it: SQLite in a folder, or Postgres. Opening migrates the
//! tables, and chooses the dialect of the database. Opening a ledger that is only read is in
//! `read_only`; what is stored is in `records`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::SecretString;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool, SqliteConnection};
use tokio::time::timeout;

use crate::ledger::database_url;
use crate::ledger::db::{DbError, Pool, UNLIMITED};
use crate::ledger::error::LedgerError;
use crate::ledger::group_commit::{Dialect, GroupCommit};
use crate::ledger::migrations::{migrate_postgres, migrate_sqlite};
use crate::ledger::outbox::Outbox;
use crate::ledger::records::vacuum_statement;
use crate::ledger::sqlite::OpenFile;
use crate::ledger::{Ledger, RecordedTenants};

/// The file name of an SQLite ledger.
pub(super) const SQLITE_FILE: &str = "ledger.sqlite";
/// How long a request waits for a connection before the ledger counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection may take to answer a ping before it is replaced.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections of one replica to Postgres, whose own default limit is a hundred.
const MAX_CONNECTIONS: u32 = 16;
/// Transactions of one replica that may be open on Postgres at once, each of a different tenant. The
/// other connections are left to readers.
const MAX_TRANSACTIONS: usize = 8;
/// Writer queues for Postgres: so many that two tenants seldom share one, because a shared queue
/// commits whenever the tenant changes.
const N_QUEUES: usize = 1024;

/// Begins a write on SQLite. Takes the write lock at once, so that no later statement can fail to get
/// it.
const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";

/// Where a ledger is stored.
#[derive(Clone, Debug)]
pub enum Store {
    /// An SQLite file in this folder, for one replica.
    Sqlite(PathBuf),
    /// A Postgres that replicas share, by its URL, which may contain a password.
    Postgres(SecretString),
}

impl Store {
    /// Whether there is a ledger to open, as far as can be known without connecting to a database.
    pub fn exists(&self) -> bool {
        match self {
            Self::Sqlite(folder) => folder.join(SQLITE_FILE).is_file(),
            Self::Postgres(_) => true,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "in {}", folder.display()),
            Self::Postgres(_) => f.write_str("of DATABASE_URL"),
        }
    }
}

impl Ledger {
    /// Opens the ledger, creates it if it does not exist, and migrates its tables.
    ///
    /// # Errors
    /// When the folder cannot be created, or the database cannot be opened or brought up to date.
    pub async fn open(store: &Store) -> Result<Self, LedgerError> {
        match store {
            Store::Sqlite(folder) => Self::open_sqlite(folder).await,
            Store::Postgres(url) => Self::open_postgres(url).await,
        }
        .map_err(|error| match error {
            OpenError::Database(error) => LedgerError::Open(store.to_string(), error),
            OpenError::Tables(error) => LedgerError::Migrate(error),
            OpenError::Foreign(path) => LedgerError::Foreign(path.display().to_string()),
        })?
        .respelled()
        .await
    }

    async fn open_sqlite(folder: &Path) -> Result<Self, OpenError> {
        // Full sync: what was answered survives a power cut, not just a crash. Secure delete: what
        // is erased is overwritten. Temporary tables and statement journals stay in memory. An
        // automatic checkpoint at 64 MiB, in case all those of `sqlite` fail.
        const SET_UP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16000;
                              PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;";
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(sqlx::Error::Io)?;
        let path = folder.join(SQLITE_FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        if is_foreign(&mut connection).await? {
            return Err(OpenError::Foreign(path));
        }
        sqlx::raw_sql(SET_UP).execute(&mut connection).await?;
        // SQLite lets several processes migrate at once. If another process interfered, retry under
        // an exclusive lock; the common path takes none, and does not wait for running writers.
        if migrate_sqlite(&mut connection).await.is_err() {
            let mut exclusive = connection.begin_with(BEGIN_SQLITE).await?;
            migrate_sqlite(&mut exclusive).await?;
            exclusive.commit().await?;
        }
        connection.close().await?;
        let file = OpenFile::of(path.clone()).map_err(sqlx::Error::Io)?;
        let pool = Pool::sqlite(path, SET_UP);
        Ok(Self::of_sqlite(pool, Some(file)))
    }

    /// A ledger in an SQLite file; `file` is its identity if it is written to.
    pub(super) fn of_sqlite(pool: Pool, file: Option<OpenFile>) -> Self {
        let dialect = Dialect {
            begin: BEGIN_SQLITE,
            n_queues: 1,
            purge: "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(),
            mixes_tenants: true,
        };
        Self::new(pool, dialect, file)
    }

    fn new(pool: Pool, dialect: Dialect, file: Option<OpenFile>) -> Self {
        let was_ready = Arc::new(AtomicBool::new(true));
        Self {
            writes: GroupCommit::new(pool.clone(), dialect, file),
            pool,
            recorded_tenants: RecordedTenants::default(),
            outbox: Outbox::default(),
            was_ready,
        }
    }

    async fn open_postgres(url: &SecretString) -> Result<Self, OpenError> {
        let pool = connect_postgres(url).await?;
        // A migration that creates an index on a large table takes longer than a request may.
        let mut connection = pool.acquire().await?.detach();
        sqlx::raw_sql(UNLIMITED).execute(&mut connection).await?;
        migrate_postgres(&mut connection).await?;
        connection.close().await?;
        Ok(Self::of_postgres(pool))
    }

    /// A ledger in a Postgres that is connected.
    pub(super) fn of_postgres(pool: PgPool) -> Self {
        let dialect = Dialect {
            // Every write locks its tenant, so no stricter isolation is needed.
            begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
            n_queues: N_QUEUES,
            purge: vacuum_statement(),
            mixes_tenants: false,
        };
        Self::new(Pool::postgres(pool, MAX_TRANSACTIONS), dialect, None)
    }
}

/// Whether a file is the database of something else: it has tables, but none of a ledger. A Postgres
/// may hold the tables of several programs, but no program names its file like a ledger, so such a
/// file was copied or linked there by mistake.
async fn is_foreign(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The table of migrations is created before the first migration.
    let of_others: (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'
         AND NOT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'cap_usage')",
    )
    .fetch_one(connection)
    .await?;
    Ok(of_others.0 > 0)
}

/// Connects to a Postgres, whose tables stay as they are.
///
/// # Errors
/// When the URL cannot be used, or the server does not accept the connection.
pub(super) async fn connect_postgres(url: &SecretString) -> Result<PgPool, sqlx::Error> {
    const SET_UP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '10s';
                          SET idle_in_transaction_session_timeout = '15s';";
    let options = PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT);
    let options = options.after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(SET_UP).execute(connection).await.map(drop) })
    });
    // The pool's own test has no time limit, and would hang on a connection that died silently.
    let options = options
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                Ok(timeout(ALIVE_TIMEOUT, connection.ping())
                    .await
                    .is_ok_and(|pong| pong.is_ok()))
            })
        });
    let server = database_url::parse(url).map_err(sqlx::Error::config)?;
    match options.connect_with(server.clone()).await {
        // The pool retried until its time was up, and does not report the cause; ask once more.
        Err(sqlx::Error::PoolTimedOut) => {
            let cause = timeout(ALIVE_TIMEOUT, PgConnection::connect_with(&server))
                .await
                .ok()
                .and_then(Result::err);
            Err(cause.unwrap_or(sqlx::Error::PoolTimedOut))
        }
        pool => pool,
    }
}

/// Why a ledger cannot be opened; [`Ledger::open`] adds which one.
enum OpenError {
    Database(DbError),
    Tables(MigrateError),
    Foreign(PathBuf),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        Self::Tables(error)
    }
}
