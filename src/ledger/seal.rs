//! Tamper evidence: the records of a tenant form a hash chain. A record's hash is the SHA-256 of
//! its canonical JSON (RFC 8785), its place and the hash before it. Texts that may be personal
//! enter it by a salted hash of their own, so that they can be erased and the chain still holds.
//! Making and walking a chain is here; erasing is in `erase`.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::ledger::batch::Part;
use crate::ledger::db::{DbError, query};
use crate::ledger::{Ledger, LedgerError};

/// The hash that the first record of a chain follows.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Records that are walked at a time.
const PAGE: i64 = 500;
/// The texts of a record that people, or a model that has read theirs, wrote freely. `*` is every
/// item of a list.
const PERSONAL: [&[&str]; 6] = [
    &["transaction"],
    &["merchant"],
    &["reason"],
    &["validations", "*", "input"],
    &["validations", "*", "message"],
    &["steps", "*", "error"],
];

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    seq: i64,
    hash: String,
}

/// Locks a tenant for the rest of the transaction, and finds the end of its chain. From here on
/// nobody else writes for it.
pub(super) async fn lock(part: &mut Part, tenant_id: &str) -> Result<(), DbError> {
    if part.heads().contains_key(tenant_id) {
        return Ok(());
    }
    let (seq, hash) = query(
        "INSERT INTO chain_head (tenant_id, seq, hash) VALUES ($1, 0, $2)
         ON CONFLICT (tenant_id) DO UPDATE SET seq = chain_head.seq RETURNING seq, hash",
    )
    .bind(tenant_id)
    .bind(GENESIS)
    .fetch_one(part.transaction())
    .await?;
    part.heads()
        .insert(tenant_id.to_owned(), Head { seq, hash });
    Ok(())
}

/// Appends a record to its tenant's chain, which is locked, as the last thing its part does: a part
/// that is refused later would leave a gap. Gives the record's hash.
pub(super) async fn append(
    part: &mut Part,
    tenant_id: &str,
    record_id: &str,
    mut record: Value,
) -> Result<String, DbError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let salt = hex::encode(salt);
    seal(&mut record, &salt);
    let head = &part.heads()[tenant_id];
    let next = Head {
        seq: head.seq + 1,
        hash: hash_of(head.seq + 1, &head.hash, &record),
    };
    query("INSERT INTO chain (tenant_id, seq, record_id, salt, hash) VALUES ($1, $2, $3, $4, $5)")
        .bind(tenant_id)
        .bind(next.seq)
        .bind(record_id)
        .bind(salt)
        .bind(&next.hash)
        .execute(part.transaction())
        .await?;
    query("UPDATE chain_head SET seq = $1, hash = $2 WHERE tenant_id = $3")
        .bind(next.seq)
        .bind(&next.hash)
        .bind(tenant_id)
        .execute(part.transaction())
        .await?;
    let hash = next.hash.clone();
    part.heads().insert(tenant_id.to_owned(), next);
    Ok(hash)
}

/// Puts the salted hash of every personal text in its place.
pub(super) fn seal(record: &mut Value, salt: &str) {
    for path in PERSONAL {
        seal_at(record, path, salt, &mut String::new());
    }
}

fn seal_at(value: &mut Value, path: &[&str], salt: &str, place: &mut String) {
    match (path, value) {
        ([], Value::String(text)) => {
            // The place tells equal texts apart.
            let hash = [salt, "\0", place, "\0", text]
                .into_iter()
                .fold(Sha256::new(), Digest::chain_update)
                .finalize();
            *text = format!("sha256:{}", hex::encode(hash));
        }
        (["*", rest @ ..], Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                seal_below(item, rest, salt, place, &index.to_string());
            }
        }
        ([name, rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get_mut(*name) {
                seal_below(member, rest, salt, place, name);
            }
        }
        _ => {}
    }
}

fn seal_below(value: &mut Value, path: &[&str], salt: &str, place: &mut String, name: &str) {
    let n_bytes = place.len();
    place.push('/');
    place.push_str(name);
    seal_at(value, path, salt, place);
    place.truncate(n_bytes);
}

