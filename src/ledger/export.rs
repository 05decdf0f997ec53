//! Reading a period back in the order of receipt, for bookkeeping elsewhere. How a line is written
//! is in `export`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{StoredDecision, first_id, read, stored_decision};
use crate::ledger::records::{RESOLUTION, RecordKind, attached};
use crate::ledger::statement::{Query, query};

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
    /// there: null where the decision has no such record, and a list, in the order of the hash
    /// chain, where it may have several.
    pub attached: BTreeMap<&'static str, Value>,
    /// The hash of the decision's record; absent when it is from before the chain began.
    pub record_hash: Option<String>,
}

impl Ledger {
    /// The next page of a period's decisions, of tenants with these names or of all tenants: those
    /// after `after`. Empty at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export(
        &self,
        period: Period,
        tenants: Option<&[String]>,
        after: Option<Uuid>,
    ) -> Result<Vec<Exported>, LedgerError> {
        let first = first_id(period.from);
        let (comparison, from) = match after {
            Some(after) => (">", after.max(first)),
            None => (">=", first),
        };
        let is_wanted = of_tenants("decision", tenants);
        let sql = AssertSqlSafe(format!(
            "SELECT decision.id, decision.document, chain.hash, decision.superseded_by FROM decision
             LEFT JOIN chain ON chain.record_id = decision.id
             WHERE decision.id {comparison} $1 AND decision.id < $2 AND {is_wanted} ORDER BY decision.id LIMIT {PAGE}"
        ));
        let range = query(sql)
            .bind(from.to_string())
            .bind(first_id(period.until).to_string());
        let rows: Vec<(String, String, Option<String>, Option<String>)> = bind(range, tenants)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let (Some((first, ..)), Some((last, ..))) = (rows.first(), rows.last()) else {
            return Ok(Vec::new());
        };
        let mut documents_by_kind = Vec::new();
        for kind in attached() {
            let documents = self.documents(kind, tenants, first, last).await?;
            documents_by_kind.push((kind, documents));
        }
        let mut page = Vec::new();
        for (id, decision, record_hash, superseded_by) in rows {
            let mut attached = BTreeMap::new();
            let mut resolution = None;
            for (kind, documents) in &mut documents_by_kind {
                let mut documents = documents.remove(&id).unwrap_or_default();
                let values = documents.iter().map(|document| read(document));
                let values = values.collect::<Result<Vec<Value>, _>>()?;
                attached.insert(kind.table, shape(*kind, values));
                if *kind == RESOLUTION {
                    resolution = documents.pop();
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

    /// The documents of one kind that belong to a page of decisions, by the id of the decision, in the
    /// order of the hash chain.
    async fn documents(
        &self,
        kind: RecordKind,
        tenants: Option<&[String]>,
        first: &str,
        last: &str,
    ) -> Result<HashMap<String, Vec<String>>, LedgerError> {
        let RecordKind {
            table,
            id_column,
            owner_column,
            ..
        } = kind;
        let is_wanted = of_tenants(table, tenants);
        let sql = AssertSqlSafe(format!(
            "SELECT {owner_column}, document FROM {table}
             LEFT JOIN chain ON chain.record_id = {table}.{id_column}
             WHERE {owner_column} BETWEEN $1 AND $2 AND {is_wanted} ORDER BY chain.seq"
        ));
        let range = query(sql).bind(first).bind(last);
        let rows: Vec<(String, String)> = bind(range, tenants)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let mut documents: HashMap<String, Vec<String>> = HashMap::new();
        for (owner_id, document) in rows {
            documents.entry(owner_id).or_default().push(document);
        }
        Ok(documents)
    }
}

/// The records of one kind that a decision has, as they are exported.
fn shape(kind: RecordKind, mut records: Vec<Value>) -> Value {
    match kind.repeatable {
        true => Value::Array(records),
        false => records.pop().unwrap_or_default(),
    }
}

/// The condition on the tenant of a table. The names are its parameters, from `$3`.
fn of_tenants(table: &str, tenants: Option<&[String]>) -> String {
    let Some(names) = tenants else {
        return "1 = 1".to_owned();
    };
    let parameters: Vec<String> = (3..).take(names.len()).map(|n| format!("${n}")).collect();
    format!("{table}.tenant_id IN ({})", parameters.join(", "))
}

/// Binds the names of tenants to the next parameters of a statement.
fn bind<'a>(query: Query<'a>, tenants: Option<&'a [String]>) -> Query<'a> {
    let names = tenants.into_iter().flatten();
    names.fold(query, |query, name| query.bind(name))
}
