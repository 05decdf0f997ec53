//! Erasing the personal texts of a person: those in the records about the person's expenses, and
//! those that the person wrote about expenses of others. Each text is replaced by the salted hash
//! that the chain was sealed over, so the chain stays valid; amounts, dates, outcomes and the ids of
//! people stay as they are. Backups, and what Postgres keeps for replication, are out of reach.

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
    /// Erases the personal texts of the decisions of an employee, in any spelling of the id, of all
    /// records that belong to them, and of the records that this person wrote about expenses of
    /// others. Returns how many records held such texts. Afterwards a request with one of their
    /// idempotency keys gets the answer that the key was used, because the bodies can no longer be
    /// compared.
    ///
    /// # Errors
    /// When the database fails. What was erased by then stays erased, and a second call continues.
    pub async fn erase(&self, tenant_id: &str, user_id: &str) -> Result<u64, LedgerError> {
        let person = spelling::person(user_id);
        let mut n_erased = 0;
        for (kind, role) in RECORDS.into_iter().flat_map(roles) {
            let mut after = Some(Place::default());
            while let Some(last) = after {
                let write = ErasePage {
                    tenant_id,
                    person: &person,
                    kind,
                    role,
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

/// What the person is to a record.
#[derive(Clone, Copy)]
enum Role {
    /// The employee of the decision that it belongs to.
    Employee,
    /// The author of its texts, whom this column holds.
    Author(&'static str),
}

/// The kind, with everything that a person can be to its records.
fn roles(kind: RecordKind) -> impl Iterator<Item = (RecordKind, Role)> {
    let author = kind.author_column.map(Role::Author);
    let roles = [Some(Role::Employee), author].into_iter().flatten();
    roles.map(move |role| (kind, role))
}

/// The place of a record in the order in which records are erased.
#[derive(Default)]
struct Place {
    /// The decision that it belongs to.
    owner_id: String,
    id: String,
}

/// Erases the next records of one kind.
struct ErasePage<'a> {
    tenant_id: &'a str,
    person: &'a str,
    kind: RecordKind,
    role: Role,
    /// The last record of the previous page; before all of them for the first page.
    after: &'a Place,
}

/// What one page erased.
struct Page {
    n_erased: u64,
    /// The last record of the page; `None` when no record was left.
    last: Option<Place>,
}

impl LedgerWrite for ErasePage<'_> {
    type Output = Page;

    async fn write(&mut self, slot: &mut Slot) -> Result<Page, RecordError> {
        if self.after.id.is_empty() {
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
                .bind(&id)
                .execute(slot.transaction())
                .await?;
            page.n_erased += 1;
            page.last = Some(Place { owner_id, id });
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
        // Each condition has an index that begins with the tenant and the person.
        let (records, person) = match self.role {
            Role::Employee => (
                format!(
                    "decision AS owner JOIN {table} AS record ON record.{owner_column} = owner.id"
                ),
                "owner.person".to_owned(),
            ),
            Role::Author(column) => (
                format!(
                    "{table} AS record JOIN decision AS owner ON owner.id = record.{owner_column}"
                ),
                format!("record.{column}"),
            ),
        };
        let sql = format!(
            "SELECT owner.id, record.{id_column}, chain.salt, record.document FROM {records}
             JOIN chain ON chain.record_id = record.{id_column}
             WHERE record.tenant_id = $1 AND owner.tenant_id = $1 AND {person} = $2
             AND (owner.id, record.{id_column}) > ($3, $4) AND chain.salt IS NOT NULL
             ORDER BY owner.id, record.{id_column} LIMIT $5"
        );
        Ok(query(AssertSqlSafe(sql))
            .bind(self.tenant_id)
            .bind(self.person)
            .bind(&self.after.owner_id)
            .bind(&self.after.id)
            .bind(PAGE)
            .fetch_all(slot.transaction())
            .await?)
    }

    /// Erases what other tables hold of the employee's texts; harmless when it is repeated.
    async fn erase_outside_records(&self, slot: &mut Slot) -> Result<(), RecordError> {
        for statement in [
            // Holds the names of merchants, to find split purchases by.
            "DELETE FROM merchant_usage WHERE tenant_id = $1 AND user_id = $2",
            // Says what a decision counts by, in hashes whose salt stays.
            "DELETE FROM share_key WHERE tenant_id = $1
             AND decision_id IN (SELECT id FROM decision WHERE tenant_id = $1 AND person = $2)",
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
