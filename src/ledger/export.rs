//! Reading a period back in the order of receipt, for whoever keeps the books elsewhere.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::ledger::db::query;
use crate::ledger::query::{Row, entry};
use crate::ledger::{Entry, Ledger, LedgerError};

/// Decisions that are read at a time.
const PAGE: i64 = 500;

/// A span of time, by when requests came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// A decision, and the hash that it is in the chain with.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The decision, and how it was settled if it was.
    pub entry: Entry,
    /// The hash of its record; absent when it was made before the chain began.
    pub record_hash: Option<String>,
}

impl Ledger {
    /// The next decisions of a period, of one tenant or of all, after one of them. Empty at the
    /// end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export(
        &self,
        period: Period,
        tenant_id: Option<&str>,
        after: Option<Uuid>,
    ) -> Result<Vec<Exported>, LedgerError> {
        let first = first_id(period.from);
        let (comparison, from) = match after {
            Some(after) => (">", after.max(first)),
            None => (">=", first),
        };
        let of_tenant = if tenant_id.is_some() {
            "decision.tenant_id = $3"
        } else {
            "$3 = ''"
        };
        let sql = AssertSqlSafe(format!(
            "SELECT decision.document, resolution.document, chain.hash FROM decision
             LEFT JOIN resolution ON resolution.decision_id = decision.id
             LEFT JOIN chain ON chain.record_id = decision.id
             WHERE decision.id {comparison} $1 AND decision.id < $2 AND {of_tenant} ORDER BY decision.id LIMIT $4"
        ));
        let rows: Vec<(String, Option<String>, Option<String>)> = query(sql)
            .bind(from.to_string())
            .bind(first_id(period.until).to_string())
            .bind(tenant_id.unwrap_or_default())
            .bind(PAGE)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let exported =
            |(decision, resolution, record_hash): (String, Option<String>, Option<String>)| {
                let row: Row = (decision, resolution);
                Ok(Exported {
                    entry: entry(row)?,
                    record_hash,
                })
            };
        rows.into_iter().map(exported).collect()
    }
}

/// The least id that a request of a moment can have: ids begin with the time.
fn first_id(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
