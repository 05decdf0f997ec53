//! The earlier decisions that an expense names: the purchase that a credit refunds, the plan of a purchase,
//! and the decision in whose place an expense is decided anew.

use std::sync::Arc;

use uuid::Uuid;

use crate::agent::supersede::can_be_superseded;
use crate::domain::expense::Expense;
use crate::domain::ruling::Outcome;
use crate::domain::submission::Submitted;
use crate::http::AppState;
use crate::http::error::Problem;
use crate::keys::identity::Identity;
use crate::ledger::{LedgerError, StoredDecision};
use crate::spelling::is_same_person;

/// A decision of the tenant, if the caller may see it.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn seen(
    app: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<Option<StoredDecision>, LedgerError> {
    let seen_by = identity.own_only();
    let ledger = &app.agent.ledger;
    ledger.get_seen_by(&identity.tenant_id, seen_by, id).await
}

/// The purchase that a credit refunds; `None` when the expense is not a credit.
pub(super) async fn purchase_of(
    app: &AppState,
    identity: &Identity,
    expense: &Expense,
) -> Result<Option<Box<StoredDecision>>, Problem> {
    let Some(id) = expense.refunds else {
        return Ok(None);
    };
    let is_refundable = |stored: &StoredDecision| {
        let purchase = &stored.decision.expense;
        is_same_person(&purchase.user_id, &expense.user_id)
            && (purchase.currency, purchase.refunds) == (expense.currency, None)
            && !purchase.plan
    };
    let stored = seen(app, identity, id).await?;
    let message = match stored.filter(is_refundable) {
        Some(stored) if stored.superseded_by.is_some() => {
            "this purchase was decided anew; write the id in its `superseded_by`"
        }
        // Resolving the review would approve the whole amount, including the part refunded by then.
        Some(stored) if is_in_review(&stored) => {
            "this purchase waits for its review; have that resolved first, then send the credit"
        }
        // The new decision would not know of the credit.
        Some(stored) if can_be_superseded(&stored) => {
            "this purchase was decided while the model did not answer; have it decided anew with `supersedes`, \
             then send the credit"
        }
        Some(stored) => return Ok(Some(Box::new(stored))),
        None => {
            "this employee has no such purchase in this currency; write the id that it was answered with"
        }
    };
    Err(Problem::invalid_field("refunds", message))
}

/// The decision that an expense supersedes. An expense that gives no date keeps the date of that
/// decision: it is the same expense, however late it is decided anew. Whether the decision can be
/// superseded is checked only once the idempotency key is claimed, so that a repeated request gets
/// its answer again.
pub(super) async fn superseded(
    app: &AppState,
    identity: &Identity,
    submitted: &mut Submitted,
) -> Result<Option<Arc<StoredDecision>>, Problem> {
    let Some(id) = submitted.supersedes else {
        return Ok(None);
    };
    let stored = seen(app, identity, id).await?;
    let stored = stored.filter(|stored| {
        is_same_person(&stored.decision.expense.user_id, &submitted.expense.user_id)
    });
    let Some(stored) = stored else {
        let message = "this employee has no such decision; write the id that it was answered with";
        return Err(Problem::invalid_field("supersedes", message));
    };
    submitted.set_default_date(stored.decision.expense.date);
    Ok(Some(Arc::new(stored)))
}

fn is_in_review(stored: &StoredDecision) -> bool {
    stored.decision.outcome == Outcome::NeedsReview && stored.resolution.is_none()
}

/// The plan of a purchase; `None` when the expense names none.
pub(super) async fn plan_of(
    app: &AppState,
    identity: &Identity,
    expense: &Expense,
) -> Result<Option<Arc<StoredDecision>>, Problem> {
    let Some(id) = expense.under else {
        return Ok(None);
    };
    let is_of_employee = |stored: &StoredDecision| {
        let planned = &stored.decision.expense;
        is_same_person(&planned.user_id, &expense.user_id)
            && (planned.plan, planned.currency) == (true, expense.currency)
    };
    let stored = seen(app, identity, id).await?;
    let message = match stored.filter(is_of_employee) {
        Some(stored) if stored.is_open_plan() => return Ok(Some(Arc::new(stored))),
        Some(stored) if stored.fulfilled_by.is_some() => PLAN_USED,
        Some(_) => "no person has approved this plan; send the purchase once one has",
        None => {
            "this employee has no such plan in this currency; write the id that it was answered with"
        }
    };
    Err(Problem::invalid_field("under", message))
}

/// What is wrong with a plan that was used.
pub(super) const PLAN_USED: &str =
    "another purchase was made under this plan; have a plan of its own approved for this one";
