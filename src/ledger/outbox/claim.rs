//! Claiming the entries of the outbox that are due, and settling them after an attempt. The protocol is
//! in the folder's `mod.rs`.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::notification::NotificationType;
use crate::ledger::Ledger;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::outbox::n_approvals;
use crate::ledger::statement::{Query, query};
use crate::ledger::write::LedgerWrite;

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
    /// How many people had approved it by then, while others still had to.
    pub n_approvals: usize,
    /// When it happened.
    pub happened_at: Timestamp,
    /// How many attempts were made to send it, by any replica.
    pub n_attempts: u32,
    /// Its place among the entries of the expense.
    ordinal: i64,
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

    /// Deletes the entries whose events happened before a moment, and returns how many there were.
    ///
    /// # Errors
    /// When the database fails. Entries that were not deleted by then stay.
    pub async fn delete_entries_before(
        &self,
        of: &EntriesOf,
        moment: Timestamp,
    ) -> Result<u64, LedgerError> {
        let sql = AssertSqlSafe(format!(
            "SELECT DISTINCT outbox.tenant_id FROM outbox WHERE outbox.happens_at < $1 AND {}",
            of.condition()
        ));
        let tenants: Vec<(String,)> = of
            .bind(query(sql).bind(moment.as_millisecond()))
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let mut n_deleted = 0;
        for (tenant_id,) in &tenants {
            let delete = DeleteBefore { tenant_id, moment };
            n_deleted += self.writes.run(tenant_id, delete).await?;
        }
        Ok(n_deleted)
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
             RETURNING decision_id, ordinal, type, happens_at, n_attempts",
            is_claimable("$3")
        );
        let rows: Vec<(String, i64, String, i64, i64)> = query(AssertSqlSafe(sql))
            .bind(self.leased_until.as_millisecond())
            .bind(self.tenant_id)
            .bind(self.now.as_millisecond())
            .bind(self.n_wanted)
            .fetch_all(slot.transaction())
            .await?;
        let claimed =
            rows.into_iter()
                .filter_map(|(decision_id, ordinal, kind, happens_at, n_attempts)| {
                    Some(Claimed {
                        tenant_id: self.tenant_id.to_owned(),
                        decision_id: decision_id.parse().ok()?,
                        // A type that only a later version knows stays for that version.
                        kind: kind.parse().ok()?,
                        n_approvals: n_approvals(ordinal),
                        happened_at: moment(happens_at),
                        n_attempts: u32::try_from(n_attempts).unwrap_or(u32::MAX),
                        ordinal,
                        leased_until: self.leased_until,
                    })
                });
        Ok(claimed.collect())
    }
}

/// Deletes the entries of a tenant whose events happened before a moment.
struct DeleteBefore<'a> {
    tenant_id: &'a str,
    moment: Timestamp,
}

impl LedgerWrite for DeleteBefore<'_> {
    type Output = u64;

    async fn write(&mut self, slot: &mut Slot) -> Result<u64, RecordError> {
        let sql = "DELETE FROM outbox WHERE tenant_id = $1 AND happens_at < $2";
        let n_deleted = query(sql)
            .bind(self.tenant_id)
            .bind(self.moment.as_millisecond())
            .execute(slot.transaction())
            .await?;
        Ok(n_deleted)
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
            ordinal,
            leased_until,
            ..
        } = self.entry;
        let statement = match self.due_at {
            // Delivered is delivered, whoever holds the lease.
            None => query("DELETE FROM outbox WHERE decision_id = $1 AND ordinal = $2")
                .bind(decision_id.to_string())
                .bind(*ordinal),
            Some(due_at) => query(
                "UPDATE outbox SET due_at = $1 WHERE decision_id = $2 AND ordinal = $3 AND due_at = $4",
            )
            .bind(due_at.as_millisecond())
            .bind(decision_id.to_string())
            .bind(*ordinal)
            .bind(leased_until.as_millisecond()),
        };
        statement.execute(slot.transaction()).await?;
        Ok(())
    }
}