fn hash_of(seq: i64, previous: &str, sealed: &Value) -> String {
    hex::encode(Sha256::digest(canonical(seq, previous, sealed)))
}

/// A record and its place, as the bytes that are hashed: their canonical JSON. serde_json keeps the
/// members of an object sorted and writes texts and whole numbers as RFC 8785 asks, several times
/// faster than a writer made for it; a test compares the two.
pub fn canonical(seq: i64, previous: &str, record: &Value) -> Vec<u8> {
    #[derive(Serialize)]
    struct Sealed<'a> {
        previous: &'a str,
        record: &'a Value,
        seq: i64,
    }
    serde_json::to_vec(&Sealed {
        previous,
        record,
        seq,
    })
    .expect("a JSON value can be written")
}

/// What walking one tenant's chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Whose chain it is.
    pub tenant_id: String,
    /// Records that hold.
    pub n_records: i64,
    /// The hash of the last of them.
    pub head: String,
    /// Decisions from before the chain began; nothing vouches for them.
    pub n_unchained: i64,
    /// The first record that does not hold.
    pub broken: Option<Broken>,
    /// Whether the hash that was asked for is one of the chain's.
    pub has_hash: bool,
}

/// A record that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// The decision or the resolution.
    pub record_id: String,
    /// What is wrong.
    pub fault: &'static str,
}

impl Ledger {
    /// The tenants that have a chain.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<String>, LedgerError> {
        let sql =
            "SELECT tenant_id FROM chain_head WHERE seq > 0 UNION SELECT tenant_id FROM decision
                   UNION SELECT tenant_id FROM resolution ORDER BY tenant_id";
        let tenants: Vec<(String,)> = query(sql)
            .fetch_all(&mut self.pool.acquire().await?)
            .await?;
        Ok(tenants.into_iter().map(|(tenant_id,)| tenant_id).collect())
    }

    /// Walks the chain of a tenant from its beginning, and looks for a hash in it that some trace
    /// holds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn walk(&self, tenant_id: &str, wanted: Option<&str>) -> Result<Walk, LedgerError> {
        // The end is read first: records that are made during the walk come after it.
        let end: Option<(i64, String)> =
            query("SELECT seq, hash FROM chain_head WHERE tenant_id = $1")
                .bind(tenant_id)
                .fetch_optional(&mut self.pool.acquire().await?)
                .await?;
        let (n_wanted, end_hash) = end.unwrap_or((0, GENESIS.to_owned()));
        let mut walk = Walk {
            tenant_id: tenant_id.to_owned(),
            n_records: 0,
            head: GENESIS.to_owned(),
            n_unchained: 0,
            broken: None,
            has_hash: false,
        };
        while walk.n_records < n_wanted && walk.broken.is_none() {
            let links = self.links(tenant_id, walk.n_records).await?;
            if links.is_empty() {
                walk.broken = Some(Broken::at(
                    walk.n_records + 1,
                    "",
                    "it is gone, and all that followed it",
                ));
            }
            for link in links {
                match link.check(tenant_id, walk.n_records + 1, &walk.head) {
                    Ok(()) => {
                        walk.n_records += 1;
                        walk.has_hash |= wanted == Some(&link.hash);
                        walk.head = link.hash;
                    }
                    Err(broken) => {
                        walk.broken = Some(broken);
                        break;
                    }
                }
                if walk.n_records == n_wanted {
                    break;
                }
            }
        }
        if walk.broken.is_none() && walk.head != end_hash {
            walk.broken = Some(Broken::at(
                n_wanted,
                "",
                "its hash is not the one that the head of the chain tells",
            ));
        }
        if walk.broken.is_none() {
            self.look_for_unchained(&mut walk).await?;
        }
        Ok(walk)
    }

    async fn links(&self, tenant_id: &str, after: i64) -> Result<Vec<Link>, DbError> {
        query(
            "SELECT chain.seq, chain.record_id, chain.salt, chain.hash,
             COALESCE(decision.document, resolution.document) AS document,
             COALESCE(decision.tenant_id, resolution.tenant_id) AS tenant_id,
             COALESCE(decision.id, resolution.decision_id) AS expense_id
             FROM chain LEFT JOIN decision ON decision.id = chain.record_id
             LEFT JOIN resolution ON resolution.id = chain.record_id
             WHERE chain.tenant_id = $1 AND chain.seq > $2 ORDER BY chain.seq LIMIT $3",
        )
        .bind(tenant_id)
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut self.pool.acquire().await?)
        .await
    }

    /// Records that no chain holds. Resolutions are younger than the chain, so one was slipped in
    /// past the service; and so was a decision that is younger than the first one that a chain
    /// holds.
    async fn look_for_unchained(&self, walk: &mut Walk) -> Result<(), DbError> {
        let (slipped_in, n_unchained): (Option<String>, i64) = query(
            "SELECT MIN(CASE WHEN is_resolution = 1
               OR id > (SELECT record_id FROM chain WHERE tenant_id = $1 AND seq = 1) THEN id END), COUNT(*)
             FROM (SELECT id, tenant_id, 0 AS is_resolution FROM decision
                   UNION ALL SELECT id, tenant_id, 1 AS is_resolution FROM resolution) AS record
             WHERE tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.record_id = record.id)",
        )
        .bind(&walk.tenant_id)
        .fetch_one(&mut self.pool.acquire().await?)
        .await?;
        walk.broken = slipped_in
            .map(|id| Broken::at(walk.n_records, &id, "it is in the ledger and in no chain"));
        walk.n_unchained = n_unchained;
        Ok(())
    }
}

