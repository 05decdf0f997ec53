//! Superseding a decision that was made without the model's advice: the expense is decided anew,
//! and the old decision stays as it was sealed. Its row names the decision that superseded it; it
//! no longer waits for a person, and lists leave it out. Which decisions can be superseded is
//! decided in `agent::supersede`. Such a decision holds no share of any cap; the new one takes its
//! share in the transaction that records it.

use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::notification::NotificationType;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::RecordError;
use crate::ledger::outbox;
use crate::ledger::outbox::Place;
use crate::ledger::resolutions::{has_acts, superseded_by};
use crate::ledger::statement::query;

/// The value of the column `standing` of a superseded decision.
const SUPERSEDED: &str = "superseded";

/// Checks that a decision can still be superseded. Its tenant is locked until the
/// transaction ends.
///
/// # Errors
/// [`RecordError::AlreadySuperseded`] or [`RecordError::AlreadyResolved`].
pub(super) async fn check(
    transaction: &mut Connection,
    tenant_id: &str,
    old: Uuid,
) -> Result<(), RecordError> {
    if superseded_by(transaction, tenant_id, old).await?.is_some() {
        return Err(RecordError::AlreadySuperseded);
    }
    match has_acts(transaction, old).await? {
        true => Err(RecordError::AlreadyResolved),
        false => Ok(()),
    }
}

/// Adds to the outbox that an old decision waits no longer, if it did. Before [`mark`], which takes it
/// out of the queue.
pub(super) async fn notify(
    transaction: &mut Connection,
    new: &Decision,
    old: Uuid,
) -> Result<(), DbError> {
    let sql =
        "SELECT id FROM decision WHERE tenant_id = $1 AND id = $2 AND pending_role IS NOT NULL";
    let waiting: Option<(String,)> = query(sql)
        .bind(&new.tenant_id)
        .bind(old.to_string())
        .fetch_optional(transaction)
        .await?;
    if waiting.is_some() {
        let kind = NotificationType::Superseded;
        // A decision that a person approved cannot be superseded.
        let at = Place {
            tenant_id: &new.tenant_id,
            decision_id: old,
            n_approvals: 0,
        };
        outbox::end(transaction, at, kind, new.received_at).await?;
    }
    Ok(())
}

/// Stores that a decision superseded another one, and takes the other one out of the queue.
pub(super) async fn mark(
    transaction: &mut Connection,
    new: &Decision,
    old: Uuid,
) -> Result<(), DbError> {
    query(
        "UPDATE decision SET superseded_by = $1, standing = $2, pending_role = NULL
         WHERE tenant_id = $3 AND id = $4",
    )
    .bind(new.id.to_string())
    .bind(SUPERSEDED)
    .bind(&new.tenant_id)
    .bind(old.to_string())
    .execute(&mut *transaction)
    .await?;
    // The table of failed checks is searched page by page without looking at the decisions, so it
    // must not hold decisions that lists leave out. The checks stay in the record.
    query("DELETE FROM failed_validation WHERE tenant_id = $1 AND decision_id = $2")
        .bind(&new.tenant_id)
        .bind(old.to_string())
        .execute(transaction)
        .await?;
    Ok(())
}
