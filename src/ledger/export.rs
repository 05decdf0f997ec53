//! Reading a period back in the order of receipt, for bookkeeping elsewhere. How a line is written
//! is in `cli::export`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{StoredDecision, read, stored_decision};
use crate::ledger::records::{RESOLUTION, RecordKind, attached};
use crate::ledger::statement::query;

/// Decisions that are read at a time.
const PAGE: i64 = 500;

/// A span of time. A decision belongs to it if its request was received in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// A decision, the records that belong to it, and its hash in the chain.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The decision, and its resolution if it has one.
    pub stored: StoredDecision,
    /// The documents of the records that belong to the decision, by their table. Every kind is
    /// there; `None` where the decision has no such record.
    pub attached: BTreeMap<&'static str, Option<Value>>,
    /// The hash of the decision's record; absent when it is from before the chain began.
    pub record_hash: Option<String>,
}

impl Ledger {
    /// The next page of a period's decisions, of one tenant or of all tenants: those after `after`.
    /// Empty at the end.
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
        let of_tenant = of_tenant("decision", tenant_id);
        let sql = AssertSqlSafe(format!(
            "SELECT decision.id, decision.document, chain.hash, decision.superseded_by FROM decision
             LEFT JOIN chain ON chain.record_id = decision.id
             WHERE decision.id {comparison} $1 AND decision.id < $2 AND {of_tenant} ORDER BY decision.id LIMIT $4"
        ));
        let rows: Vec<(String, String, Option<String>, Option<String>)> = query(sql)
            .bind(from.to_string())
            .bind(first_id(period.until).to_string())
            .bind(tenant_id.unwrap_or_default())
            .bind(PAGE)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let (Some((first, ..)), Some((last, ..))) = (rows.first(), rows.last()) else {
            return Ok(Vec::new());
        };
        let mut documents_by_kind = Vec::new();
        for kind in attached() {
            let documents = self.documents(kind, tenant_id, first, last).await?;
            documents_by_kind.push((kind.table, documents));
        }
        let mut page = Vec::new();
        for (id, decision, record_hash, superseded_by) in rows {
            let mut attached = BTreeMap::new();
            let mut resolution = None;
            for (table, documents) in &mut documents_by_kind {
                let document = documents.remove(&id);
                attached.insert(*table, document.as_deref().map(read).transpose()?);
                if *table == RESOLUTION.table {
                    resolution = document;
                }
            }
            page.push(Exported {
                stored: stored_decision((decision, resolution, superseded_by))?,
                attached,
                record_hash,
            });
        }
        Ok(page)
    }

    /// The documents of one kind that belong to a page of decisions, by the id of the decision.
    async fn documents(
        &self,
        kind: RecordKind,
        tenant_id: Option<&str>,
        first: &str,
        last: &str,
    ) -> Result<HashMap<String, String>, LedgerError> {
        let RecordKind {
            table,
            owner_column,
            ..
        } = kind;
        let of_tenant = of_tenant(table, tenant_id);
        let sql = AssertSqlSafe(format!(
            "SELECT {owner_column}, document FROM {table}
             WHERE {owner_column} BETWEEN $1 AND $2 AND {of_tenant}"
        ));
        let rows: Vec<(String, String)> = query(sql)
            .bind(first)
            .bind(last)
            .bind(tenant_id.unwrap_or_default())
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        Ok(rows.into_iter().collect())
    }
}

/// The condition on the tenant of a table. Its parameter `$3` is empty for all tenants.
fn of_tenant(table: &str, tenant_id: Option<&str>) -> String {
    match tenant_id {
        Some(_) => format!("{table}.tenant_id = $3"),
        None => "$3 = ''".to_owned(),
    }
}

/// The smallest id of a decision that was received at a moment: ids begin with the time.
fn first_id(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
