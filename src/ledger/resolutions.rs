//! Recording how a person resolved what a decision left open, or an approval that others have to follow:
//! the record, the cap change, the notification and the seal are one write. Who may resolve what is
//! decided in `agent::resolve`.

use serde_json::json;
use uuid::Uuid;

use crate::domain::money;
use crate::domain::notification::NotificationType;
use crate::domain::resolution::{Action, Resolution};
use crate::domain::ruling::{Outcome, Role};
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::RecordError;
use crate::ledger::group_commit::Slot;
use crate::ledger::outbox::Place;
use crate::ledger::query::StoredDecision;
use crate::ledger::records::{APPROVAL, RESOLUTION};
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;
use crate::ledger::{CapChange, Ledger, credits, outbox, seal, shares, text_of, usage};

impl Ledger {
    /// Records how an open decision was resolved, or one of the approvals that it needs. Completes an approval with what only the ledger
    /// knows: the credits that came before it. Returns the hash of the record.
    ///
    /// # Errors
    /// [`RecordError::AlreadyResolved`] when another person acted since the decision was read,
    /// [`RecordError::AlreadySuperseded`] when the expense was decided anew,
    /// [`RecordError::CapMoved`] when a cap cannot hold the expense.
    pub async fn resolve(
        &self,
        open: &StoredDecision,
        resolution: &mut Resolution,
        change: CapChange<'_>,
    ) -> Result<String, RecordError> {
        let notifies = self.outbox.is_for(&open.decision.tenant_id);
        let write = RecordResolution {
            open,
            resolution,
            change,
            notifies,
        };
        let record_hash = self.writes.run(&open.decision.tenant_id, write).await?;
        if notifies {
            self.outbox.wake();
        }
        Ok(record_hash)
    }
}

/// Whether a person has begun to resolve a decision.
pub(super) async fn has_acts(
    transaction: &mut Connection,
    decision_id: Uuid,
) -> Result<bool, DbError> {
    let sql = "SELECT id FROM resolution WHERE decision_id = $1
               UNION ALL SELECT id FROM approval WHERE decision_id = $1";
    let act: Option<(String,)> = query(sql)
        .bind(decision_id.to_string())
        .fetch_optional(transaction)
        .await?;
    Ok(act.is_some())
}

/// Whether a decision has a resolution.
pub(super) async fn is_resolved(
    transaction: &mut Connection,
    decision_id: Uuid,
) -> Result<bool, DbError> {
    let sql = "SELECT id FROM resolution WHERE decision_id = $1";
    let resolution: Option<(String,)> = query(sql)
        .bind(decision_id.to_string())
        .fetch_optional(transaction)
        .await?;
    Ok(resolution.is_some())
}

/// The id of the decision that superseded an old one; `None` if it was not superseded.
pub(super) async fn superseded_by(
    transaction: &mut Connection,
    tenant_id: &str,
    old: Uuid,
) -> Result<Option<String>, DbError> {
    let sql = "SELECT superseded_by FROM decision WHERE tenant_id = $1 AND id = $2";
    let (newer,): (Option<String>,) = query(sql)
        .bind(tenant_id)
        .bind(old.to_string())
        .fetch_one(transaction)
        .await?;
    Ok(newer)
}

/// Records a resolution.
struct RecordResolution<'a> {
    open: &'a StoredDecision,
    resolution: &'a mut Resolution,
    change: CapChange<'a>,
    /// Whether the tenant has a receiver of notifications.
    notifies: bool,
}

impl LedgerWrite for RecordResolution<'_> {
    type Output = String;

    async fn write(&mut self, slot: &mut Slot) -> Result<String, RecordError> {
        let decision = &self.open.decision;
        let transaction = slot.transaction();
        if !is_open(transaction, self.open).await? {
            let newer = superseded_by(transaction, &decision.tenant_id, decision.id).await?;
            return Err(match newer {
                Some(_) => RecordError::AlreadySuperseded,
                None => RecordError::AlreadyResolved,
            });
        }
        if let CapChange::Take(reservation) = self.change {
            usage::check(transaction, decision, reservation).await?;
        }
        match self.resolution.awaits.first() {
            None => self.resolve(slot).await,
            Some(next) => self.approve(slot, *next).await,
        }
    }
}