/// One row of a chain, with the record it is about.
struct Link {
    seq: i64,
    record_id: String,
    salt: Option<String>,
    hash: String,
    document: Option<String>,
    tenant_id: Option<String>,
    expense_id: Option<String>,
}

impl FromRow<'_, PgRow> for Link {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.try_get("seq")?,
            record_id: row.try_get("record_id")?,
            salt: row.try_get("salt")?,
            hash: row.try_get("hash")?,
            document: row.try_get("document")?,
            tenant_id: row.try_get("tenant_id")?,
            expense_id: row.try_get("expense_id")?,
        })
    }
}

impl TryFrom<&rusqlite::Row<'_>> for Link {
    type Error = rusqlite::Error;

    fn try_from(row: &rusqlite::Row<'_>) -> Result<Self, Self::Error> {
        Ok(Self {
            seq: row.get("seq")?,
            record_id: row.get("record_id")?,
            salt: row.get("salt")?,
            hash: row.get("hash")?,
            document: row.get("document")?,
            tenant_id: row.get("tenant_id")?,
            expense_id: row.get("expense_id")?,
        })
    }
}

impl Link {
    fn check(&self, tenant_id: &str, seq: i64, previous: &str) -> Result<(), Broken> {
        let broken = |fault| Err(Broken::at(seq, &self.record_id, fault));
        if self.seq != seq {
            return broken("the one before it is gone");
        }
        let Some(document) = &self.document else {
            return broken("its record is gone");
        };
        let Ok(mut record) = serde_json::from_str(document) else {
            return broken("its record is not JSON");
        };
        // What a record is found by stands beside it. A resolution names the expense that it
        // settles.
        let is_in_place = |record: &Value| {
            let expense_id = record.get("expense_id").unwrap_or(&record["id"]);
            let found_by = [
                (&self.tenant_id, &record["tenant_id"]),
                (&self.expense_id, expense_id),
            ];
            self.tenant_id.as_deref() == Some(tenant_id)
                && found_by
                    .into_iter()
                    .all(|(column, written)| column.as_deref() == written.as_str())
        };
        if !is_in_place(&record) {
            return broken("its record stands at another tenant or expense than its own");
        }
        if let Some(salt) = &self.salt {
            seal(&mut record, salt);
        }
        if hash_of(seq, previous, &record) != self.hash {
            return broken("its record, or one before it, is not what it was");
        }
        Ok(())
    }
}

impl Broken {
    fn at(seq: i64, record_id: &str, fault: &'static str) -> Self {
        Self {
            seq,
            record_id: record_id.to_owned(),
            fault,
        }
    }
}
