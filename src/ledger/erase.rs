//! Erasing what an employee's records hold of personal texts. What stays in their place is what the chain was sealed
//! over, so it still holds; amounts, dates, outcomes and the employee's id stay as they are. Backups, and what Postgres keeps
//! for replication, are not reached from here.

use serde_json::Value;

use crate::ledger::batch::Part;
use crate::ledger::db::query;
use crate::ledger::query::read;
use crate::ledger::{Ledger, LedgerError, RecordError, Tries, seal, text_of};

/// Records that are erased in one write.
const PAGE: i64 = 100;

impl Ledger {
    /// Erases the personal texts of an employee's decisions and of their resolutions. Gives how many records held some.
    ///
    /// # Errors
    /// When the database fails; what was erased by then stays so, and asking again goes on.
    pub async fn erase(&self, tenant_id: &str, user_id: &str) -> Result<u64, LedgerError> {
        let mut n_erased = 0;
        loop {
            let mut tries = Tries::default();
            let n_more = loop {
                let mut part = self.batches.enter(tenant_id).await?;
                let result = erase_some(&mut part, tenant_id, user_id).await;
                let result = part.leave(result).await;
                if !tries.again(&result) {
                    break result?;
                }
            };
            if n_more == 0 {
                self.batches.forget().await?;
                return Ok(n_erased);
            }
            n_erased += n_more;
        }
    }
}

async fn erase_some(part: &mut Part, tenant_id: &str, user_id: &str) -> Result<u64, RecordError> {
    let transaction = part.transaction();
    // Names of merchants are kept there to find split purchases by.
    query("DELETE FROM merchant_usage WHERE tenant_id = $1 AND user_id = $2")
        .bind(tenant_id)
        .bind(user_id)
        .execute(transaction)
        .await?;
    let mut n_erased = 0;
    for (select, update) in [
        (
            "SELECT decision.id, chain.salt, decision.document FROM decision
             JOIN chain ON chain.record_id = decision.id
             WHERE decision.tenant_id = $1 AND decision.user_id = $2 AND chain.salt IS NOT NULL LIMIT $3",
            "UPDATE decision SET document = $1 WHERE id = $2",
        ),
        (
            "SELECT resolution.id, chain.salt, resolution.document FROM decision
             JOIN resolution ON resolution.decision_id = decision.id
             JOIN chain ON chain.record_id = resolution.id
             WHERE decision.tenant_id = $1 AND decision.user_id = $2 AND chain.salt IS NOT NULL LIMIT $3",
            "UPDATE resolution SET document = $1 WHERE id = $2",
        ),
    ] {
        let rows: Vec<(String, String, String)> =
            query(select).bind(tenant_id).bind(user_id).bind(PAGE).fetch_all(transaction).await?;
        for (id, salt, document) in rows {
            let mut record: Value = read(&document)?;
            seal::seal(&mut record, &salt);
            query(update).bind(text_of(&record)).bind(&id).execute(transaction).await?;
            // Without its salt a text cannot be guessed from its hash.
            let forget = "UPDATE chain SET salt = NULL WHERE record_id = $1";
            query(forget).bind(id).execute(transaction).await?;
            n_erased += 1;
        }
    }
    Ok(n_erased)
}
