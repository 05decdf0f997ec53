//! Two versions on one ledger, as they are while one replaces the other, and after it was taken back.

use expense_agent::config::Config;
use expense_agent::ledger::Ledger;
use serde_json::json;

use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config};

#[tokio::test]
async fn a_version_starts_on_tables_that_a_later_one_has_brought_up_to_date() {
    on_each_store(async |store| {
        Ledger::open(&store.store).await.unwrap().close().await;
        // What the next version's migration does: it adds, and is noted.
        store.execute("ALTER TABLE decision ADD COLUMN later TEXT; CREATE INDEX by_later ON decision (later)").await;
        store
            .execute(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT version + 1, 'later', TRUE, checksum, 0 FROM _sqlx_migrations
                 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
            )
            .await;
        let app = TestApp::with(Config { store: store.store.clone(), ..config() }).await;
        let decided = app.post(json!({"transaction": "Uber ride", "amount": "45.00", "user_id": "ana"})).await;
        assert_eq!(decided.status, 201, "{:#}", decided.body);
    })
    .await;
}
