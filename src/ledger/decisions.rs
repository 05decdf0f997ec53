//! Recording a decision: checking and taking its share of the caps, binding its idempotency key,
//! superseding an earlier decision, looking up its duplicates, adding its notifications to the outbox,
//! inserting and sealing it. All of that is one write.

use serde_json::json;

use crate::domain::decision::Decision;
use crate::domain::money;
use crate::domain::ruling::Outcome;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::RecordError;
use crate::ledger::group_commit::Slot;
use crate::ledger::idempotency::{self, KeyClaim};
use crate::ledger::records::DECISION;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;
use crate::ledger::{
    CapChange, Ledger, credits, duplicates, outbox, resolutions, seal, superseding, text_of, usage,
    visibility,
};
use crate::spelling;

impl Ledger {
    /// Records a decision, takes its share of the caps, binds its idempotency key and seals it: all
    /// of that or nothing. Completes the decision with what only the ledger knows: its duplicates,
    /// and what a credit gives back. Returns the hash of the record.
    ///
    /// # Errors
    /// [`RecordError::CapMoved`] when a cap can no longer hold the expense,
    /// [`RecordError::AlreadyResolved`] when the purchase that a credit refunds was resolved since
    /// it was read, or a person resolved the decision that this one supersedes,
    /// [`RecordError::AlreadySuperseded`] when another decision superseded it.
    pub async fn record(
        &self,
        decision: &mut Decision,
        change: CapChange<'_>,
        idempotency: Option<&KeyClaim>,
    ) -> Result<String, RecordError> {
        let tenant_id = decision.tenant_id.clone();
        let notifies = self.outbox.is_for(&tenant_id);
        let write = RecordDecision {
            decision,
            change,
            idempotency,
            notifies,
        };
        let record_hash = self.writes.run(&tenant_id, write).await?;
        if notifies {
            self.outbox.wake();
        }
        Ok(record_hash)
    }
}

/// Records a decision.
struct RecordDecision<'a> {
    decision: &'a mut Decision,
    change: CapChange<'a>,
    idempotency: Option<&'a KeyClaim>,
    /// Whether the tenant has a receiver of notifications.
    notifies: bool,
}

impl LedgerWrite for RecordDecision<'_> {
    type Output = String;

    async fn write(&mut self, slot: &mut Slot) -> Result<String, RecordError> {
        let decision = &mut *self.decision;
        let transaction = slot.transaction();
        if let CapChange::Credit(purchase) = self.change
            && resolutions::is_resolved(transaction, purchase.decision.id).await?
                != purchase.resolution.is_some()
        {
            return Err(RecordError::AlreadyResolved);
        }
        if let Some(old) = decision.supersedes {
            superseding::check(transaction, &decision.tenant_id, old).await?;
        }
        // Windows count what is approved and what is pending approval; nothing else takes a share.
        let taken = match (self.change, decision.outcome) {
            (CapChange::Take(reservation), Outcome::Approved | Outcome::NeedsApproval) => {
                Some(reservation)
            }
            _ => None,
        };
        if let Some(reservation) = taken {
            let usage = usage::check(transaction, decision, reservation).await?;
            for cap in &reservation.caps {
                decision.set_used(&cap.rule, usage.of(&cap.counter));
            }
        }
        if let Some(claim) = self.idempotency {
            idempotency::bind(transaction, claim, decision).await?;
        }
        let share_minor = match taken {
            Some(reservation) => usage::take(transaction, decision, reservation).await?,
            None => 0,
        };
        let returned = match self.change {
            CapChange::Credit(purchase) => {
                Some(credits::take_off(transaction, decision, purchase).await?)
            }
            CapChange::None | CapChange::Take(_) | CapChange::Keep(_) => None,
        };
        if let Some(old) = decision.supersedes {
            if self.notifies {
                superseding::notify(transaction, decision, old).await?;
            }
            superseding::mark(transaction, decision, old).await?;
        }
        let duplicates =
            duplicates::find(transaction, &decision.tenant_id, &decision.expense).await?;
        decision.complete(duplicates, returned);
        if self.notifies && decision.pending().is_some() {
            outbox::begin(transaction, decision).await?;
        }
        let record = json!(decision);
        insert(transaction, decision, text_of(&record), share_minor).await?;
        visibility::note_submitters(transaction, decision).await?;
        let id = decision.id.to_string();
        Ok(seal::append(slot, &DECISION, &decision.tenant_id, &id, record).await?)
    }
}

async fn insert(
    transaction: &mut Connection,
    decision: &Decision,
    document: String,
    share_minor: i64,
) -> Result<(), DbError> {
    let id = decision.id.to_string();
    let expense = &decision.expense;
    query(
        "INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, amount_minor, currency,
         expense_date, standing, pending_role, share_minor, credited_minor, person)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $4, $11, $12, 0, $13)",
    )
    .bind(&id)
    .bind(&decision.tenant_id)
    .bind(&expense.user_id)
    .bind(decision.outcome.to_string())
    .bind(decision.category.as_deref())
    .bind(&decision.trace_id)
    .bind(document)
    .bind(money::to_minor(expense.amount, expense.currency))
    .bind(expense.currency.code())
    .bind(expense.date.to_string())
    .bind(decision.pending().map(|role| role.to_string()))
    .bind(share_minor)
    .bind(spelling::person(&expense.user_id).into_owned())
    .execute(transaction)
    .await?;
    for kind in decision.failed_types() {
        query("INSERT INTO failed_validation (tenant_id, type, decision_id) VALUES ($1, $2, $3)")
            .bind(&decision.tenant_id)
            .bind(kind.to_string())
            .bind(&id)
            .execute(transaction)
            .await?;
    }
    Ok(())
}
