//! Looking up earlier decisions about what may be the same purchase. How alike two expenses are is
//! decided in `policy::duplicate`.

use std::cmp::Reverse;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::decision::Duplicate;
use crate::domain::expense::Expense;
use crate::domain::money::{self, Currency};
use crate::domain::ruling::Outcome;
use crate::ledger::db::Connection;
use crate::ledger::error::LedgerError;
use crate::ledger::query::read;
use crate::ledger::statement::query;
use crate::policy::duplicate::similarity;
use crate::spelling;

/// How many earlier decisions with the same amount are compared, the newest first.
const MAX_CANDIDATES: i64 = 20;

/// What two expenses are compared by. Not the whole decision: recording a new decision must not
/// depend on every field of an old one being readable.
#[derive(Deserialize)]
struct Earlier {
    id: Uuid,
    transaction: String,
    merchant: Option<String>,
    amount: Decimal,
    currency: Currency,
    date: Date,
}

/// Earlier decisions, approved or pending approval, about what may be the same purchase; the most
/// alike come first. Runs again in the transaction that records the decision, so that of two that are
/// recorded at once the second finds the first.
pub(super) async fn find(
    db: &mut Connection,
    tenant_id: &str,
    expense: &Expense,
) -> Result<Vec<Duplicate>, LedgerError> {
    let first_day = expense.date.yesterday().unwrap_or(expense.date);
    let last_day = expense.date.tomorrow().unwrap_or(expense.date);
    let documents: Vec<(String,)> = query(
        "SELECT document FROM decision WHERE tenant_id = $1 AND person = $2 AND currency = $3 AND amount_minor = $4
         AND expense_date BETWEEN $5 AND $6 AND COALESCE(standing, outcome) IN ($7, $8) ORDER BY id DESC LIMIT $9",
    )
    .bind(tenant_id)
    .bind(spelling::person(&expense.user_id).into_owned())
    .bind(expense.currency.code())
    .bind(money::to_minor(expense.amount, expense.currency))
    .bind(first_day.to_string())
    .bind(last_day.to_string())
    .bind(Outcome::Approved.to_string())
    .bind(Outcome::NeedsApproval.to_string())
    .bind(MAX_CANDIDATES)
    .fetch_all(db)
    .await?;
    let mut duplicates = Vec::new();
    for (document,) in &documents {
        let earlier: Earlier = read(document)?;
        let id = earlier.id;
        // The plan of a purchase is not the same purchase twice.
        if expense.under == Some(id) {
            continue;
        }
        let score = similarity(expense, &earlier.into_expense(expense));
        duplicates.extend(score.map(|score| Duplicate { id, score }));
    }
    // A stable sort keeps the newest first among equals.
    duplicates.sort_by_key(|duplicate| Reverse(duplicate.score));
    Ok(duplicates)
}

/// How alike the most similar of them is; zero if there is none.
pub(super) async fn similarity_of(
    db: &mut Connection,
    tenant_id: &str,
    expense: &Expense,
) -> Result<Decimal, LedgerError> {
    let found = find(db, tenant_id, expense).await?;
    Ok(found
        .first()
        .map_or(Decimal::ZERO, |duplicate| duplicate.score))
}

impl Earlier {
    /// The earlier expense, with the values of the new one in the fields that are not compared.
    fn into_expense(self, new: &Expense) -> Expense {
        Expense {
            transaction: self.transaction,
            merchant: self.merchant,
            amount: self.amount,
            currency: self.currency,
            date: self.date,
            ..new.clone()
        }
    }
}
