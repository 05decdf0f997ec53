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
//! arrive in order. An expense that begins to wait gets the entry of the day after at once; it is
//! claimed by nobody until then, holds up no other entry, and is deleted if a person is faster.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::domain::notification::{NotificationType, overdue_at};
use crate::ledger::Ledger;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::statement::{Query, query};
use crate::ledger::write::LedgerWrite;
use crate::spelling;

/// Which tenants have entries written for them, and who waits for new entries.
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

    /// Wakes those who wait for new entries. After the commit, or they would find none.
    pub(super) fn wake(&self) {
        self.added.send_replace(());
    }
}

/// Whose entries a receiver gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntriesOf {
    /// Those of a tenant, by the names under which the ledger keeps it.
    Tenant(Vec<String>),
    /// Those of all tenants but these.
    Others(Vec<String>),
}

impl EntriesOf {
    /// The condition on the tenant. The names are its parameters, from `$2`.
    fn condition(&self) -> String {
        let (is_in, names) = match self {
            Self::Tenant(names) => ("IN", names),
            Self::Others(names) if names.is_empty() => return "1 = 1".to_owned(),
            Self::Others(names) => ("NOT IN", names),
        };
        let parameters: Vec<String> = (2..).take(names.len()).map(|n| format!("${n}")).collect();
        format!("outbox.tenant_id {is_in} ({})", parameters.join(", "))
    }

    fn bind<'a>(&'a self, query: Query<'a>) -> Query<'a> {
        let (Self::Tenant(names) | Self::Others(names)) = self;
        names.iter().fold(query, |query, name| query.bind(name))
    }
}

/// An entry that this process has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The tenant, by its name in the ledger.
    pub tenant_id: String,
    /// The expense's decision.
    pub decision_id: Uuid,
    /// What happened to the expense.
    pub kind: NotificationType,
    /// When it happened.
    pub happened_at: Timestamp,
    /// How many attempts were made to send it, by any replica.
    pub n_attempts: u32,
    /// When the lease ends, which also identifies the lease.
    leased_until: Timestamp,
}

/// The entries whose events have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many there are.
    pub n_entries: u64,
    /// When the oldest event happened.
    pub oldest: Option<Timestamp>,
}

/// An entry can be claimed if it is due, and no earlier event of the same expense is still to be
/// sent. `now` is the parameter that holds the current time.
fn is_claimable(now: &str) -> String {
    format!(
        "outbox.due_at <= {now} AND NOT EXISTS (
         SELECT 1 FROM outbox AS earlier WHERE earlier.decision_id = outbox.decision_id
         AND earlier.ordinal < outbox.ordinal AND earlier.happens_at <= {now})"
    )
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

    /// Claims up to `n_wanted` entries, each of another expense, the longest due first.
    ///
    /// # Errors
    /// When the database fails. Entries that were claimed by then are due again when the lease ends.
    pub async fn claim_entries(
        &self,
        of: &EntriesOf,
        now: Timestamp,
        leased_until: Timestamp,
        n_wanted: usize,
    ) -> Result<Vec<Claimed>, LedgerError> {
        let mut claimed: Vec<Claimed> = Vec::new();
        // A write is of one tenant, so the tenants come first.
        for tenant_id in self.tenants_of_due(of, now, n_wanted).await? {
            let n_left = n_wanted.saturating_sub(claimed.len());
            let claim = Claim {
                tenant_id: &tenant_id,
                now,
                leased_until,
                n_wanted: i64::try_from(n_left).unwrap_or(i64::MAX),
            };
            claimed.extend(self.writes.run(&tenant_id, claim).await?);
        }
        Ok(claimed)
    }

    /// The tenants of the entries that can be claimed and have been due longest.
    async fn tenants_of_due(
        &self,
        of: &EntriesOf,
        now: Timestamp,
        n_entries: usize,
    ) -> Result<Vec<String>, LedgerError> {
        // SQLite numbers parameters by their first occurrence, so the time comes first.
        let sql = AssertSqlSafe(format!(
            "SELECT outbox.tenant_id FROM outbox WHERE {} AND {} ORDER BY outbox.due_at LIMIT {n_entries}",
            is_claimable("$1"),
            of.condition()
        ));
        let due: Vec<(String,)> = of
            .bind(query(sql).bind(now.as_millisecond()))
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let mut tenants: Vec<String> = Vec::new();
        for (tenant_id,) in due {
            if !tenants.contains(&tenant_id) {
                tenants.push(tenant_id);
            }
        }
        Ok(tenants)
    }

    /// Deletes an entry that needs no further attempt.
    ///
    /// # Errors
    /// When the database fails; the entry is then due again when its lease ends.
    pub async fn delete_entry(&self, entry: &Claimed) -> Result<(), LedgerError> {
        let settle = Settle {
            entry,
            due_at: None,
        };
        Ok(self.writes.run(&entry.tenant_id, settle).await?)
    }

    /// Ends the lease of an entry, which is due again at a later time.
    ///
    /// # Errors
    /// When the database fails; the entry is then due again when its lease ends.
    pub async fn postpone_entry(
        &self,
        entry: &Claimed,
        due_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let settle = Settle {
            entry,
            due_at: Some(due_at),
        };
        Ok(self.writes.run(&entry.tenant_id, settle).await?)
    }

    /// The entries whose events have happened by now, of all tenants.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, LedgerError> {
        let sql = "SELECT COUNT(*), MIN(happens_at) FROM outbox WHERE happens_at <= $1";
        let (n_entries, oldest): (i64, Option<i64>) = query(sql)
            .bind(now.as_millisecond())
            .fetch_one(&mut self.pool.acquire().await?)
            .await?;
        Ok(Backlog {
            n_entries: u64::try_from(n_entries).unwrap_or(0),
            oldest: oldest.map(moment),
        })
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

