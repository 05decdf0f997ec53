//! The databases on which ledger tests run: always SQLite in a new folder, and if
//! `TEST_DATABASE_URL` names a Postgres, also a new database there.

use std::path::PathBuf;

use expense_agent::ledger::{Ledger, Store};
use sqlx::{AnyPool, AssertSqlSafe, SqlSafeStr};
use tempfile::TempDir;
use uuid::Uuid;

use super::skip::skip;

/// The database of one test.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    /// For access to the database past the service.
    url: String,
    folder: Option<TempDir>,
}

impl TestStore {
    /// An SQLite ledger.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite://{}?mode=rwc",
            folder.path().join("ledger.sqlite").display()
        );
        Self {
            store: Store::Sqlite(folder.path().to_owned()),
            url,
            folder: Some(folder),
        }
    }

    /// The folder of an SQLite ledger.
    pub(crate) fn folder(&self) -> &str {
        self.folder.as_ref().unwrap().path().to_str().unwrap()
    }

    /// The URL of a ledger in Postgres.
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        matches!(self.store, Store::Postgres(_)).then_some(&self.url)
    }

    /// The files of an SQLite ledger; empty for Postgres, whose files belong to another user.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = self
            .folder
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder.path()).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// A database of this name in the Postgres of a URL.
    fn postgres(server: &str, name: &str) -> Self {
        let (base, _) = server
            .rsplit_once('/')
            .expect("TEST_DATABASE_URL ends with the name of a database");
        let url = format!("{base}/{name}");
        Self {
            store: Store::Postgres(url.as_str().into()),
            url,
            folder: None,
        }
    }

    /// Runs a statement past the service.
    pub(crate) async fn execute(&self, sql: impl SqlSafeStr) {
        let pool = self.connect().await;
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// The first column of all rows of a statement past the service.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        let pool = self.connect().await;
        let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&pool)
            .await
            .unwrap();
        pool.close().await;
        rows.into_iter().map(|(text,)| text).collect()
    }

    /// Fails if the hash chain of a tenant is broken.
    pub(crate) async fn assert_chain_holds(&self, tenant_id: &str) {
        let ledger = Ledger::open(&self.store).await.unwrap();
        assert_eq!(ledger.walk(tenant_id, None).await.unwrap().broken, None);
        ledger.close().await;
    }

    /// Connections past the service.
    pub(crate) async fn connect(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        AnyPool::connect(&self.url).await.unwrap()
    }
}

/// Creates or drops a database of a Postgres.
async fn administer(server: &str, sql: String) {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(server)
        .await
        .expect("TEST_DATABASE_URL names a running Postgres");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

/// Runs a test on every available database.
pub(crate) async fn on_each_store(test: impl AsyncFn(TestStore)) {
    test(TestStore::sqlite()).await;
    match std::env::var("TEST_DATABASE_URL") {
        Ok(server) => {
            let name = format!("test_{}", Uuid::new_v4().simple());
            administer(&server, format!("CREATE DATABASE {name}")).await;
            test(TestStore::postgres(&server, &name)).await;
            // By force, because a service that was dropped closes its connections a little later.
            administer(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        Err(_) => skip(
            "on Postgres; name one in TEST_DATABASE_URL, such as \
             postgres://postgres@localhost/postgres",
        ),
    }
}
