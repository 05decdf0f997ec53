//! Which decisions a person without a role sees: those of which the person is the employee, and those
//! that the person handed in for somebody else, also before the expense was decided anew. The latter are
//! in a table of their own, `submitter`, because the submitter is only in the document of a decision.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::LedgerError;
use crate::ledger::statement::query;
use crate::ledger::{Ledger, StoredDecision};
use crate::spelling::{self, is_same_person};

impl Ledger {
    /// One decision of a tenant, if it may be seen: by everyone, or, with `seen_by`, by that person.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn get_seen_by(
        &self,
        tenant_id: &str,
        seen_by: Option<&str>,
        id: Uuid,
    ) -> Result<Option<StoredDecision>, LedgerError> {
        let Some(stored) = self.get(tenant_id, id).await? else {
            return Ok(None);
        };
        let is_seen = match seen_by {
            Some(person) => self.concerns(&stored.decision, person).await?,
            None => true,
        };
        Ok(is_seen.then_some(stored))
    }

    /// Whether a person is the employee of a decision or handed it in.
    async fn concerns(&self, decision: &Decision, person: &str) -> Result<bool, LedgerError> {
        let submitters = decision.submitted_by.iter();
        let named = submitters.flat_map(|submitter| submitter.people());
        // The document is enough for most decisions, and for those of versions without the table.
        let mut people = named.chain([decision.expense.user_id.as_str()]);
        if people.any(|named| is_same_person(named, person)) {
            return Ok(true);
        }
        let sql = "SELECT decision_id FROM submitter WHERE tenant_id = $1 AND person = $2 AND decision_id = $3";
        let row: Option<(String,)> = query(sql)
            .bind(&decision.tenant_id)
            .bind(spelling::person(person).into_owned())
            .bind(decision.id.to_string())
            .fetch_optional(&mut self.pool.acquire().await?)
            .await?;
        Ok(row.is_some())
    }
}

/// The SQL condition that a decision of the tenant in the first parameter concerns the person in the
/// `n`th. What concerns one person is a short list; `person = … OR …` would read all decisions.
pub(super) fn condition(n: usize) -> String {
    format!(
        " AND decision.id IN (SELECT id FROM decision WHERE tenant_id = $1 AND person = ${n}
         UNION ALL SELECT decision_id FROM submitter WHERE tenant_id = $1 AND person = ${n})"
    )
}

/// Stores who handed a decision in for another person.
pub(super) async fn note_submitters(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<(), DbError> {
    let submitters = decision.submitted_by.iter();
    let people: BTreeSet<_> = submitters
        .flat_map(|submitter| submitter.people())
        .filter(|person| !is_same_person(person, &decision.expense.user_id))
        .map(spelling::person)
        .collect();
    for person in people {
        query("INSERT INTO submitter (tenant_id, person, decision_id) VALUES ($1, $2, $3)")
            .bind(&decision.tenant_id)
            .bind(person.into_owned())
            .bind(decision.id.to_string())
            .execute(&mut *transaction)
            .await?;
    }
    if let Some(old) = decision.supersedes {
        query(
            "INSERT INTO submitter (tenant_id, person, decision_id)
             SELECT tenant_id, person, $1 FROM submitter WHERE tenant_id = $2 AND decision_id = $3
             ON CONFLICT (tenant_id, person, decision_id) DO NOTHING",
        )
        .bind(decision.id.to_string())
        .bind(&decision.tenant_id)
        .bind(old.to_string())
        .execute(transaction)
        .await?;
    }
    Ok(())
}
