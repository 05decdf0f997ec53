//! Walking the hash chains and naming the first record that was changed or is missing. How records are
//! sealed is in `seal`.
//!
//! `superseded_by` of a decision is a column, because a record cannot seal what comes after it. It is
//! checked against the record of the newer decision, which seals what it supersedes.

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
            for link in links {
                if walk.n_records == end_seq || walk.broken.is_some() {
                    break;
                }
                self.check_link(&mut walk, link, wanted_hash).await?;
            }
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

    /// Checks the next link of a chain.
    async fn check_link(
        &self,
        walk: &mut Walk,
        link: Link,
        wanted_hash: Option<&str>,
    ) -> Result<(), DbError> {
        let seq = walk.n_records + 1;
        let problem = match link.check(&walk.tenant_id, seq, &walk.head) {
            Ok(supersedes) => self.check_superseding(&link, supersedes.as_deref()).await?,
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            walk.broken = Some(Broken::at(seq, &link.record_id, problem));
            return Ok(());
        }
        walk.n_records = seq;
        walk.has_hash |= wanted_hash == Some(&link.hash);
        walk.head = link.hash;
        Ok(())
    }

    /// What is wrong when the row of a decision and the record of the one that supersedes it do not
    /// name each other. Both are written in one transaction.
    async fn check_superseding(
        &self,
        link: &Link,
        supersedes: Option<&str>,
    ) -> Result<Option<&'static str>, DbError> {
        if let Some(older) = supersedes {
            let older = self.row_of(link, older).await?;
            let named = older.and_then(|(_, superseded_by)| superseded_by);
            if named.as_ref() != Some(&link.record_id) {
                return Ok(Some("the decision that it supersedes does not name it"));
            }
        }
        if let Some(newer) = &link.superseded_by {
            let newer = self.row_of(link, newer).await?;
            let named = newer
                .and_then(|(document, _)| serde_json::from_str(&document).ok())
                .and_then(|record| superseded_in(&record));
            if named.as_ref() != Some(&link.record_id) {
                return Ok(Some(
                    "it is marked as superseded by a decision that does not supersede it",
                ));
            }
        }
        Ok(None)
    }

    /// The document of a decision of the same tenant as a link, and the decision that superseded it.
    async fn row_of(
        &self,
        link: &Link,
        id: &str,
    ) -> Result<Option<(String, Option<String>)>, DbError> {
        query("SELECT document, superseded_by FROM decision WHERE tenant_id = $1 AND id = $2")
            .bind(link.tenant_id.as_deref())
            .bind(id)
            .fetch_optional(&mut self.pool.acquire().await?)
            .await
    }

    /// Looks for records that are in no chain. The service did not insert such a record, unless it
    /// is from before the chain began. Only some kinds have such records, and their ids sort before
    /// that of the first record in the chain (ids sort by time).
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

/// The decision that a record supersedes.
fn superseded_in(record: &Value) -> Option<String> {
    record.get("supersedes")?.as_str().map(str::to_owned)
}

/// The statement that reads the next links of a chain, each with the record it is about. A join per
/// kind of record, because SQLite does not look up single rows in a `UNION ALL`.
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
         CASE {} END, decision.superseded_by
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
    superseded_by: Option<String>,
}

impl From<LinkRow> for Link {
    fn from(row: LinkRow) -> Self {
        let (seq, record_id, salt, hash, document, tenant_id, owner_id, table, superseded_by) = row;
        Self {
            seq,
            record_id,
            salt,
            hash,
            document,
            tenant_id,
            owner_id,
            table,
            superseded_by,
        }
    }
}

impl Link {
    /// Checks the record and its place in the chain. Returns the decision that it supersedes, or what
    /// is wrong.
    fn check(
        &self,
        tenant_id: &str,
        seq: i64,
        previous: &str,
    ) -> Result<Option<String>, &'static str> {
        if self.seq != seq {
            return Err("the record before it is missing");
        }
        let kind = self.table.as_deref().and_then(kind_of);
        let (Some(document), Some(kind)) = (&self.document, kind) else {
            return Err("its document is missing");
        };
        let Ok(mut record) = serde_json::from_str(document) else {
            return Err("its document is not JSON");
        };
        if !self.is_in_place(tenant_id, &record) {
            return Err("it is stored under another tenant or expense than its document names");
        }
        if let Some(salt) = &self.salt {
            hash_personal_texts(&mut record, &kind, salt);
        }
        if hash_of(seq, previous, &mut record) != self.hash {
            return Err("its document was changed, or a record before it was");
        }
        Ok(superseded_in(&record))
    }

    /// Whether the columns by which the record is found agree with its document.
    fn is_in_place(&self, tenant_id: &str, record: &Value) -> bool {
        let expense_id = record.get("expense_id").unwrap_or(&record["id"]);
        self.tenant_id.as_deref() == Some(tenant_id)
            && record["tenant_id"].as_str() == Some(tenant_id)
            && self.owner_id.as_deref() == expense_id.as_str()
    }
}
