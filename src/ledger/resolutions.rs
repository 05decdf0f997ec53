//! Settling what a decision left open: the resolution, what it does to the shares of the caps, and
//! its seal are one write.

use rust_decimal::Decimal;
use serde_json::json;

use crate::domain::decision::Decision;
use crate::domain::money;
use crate::domain::resolution::{Action, Resolution};
use crate::domain::ruling::Outcome;
use crate::ledger::batch::Part;
use crate::ledger::db::{Connection, DbError, query};
use crate::ledger::{Entry, Ledger, RecordError, Reservation, Tries, seal, text_of, usage};

/// What a resolution does to what the expense takes of the caps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// It keeps so much of what it has taken, in the policy's currency.
    Keep(Decimal),
    /// It has taken nothing and takes this now.
    Take(Reservation),
}

impl Ledger {
    /// Records how a decision was settled. Gives the hash of the record.
    ///
    /// # Errors
    /// [`RecordError::Settled`] when somebody else was faster, [`RecordError::CapMoved`] when a cap
    /// cannot hold the expense.
    pub async fn resolve(
        &self,
        open: &Entry,
        resolution: &Resolution,
        share: &Share,
    ) -> Result<String, RecordError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter(&open.decision.tenant_id).await?;
            let result = resolve(&mut part, open, resolution, share).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                return result;
            }
        }
    }
}

/// Whether somebody has settled a decision.
pub(super) async fn is_settled(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<bool, DbError> {
    let sql = "SELECT id FROM resolution WHERE decision_id = $1";
    let settled: Option<(String,)> = query(sql)
        .bind(decision.id.to_string())
        .fetch_optional(transaction)
        .await?;
    Ok(settled.is_some())
}

async fn resolve(
    part: &mut Part,
    entry: &Entry,
    resolution: &Resolution,
    share: &Share,
) -> Result<String, RecordError> {
    let decision = &entry.decision;
    let transaction = part.transaction();
    let standing = match resolution.action {
        Action::Approve => Outcome::Approved.to_string(),
        Action::Deny => Outcome::Denied.to_string(),
        Action::Withdraw => "withdrawn".to_owned(),
    };
    let open: Option<(String,)> = query(
        "SELECT id FROM decision
         WHERE tenant_id = $1 AND id = $2 AND COALESCE(standing, outcome) = $3 AND $3 IN ('needs_approval', 'needs_review')
         AND NOT EXISTS (SELECT 1 FROM resolution WHERE decision_id = $2)",
    )
    .bind(&decision.tenant_id)
    .bind(decision.id.to_string())
    .bind(decision.outcome.to_string())
    .fetch_optional(transaction)
    .await?;
    if open.is_none() {
        return Err(RecordError::Settled);
    }
    if let Share::Take(reservation) = share {
        usage::check(transaction, decision, reservation).await?;
    }
    query(
        "UPDATE decision SET standing = $1, pending_role = NULL WHERE tenant_id = $2 AND id = $3",
    )
    .bind(standing)
    .bind(&decision.tenant_id)
    .bind(decision.id.to_string())
    .execute(transaction)
    .await?;
    match share {
        Share::Take(reservation) => {
            let share_minor = usage::take(transaction, decision, reservation).await?;
            usage::set_share(transaction, decision, share_minor).await?;
        }
        Share::Keep(kept) => {
            let taken_minor = usage::share_of(transaction, decision).await?;
            let (_, currency) = decision.policy_amount();
            usage::free(
                transaction,
                entry,
                taken_minor - money::to_minor(*kept, currency),
            )
            .await?;
        }
    }
    let id = resolution.id.to_string();
    let record = json!(resolution);
    query("INSERT INTO resolution (id, decision_id, tenant_id, document) VALUES ($1, $2, $3, $4)")
        .bind(&id)
        .bind(decision.id.to_string())
        .bind(&decision.tenant_id)
        .bind(text_of(&record))
        .execute(transaction)
        .await?;
    Ok(seal::append(part, &decision.tenant_id, &id, record).await?)
}
