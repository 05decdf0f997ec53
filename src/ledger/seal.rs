//! Tamper evidence: the records of a tenant form a hash chain. The hash of a record is the SHA-256
//! of its canonical JSON (RFC 8785), together with its place in the chain and the hash before it.
//! Texts that may be personal enter it by a salted hash of their own, so that they can be erased
//! while the chain stays valid. Sealing is here; walking a chain is in `verify`, erasing in `erase`.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use strum::IntoEnumIterator;

use crate::domain::facts::FactName;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::group_commit::{Head, Slot};
use crate::ledger::records::RecordKind;
use crate::ledger::statement::query;

/// The hash that the first record of a chain follows.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Room for the canonical JSON of most records, so that its buffer need not grow.
const TYPICAL_BYTES: usize = 8 << 10;

/// Locks a tenant until the end of the transaction, and reads the end of its chain. No other
/// transaction writes for the tenant meanwhile.
pub(super) async fn lock(slot: &mut Slot, tenant_id: &str) -> Result<(), DbError> {
    if slot.heads().contains_key(tenant_id) {
        return Ok(());
    }
    let transaction = slot.transaction();
    let head = match transaction {
        // `BEGIN IMMEDIATE` has locked all tenants.
        Connection::Sqlite(_) => {
            query("SELECT seq, hash FROM chain_head WHERE tenant_id = $1").bind(tenant_id)
        }
        // The update changes nothing, but it locks the row.
        Connection::Postgres(_) => query(
            "INSERT INTO chain_head (tenant_id, seq, hash) VALUES ($1, 0, $2)
             ON CONFLICT (tenant_id) DO UPDATE SET seq = chain_head.seq RETURNING seq, hash",
        )
        .bind(tenant_id)
        .bind(GENESIS),
    };
    let head: Option<(i64, String)> = head.fetch_optional(transaction).await?;
    let (seq, hash) = head.unwrap_or_else(|| (0, GENESIS.to_owned()));
    slot.heads()
        .insert(tenant_id.to_owned(), Head { seq, hash });
    Ok(())
}

/// Appends a record to the chain of its tenant, which is locked, and returns the record's hash. The
/// last step of a write: a write that is refused after it would still be committed.
pub(super) async fn append(
    slot: &mut Slot,
    kind: &RecordKind,
    tenant_id: &str,
    record_id: &str,
    mut record: Value,
) -> Result<String, DbError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let salt = hex_digits("", &salt);
    hash_personal_texts(&mut record, kind, &salt);
    let head = &slot.heads()[tenant_id];
    let next = Head {
        seq: head.seq + 1,
        hash: hash_of(head.seq + 1, &head.hash, &mut record),
    };
    query("INSERT INTO chain (tenant_id, seq, record_id, salt, hash) VALUES ($1, $2, $3, $4, $5)")
        .bind(tenant_id)
        .bind(next.seq)
        .bind(record_id)
        .bind(salt)
        .bind(&next.hash)
        .execute(slot.transaction())
        .await?;
    query(
        "INSERT INTO chain_head (tenant_id, seq, hash) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    )
    .bind(tenant_id)
    .bind(next.seq)
    .bind(&next.hash)
    .execute(slot.transaction())
    .await?;
    let hash = next.hash.clone();
    slot.heads().insert(tenant_id.to_owned(), next);
    Ok(hash)
}

/// Replaces every personal text of a record by its salted hash.
pub fn hash_personal_texts(record: &mut Value, kind: &RecordKind, salt: &str) {
    for path in kind.personal {
        hash_at(record, path, salt, &mut String::new());
    }
    if kind.holds_facts {
        for name in FactName::iter().filter(|name| name.declaration().personal) {
            hash_at(record, &[name.into()], salt, &mut String::new());
        }
    }
}

fn hash_at(value: &mut Value, path: &[&str], salt: &str, pointer: &mut String) {
    match (path, value) {
        ([], Value::String(text)) => {
            // The pointer to the text is hashed too, so that equal texts do not get equal hashes.
            let hash = [salt, "\0", pointer, "\0", text]
                .into_iter()
                .fold(Sha256::new(), Digest::chain_update)
                .finalize();
            *text = hex_digits("sha256:", &hash);
        }
        (["*", rest @ ..], Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                hash_below(item, rest, salt, pointer, &index.to_string());
            }
        }
        ([name, rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get_mut(*name) {
                hash_below(member, rest, salt, pointer, name);
            }
        }
        _ => {}
    }
}

fn hash_below(value: &mut Value, path: &[&str], salt: &str, pointer: &mut String, name: &str) {
    let n_bytes = pointer.len();
    pointer.push('/');
    pointer.push_str(name);
    hash_at(value, path, salt, pointer);
    pointer.truncate(n_bytes);
}

/// The hash of a sealed record at its place in a chain.
pub(super) fn hash_of(seq: i64, previous: &str, sealed: &mut Value) -> String {
    hex_digits("", &Sha256::digest(canonical(seq, previous, sealed)))
}

/// Bytes as hex digits, after a prefix. Not `hex::encode`, which collects its digits one by one: a
/// record has dozens of hashes.
fn hex_digits(prefix: &str, bytes: &[u8]) -> String {
    let mut digits = vec![0; prefix.len() + 2 * bytes.len()];
    let (start, rest) = digits.split_at_mut(prefix.len());
    start.copy_from_slice(prefix.as_bytes());
    hex::encode_to_slice(bytes, rest).expect("there are two digits for each byte");
    String::from_utf8(digits).expect("the prefix is text, and hex digits are ASCII")
}

/// The bytes that are hashed: the canonical JSON of a record and its place. Written by serde_json,
/// which writes texts and the numbers of records as RFC 8785 asks, several times faster than a crate
/// made for it; a test compares the two. The members of objects are sorted first, which does nothing
/// unless a crate of the build switches on serde_json's feature `preserve_order`.
pub fn canonical(seq: i64, previous: &str, record: &mut Value) -> Vec<u8> {
    #[derive(Serialize)]
    struct Sealed<'a> {
        previous: &'a str,
        record: &'a Value,
        seq: i64,
    }
    record.sort_all_objects();
    let sealed = Sealed {
        previous,
        record,
        seq,
    };
    let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
    serde_json::to_writer(&mut bytes, &sealed).expect("a JSON value can be written");
    bytes
}
