//! Shares that count by a department, cost centre, project or recipient instead of by employee. Only
//! the salted hashes of these names are stored: an erased name must not stay behind in a table of
//! sums. A decision keeps the hashes under which it counts, because its own texts may be erased before
//! it gives its share back.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::counter::By;
use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::ledger::cap_scope::CapScope;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::statement::query;
use crate::spelling;

/// A fact that an expense counts by, and the hash of what the expense says.
pub(super) type Key = (By, String);

/// The keys of an expense; none if the tenant has no salt, because then nothing is counted by any.
pub(super) async fn keys(
    db: &mut Connection,
    tenant_id: &str,
    expense: &Expense,
) -> Result<Vec<Key>, DbError> {
    if named(expense).next().is_none() {
        return Ok(Vec::new());
    }
    let salt: Option<(String,)> = query("SELECT salt FROM key_salt WHERE tenant_id = $1")
        .bind(tenant_id)
        .fetch_optional(db)
        .await?;
    Ok(salt.map_or_else(Vec::new, |(salt,)| hashed(expense, &salt)))
}

/// What an expense counts by, with the names as the expense states them.
fn named(expense: &Expense) -> impl Iterator<Item = (By, &str)> {
    By::all().filter_map(|by| Some((by, expense.facts.text(by.fact())?)))
}

fn hashed(expense: &Expense, salt: &str) -> Vec<Key> {
    let hashed = named(expense).map(|(by, name)| {
        let mut hash = Hmac::<Sha256>::new_from_slice(salt.as_bytes())
            .expect("a key of any length is accepted");
        hash.update(spelling::person(name).as_bytes());
        (by, hex::encode(hash.finalize().into_bytes()))
    });
    hashed.collect()
}

/// Adds the share of a decision under each of its keys. The tenant is locked, so no other write makes
/// its salt meanwhile.
pub(super) async fn take(
    transaction: &mut Connection,
    scope: &CapScope<'_>,
    decision: &Decision,
    minor: i64,
) -> Result<(), DbError> {
    let expense = &decision.expense;
    if named(expense).next().is_none() {
        return Ok(());
    }
    let mut keys = keys(transaction, scope.tenant_id, expense).await?;
    if keys.is_empty() {
        keys = hashed(expense, &new_salt(transaction, scope.tenant_id).await?);
    }
    for (by, key_hash) in &keys {
        query("INSERT INTO share_key (tenant_id, decision_id, fact, key_hash) VALUES ($1, $2, $3, $4)")
            .bind(scope.tenant_id)
            .bind(decision.id.to_string())
            .bind(by.fact().to_string())
            .bind(key_hash)
            .execute(transaction)
            .await?;
        add(
            transaction,
            scope,
            expense,
            &by.fact().to_string(),
            key_hash,
            minor,
        )
        .await?;
    }
    Ok(())
}

/// Subtracts a part of the share of a decision. Changes nothing if the employee's texts were erased:
/// that deleted the keys.
pub(super) async fn free(
    transaction: &mut Connection,
    scope: &CapScope<'_>,
    decision: &Decision,
    minor: i64,
) -> Result<(), DbError> {
    if named(&decision.expense).next().is_none() {
        return Ok(());
    }
    let sql = "SELECT fact, key_hash FROM share_key WHERE tenant_id = $1 AND decision_id = $2";
    let keys: Vec<(String, String)> = query(sql)
        .bind(scope.tenant_id)
        .bind(decision.id.to_string())
        .fetch_all(transaction)
        .await?;
    for (fact, key_hash) in &keys {
        add(
            transaction,
            scope,
            &decision.expense,
            fact,
            key_hash,
            -minor,
        )
        .await?;
    }
    Ok(())
}

async fn add(
    transaction: &mut Connection,
    scope: &CapScope<'_>,
    expense: &Expense,
    fact: &str,
    key_hash: &str,
    minor: i64,
) -> Result<(), DbError> {
    let sql = "INSERT INTO keyed_usage (tenant_id, fact, key_hash, category, currency, expense_date, used_minor)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, fact, key_hash, category, currency, expense_date)
         DO UPDATE SET used_minor = keyed_usage.used_minor + excluded.used_minor";
    query(sql)
        .bind(scope.tenant_id)
        .bind(fact)
        .bind(key_hash)
        .bind(scope.category)
        .bind(scope.currency.code())
        .bind(expense.date.to_string())
        .bind(minor)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Gives a tenant its salt.
async fn new_salt(transaction: &mut Connection, tenant_id: &str) -> Result<String, DbError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let salt = hex::encode(salt);
    query("INSERT INTO key_salt (tenant_id, salt) VALUES ($1, $2)")
        .bind(tenant_id)
        .bind(&salt)
        .execute(transaction)
        .await?;
    Ok(salt)
}
