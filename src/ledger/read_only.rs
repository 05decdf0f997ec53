//! Opening a ledger to read it. A ledger that can be written to is opened as the service opens it.
//! One on a read-only medium, or on a standby of Postgres, is opened as it is, provided that its
//! tables are those of this version. Opening a ledger to write to it is in `store`.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::ledger::Ledger;
use crate::ledger::db::{DbError, Pool};
use crate::ledger::error::LedgerError;
use crate::ledger::migrations::{POSTGRES_VERSIONS, SQLITE_VERSIONS};
use crate::ledger::sqlite::Access;
use crate::ledger::statement::query;
use crate::ledger::store::{SQLITE_FILE, Store, connect_postgres};

impl Ledger {
    /// Opens a ledger to read from it. Migrates its tables if it can be written to.
    ///
    /// # Errors
    /// When the database cannot be opened, or cannot be written to although its tables are of an
    /// earlier version or its write-ahead log has to be recovered.
    pub async fn open_to_read(store: &Store) -> Result<Self, LedgerError> {
        match Self::open(store).await {
            Err(error) if error.is_read_only() => Self::open_read_only(store).await,
            opened => opened,
        }
    }

    async fn open_read_only(store: &Store) -> Result<Self, LedgerError> {
        let failed = |error| LedgerError::Open(store.to_string(), error);
        let (ledger, versions) = match store {
            Store::Sqlite(folder) => {
                let pool = file_pool(&folder.join(SQLITE_FILE)).await.map_err(failed)?;
                let pool = pool.ok_or_else(|| LedgerError::Unrecovered(store.to_string()))?;
                (Self::of_sqlite(pool, None), SQLITE_VERSIONS)
            }
            Store::Postgres(url) => {
                let ledger = read_only_server(url).await.map_err(failed)?;
                (ledger, POSTGRES_VERSIONS)
            }
        };
        if !ledger.has_migrations(versions).await {
            return Err(LedgerError::Outdated(store.to_string()));
        }
        let recorded_tenants = ledger.recorded_tenants().await?;
        Ok(Self {
            recorded_tenants,
            ..ledger
        })
    }

    /// Whether all of these migrations were applied. A ledger without the table that records them
    /// has none.
    async fn has_migrations(&self, wanted: &[&[(i64, &str, &str)]]) -> bool {
        let Ok(mut connection) = self.pool.acquire().await else {
            return false;
        };
        let applied: Result<Vec<(i64,)>, _> =
            query("SELECT version FROM _sqlx_migrations WHERE success")
                .fetch_all(&mut connection)
                .await;
        let applied = applied.unwrap_or_default();
        let mut wanted = wanted.iter().copied().flatten();
        wanted.all(|(version, ..)| applied.contains(&(*version,)))
    }
}

/// A pool that only reads a file. `None` when the file has a write-ahead log that is not empty:
/// reading that log takes an index file, which cannot be created on a read-only medium.
async fn file_pool(path: &Path) -> Result<Option<Pool>, DbError> {
    let pool = Pool::sqlite_to_read(path.to_owned(), Access::ReadOnly);
    let Err(error) = read_schema(&pool).await else {
        return Ok(Some(pool));
    };
    if !error.is_read_only() {
        return Err(error);
    }
    let log = PathBuf::from(format!("{}-wal", path.display()));
    // A log that is absent or empty holds no changes, so the file alone is the whole ledger.
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(None);
    }
    let pool = Pool::sqlite_to_read(path.to_owned(), Access::Immutable);
    read_schema(&pool).await?;
    Ok(Some(pool))
}

async fn read_schema(pool: &Pool) -> Result<(), DbError> {
    let _tables: (i64,) = query("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(&mut pool.acquire().await?)
        .await?;
    Ok(())
}

async fn read_only_server(url: &SecretString) -> Result<Ledger, DbError> {
    Ok(Ledger::of_postgres(connect_postgres(url).await?))
}
