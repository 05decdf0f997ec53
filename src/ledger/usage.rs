//! What is used of the caps of a policy: reading it, checking that the caps can hold an expense, and
//! taking its share, in place of a plan if it has one. How a counter is read is in `counted`, how shares
//! are taken and freed in `shares`. Whether a cap allows an expense is decided in `policy`.

use rust_decimal::Decimal;

use crate::domain::counter::Counter;
use crate::domain::decision::Decision;
use crate::domain::expense::Expense;
use crate::ledger::cap_scope::CapScope;
use crate::ledger::counted::{counts_with_others, used};
use crate::ledger::db::Connection;
use crate::ledger::error::{LedgerError, RecordError};
use crate::ledger::{Ledger, Reservation, ReservedCap, StoredDecision, duplicates, plans, shares};
use crate::policy::Policy;
use crate::policy::evaluate::CapUsage;
use crate::spelling;

impl Ledger {
    /// What is already approved, or pending approval, in the counters of a policy's caps that the
    /// expense counts in, in the policy's currency. The plan that the expense takes over is left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage(
        &self,
        tenant_id: &str,
        policy: &Policy,
        expense: &Expense,
        plan: Option<&StoredDecision>,
    ) -> Result<CapUsage, LedgerError> {
        let scope = CapScope {
            tenant_id,
            person: spelling::person(&expense.user_id),
            category: &policy.category,
            currency: policy.currency,
        };
        let days = policy.splits().map(|(_, days, _)| days).max();
        let counters: Vec<&Counter> = policy.caps().map(|(_, counter)| counter).collect();
        let mut db = self.pool.acquire().await?;
        let mut usage = used(&mut db, &scope, expense, &counters, days).await?;
        if policy.rules.iter().any(|rule| rule.duplicate().is_some()) {
            usage.similarity = duplicates::similarity_of(&mut db, tenant_id, expense).await?;
        }
        if let Some(plan) = plan {
            plans::leave_out(&mut db, plan, &scope, expense, &counters, &mut usage).await?;
        }
        Ok(usage)
    }
}

/// Checks that every cap can hold an expense, and returns what is used of them. The tenant is locked
/// until the transaction ends, so what fits now can be taken.
///
/// # Errors
/// [`RecordError::CapMoved`] when a cap cannot hold it, [`RecordError::PlanUsed`] when its plan was taken
/// over.
pub(super) async fn check(
    transaction: &mut Connection,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<CapUsage, RecordError> {
    let expense = &decision.expense;
    let Reservation {
        amount,
        caps,
        splits,
        ..
    } = reservation;
    let days = splits.iter().map(|(days, _)| *days).max();
    let scope = CapScope::of(decision, reservation);
    let counters: Vec<&Counter> = caps.iter().map(|cap| &cap.counter).collect();
    let plan = plans::of(transaction, &decision.tenant_id, reservation).await?;
    let mut usage = used(transaction, &scope, expense, &counters, days).await?;
    if let Some(plan) = &plan {
        plans::leave_out(transaction, plan, &scope, expense, &counters, &mut usage).await?;
    }
    // A cap on one expense does not depend on others, so it cannot have moved.
    let holds = |cap: &ReservedCap| {
        !counts_with_others(&cap.counter, expense) || usage.of(&cap.counter) + amount <= cap.max
    };
    let is_split = |(days, limit): &(u16, Decimal)| {
        let used = usage.at_merchant(*days, *limit);
        !used.is_zero() && used + amount > *limit
    };
    if !caps.iter().all(holds) || splits.iter().any(is_split) {
        return Err(RecordError::CapMoved);
    }
    if let Some(score) = reservation.duplicate
        && duplicates::similarity_of(transaction, &decision.tenant_id, expense).await? >= score
    {
        return Err(RecordError::CapMoved);
    }
    Ok(usage)
}

/// Adds an expense that passed [`check`] to its windows and to the purchases at its merchant, in place of
/// its plan. Returns its share in minor units.
pub(super) async fn take(
    transaction: &mut Connection,
    decision: &Decision,
    reservation: &Reservation,
) -> Result<i64, RecordError> {
    if let Some(plan) = plans::of(transaction, &decision.tenant_id, reservation).await? {
        plans::fulfil(transaction, &plan, decision).await?;
    }
    Ok(shares::take(transaction, decision, reservation).await?)
}
