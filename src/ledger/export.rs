//! Reading a period back in the order of receipt, for bookkeeping elsewhere. How a line is written
//! is in `export`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{Row, SELECT, StoredDecision, first_id, read, stored_decision};
use crate::ledger::records::{RecordKind, attached};
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
        let is_wanted = match tenants {
            None => "1 = 1".to_owned(),
            Some(names) => format!("decision.tenant_id IN ({})", parameters(3, names.len())),
        };
        let sql = AssertSqlSafe(format!(
            "{SELECT} WHERE decision.id {comparison} $1 AND decision.id < $2 AND {is_wanted}
             ORDER BY decision.id LIMIT {PAGE}"
        ));
        let range = query(sql)
            .bind(from.to_string())
            .bind(first_id(period.until).to_string());
        let names = tenants.into_iter().flatten();
        let rows: Vec<Row> = names
            .fold(range, |query, name| query.bind(name))
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        let decisions = rows
            .into_iter()
            .map(stored_decision)
            .collect::<Result<_, _>>()?;
        self.with_records(decisions).await
    }

    /// A page of decisions, each with the records that belong to it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn with_records(
        &self,
        decisions: Vec<StoredDecision>,
    ) -> Result<Vec<Exported>, LedgerError> {
        let ids: Vec<String> = decisions
            .iter()
            .map(|stored| stored.decision.id.to_string())
            .collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let of_ids = format!("IN ({})", parameters(1, ids.len()));
        let hashes = format!("SELECT record_id, hash FROM chain WHERE record_id {of_ids}");
        let mut hashes = self.by_id(hashes, &ids).await?;
        let mut documents_by_kind = Vec::new();
        for kind in attached() {
            let RecordKind {
                table,
                id_column,
                owner_column,
                ..
            } = kind;
            // In the order of the hash chain.
            let documents = format!(
                "SELECT {owner_column}, document FROM {table}
                 LEFT JOIN chain ON chain.record_id = {table}.{id_column}
                 WHERE {owner_column} {of_ids} ORDER BY chain.seq"
            );
            documents_by_kind.push((kind, self.by_id(documents, &ids).await?));
        }
        let mut page = Vec::new();
        for (stored, id) in decisions.into_iter().zip(&ids) {
            let mut attached = BTreeMap::new();
            for (kind, documents) in &mut documents_by_kind {
                let documents = documents.remove(id).unwrap_or_default();
                let values = documents.iter().map(|document| read(document));
                let values = values.collect::<Result<Vec<Value>, _>>()?;
                attached.insert(kind.table, shape(*kind, values));
            }
            page.push(Exported {
                stored,
                attached,
                record_hash: hashes.remove(id).and_then(|mut hashes| hashes.pop()),
            });
        }
        Ok(page)
    }

    /// The texts that a statement selects with the ids of the decisions that they belong to, by these
    /// ids.
    async fn by_id(
        &self,
        sql: String,
        ids: &[String],
    ) -> Result<HashMap<String, Vec<String>>, LedgerError> {
        let query = ids
            .iter()
            .fold(query(AssertSqlSafe(sql)), |query, id| query.bind(id));
        let rows: Vec<(String, String)> = query.fetch_all(&mut self.pool.acquire().await?).await?;
        let mut texts: HashMap<String, Vec<String>> = HashMap::new();
        for (id, text) in rows {
            texts.entry(id).or_default().push(text);
        }
        Ok(texts)
    }
}

/// The records of one kind that a decision has, as they are exported.
fn shape(kind: RecordKind, mut records: Vec<Value>) -> Value {
    match kind.repeatable {
        true => Value::Array(records),
        false => records.pop().unwrap_or_default(),
    }
}

/// The placeholders of `n` parameters, the first of which is `$first`.
fn parameters(first: usize, n: usize) -> String {
    let parameters: Vec<String> = (first..).take(n).map(|n| format!("${n}")).collect();
    parameters.join(", ")
}
