//! Walking the hash chains and naming the first record that was changed or is missing. How records are
//! sealed is in `seal`.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::ledger::Ledger;
use crate::ledger::db::DbError;
use crate::ledger::error::LedgerError;
use crate::ledger::records::{RECORDS, RecordKind, kind_of};
use crate::ledger::seal::{GENESIS, hash_of, hash_personal_texts};
use crate::ledger::statement::query;

/// Records that are read at a time.
const PAGE: i64 = 500;

/// What walking the chain of one tenant found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The tenant of the chain.
    pub tenant_id: String,
    /// Number of records that are valid.
    pub n_records: i64,
    /// The hash of the last valid record.
    pub head: String,
    /// Number of decisions from before the chain began, which no hash protects.
    pub n_unchained: i64,
    /// The first record that is not valid.
    pub broken: Option<Broken>,
    /// Whether the wanted hash is that of a valid record.
    pub has_hash: bool,
}

/// A record that was changed or is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// The id of the decision or the resolution; empty when it is not known.
    pub record_id: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Broken {
    fn at(seq: i64, record_id: &str, problem: &'static str) -> Self {
        Self {
            seq,
            record_id: record_id.to_owned(),
            problem,
        }
    }
}

impl Ledger {
    /// The tenants that have a chain or a record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<String>, LedgerError> {
        let of_records = RECORDS.map(|kind| format!("UNION SELECT tenant_id FROM {}", kind.table));
        let sql = AssertSqlSafe(format!(
            "SELECT tenant_id FROM chain_head WHERE seq > 0 {} ORDER BY tenant_id",
            of_records.join(" ")
        ));
        let tenants: Vec<(String,)> = query(sql)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        Ok(tenants.into_iter().map(|(tenant_id,)| tenant_id).collect())
    }

    /// Walks the chain of a tenant from its beginning, and looks for a hash in it, such as one that
    /// a trace shows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn walk(
        &self,
        tenant_id: &str,
        wanted_hash: Option<&str>,
    ) -> Result<Walk, LedgerError> {
        // The end is read first, so that records that are added during the walk are left out.
        let end: Option<(i64, String)> =
            query("SELECT seq, hash FROM chain_head WHERE tenant_id = $1")
                .bind(tenant_id)
                .fetch_optional(&mut self.pool.acquire().await?)
                .await?;
        let (end_seq, end_hash) = end.unwrap_or((0, GENESIS.to_owned()));
        let mut walk = Walk {
            tenant_id: tenant_id.to_owned(),
            n_records: 0,
            head: GENESIS.to_owned(),
            n_unchained: 0,
            broken: None,
            has_hash: false,
        };
        while walk.n_records < end_seq && walk.broken.is_none() {
            let links = self.links(tenant_id, walk.n_records).await?;
            if links.is_empty() {
                let problem = "it is missing, and so are all records after it";
                walk.broken = Some(Broken::at(walk.n_records + 1, "", problem));
            }
            walk.check_links(links, end_seq, wanted_hash);
        }
        if walk.broken.is_none() && walk.head != end_hash {
            let problem = "its hash differs from the one that is kept as the head of the chain";
            walk.broken = Some(Broken::at(end_seq, "", problem));
        }
        if walk.broken.is_none() {
            self.look_for_unchained(&mut walk).await?;
        }
        Ok(walk)
    }

    async fn links(&self, tenant_id: &str, after: i64) -> Result<Vec<Link>, DbError> {
        let rows: Vec<LinkRow> = query(AssertSqlSafe(links_statement()))
            .bind(tenant_id)
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        Ok(rows.into_iter().map(Link::from).collect())
    }

    /// Looks for records that are in no chain. Such a record was not inserted by the service, unless it
    /// is from before the chain began: its kind has such records, and its id is below that of the
    /// first record in the chain (ids sort by time).
    async fn look_for_unchained(&self, walk: &mut Walk) -> Result<(), DbError> {
        let records = RECORDS.map(|kind| {
            let RecordKind {
                table, id_column, ..
            } = kind;
            let is_always_chained = i32::from(!kind.predates_chain);
            format!("SELECT {id_column} AS id, tenant_id, {is_always_chained} AS is_always_chained FROM {table}")
        });
        let sql = AssertSqlSafe(format!(
            "SELECT MIN(CASE WHEN is_always_chained = 1
               OR id > (SELECT record_id FROM chain WHERE tenant_id = $1 AND seq = 1) THEN id END), COUNT(*)
             FROM ({}) AS record
             WHERE tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.record_id = record.id)",
            records.join(" UNION ALL ")
        ));
        let (inserted, n_unchained): (Option<String>, i64) = query(sql)
            .bind(&walk.tenant_id)
            .fetch_one(&mut self.pool.acquire().await?)
            .await?;
        let problem = "it is in the ledger but in no chain";
        walk.broken = inserted.map(|id| Broken::at(walk.n_records, &id, problem));
        walk.n_unchained = n_unchained;
        Ok(())
    }
}

