//! Where a ledger is kept, and opening it there: SQLite in a folder, or a Postgres. The tables are
//! brought up to date on the way, and each database says in what manner its transactions are made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection};
use tokio::time::timeout;

use crate::ledger::batch::{Batches, Manner, OpenFile};
use crate::ledger::db::{DbError, Pool, UNLIMITED};
use crate::ledger::{Ledger, LedgerError};

/// The name of an SQLite ledger in its folder.
const SQLITE_FILE: &str = "ledger.sqlite";
/// How long a request waits for a connection before the ledger counts as down.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that was idle may take to show that it is alive, before another one takes
/// its place.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections of one replica to Postgres, whose own limit is a hundred unless told.
const N_POSTGRES: u32 = 16;
/// Transactions of one replica that are open on Postgres at once, each for another tenant.
const N_OPEN: usize = 8;
/// Queues of those who write to Postgres, by their tenant: so many that tenants seldom share one,
/// which has to commit whenever the tenant changes.
const N_LANES: usize = 1024;

/// Where decisions are kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// One SQLite file in this folder: for one replica.
    Sqlite(PathBuf),
    /// A Postgres that replicas share, by its URL, which may hold a password.
    Postgres(SecretString),
}

impl Store {
    /// Whether there is something to open, as far as one can tell without opening it.
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
    /// Opens the ledger, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When the folder cannot be made, or the database cannot be opened or brought up to date.
    pub async fn open(store: &Store) -> Result<Self, LedgerError> {
        match store {
            Store::Sqlite(folder) => Self::open_sqlite(folder).await,
            Store::Postgres(url) => Self::open_postgres(url).await,
        }
        .map_err(|fault| match fault {
            OpenFault::Database(error) => LedgerError::Open(store.to_string(), error),
            OpenFault::Tables(error) => LedgerError::Migrate(error),
        })
    }

    async fn open_sqlite(folder: &Path) -> Result<Self, OpenFault> {
        // Full sync: what was answered survives a power cut, not just a crash. What is erased is
        // overwritten. What is kept to take a statement back by is in memory. Should nobody
        // have copied the journal back, a commit does at 64 MiB.
        const SET_UP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16000;
                              PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;";
        let manner = Manner {
            // The write lock is taken at once, so that a write can't fail for it later.
            begin: "BEGIN IMMEDIATE",
            n_lanes: 1,
            forget: "PRAGMA wal_checkpoint(TRUNCATE)",
            mixes_tenants: true,
        };
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(sqlx::Error::Io)?;
        let path = folder.join(SQLITE_FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql(SET_UP).execute(&mut connection).await?;
        // SQLite lets several processes begin with this at once. Whom another one disturbed goes on
        // when it is alone; nobody else has to wait for those who write.
        if bring_up_to_date(&mut connection).await.is_err() {
            let mut alone = connection.begin_with(manner.begin).await?;
            bring_up_to_date(&mut alone).await?;
            alone.commit().await?;
        }
        connection.close().await?;
        let file = OpenFile::of(path.clone()).map_err(sqlx::Error::Io)?;
        let pool = Pool::sqlite(path, SET_UP);
        Ok(Self::over(pool, manner, Some(file)))
    }

    fn over(pool: Pool, manner: Manner, file: Option<OpenFile>) -> Self {
        let was_ready = Arc::new(AtomicBool::new(true));
        Self {
            batches: Batches::new(pool.clone(), manner, file),
            pool,
            was_ready,
        }
    }

    async fn open_postgres(url: &SecretString) -> Result<Self, OpenFault> {
        const SET_UP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '10s';
                              SET idle_in_transaction_session_timeout = '15s';";
        let manner = Manner {
            // Who writes for a tenant has locked it, so no stricter isolation is needed.
            begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
            n_lanes: N_LANES,
            forget: "VACUUM decision, resolution, chain, merchant_usage, idempotency",
            mixes_tenants: false,
        };
        let options = PgPoolOptions::new()
            .max_connections(N_POSTGRES)
            .acquire_timeout(ACQUIRE_TIMEOUT);
        let options = options.after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SET_UP).execute(connection).await.map(drop) })
        });
        // The pool's own test waits for a connection that is gone without a word as long as for one
        // of its own.
        let options = options
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    Ok(timeout(ALIVE_TIMEOUT, connection.ping())
                        .await
                        .is_ok_and(|pong| pong.is_ok()))
                })
            });
        let url = url.expose_secret();
        let pool = match options.connect(url).await {
            // It tried again until its time was up, and keeps to itself what went wrong.
            Err(sqlx::Error::PoolTimedOut) => {
                let cause = timeout(ALIVE_TIMEOUT, PgConnection::connect(url))
                    .await
                    .ok()
                    .and_then(Result::err);
                return Err(cause.unwrap_or(sqlx::Error::PoolTimedOut).into());
            }
            pool => pool?,
        };
        // An index of a large table takes longer than any request may.
        let mut connection = pool.acquire().await?.detach();
        sqlx::raw_sql(UNLIMITED).execute(&mut connection).await?;
        migrator(&FOR_BOTH).run(&mut connection).await?;
        connection.close().await?;
        let pool = Pool::postgres(pool, N_OPEN);
        Ok(Self::over(pool, manner, None))
    }
}

/// Migrations in SQL that both databases understand: version, description and text. The list stands
/// in for `sqlx::migrate!`, whose crate of macros would build sqlx and SQLite a second time.
const FOR_BOTH: [(i64, &str, &str); 9] = [
    (
        1,
        "decisions",
        include_str!("migrations/0001_decisions.sql"),
    ),
    (
        2,
        "idempotency",
        include_str!("migrations/0002_idempotency.sql"),
    ),
    (
        3,
        "duplicates",
        include_str!("migrations/0003_duplicates.sql"),
    ),
    (
        4,
        "merchants",
        include_str!("migrations/0004_merchants.sql"),
    ),
    (5, "chain", include_str!("migrations/0005_chain.sql")),
    (
        6,
        "resolutions",
        include_str!("migrations/0006_resolutions.sql"),
    ),
    (7, "pending", include_str!("migrations/0007_pending.sql")),
    (8, "lists", include_str!("migrations/0008_lists.sql")),
    (
        9,
        "fewer indexes",
        include_str!("migrations/0009_fewer_indexes.sql"),
    ),
];

/// Migrations of an SQLite file alone. Versions are unique across both lists.
const FOR_SQLITE: [(i64, &str, &str); 1] = [(
    10,
    "clustered",
    include_str!("migrations/sqlite/0010_clustered.sql"),
)];

/// The tables of an SQLite file.
async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    migrator(&FOR_BOTH).run(&mut *connection).await?;
    migrator(&FOR_SQLITE).run(connection).await
}

/// A migrator of the given versions. It ignores versions in the database that it does not know,
/// because a newer version of the service may have been here: no migration takes away what an
/// earlier version needs, so the two can run side by side.
fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, description, sql)| {
        let sql = sql.into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}

/// Why a ledger cannot be opened.
enum OpenFault {
    Database(DbError),
    Tables(MigrateError),
}

impl From<sqlx::Error> for OpenFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<MigrateError> for OpenFault {
    fn from(error: MigrateError) -> Self {
        Self::Tables(error)
    }
}
