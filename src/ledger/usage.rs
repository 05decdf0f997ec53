//! What employees have used of their windows, and the taking of more.

use sqlx::{Any, Transaction};

use crate::domain::decision::{Decision, Window};
use crate::domain::expense::Expense;
use crate::domain::money::{self, Currency};
use crate::ledger::{Ledger, LedgerError, RecordError, Reservation};
use crate::policy::evaluate::Usage;

/// The windows an expense counts in, each by its key. Without a trip the expense is a trip of its own, which nothing
/// else ever counts in.
fn windows(expense: &Expense) -> Vec<(Window, String)> {
    let mut windows =
        vec![(Window::Day, expense.date.to_string()), (Window::Year, format!("{:04}", expense.date.year()))];
    windows.extend(expense.trip_id.clone().map(|trip_id| (Window::Trip, trip_id)));
    windows
}

impl Ledger {
    /// What an expense's employee already has approved, or pending approval, in the windows of a category, in the
    /// currency of its policy.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage(
        &self,
        tenant_id: &str,
        category: &str,
        currency: Currency,
        expense: &Expense,
    ) -> Result<Usage, LedgerError> {
        let mut usage = Usage::default();
        for (window, key) in windows(expense) {
            let used_minor: Option<i64> = sqlx::query_scalar(
                "SELECT used_minor FROM cap_usage WHERE tenant_id = $1 AND user_id = $2 AND category = $3
                 AND currency = $4 AND time_window = $5 AND window_key = $6",
            )
            .bind(tenant_id)
            .bind(&expense.user_id)
            .bind(category)
            .bind(currency.code())
            .bind(window.to_string())
            .bind(key)
            .fetch_optional(&self.readers)
            .await?;
            let used = money::from_minor(used_minor.unwrap_or(0), currency);
            match window {
                Window::Day => usage.day = used,
                Window::Trip => usage.trip = used,
                Window::Year => usage.year = used,
                Window::Expense => {}
            }
        }
        Ok(usage)
    }
}

/// Adds an expense to its windows, as long as every cap can hold it.
pub(super) async fn reserve(
    transaction: &mut Transaction<'static, Any>,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<(), RecordError> {
    let expense = &decision.expense;
    let Reservation { category, amount, currency, caps } = reservation;
    let amount = money::to_minor(*amount, *currency);
    for (window, key) in windows(expense) {
        let caps = caps.iter().filter(|(capped, _)| *capped == window);
        let limit = caps.map(|(_, max)| money::to_minor(*max, *currency)).min().unwrap_or(i64::MAX);
        // The first use of a window inserts its row, every later one has to fit beside what is there.
        let taken = sqlx::query(
            "INSERT INTO cap_usage (tenant_id, user_id, category, currency, time_window, window_key, used_minor)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant_id, user_id, category, currency, time_window, window_key)
             DO UPDATE SET used_minor = cap_usage.used_minor + excluded.used_minor
             WHERE cap_usage.used_minor + excluded.used_minor <= $8",
        )
        .bind(&decision.tenant_id)
        .bind(&expense.user_id)
        .bind(category)
        .bind(currency.code())
        .bind(window.to_string())
        .bind(key)
        .bind(amount)
        .bind(limit)
        .execute(&mut **transaction)
        .await?;
        if taken.rows_affected() == 0 {
            return Err(RecordError::CapMoved);
        }
    }
    Ok(())
}
