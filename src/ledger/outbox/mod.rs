//! The outbox: notifications that are not delivered yet. An entry is written in the transaction that
//! records what it is about, so neither exists without the other, and only for tenants that have a
//! receiver. It names an event and nothing else; what the notification says is read from the records
//! when it is sent. Sending is in `notify`.
//!
//! # Protocol
//!
//! A replica that is about to send an entry *claims* it: it moves `due_at` to the end of a lease. An
//! entry under a lease is not due, so no other replica claims it. Once the receiver has accepted the
//! notification, the entry is deleted. If the attempt failed, `due_at` becomes the time of the next
//! one. If the replica died, the lease ends and any replica claims the entry again: a notification
//! is sent at least once, and twice only if a replica dies or loses the ledger between the receiver's
//! acceptance and the deletion.
//!
//! Of one expense, an entry can be claimed only while no earlier one is left, so its notifications
//! arrive in order. When an expense begins to wait, its entry for being overdue is written too, due a
//! day later. Until then that entry holds up no other, and it is deleted when the expense is resolved
//! or superseded.
//!
//! The sender's part is in `claim`.

pub(super) mod claim;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::notification::{NotificationType, overdue_at};
use crate::ledger::Ledger;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::statement::query;
use crate::spelling;

/// Which tenants have entries written for them, and a channel that tells of new entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    notified: Notified,
    added: watch::Sender<()>,
}

/// The tenants that have a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notified {
    /// No tenant.
    #[default]
    None,
    /// These tenants, each in its one spelling.
    Only(Arc<BTreeSet<String>>),
    /// Every tenant.
    All,
}

impl Outbox {
    /// Whether a tenant has a receiver.
    pub(super) fn is_for(&self, tenant_id: &str) -> bool {
        match &self.notified {
            Notified::None => false,
            Notified::Only(tenants) => tenants.contains(&*spelling::tenant(tenant_id)),
            Notified::All => true,
        }
    }

    /// Tells of a new entry. After the commit, or a worker would not find it.
    pub(super) fn wake(&self) {
        self.added.send_replace(());
    }
}

impl Ledger {
    /// The same ledger, which writes entries for these tenants.
    pub fn notifying(self, notified: Notified) -> Self {
        let outbox = Outbox {
            notified,
            ..self.outbox
        };
        Self { outbox, ..self }
    }

    /// Whether any tenant has a receiver.
    pub fn notifies(&self) -> bool {
        self.outbox.notified != Notified::None
    }

    /// Changes whenever this process has written an entry.
    pub fn entries_added(&self) -> watch::Receiver<()> {
        self.outbox.added.subscribe()
    }
}

/// Writes the entries of a decision that begins to wait.
pub(super) async fn begin(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<(), DbError> {
    let received_at = decision.received_at;
    for (kind, happens_at) in [
        (NotificationType::Waiting, received_at),
        (NotificationType::Overdue, overdue_at(received_at)),
    ] {
        insert(
            transaction,
            &decision.tenant_id,
            decision.id,
            kind,
            happens_at,
        )
        .await?;
    }
    Ok(())
}

/// Writes the entry of a decision that waits no longer. Its entry for being overdue is deleted, unless a
/// replica has begun to send that one.
pub(super) async fn end(
    transaction: &mut Connection,
    tenant_id: &str,
    decision_id: Uuid,
    kind: NotificationType,
    now: Timestamp,
) -> Result<(), DbError> {
    query("DELETE FROM outbox WHERE decision_id = $1 AND ordinal = $2 AND n_attempts = 0")
        .bind(decision_id.to_string())
        .bind(ordinal(NotificationType::Overdue))
        .execute(transaction)
        .await?;
    insert(transaction, tenant_id, decision_id, kind, now).await
}

async fn insert(
    transaction: &mut Connection,
    tenant_id: &str,
    decision_id: Uuid,
    kind: NotificationType,
    happens_at: Timestamp,
) -> Result<(), DbError> {
    query(
        "INSERT INTO outbox (tenant_id, decision_id, ordinal, type, happens_at, due_at, n_attempts)
         VALUES ($1, $2, $3, $4, $5, $5, 0)",
    )
    .bind(tenant_id)
    .bind(decision_id.to_string())
    .bind(ordinal(kind))
    .bind(<&'static str>::from(kind))
    .bind(happens_at.as_millisecond())
    .execute(transaction)
    .await?;
    Ok(())
}

/// The place of a type among those that one expense can have.
fn ordinal(kind: NotificationType) -> i64 {
    match kind {
        NotificationType::Waiting => 1,
        NotificationType::Overdue => 2,
        NotificationType::Resolved => 3,
        NotificationType::Superseded => 4,
    }
}
