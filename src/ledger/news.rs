//! What has been recorded for a tenant since a view was drawn. It is read from the hash chain, whose order is
//! that of recording: the id of a decision tells when its request came in, and a decision that took
//! long is recorded after younger ones.

use uuid::Uuid;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::statement::query;

/// The most records that are returned at once.
const MAX_RECORDS: i64 = 500;

impl Ledger {
    /// How many records the hash chain of a tenant has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn chain_length(&self, tenant_id: &str) -> Result<i64, LedgerError> {
        let head: Option<(i64,)> = query("SELECT seq FROM chain_head WHERE tenant_id = $1")
            .bind(tenant_id)
            .fetch_optional(&mut self.pool.acquire().await?)
            .await?;
        Ok(head.map_or(0, |(seq,)| seq))
    }

    /// The ids of the records that follow the first `n_known` of a tenant's hash chain, the newest
    /// first: at most 500.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recorded_after(
        &self,
        tenant_id: &str,
        n_known: i64,
    ) -> Result<Vec<Uuid>, LedgerError> {
        let rows: Vec<(String,)> = query(
            "SELECT record_id FROM chain WHERE tenant_id = $1 AND seq > $2 ORDER BY seq DESC LIMIT $3",
        )
        .bind(tenant_id)
        .bind(n_known)
        .bind(MAX_RECORDS)
        .fetch_all(&mut self.pool.acquire().await?)
        .await?;
        Ok(rows.iter().filter_map(|(id,)| id.parse().ok()).collect())
    }
}
