//! Feedback on decisions: recording it, and reading what holds. Every change is a record of its own,
//! so the hash chain shows who said what, and when. Who may say what is decided in `agent::feedback`.

use serde_json::json;
use uuid::Uuid;

use crate::domain::feedback::{Feedback, standing};
use crate::domain::overturned::derived;
use crate::ledger::Ledger;
use crate::ledger::db::Connection;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::query::{StoredDecision, read};
use crate::ledger::records::FEEDBACK;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;
use crate::ledger::{seal, text_of};
use crate::spelling;

/// The most records of one decision that are read: the newest. A decision has a handful, unless a
/// program repeats itself.
const MAX_RECORDS: i64 = 1_000;

impl Ledger {
    /// The feedback on a decision that holds: what its resolution implies, then what people said,
    /// the earliest first. What an author replaced or took back is left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn feedback(&self, stored: &StoredDecision) -> Result<Vec<Feedback>, LedgerError> {
        let StoredDecision {
            decision,
            resolution,
            ..
        } = stored;
        let implied = resolution.iter();
        let mut feedback: Vec<Feedback> = implied
            .flat_map(|resolution| derived(decision, resolution))
            .collect();
        let mut connection = self.pool.acquire().await?;
        let records = records(&mut connection, &decision.tenant_id, decision.id).await?;
        feedback.extend(standing(records));
        Ok(feedback)
    }

    /// Records feedback, or that its author took it back. Returns what holds afterwards, and the hash
    /// of its record; no hash if that held before, so nothing was recorded. Taking back what
    /// does not hold records nothing either.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_feedback(
        &self,
        given: Feedback,
    ) -> Result<(Feedback, Option<String>), LedgerError> {
        let tenant_id = given.tenant_id.clone();
        Ok(self
            .writes
            .run(&tenant_id, RecordFeedback { given })
            .await?)
    }
}

/// Records feedback, unless the same holds already.
struct RecordFeedback {
    given: Feedback,
}

impl LedgerWrite for RecordFeedback {
    type Output = (Feedback, Option<String>);

    async fn write(&mut self, slot: &mut Slot) -> Result<Self::Output, RecordError> {
        let given = &self.given;
        let transaction = slot.transaction();
        let records = records(transaction, &given.tenant_id, given.expense_id).await?;
        let mut earlier = records
            .into_iter()
            .rev()
            .filter(|earlier| given.replaces(earlier));
        match earlier.next() {
            Some(latest) if given.says_the_same_as(&latest) => return Ok((latest, None)),
            None if given.taken_back => return Ok((given.clone(), None)),
            _ => {}
        }
        // Made here, where the tenant is locked, so that the ids of a decision's records are in the
        // order of the chain.
        let recorded = Feedback {
            id: Uuid::now_v7(),
            ..given.clone()
        };
        let id = recorded.id.to_string();
        let record = json!(recorded);
        query(
            "INSERT INTO feedback (id, decision_id, tenant_id, author, document)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&id)
        .bind(recorded.expense_id.to_string())
        .bind(&recorded.tenant_id)
        .bind(spelling::person(&recorded.author).into_owned())
        .bind(text_of(&record))
        .execute(transaction)
        .await?;
        let hash = seal::append(slot, &FEEDBACK, &recorded.tenant_id, &id, record).await?;
        Ok((recorded, Some(hash)))
    }
}

/// The records of a decision, in the order of the hash chain.
async fn records(
    connection: &mut Connection,
    tenant_id: &str,
    decision_id: Uuid,
) -> Result<Vec<Feedback>, LedgerError> {
    let rows: Vec<(String,)> = query(
        "SELECT document FROM feedback JOIN chain ON chain.record_id = feedback.id
         WHERE feedback.tenant_id = $1 AND decision_id = $2 ORDER BY chain.seq DESC LIMIT $3",
    )
    .bind(tenant_id)
    .bind(decision_id.to_string())
    .bind(MAX_RECORDS)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .rev()
        .map(|(document,)| read(document))
        .collect()
}
