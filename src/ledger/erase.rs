//! Erasing what an employee's records hold of personal texts. What stays in their place is what the
//! chain was sealed over, so it still holds; amounts, dates, outcomes and the employee's id stay as
//! they are. Backups, and what Postgres keeps for replication, are not reached from here.

use serde_json::Value;

use crate::ledger::batch::Part;
use crate::ledger::db::query;
use crate::ledger::query::read;
use crate::ledger::{Ledger, LedgerError, RecordError, Tries, seal, text_of};

/// Records that are erased in one write.
const PAGE: i64 = 100;

/// Decisions and resolutions: reading a page of those that hold personal texts, in the order of the
/// decisions, and writing one without them.
const RECORDS: [(&str, &str); 2] = [
    (
        "SELECT decision.id, decision.id, chain.salt, decision.document FROM decision
         JOIN chain ON chain.record_id = decision.id
         WHERE decision.tenant_id = $1 AND decision.user_id = $2 AND decision.id > $3 AND chain.salt IS NOT NULL
         ORDER BY decision.id LIMIT $4",
        "UPDATE decision SET document = $1 WHERE id = $2",
    ),
    (
        "SELECT decision.id, resolution.id, chain.salt, resolution.document FROM decision
         JOIN resolution ON resolution.decision_id = decision.id
         JOIN chain ON chain.record_id = resolution.id
         WHERE decision.tenant_id = $1 AND decision.user_id = $2 AND decision.id > $3 AND chain.salt IS NOT NULL
         ORDER BY decision.id LIMIT $4",
        "UPDATE resolution SET document = $1 WHERE id = $2",
    ),
];

/// Whose texts are erased.
#[derive(Clone, Copy)]
struct Person<'a> {
    tenant_id: &'a str,
    user_id: &'a str,
}

/// One write of many.
struct Page {
    n_erased: u64,
    /// The decision it ends with; absent when there was nothing left.
    last: Option<String>,
}

impl Ledger {
    /// Erases the personal texts of an employee's decisions and of their resolutions. A request
    /// that is sent again with one of their idempotency keys is told that the key was used,
    /// since nobody can compare it any more. Gives how many records held some.
    ///
    /// # Errors
    /// When the database fails; what was erased by then stays so, and asking again goes on.
    pub async fn erase(&self, tenant_id: &str, user_id: &str) -> Result<u64, LedgerError> {
        let person = Person { tenant_id, user_id };
        let mut n_erased = 0;
        for statements in RECORDS {
            let mut after = Some(String::new());
            while let Some(last) = after {
                let page = self.erase_page(person, statements, &last).await?;
                n_erased += page.n_erased;
                after = page.last;
            }
        }
        self.batches.forget().await?;
        Ok(n_erased)
    }

    async fn erase_page(
        &self,
        person: Person<'_>,
        statements: (&'static str, &'static str),
        after: &str,
    ) -> Result<Page, LedgerError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter(person.tenant_id).await?;
            let result = erase_page(&mut part, person, statements, after).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                return Ok(result?);
            }
        }
    }
}

async fn erase_page(
    part: &mut Part,
    Person { tenant_id, user_id }: Person<'_>,
    (select, update): (&'static str, &'static str),
    after: &str,
) -> Result<Page, RecordError> {
    let transaction = part.transaction();
    if after.is_empty() {
        // Found gone the second time.
        for statement in [
            // Names of merchants are kept there to find split purchases by.
            "DELETE FROM merchant_usage WHERE tenant_id = $1 AND user_id = $2",
            // A short text can be guessed from a hash of it and of fields that stay.
            "UPDATE idempotency SET fingerprint = '' WHERE tenant_id = $1 AND fingerprint <> ''
             AND decision_id IN (SELECT id FROM decision WHERE tenant_id = $1 AND user_id = $2)",
        ] {
            query(statement)
                .bind(tenant_id)
                .bind(user_id)
                .execute(transaction)
                .await?;
        }
    }
    let rows: Vec<(String, String, String, String)> = query(select)
        .bind(tenant_id)
        .bind(user_id)
        .bind(after)
        .bind(PAGE)
        .fetch_all(transaction)
        .await?;
    let mut page = Page {
        n_erased: 0,
        last: None,
    };
    for (decision_id, id, salt, document) in rows {
        let mut record: Value = read(&document)?;
        seal::seal(&mut record, &salt);
        query(update)
            .bind(text_of(&record))
            .bind(&id)
            .execute(transaction)
            .await?;
        // Without its salt a text cannot be guessed from its hash.
        query("UPDATE chain SET salt = NULL WHERE record_id = $1")
            .bind(id)
            .execute(transaction)
            .await?;
        page = Page {
            n_erased: page.n_erased + 1,
            last: Some(decision_id),
        };
    }
    Ok(page)
}
