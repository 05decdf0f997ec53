//! One decision per idempotency key, however often a request is sent. A request takes a lease on
//! its key before the work begins, and binds the key to the decision in the transaction that records
//! it, so that two requests, in one process or in two, never both decide. Which requests have a key,
//! and how a repeated one is answered, is in `http::idempotency`.
//!
//! A lease rather than an open transaction, because the work in between takes as long as a model's
//! answer. A process that dies keeps its key until the lease ends. Then another request may claim the
//! key. If the first process was slow instead of dead, `bind` refuses its decision
//! ([`LedgerError::KeyLost`]): the time at which a lease ends identifies the lease.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::ledger::Ledger;
use crate::ledger::db::Connection;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::group_commit::Slot;
use crate::ledger::query::StoredDecision;
use crate::ledger::statement::query;
use crate::ledger::write::LedgerWrite;

/// The lease of a request on an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The tenant that the key belongs to.
    pub tenant_id: String,
    /// The key, as the client sent it.
    pub key: String,
    /// A hash of the meaning of the body.
    pub fingerprint: String,
    /// When the lease ends. Until then the request may come to a decision. Also identifies the
    /// lease.
    pub leased_until: Timestamp,
    /// When the key is forgotten, and may be used for another request.
    pub expires_at: Timestamp,
}

/// What a request finds when it claims its key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// The request has the lease and can decide.
    Claimed,
    /// Another request with this key has the lease.
    UnderWay,
    /// The key was used with another body.
    OtherBody,
    /// The key has a decision.
    Decided(Box<StoredDecision>),
}

impl Ledger {
    /// Claims a key, unless another request has the lease or has decided with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, claim: &KeyClaim, now: Timestamp) -> Result<KeyState, LedgerError> {
        let write = Claim { claim, now };
        Ok(match self.writes.run(&claim.tenant_id, write).await? {
            Claimed::Now => KeyState::Claimed,
            Claimed::Before { fingerprint, .. } if fingerprint != claim.fingerprint => {
                KeyState::OtherBody
            }
            Claimed::Before {
                decision_id: None, ..
            } => KeyState::UnderWay,
            Claimed::Before {
                decision_id: Some(id),
                ..
            } => {
                let stored = self.get(&claim.tenant_id, id).await?;
                stored.map_or(KeyState::UnderWay, |stored| {
                    KeyState::Decided(Box::new(stored))
                })
            }
        })
    }

    /// Releases the lease of a request that came to no decision, so that the client can try again.
    ///
    /// # Errors
    /// When the database fails; the key is then free when its lease ends.
    pub async fn release(&self, claim: &KeyClaim) -> Result<(), LedgerError> {
        let write = Release { claim };
        Ok(self.writes.run(&claim.tenant_id, write).await?)
    }
}

/// Claims a key.
struct Claim<'a> {
    claim: &'a KeyClaim,
    now: Timestamp,
}

/// Which request has the key after an attempt to claim it.
enum Claimed {
    /// This one: the key was free, and the request now has the lease.
    Now,
    /// An earlier one, which has the lease or has decided.
    Before {
        fingerprint: String,
        decision_id: Option<Uuid>,
    },
}

impl LedgerWrite for Claim<'_> {
    type Output = Claimed;

    async fn write(&mut self, slot: &mut Slot) -> Result<Claimed, RecordError> {
        let Self { claim, now } = self;
        let transaction = slot.transaction();
        query("DELETE FROM idempotency WHERE tenant_id = $1 AND expires_at <= $2")
            .bind(&claim.tenant_id)
            .bind(now.as_millisecond())
            .execute(transaction)
            .await?;
        // A lease that has ended belonged to a process that is gone or too slow.
        let n_claimed = query(
            "INSERT INTO idempotency (tenant_id, idem_key, fingerprint, leased_until, expires_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, idem_key) DO UPDATE SET fingerprint = excluded.fingerprint,
               leased_until = excluded.leased_until, expires_at = excluded.expires_at
             WHERE idempotency.decision_id IS NULL AND idempotency.leased_until <= $6",
        )
        .bind(&claim.tenant_id)
        .bind(&claim.key)
        .bind(&claim.fingerprint)
        .bind(claim.leased_until.as_millisecond())
        .bind(claim.expires_at.as_millisecond())
        .bind(now.as_millisecond())
        .execute(transaction)
        .await?;
        if n_claimed == 1 {
            return Ok(Claimed::Now);
        }
        let (fingerprint, decision_id): (String, Option<String>) = query(
            "SELECT fingerprint, decision_id FROM idempotency WHERE tenant_id = $1 AND idem_key = $2",
        )
        .bind(&claim.tenant_id)
        .bind(&claim.key)
        .fetch_one(transaction)
        .await?;
        Ok(Claimed::Before {
            fingerprint,
            decision_id: decision_id.and_then(|id| id.parse().ok()),
        })
    }
}

/// Releases a lease.
struct Release<'a> {
    claim: &'a KeyClaim,
}

impl LedgerWrite for Release<'_> {
    type Output = ();

    async fn write(&mut self, slot: &mut Slot) -> Result<(), RecordError> {
        query(
            "DELETE FROM idempotency
             WHERE tenant_id = $1 AND idem_key = $2 AND leased_until = $3 AND decision_id IS NULL",
        )
        .bind(&self.claim.tenant_id)
        .bind(&self.claim.key)
        .bind(self.claim.leased_until.as_millisecond())
        .execute(slot.transaction())
        .await?;
        Ok(())
    }
}

/// Binds a key to its decision, in the transaction that records it.
///
/// # Errors
/// [`LedgerError::KeyLost`] when the lease ended and another request took the key.
pub(super) async fn bind(
    transaction: &mut Connection,
    claim: &KeyClaim,
    decision: &Decision,
) -> Result<(), RecordError> {
    let n_bound = query(
        "UPDATE idempotency SET decision_id = $1
         WHERE tenant_id = $2 AND idem_key = $3 AND leased_until = $4 AND decision_id IS NULL",
    )
    .bind(decision.id.to_string())
    .bind(&claim.tenant_id)
    .bind(&claim.key)
    .bind(claim.leased_until.as_millisecond())
    .execute(transaction)
    .await?;
    match n_bound {
        1 => Ok(()),
        _ => Err(LedgerError::KeyLost.into()),
    }
}