impl RecordResolution<'_> {
    /// Ends the matter.
    async fn resolve(&mut self, slot: &mut Slot) -> Result<String, RecordError> {
        let decision = &self.open.decision;
        let transaction = slot.transaction();
        let standing = match self.resolution.action {
            Action::Approve => Outcome::Approved.to_string(),
            Action::Deny => Outcome::Denied.to_string(),
            Action::Withdraw => "withdrawn".to_owned(),
        };
        query(
            "UPDATE decision SET standing = $1, pending_role = NULL WHERE tenant_id = $2 AND id = $3",
        )
        .bind(standing)
        .bind(&decision.tenant_id)
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
        self.change_share(transaction).await?;
        if self.notifies {
            let kind = NotificationType::Resolved;
            let at = Place::of(self.open);
            outbox::end(transaction, at, kind, self.resolution.resolved_at).await?;
        }
        let id = self.resolution.id.to_string();
        let record = json!(self.resolution);
        query(
            "INSERT INTO resolution (id, decision_id, tenant_id, document) VALUES ($1, $2, $3, $4)",
        )
        .bind(&id)
        .bind(decision.id.to_string())
        .bind(&decision.tenant_id)
        .bind(text_of(&record))
        .execute(transaction)
        .await?;
        Ok(seal::append(slot, &RESOLUTION, &decision.tenant_id, &id, record).await?)
    }

    /// Has the decision wait for the next role. Its share stays as it is.
    async fn approve(&self, slot: &mut Slot, next: Role) -> Result<String, RecordError> {
        let decision = &self.open.decision;
        let transaction = slot.transaction();
        let n_before = i64::try_from(self.open.approvals.len()).unwrap_or(i64::MAX);
        query(
            "UPDATE decision SET pending_role = $1, n_approvals = $2 WHERE tenant_id = $3 AND id = $4",
        )
        .bind(next.to_string())
        .bind(n_before + 1)
        .bind(&decision.tenant_id)
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
        if self.notifies {
            let at = Place::of(self.open);
            outbox::go_on(transaction, at, self.resolution.resolved_at).await?;
        }
        let id = self.resolution.id.to_string();
        let record = json!(self.resolution);
        query(
            "INSERT INTO approval (id, decision_id, tenant_id, ordinal, document)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&id)
        .bind(decision.id.to_string())
        .bind(&decision.tenant_id)
        .bind(n_before)
        .bind(text_of(&record))
        .execute(transaction)
        .await?;
        Ok(seal::append(slot, &APPROVAL, &decision.tenant_id, &id, record).await?)
    }

    async fn change_share(&mut self, transaction: &mut Connection) -> Result<(), RecordError> {
        let decision = &self.open.decision;
        match self.change {
            CapChange::Take(reservation) => {
                let share_minor = usage::take(transaction, decision, reservation).await?;
                shares::set_share(transaction, decision, share_minor).await?;
            }
            CapChange::Keep(granted) => {
                let paid = credits::paid(transaction, self.open, granted).await?;
                let (_, currency) = decision.policy_amount();
                let kept_minor = money::to_minor(paid.share, currency);
                let freed_minor = shares::share_of(transaction, decision).await? - kept_minor;
                shares::free(transaction, self.open, freed_minor).await?;
                if self.resolution.action == Action::Approve {
                    self.resolution.complete(&paid);
                }
            }
            // A credit is never open.
            CapChange::None | CapChange::Credit(_) => {}
        }
        Ok(())
    }
}

/// Whether a decision is still as open as it was when it was read, with no further approval.
async fn is_open(transaction: &mut Connection, read: &StoredDecision) -> Result<bool, DbError> {
    let decision = &read.decision;
    let open: Option<(String,)> = query(
        "SELECT id FROM decision
         WHERE tenant_id = $1 AND id = $2 AND COALESCE(standing, outcome) = $3 AND $3 IN ('needs_approval', 'needs_review')
         AND COALESCE(n_approvals, 0) = $4
         AND NOT EXISTS (SELECT 1 FROM resolution WHERE decision_id = $2)",
    )
    .bind(&decision.tenant_id)
    .bind(decision.id.to_string())
    .bind(decision.outcome.to_string())
    .bind(i64::try_from(read.approvals.len()).unwrap_or(i64::MAX))
    .fetch_optional(transaction)
    .await?;
    Ok(open.is_some())
}
