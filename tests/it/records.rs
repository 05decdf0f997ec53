//! What holds for every kind of record: its table is declared, and its records are chained, exported,
//! erased and vacuumed. Their fields are tested in `record_fields`.

use std::collections::BTreeSet;

use expense_agent::config::Config;
use expense_agent::domain::feedback::{Feedback, FeedbackName, FeedbackSource};
use expense_agent::ledger::records::{RECORDS, RecordKind, vacuum_statement};
use expense_agent::ledger::{Ledger, Period, Store};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::harness::expenses::id_of;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, policies_with};

const CANARY: &str = "canary";

/// A rule by which a person approves a laptop, and then another one.
const TWO_SIGNATURES: &str = r#"
[[rule]]
id = "two-signatures"
kind = "approval_always"
roles = ["manager", "cfo"]
text = "A manager approves, then the chief financial officer."
"#;

#[tokio::test]
async fn every_table_with_documents_is_declared_with_the_columns_it_has() {
    on_each_store(async |store| {
        Ledger::open(&store.store).await.unwrap().close().await;
        // The documents of figures are counted from the records, and empty of personal texts.
        let tables = match store.store {
            Store::Sqlite(_) => {
                "SELECT tables.name FROM sqlite_master AS tables
                 JOIN pragma_table_info(tables.name) AS columns
                 WHERE tables.type = 'table' AND columns.name = 'document'
                 AND tables.name <> 'figures' ORDER BY 1"
            }
            Store::Postgres(_) => {
                "SELECT table_name::text FROM information_schema.columns
                 WHERE table_schema = 'public' AND column_name = 'document'
                 AND table_name <> 'figures' ORDER BY 1"
            }
        };
        let declared: BTreeSet<_> = RECORDS.iter().map(|kind| kind.table.to_owned()).collect();
        let found = store.column(tables).await;
        assert_eq!(found, declared.into_iter().collect::<Vec<_>>());
        for RecordKind {
            table,
            id_column,
            owner_column,
            author_column,
            repeatable,
            ..
        } in RECORDS
        {
            let author = author_column.unwrap_or(id_column);
            let columns = format!("{id_column}, {owner_column}, {author}, tenant_id, document");
            store
                .execute(AssertSqlSafe(format!("SELECT {columns} FROM {table}")))
                .await;
            if let (Store::Sqlite(_), false) = (&store.store, repeatable) {
                let unique = format!(
                    "SELECT columns.name FROM pragma_index_list('{table}') AS indexes
                     JOIN pragma_index_info(indexes.name) AS columns
                     WHERE indexes.\"unique\" = 1 AND columns.name = '{owner_column}'"
                );
                let unique = store.column(&unique).await;
                assert!(!unique.is_empty(), "{table}.{owner_column} is unique");
            }
        }
    })
    .await;
}

/// A note on a decision, with a canary.
fn note(decision: &Value) -> Feedback {
    Feedback {
        id: Uuid::nil(),
        expense_id: id_of(decision).parse().unwrap(),
        name: FeedbackName::Note,
        label: None,
        comment: Some(CANARY.to_owned()),
        author: "ben".to_owned(),
        api_key: "keys".to_owned(),
        source: FeedbackSource::Person,
        taken_back: false,
        tenant_id: "default".to_owned(),
        trace_id: String::new(),
        given_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn every_kind_of_record_is_chained_exported_erased_and_vacuumed() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[entry(
            "keys",
            "default",
            "ea_keys",
            "roles = [\"manager\", \"cfo\"]",
        )]);
        let policies = policies_with("office.toml", TWO_SIGNATURES);
        let app = TestApp::with(Config {
            http: keys.http_config(),
            store: store.store.clone(),
            policies: policies.path().to_owned(),
            ..config()
        })
        .await;
        // One decision with a record of every other kind.
        let laptop = json!({"transaction": "Laptop canary", "amount": "510.00", "user_id": "ana"});
        let pending = app.post_as("ea_keys", laptop).await.body;
        for (actor, role) in [("ben", "manager"), ("eva", "cfo")] {
            let approve =
                json!({"action": "approve", "role": role, "actor": actor, "reason": "canary"});
            assert_eq!(app.resolve("ea_keys", &pending, approve).await.status, 201);
        }
        app.stop().await;

        let ledger = Ledger::open(&store.store).await.unwrap();
        ledger.record_feedback(note(&pending)).await.unwrap();
        for RecordKind {
            table, id_column, ..
        } in RECORDS
        {
            let documents = store.column(&format!("SELECT document FROM {table}")).await;
            assert_eq!(documents.len(), 1, "this test records one {table}");
            assert!(documents[0].contains(CANARY), "a {table} with a canary");
            let chained = store.column(&format!(
                    "SELECT chain.hash FROM {table} JOIN chain ON chain.record_id = {table}.{id_column}"
                ))
            .await;
            assert_eq!(chained.len(), 1, "{table}");
            let vacuumed = vacuum_statement();
            assert!(
                vacuumed
                    .split([' ', ','])
                    .any(|vacuumed| vacuumed == table),
                "{table}"
            );
        }
        let period = Period {
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::MAX,
        };
        let exported = ledger.export(period, Some(&["default".to_owned()]), None).await.unwrap();
        assert_eq!(exported.len(), 1);
        assert_eq!(exported[0].stored.decision.id.to_string(), pending["id"]);
        assert!(exported[0].stored.resolution.is_some());
        let attached = &exported[0].attached;
        assert_eq!(attached.len(), RECORDS.len() - 1);
        for (table, document) in attached {
            assert!(document.to_string().contains(CANARY), "{table}");
        }

        let n_erased = ledger.erase("default", "ana").await.unwrap();
        assert_eq!(n_erased, RECORDS.len() as u64);
        for RecordKind { table, .. } in RECORDS {
            let documents = store.column(&format!("SELECT document FROM {table}")).await;
            assert!(!documents[0].contains(CANARY), "{table}: {}", documents[0]);
        }
        let walk = ledger.walk("default", None).await.unwrap();
        assert_eq!((walk.broken, walk.n_records), (None, RECORDS.len() as i64));
        ledger.close().await;
    })
    .await;
}
