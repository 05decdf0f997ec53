//! One decision per idempotency key, whatever the network does. A key is claimed before the work begins and bound to the
//! decision in the transaction that records it, so two requests, in one process or in two, never both decide.

use jiff::Timestamp;
use sqlx::{Any, Row, Transaction};

use crate::domain::decision::Decision;
use crate::ledger::{Ledger, LedgerError, RecordError};

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
    Decided(Box<Decision>),
}

impl Ledger {
    /// Claims a key, unless another request holds it or has decided with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, claim: &KeyClaim, now: Timestamp) -> Result<KeyState, LedgerError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM idempotency WHERE expires_at <= $1")
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        // A lease that ran out was held by a process that is gone.
        let taken = sqlx::query(
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
        .execute(&mut *transaction)
        .await?;
        if taken.rows_affected() == 1 {
            transaction.commit().await?;
            return Ok(KeyState::Claimed);
        }
        let row =
            sqlx::query("SELECT fingerprint, decision_id FROM idempotency WHERE tenant_id = $1 AND idem_key = $2")
                .bind(&claim.tenant_id)
                .bind(&claim.key)
                .fetch_one(&mut *transaction)
                .await?;
        transaction.commit().await?;
        if row.try_get::<String, _>(0)? != claim.fingerprint {
            return Ok(KeyState::OtherBody);
        }
        let decision_id: Option<String> = row.try_get(1)?;
        let Some(id) = decision_id.and_then(|id| id.parse().ok()) else { return Ok(KeyState::UnderWay) };
        let decision = self.get(&claim.tenant_id, id).await?;
        Ok(decision.map_or(KeyState::UnderWay, |decision| KeyState::Decided(Box::new(decision))))
    }

    /// Gives a key back that came to no decision, so that it can be tried again.
    ///
    /// # Errors
    /// When the database fails; the key is then free when its lease runs out.
    pub async fn release(&self, claim: &KeyClaim) -> Result<(), LedgerError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "DELETE FROM idempotency WHERE tenant_id = $1 AND idem_key = $2 AND leased_until = $3 AND decision_id IS NULL",
        )
        .bind(&claim.tenant_id)
        .bind(&claim.key)
        .bind(claim.leased_until.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

/// Binds a key to its decision, in the transaction that records it.
pub(super) async fn bind(
    transaction: &mut Transaction<'static, Any>,
    claim: &KeyClaim,
    decision: &Decision,
) -> Result<(), RecordError> {
    let bound = sqlx::query(
        "UPDATE idempotency SET decision_id = $1
         WHERE tenant_id = $2 AND idem_key = $3 AND leased_until = $4 AND decision_id IS NULL",
    )
    .bind(decision.id.to_string())
    .bind(&claim.tenant_id)
    .bind(&claim.key)
    .bind(claim.leased_until.as_millisecond())
    .execute(&mut **transaction)
    .await?;
    match bound.rows_affected() {
        1 => Ok(()),
        _ => Err(LedgerError::KeyLost.into()),
    }
}
