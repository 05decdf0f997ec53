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
//! or superseded, or waits for the next of several roles, which begins the wait anew.
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
use crate::ledger::db::{Connection, DbError};
use crate::ledger::statement::query;
use crate::ledger::{Ledger, StoredDecision};
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

/// Where a decision is while it waits.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The tenant, by its name in the ledger.
    pub(super) tenant_id: &'a str,
    pub(super) decision_id: Uuid,
    /// How many people have approved it, while others still have to.
    pub(super) n_approvals: usize,
}

impl<'a> Place<'a> {
    pub(super) fn of(stored: &'a StoredDecision) -> Self {
        Self {
            tenant_id: &stored.decision.tenant_id,
            decision_id: stored.decision.id,
            n_approvals: stored.approvals.len(),
        }
    }
}

/// Writes the entries of a decision that begins to wait.
pub(super) async fn begin(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<(), DbError> {
    let at = Place {
        tenant_id: &decision.tenant_id,
        decision_id: decision.id,
        n_approvals: 0,
    };
    wait(transaction, at, decision.received_at).await
}

/// Writes the entries of a decision that waits for the next role, after an approval at this place.
pub(super) async fn go_on(
    transaction: &mut Connection,
    at: Place<'_>,
    now: Timestamp,
) -> Result<(), DbError> {
    withdraw_overdue(transaction, at).await?;
    let next = Place {
        n_approvals: at.n_approvals + 1,
        ..at
    };
    wait(transaction, next, now).await
}

/// Writes the entry of a decision that waits no longer.
pub(super) async fn end(
    transaction: &mut Connection,
    at: Place<'_>,
    kind: NotificationType,
    now: Timestamp,
) -> Result<(), DbError> {
    withdraw_overdue(transaction, at).await?;
    insert(transaction, at, kind, now).await
}

async fn wait(
    transaction: &mut Connection,
    at: Place<'_>,
    since: Timestamp,
) -> Result<(), DbError> {
    insert(transaction, at, NotificationType::Waiting, since).await?;
    insert(
        transaction,
        at,
        NotificationType::Overdue,
        overdue_at(since),
    )
    .await
}

/// Deletes the entry of a decision for being overdue, unless a replica has begun to send it.
async fn withdraw_overdue(transaction: &mut Connection, at: Place<'_>) -> Result<(), DbError> {
    query("DELETE FROM outbox WHERE decision_id = $1 AND ordinal = $2 AND n_attempts = 0")
        .bind(at.decision_id.to_string())
        .bind(ordinal(NotificationType::Overdue, at.n_approvals))
        .execute(transaction)
        .await?;
    Ok(())
}

async fn insert(
    transaction: &mut Connection,
    at: Place<'_>,
    kind: NotificationType,
    happens_at: Timestamp,
) -> Result<(), DbError> {
    query(
        "INSERT INTO outbox (tenant_id, decision_id, ordinal, type, happens_at, due_at, n_attempts)
         VALUES ($1, $2, $3, $4, $5, $5, 0)",
    )
    .bind(at.tenant_id)
    .bind(at.decision_id.to_string())
    .bind(ordinal(kind, at.n_approvals))
    .bind(<&'static str>::from(kind))
    .bind(happens_at.as_millisecond())
    .execute(transaction)
    .await?;
    Ok(())
}

/// How far the ordinals of one approval and the next are apart.
const PER_APPROVAL: i64 = 10;

/// The place of an entry among those that one expense can have.
fn ordinal(kind: NotificationType, n_approvals: usize) -> i64 {
    let of_kind = match kind {
        NotificationType::Waiting => 1,
        NotificationType::Overdue => 2,
        NotificationType::Resolved => 3,
        NotificationType::Superseded => 4,
    };
    // There are four roles, so there are few approvals.
    of_kind + PER_APPROVAL * i64::try_from(n_approvals).unwrap_or(0)
}

/// How many people had approved the expense at the time of an entry.
fn n_approvals(ordinal: i64) -> usize {
    usize::try_from(ordinal / PER_APPROVAL).unwrap_or(0)
}
