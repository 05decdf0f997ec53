//! Two versions of the service on one ledger, as during a rolling update and after a rollback.

use std::path::Path;

use expense_agent::domain::ruling::Role;
use expense_agent::ledger::Ledger;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};

use crate::harness::TestApp;
use crate::harness::store::on_each_store;

#[tokio::test]
async fn a_version_starts_on_tables_that_a_later_one_has_migrated() {
    on_each_store(async |store| {
        Ledger::open(&store.store).await.unwrap().close().await;
        // Like a migration of the next version, which adds a column and is recorded.
        store
            .execute(
                "ALTER TABLE decision ADD COLUMN later TEXT; CREATE INDEX by_later ON decision \
                 (later)",
            )
            .await;
        store
            .execute(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time)
                 SELECT version + 1, 'later', TRUE, checksum, 0 FROM _sqlx_migrations
                 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
            )
            .await;
        let app = TestApp::on(&store).await;
        let decided = app
            .post(json!({
                "transaction": "Uber ride",
                "amount": "45.00",
                "user_id": "ana",
            }))
            .await;
        assert_eq!(decided.status, 201, "{:#}", decided.body);
    })
    .await;
}

#[tokio::test]
async fn several_processes_can_create_one_ledger_at_once() {
    on_each_store(async |store| {
        for opened in join_all((0..8).map(|_| Ledger::open(&store.store))).await {
            opened.unwrap().close().await;
        }
    })
    .await;
}

/// The tables that migration 10 rebuilds, each with a row.
const ROWS: [(&str, &str); 5] = [
    (
        "cap_usage",
        "'acme', 'ana', 'meals', 'USD', 'day', '2026-03-14', '7000'",
    ),
    (
        "merchant_usage",
        "'acme', 'ana', 'meals', 'USD', 'diner', '2026-03-14', 'd1', '7000'",
    ),
    ("chain", "'acme', '1', 'd1', 'salt', 'hash'"),
    ("failed_validation", "'acme', 'evidence', 'd1'"),
    ("idempotency", "'acme', 'key', 'print', 'd1', '1', '2'"),
];

#[tokio::test]
async fn a_migration_keeps_the_rows_of_an_earlier_version() {
    on_each_store(async |store| {
        let pool = store.connect().await;
        let mut earlier = Migrator::new(Path::new("src/ledger/migrations"))
            .await
            .unwrap();
        earlier
            .migrations
            .to_mut()
            .retain(|migration| migration.version <= 8);
        earlier.run(&pool).await.unwrap();
        store
            .execute(
                "INSERT INTO decision (id, tenant_id, user_id, outcome, trace_id, document, \
                 pending_role)
                 VALUES ('d1', 'acme', 'ana', 'needs_approval', 't', '{}', 'manager')",
            )
            .await;
        for (table, row) in ROWS {
            store
                .execute(AssertSqlSafe(format!("INSERT INTO {table} VALUES ({row})")))
                .await;
        }
        pool.close().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        // Connections that know the new columns.
        let pool = store.connect().await;
        for (table, row) in ROWS {
            let columns = row.split(", ").count();
            let found = sqlx::raw_sql(AssertSqlSafe(format!("SELECT * FROM {table}")))
                .fetch_one(&pool)
                .await
                .unwrap();
            let text = |n| {
                found
                    .try_get::<String, _>(n)
                    .or_else(|_| found.try_get::<i64, _>(n).map(|n| n.to_string()))
            };
            let found: Vec<String> = (0..columns)
                .map(|n| format!("'{}'", text(n).unwrap()))
                .collect();
            assert_eq!(found.join(", "), row, "{table}");
        }
        let pending = ledger.pending_by_role().await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!(pending[&Role::Manager].n_open, 1);
        pool.close().await;
    })
    .await;
}
