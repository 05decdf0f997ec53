//! Erasing the personal texts of an employee's records. Each text is replaced by the salted hash that
//! the chain was sealed over, so the chain stays valid; amounts, dates, outcomes and the employee's
//! id stay as they are. Backups, and what Postgres keeps for replication, are out of reach.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::query::read;
use crate::ledger::records::{RECORDS, RecordKind};
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;
use crate::ledger::{Ledger, seal, text_of};
use crate::spelling;

/// Records that are erased in one write, so that other writes are not kept waiting for long.
const PAGE: i64 = 100;

impl Ledger {
    /// Erases the personal texts of the decisions of an employee, in any spelling of the id, and of
    /// all records that belong to them. Returns how many records held such texts. Afterwards a
    /// request with one of their idempotency keys gets the answer that the key was used, because the
    /// bodies can no longer be compared.
    ///
    /// # Errors
    /// When the database fails. What was erased by then stays erased, and a second call continues.
    pub async fn erase(&self, tenant_id: &str, user_id: &str) -> Result<u64, LedgerError> {
        let person = spelling::person(user_id);
        let mut n_erased = 0;
        for kind in RECORDS {
            let mut after = Some(String::new());
            while let Some(last) = after {
                let write = ErasePage {
                    tenant_id,
                    person: &person,
                    kind,
                    after: &last,
                };
                let page = self.writes.run(tenant_id, write).await?;
                n_erased += page.n_erased;
                after = page.last;
            }
        }
        self.writes.purge().await?;
        Ok(n_erased)
    }
}

/// Erases the next records of one kind.
struct ErasePage<'a> {
    tenant_id: &'a str,
    person: &'a str,
    kind: RecordKind,
    /// The last decision of the previous page; empty for the first page.
    after: &'a str,
}

/// What one page erased.
struct Page {
    n_erased: u64,
    /// The last decision of the page; `None` when no record was left.
    last: Option<String>,
}

impl LedgerWrite for ErasePage<'_> {
    type Output = Page;

    async fn write(&mut self, slot: &mut Slot) -> Result<Page, RecordError> {
        if self.after.is_empty() {
            self.erase_outside_records(slot).await?;
        }
        let RecordKind {
            table, id_column, ..
        } = self.kind;
        let update = format!("UPDATE {table} SET document = $1 WHERE {id_column} = $2");
        let mut page = Page {
            n_erased: 0,
            last: None,
        };
        for (owner_id, id, salt, document) in self.rows(slot).await? {
            let mut record: Value = read(&document)?;
            seal::hash_personal_texts(&mut record, &self.kind, &salt);
            query(AssertSqlSafe(update.clone()))
                .bind(text_of(&record))
                .bind(&id)
                .execute(slot.transaction())
                .await?;
            // Without its salt a text cannot be guessed from its hash.
            query("UPDATE chain SET salt = NULL WHERE record_id = $1")
                .bind(id)
                .execute(slot.transaction())
                .await?;
            page.n_erased += 1;
            page.last = Some(owner_id);
        }
        Ok(page)
    }
}

impl ErasePage<'_> {
    /// The records of the page that still have a salt, in the order of their decisions: id of the
    /// decision, id of the record, salt and document.
    async fn rows(
        &self,
        slot: &mut Slot,
    ) -> Result<Vec<(String, String, String, String)>, RecordError> {
        let RecordKind {
            table,
            id_column,
            owner_column,
            ..
        } = self.kind;
        let sql = format!(
            "SELECT owner.id, record.{id_column}, chain.salt, record.document FROM decision AS owner
             JOIN {table} AS record ON record.{owner_column} = owner.id
             JOIN chain ON chain.record_id = record.{id_column}
             WHERE owner.tenant_id = $1 AND owner.person = $2 AND owner.id > $3 AND chain.salt IS NOT NULL
             ORDER BY owner.id LIMIT $4"
        );
        Ok(query(AssertSqlSafe(sql))
            .bind(self.tenant_id)
            .bind(self.person)
            .bind(self.after)
            .bind(PAGE)
            .fetch_all(slot.transaction())
            .await?)
    }

    /// Erases what other tables hold of the employee's texts; harmless when it is repeated.
    async fn erase_outside_records(&self, slot: &mut Slot) -> Result<(), RecordError> {
        for statement in [
            // Holds the names of merchants, to find split purchases by.
            "DELETE FROM merchant_usage WHERE tenant_id = $1 AND user_id = $2",
            // A fingerprint is an unsalted hash, and a short text can be guessed from it and the
            // fields that stay.
            "UPDATE idempotency SET fingerprint = '' WHERE tenant_id = $1 AND fingerprint <> ''
             AND decision_id IN (SELECT id FROM decision WHERE tenant_id = $1 AND person = $2)",
        ] {
            query(statement)
                .bind(self.tenant_id)
                .bind(self.person)
                .execute(slot.transaction())
                .await?;
        }
        Ok(())
    }
}