/// Writes the entry of a decision that waits no longer. That it would be overdue one day is deleted,
/// unless somebody has begun to send it.
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

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// Claims entries of a tenant, which is locked: no other replica claims or adds any meanwhile.
struct Claim<'a> {
    tenant_id: &'a str,
    now: Timestamp,
    leased_until: Timestamp,
    n_wanted: i64,
}

impl LedgerWrite for Claim<'_> {
    type Output = Vec<Claimed>;

    async fn write(&mut self, slot: &mut Slot) -> Result<Vec<Claimed>, RecordError> {
        let sql = format!(
            "UPDATE outbox SET due_at = $1, n_attempts = n_attempts + 1 WHERE (decision_id, ordinal) IN (
             SELECT outbox.decision_id, outbox.ordinal FROM outbox
             WHERE outbox.tenant_id = $2 AND {} ORDER BY outbox.due_at LIMIT $4)
             RETURNING decision_id, type, happens_at, n_attempts",
            is_claimable("$3")
        );
        let rows: Vec<(String, String, i64, i64)> = query(AssertSqlSafe(sql))
            .bind(self.leased_until.as_millisecond())
            .bind(self.tenant_id)
            .bind(self.now.as_millisecond())
            .bind(self.n_wanted)
            .fetch_all(slot.transaction())
            .await?;
        let claimed = rows
            .into_iter()
            .filter_map(|(decision_id, kind, happens_at, n_attempts)| {
                Some(Claimed {
                    tenant_id: self.tenant_id.to_owned(),
                    decision_id: decision_id.parse().ok()?,
                    // A type that only a later version knows stays for that version.
                    kind: kind.parse().ok()?,
                    happened_at: moment(happens_at),
                    n_attempts: u32::try_from(n_attempts).unwrap_or(u32::MAX),
                    leased_until: self.leased_until,
                })
            });
        Ok(claimed.collect())
    }
}

/// Deletes an entry, or makes it due again, unless its lease has ended and another replica has claimed
/// it.
struct Settle<'a> {
    entry: &'a Claimed,
    due_at: Option<Timestamp>,
}

impl LedgerWrite for Settle<'_> {
    type Output = ();

    async fn write(&mut self, slot: &mut Slot) -> Result<(), RecordError> {
        let Claimed {
            decision_id,
            kind,
            leased_until,
            ..
        } = self.entry;
        let statement = match self.due_at {
            // Delivered is delivered, whoever holds the lease.
            None => query("DELETE FROM outbox WHERE decision_id = $1 AND ordinal = $2")
                .bind(decision_id.to_string())
                .bind(ordinal(*kind)),
            Some(due_at) => query(
                "UPDATE outbox SET due_at = $1 WHERE decision_id = $2 AND ordinal = $3 AND due_at = $4",
            )
            .bind(due_at.as_millisecond())
            .bind(decision_id.to_string())
            .bind(ordinal(*kind))
            .bind(leased_until.as_millisecond()),
        };
        statement.execute(slot.transaction()).await?;
        Ok(())
    }
}
