//! The stores of measured services: each service has a new one, which is removed afterwards.

use anyhow::Context;
use sqlx::{AnyPool, AssertSqlSafe};
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use super::arguments::{Arguments, StoreKind};

/// The store of one ledger.
pub(crate) struct Store {
    /// For access to the database past the service.
    pub(crate) url: String,
    /// The URL of a Postgres server, and the database that was created on it.
    database: Option<(String, String)>,
    folder: TempDir,
}

impl Store {
    /// Creates a store for an empty ledger.
    pub(crate) async fn make(kind: StoreKind, arguments: &Arguments) -> anyhow::Result<Self> {
        let parent = if kind == StoreKind::Memory {
            &arguments.memory
        } else {
            &arguments.disk
        };
        let folder = TempDir::new_in(parent)?;
        if kind != StoreKind::Postgres {
            let url = format!("sqlite://{}", folder.path().join("ledger.sqlite").display());
            return Ok(Self {
                url,
                database: None,
                folder,
            });
        }
        let server = arguments.postgres.clone().context("no Postgres is given")?;
        let (base, _) = server
            .rsplit_once('/')
            .context("the URL of a Postgres ends with the name of a database")?;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await?;
        Ok(Self {
            url: format!("{base}/{name}"),
            database: Some((server, name)),
            folder,
        })
    }

    /// Adds the arguments and variables that make a service use this store.
    pub(crate) fn configure(&self, command: &mut Command) {
        command.arg("--data").arg(self.folder.path());
        if self.database.is_some() {
            command.env("DATABASE_URL", &self.url);
        }
    }

    /// Removes the store. No service may use it any more.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        match self.database {
            Some((server, name)) => execute(&server, format!("DROP DATABASE {name}")).await,
            None => Ok(()),
        }
    }
}

/// Runs statements in a database.
pub(crate) async fn execute(url: &str, sql: String) -> anyhow::Result<()> {
    let pool = connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// Opens a database past the service.
pub(crate) async fn connect(url: &str) -> anyhow::Result<AnyPool> {
    sqlx::any::install_default_drivers();
    Ok(AnyPool::connect(url).await?)
}
