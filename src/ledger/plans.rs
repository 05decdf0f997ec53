//! Plans: purchases that a person agreed to before they were made. A plan holds a share of the caps like
//! any expense that is approved. Its purchase takes its own share, and in the same write the plan gives
//! back all of its own, so the caps never count both. A plan is for one purchase.

use rust_decimal::Decimal;
use sqlx::AssertSqlSafe;

use crate::domain::counter::Counter;
use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::domain::money::{self, Currency};
use crate::domain::resolution::Action;
use crate::ledger::Reservation;
use crate::ledger::cap_scope::CapScope;
use crate::ledger::counted::counts_together;
use crate::ledger::db::{Connection, DbError};
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::query::{Row, SELECT, StoredDecision, stored_decision};
use crate::ledger::shares;
use crate::ledger::statement::query;
use crate::policy::evaluate::{CapUsage, Purchase};
use crate::policy::phrase::merchant_key;

impl StoredDecision {
    /// Whether a purchase can be made under this plan: a person approved it, and no purchase has taken
    /// it over.
    pub fn is_open_plan(&self) -> bool {
        let resolution = self.resolution.as_ref();
        let is_approved = resolution.is_some_and(|done| done.action == Action::Approve);
        self.decision.expense.plan && is_approved && self.fulfilled_by.is_none()
    }

    /// What a plan allows a purchase of a category to cost, in the currency of the category's policy;
    /// `None` if it was not agreed on for that category.
    pub fn planned(&self, category: &str, currency: Currency) -> Option<Decimal> {
        let resolution = self.resolution.as_ref().filter(|_| self.is_open_plan())?;
        let own = (resolution.amount?, self.decision.expense.currency);
        let converted = resolution.converted_amount.as_ref();
        let (amount, planned_in) =
            converted.map_or(own, |converted| (converted.amount, converted.currency));
        (self.category() == Some(category) && planned_in == currency).then_some(amount)
    }
}

/// The plan that a reservation takes over; `None` if there is none.
///
/// # Errors
/// [`RecordError::PlanUsed`] if another purchase was faster.
pub(super) async fn of(
    transaction: &mut Connection,
    tenant_id: &str,
    reservation: &Reservation,
) -> Result<Option<StoredDecision>, RecordError> {
    let Some(id) = reservation.plan else {
        return Ok(None);
    };
    let sql = AssertSqlSafe(format!(
        "{SELECT} WHERE decision.tenant_id = $1 AND decision.id = $2"
    ));
    let row: Row = query(sql)
        .bind(tenant_id)
        .bind(id.to_string())
        .fetch_one(transaction)
        .await?;
    let plan = stored_decision(row)?;
    match plan.is_open_plan() {
        true => Ok(Some(plan)),
        false => Err(RecordError::PlanUsed),
    }
}

/// Takes the share of a plan out of what is used: for its purchase, the plan no longer counts.
pub(super) async fn leave_out(
    db: &mut Connection,
    plan: &StoredDecision,
    scope: &CapScope<'_>,
    expense: &Expense,
    counters: &[&Counter],
    used: &mut CapUsage,
) -> Result<(), DbError> {
    let planned = &plan.decision.expense;
    let currency = currency_of(plan);
    let share_minor = shares::share_of(db, &plan.decision).await?;
    if share_minor == 0 || currency != scope.currency {
        return Ok(());
    }
    let share = money::from_minor(share_minor, currency);
    let category = plan.category().unwrap_or_default();
    for (n, counter) in counters.iter().enumerate() {
        let is_new = !counters[..n].contains(counter);
        if is_new && counts_together(counter, scope, expense, (category, planned)) {
            used.add(counter, -share);
        }
    }
    let key = |expense: &Expense| expense.merchant.as_deref().and_then(merchant_key);
    if category == scope.category && key(planned) == key(expense) {
        let row = Purchase {
            n_days_apart: (planned.date - expense.date).get_days().unsigned_abs(),
            amount: share,
        };
        let found = used.purchases.iter().position(|purchase| *purchase == row);
        found.map(|place| used.purchases.remove(place));
    }
    Ok(())
}

/// Has a plan give back its share, and name the purchase that took it over.
pub(super) async fn fulfil(
    transaction: &mut Connection,
    plan: &StoredDecision,
    purchase: &Decision,
) -> Result<(), LedgerError> {
    shares::free(transaction, plan, i64::MAX).await?;
    query("UPDATE decision SET fulfilled_by = $1 WHERE tenant_id = $2 AND id = $3")
        .bind(purchase.id.to_string())
        .bind(&plan.decision.tenant_id)
        .bind(plan.decision.id.to_string())
        .execute(transaction)
        .await?;
    Ok(())
}

/// The currency in which a plan holds its share.
fn currency_of(plan: &StoredDecision) -> Currency {
    let own = plan.decision.expense.currency;
    plan.converted_amount()
        .map_or(own, |converted| converted.currency)
}
