//! Settling what a decision left open: the resolution, what it does to the shares of the caps, and
//! its seal are one write.

use serde_json::json;

use crate::domain::decision::Decision;
use crate::domain::money;
use crate::domain::resolution::{Action, Resolution};
use crate::domain::ruling::Outcome;
use crate::ledger::batch::Part;
use crate::ledger::db::{Connection, DbError, query};
use crate::ledger::{CapChange, Entry, Ledger, RecordError, Tries, seal, text_of, usage};

impl Ledger {
    /// Records how a decision was settled. Gives the hash of the record.
    ///
    /// # Errors
    /// [`RecordError::AlreadyResolved`] when somebody else was faster, [`RecordError::CapMoved`] when a cap
    /// cannot hold the expense.
    pub async fn resolve(
        &self,
        open: &Entry,
        resolution: &Resolution,
        change: CapChange<'_>,
    ) -> Result<String, RecordError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter(&open.decision.tenant_id).await?;
            let result = resolve(&mut part, open, resolution, change).await;
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
    change: CapChange<'_>,
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
        return Err(RecordError::AlreadyResolved);
    }
    if let CapChange::Take(reservation) = change {
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
    match change {
        CapChange::Take(reservation) => {
            let share_minor = usage::take(transaction, decision, reservation).await?;
            usage::set_share(transaction, decision, share_minor).await?;
        }
        CapChange::Keep(kept) => {
            let taken_minor = usage::share_of(transaction, decision).await?;
            let (_, currency) = decision.policy_amount();
            usage::free(
                transaction,
                entry,
                taken_minor - money::to_minor(kept, currency),
            )
            .await?;
        }
        CapChange::None | CapChange::Refund(_) => {}
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