impl Walk {
    /// Checks the next links, as far as the end of the chain or the first that is broken.
    fn check_links(&mut self, links: Vec<Link>, end_seq: i64, wanted_hash: Option<&str>) {
        for link in links {
            match link.check(&self.tenant_id, self.n_records + 1, &self.head) {
                Ok(()) => {
                    self.n_records += 1;
                    self.has_hash |= wanted_hash == Some(&link.hash);
                    self.head = link.hash;
                }
                Err(broken) => {
                    self.broken = Some(broken);
                    return;
                }
            }
            if self.n_records == end_seq {
                return;
            }
        }
    }
}

/// The statement that reads the next links of a chain, each with the record it is about. A join per
/// kind of record, because SQLite looks up no single rows in a `UNION ALL`.
fn links_statement() -> String {
    let columns = |column: fn(RecordKind) -> &'static str| {
        let columns = RECORDS.map(|kind| format!("{}.{}", kind.table, column(kind)));
        format!("COALESCE({})", columns.join(", "))
    };
    let document = columns(|_| "document");
    let tenant_id = columns(|_| "tenant_id");
    let owner_id = columns(|kind| kind.owner_column);
    let tables = RECORDS.map(|kind| {
        let RecordKind {
            table, id_column, ..
        } = kind;
        format!("WHEN {table}.{id_column} IS NOT NULL THEN '{table}'")
    });
    let joins = RECORDS.map(|kind| {
        let RecordKind {
            table, id_column, ..
        } = kind;
        format!("LEFT JOIN {table} ON {table}.{id_column} = chain.record_id")
    });
    format!(
        "SELECT chain.seq, chain.record_id, chain.salt, chain.hash, {document}, {tenant_id}, {owner_id},
         CASE {} END
         FROM chain {} WHERE chain.tenant_id = $1 AND chain.seq > $2 ORDER BY chain.seq LIMIT $3",
        tables.join(" "),
        joins.join(" ")
    )
}

/// The columns of `links_statement`.
type LinkRow = (
    i64,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// One row of a chain, with the record it is about.
struct Link {
    seq: i64,
    record_id: String,
    salt: Option<String>,
    hash: String,
    document: Option<String>,
    tenant_id: Option<String>,
    owner_id: Option<String>,
    table: Option<String>,
}

impl From<LinkRow> for Link {
    fn from(row: LinkRow) -> Self {
        let (seq, record_id, salt, hash, document, tenant_id, owner_id, table) = row;
        Self {
            seq,
            record_id,
            salt,
            hash,
            document,
            tenant_id,
            owner_id,
            table,
        }
    }
}

impl Link {
    fn check(&self, tenant_id: &str, seq: i64, previous: &str) -> Result<(), Broken> {
        let broken = |problem| Err(Broken::at(seq, &self.record_id, problem));
        if self.seq != seq {
            return broken("the record before it is missing");
        }
        let kind = self.table.as_deref().and_then(kind_of);
        let (Some(document), Some(kind)) = (&self.document, kind) else {
            return broken("its document is missing");
        };
        let Ok(mut record) = serde_json::from_str(document) else {
            return broken("its document is not JSON");
        };
        if !self.is_in_place(tenant_id, &record) {
            return broken("it is stored under another tenant or expense than its document names");
        }
        if let Some(salt) = &self.salt {
            hash_personal_texts(&mut record, &kind, salt);
        }
        if hash_of(seq, previous, &record) != self.hash {
            return broken("its document was changed, or a record before it was");
        }
        Ok(())
    }

    /// Whether the columns that the record is found by agree with its document.
    fn is_in_place(&self, tenant_id: &str, record: &Value) -> bool {
        let expense_id = record.get("expense_id").unwrap_or(&record["id"]);
        self.tenant_id.as_deref() == Some(tenant_id)
            && record["tenant_id"].as_str() == Some(tenant_id)
            && self.owner_id.as_deref() == expense_id.as_str()
    }
}
