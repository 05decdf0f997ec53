//! The shares that expenses hold of the windows that caps count over: taking them and freeing them. What
//! counts by another key than the employee is in `keyed`; whether a cap can hold a share is checked in
//! `usage`.

use sqlx::AssertSqlSafe;

use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::domain::money;
use crate::domain::ruling::{Outcome, Window};
use crate::ledger::Reservation;
use crate::ledger::cap_scope::{CapScope, day_key, trip_key, year_key};
use crate::ledger::db::{Connection, DbError};
use crate::ledger::keyed;
use crate::ledger::query::StoredDecision;
use crate::ledger::statement::{Query, query};
use crate::policy::phrase::merchant_key;
use crate::spelling;

/// The windows an expense counts in, each with its key. An expense without a trip is a trip of its
/// own, which no other expense counts in.
fn windows(expense: &Expense) -> Vec<(Window, String)> {
    let mut windows = vec![
        (Window::Day, day_key(expense.date)),
        (Window::Year, year_key(expense.date)),
    ];
    windows.extend(
        expense
            .trip_id
            .as_deref()
            .map(|trip_id| (Window::Trip, trip_key(trip_id))),
    );
    windows
}

/// Binds windows and their keys to the next parameters of a statement.
fn bind<'a>(query: Query<'a>, windows: &'a [(Window, String)]) -> Query<'a> {
    windows.iter().fold(query, |query, (window, key)| {
        query.bind(<&'static str>::from(window)).bind(key)
    })
}

/// Adds an expense to its windows and to the purchases at its merchant. Returns its share in minor
/// units.
pub(super) async fn take(
    transaction: &mut Connection,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<i64, DbError> {
    let scope = CapScope::of(decision, reservation);
    let share_minor = money::to_minor(reservation.amount, reservation.currency);
    add(transaction, &scope, &decision.expense, share_minor).await?;
    keyed::take(transaction, &scope, decision, share_minor).await?;
    if let Some(merchant) = decision.expense.merchant.as_deref().and_then(merchant_key) {
        let sql =
            "INSERT INTO merchant_usage (tenant_id, user_id, category, currency, merchant, expense_date, decision_id,
                   amount_minor, spelled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)";
        let query = scope
            .query(sql)
            .bind(merchant)
            .bind(day_key(decision.expense.date));
        query
            .bind(decision.id.to_string())
            .bind(share_minor)
            .execute(transaction)
            .await?;
    }
    Ok(share_minor)
}

/// Adds an amount in minor units to the windows of an expense; subtracts it when it is negative.
async fn add(
    transaction: &mut Connection,
    scope: &CapScope<'_>,
    expense: &Expense,
    minor: i64,
) -> Result<(), DbError> {
    let windows = windows(expense);
    let row = |n: usize| format!("($1, $2, $3, $4, $5, $5, ${}, ${})", n * 2 + 6, n * 2 + 7);
    let rows = (0..windows.len()).map(row).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO cap_usage
           (tenant_id, user_id, category, currency, used_minor, carried_minor, time_window, window_key)
         VALUES {rows} ON CONFLICT (tenant_id, user_id, category, currency, time_window, window_key)
         DO UPDATE SET used_minor = cap_usage.used_minor + excluded.used_minor,
           carried_minor = cap_usage.carried_minor + excluded.used_minor"
    );
    bind(scope.query(AssertSqlSafe(sql)).bind(minor), &windows)
        .execute(transaction)
        .await?;
    Ok(())
}

/// The share that a decision has taken of its windows, in minor units of its policy's currency.
pub(super) async fn share_of(
    transaction: &mut Connection,
    decision: &Decision,
) -> Result<i64, DbError> {
    let (share,): (Option<i64>,) =
        query("SELECT share_minor FROM decision WHERE tenant_id = $1 AND id = $2")
            .bind(&decision.tenant_id)
            .bind(decision.id.to_string())
            .fetch_one(transaction)
            .await?;
    let (amount, currency) = decision.policy_amount();
    // Decisions from before the column was introduced have no share in it: theirs is their amount.
    let takes_share = matches!(decision.outcome, Outcome::Approved | Outcome::NeedsApproval);
    Ok(share.unwrap_or(if takes_share {
        money::to_minor(amount, currency)
    } else {
        0
    }))
}

/// Stores the share that a decision has taken of its windows.
pub(super) async fn set_share(
    transaction: &mut Connection,
    decision: &Decision,
    share_minor: i64,
) -> Result<(), DbError> {
    query("UPDATE decision SET share_minor = $1 WHERE tenant_id = $2 AND id = $3")
        .bind(share_minor)
        .bind(&decision.tenant_id)
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
    Ok(())
}

/// Returns a part of an expense's share, at most all of it, to its windows and to the purchases at
/// its merchant. Returns what was freed, in minor units.
pub(super) async fn free(
    transaction: &mut Connection,
    stored: &StoredDecision,
    wanted_minor: i64,
) -> Result<i64, DbError> {
    let decision = &stored.decision;
    let share_minor = share_of(transaction, decision).await?;
    let freed_minor = wanted_minor.clamp(0, share_minor);
    if freed_minor == 0 {
        return Ok(0);
    }
    let expense = &decision.expense;
    let scope = CapScope {
        tenant_id: &decision.tenant_id,
        person: spelling::person(&expense.user_id),
        category: stored.category().unwrap_or_default(),
        currency: stored
            .converted_amount()
            .map_or(expense.currency, |converted| converted.currency),
    };
    add(transaction, &scope, expense, -freed_minor).await?;
    keyed::free(transaction, &scope, decision, freed_minor).await?;
    if let Some(merchant) = expense.merchant.as_deref().and_then(merchant_key) {
        // Changes no row when the employee's texts were erased: that deleted the row.
        query(
            "UPDATE merchant_usage SET amount_minor = amount_minor - $1 WHERE tenant_id = $2 AND user_id = $3
             AND category = $4 AND currency = $5 AND merchant = $6 AND expense_date = $7 AND decision_id = $8",
        )
        .bind(freed_minor)
        .bind(scope.tenant_id)
        .bind(&*scope.person)
        .bind(scope.category)
        .bind(scope.currency.code())
        .bind(merchant)
        .bind(day_key(expense.date))
        .bind(decision.id.to_string())
        .execute(transaction)
        .await?;
    }
    set_share(transaction, decision, share_minor - freed_minor).await?;
    Ok(freed_minor)
}
