//! One decision per idempotency key, whatever the network does. A key is claimed before the work
//! begins and bound to the decision in the transaction that records it, so two requests, in one
//! process or in two, never both decide.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::decision::Decision;
use crate::ledger::batch::Part;
use crate::ledger::db::{Connection, query};
use crate::ledger::{Entry, Ledger, LedgerError, RecordError, Tries};

/// A request's hold on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The tenant whose key it is.
    pub tenant_id: String,
    /// The key, as the client sent it.
    pub key: String,
    /// A hash of what the body means.
    pub fingerprint: String,
    /// Until when the request may still come to a decision; its own mark on the key.
    pub leased_until: Timestamp,
    /// Until when the key is remembered.
    pub expires_at: Timestamp,
}

/// What becomes of a request with a key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// The key is this request's: go on and decide.
    Claimed,
    /// Another request with this key is under way.
    UnderWay,
    /// The key was used with another body.
    OtherBody,
    /// The key's decision.
    Decided(Box<Entry>),
}

impl Ledger {
    /// Claims a key, unless another request holds it or has decided with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, claim: &KeyClaim, now: Timestamp) -> Result<KeyState, LedgerError> {
        let mut tries = Tries::default();
        let claimed = loop {
            let mut part = self.batches.enter(&claim.tenant_id).await?;
            let result = try_claim(&mut part, claim, now).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                break result?;
            }
        };
        Ok(match claimed {
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
                let entry = self.get(&claim.tenant_id, id).await?;
                entry.map_or(KeyState::UnderWay, |entry| {
                    KeyState::Decided(Box::new(entry))
                })
            }
        })
    }

    /// Gives a key back that came to no decision, so that it can be tried again.
    ///
    /// # Errors
    /// When the database fails; the key is then free when its lease runs out.
    pub async fn release(&self, claim: &KeyClaim) -> Result<(), LedgerError> {
        let mut tries = Tries::default();
        loop {
            let mut part = self.batches.enter(&claim.tenant_id).await?;
            let result = give_back(&mut part, claim).await;
            let result = part.leave(result).await;
            if !tries.again(&result) {
                return Ok(result?);
            }
        }
    }
}

/// What a request finds when it wants a key.
enum Claimed {
    /// Nobody holds it, so it is the request's.
    Now,
    /// Another request holds it, or has decided with it.
    Before {
        fingerprint: String,
        decision_id: Option<Uuid>,
    },
}

async fn try_claim(
    part: &mut Part,
    claim: &KeyClaim,
    now: Timestamp,
) -> Result<Claimed, RecordError> {
    let transaction = part.transaction();
    query("DELETE FROM idempotency WHERE tenant_id = $1 AND expires_at <= $2")
        .bind(&claim.tenant_id)
        .bind(now.as_millisecond())
        .execute(transaction)
        .await?;
    // A lease that ran out was held by a process that is gone.
    let taken = query(
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
    if taken == 1 {
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

async fn give_back(part: &mut Part, claim: &KeyClaim) -> Result<(), RecordError> {
    query(
        "DELETE FROM idempotency WHERE tenant_id = $1 AND idem_key = $2 AND leased_until = $3 AND decision_id IS NULL",
    )
    .bind(&claim.tenant_id)
    .bind(&claim.key)
    .bind(claim.leased_until.as_millisecond())
    .execute(part.transaction())
    .await?;
    Ok(())
}

/// Binds a key to its decision, in the transaction that records it.
pub(super) async fn bind(
    transaction: &mut Connection,
    claim: &KeyClaim,
    decision: &Decision,
) -> Result<(), RecordError> {
    let bound = query(
        "UPDATE idempotency SET decision_id = $1
         WHERE tenant_id = $2 AND idem_key = $3 AND leased_until = $4 AND decision_id IS NULL",
    )
    .bind(decision.id.to_string())
    .bind(&claim.tenant_id)
    .bind(&claim.key)
    .bind(claim.leased_until.as_millisecond())
    .execute(transaction)
    .await?;
    match bound {
        1 => Ok(()),
        _ => Err(LedgerError::KeyLost.into()),
    }
}
