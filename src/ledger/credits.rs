//! What credits take off their purchases. It is counted in the purchase's own currency, and shares
//! of caps follow from it: a share is always the conversion of what is left of the purchase, so the
//! parts of a purchase that is returned in several credits add up to the whole, although each
//! conversion is rounded. Credits and resolutions of one purchase lead to the same sum in any order.

use rust_decimal::Decimal;
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::credit::{Payment, Returned};
use crate::domain::decision::Decision;
use crate::domain::money::{from_minor, to_minor};
use crate::domain::resolution::{Action, Paid};
use crate::domain::ruling::Outcome;
use crate::ledger::db::Connection;
use crate::ledger::error::LedgerError;
use crate::ledger::query::{StoredDecision, read};
use crate::ledger::shares;
use crate::ledger::statement::query;
use crate::spelling;

impl StoredDecision {
    /// Whether money was paid for the expense.
    pub fn payment(&self) -> Payment {
        // Nothing is paid for a plan.
        if self.decision.expense.plan {
            return Payment::Unpaid;
        }
        match (&self.resolution, self.decision.outcome) {
            (Some(resolution), _) if resolution.action == Action::Approve => Payment::Paid,
            (None, Outcome::Approved) => Payment::Paid,
            (None, Outcome::NeedsApproval) => Payment::Pending,
            (Some(_), _) | (None, Outcome::Denied | Outcome::NeedsReview) => Payment::Unpaid,
        }
    }

    /// What was approved or waits for approval, before any credit, in the expense's own currency.
    fn granted(&self) -> Decimal {
        match self.payment() {
            Payment::Unpaid => Decimal::ZERO,
            Payment::Paid | Payment::Pending => self
                .resolution
                .as_ref()
                .and_then(|resolution| resolution.approved())
                .unwrap_or(self.decision.expense.amount),
        }
    }

    /// A part of the expense in the currency of its policy.
    fn in_policy_currency(&self, amount: Decimal) -> Decimal {
        self.converted_amount()
            .map_or(amount, |converted| converted.of(amount).amount)
    }
}

/// What is left of an amount after credits, at least zero, with all decimals of the amount.
fn less(amount: Decimal, credited: Decimal) -> Decimal {
    let left = amount - credited;
    match left.is_sign_negative() {
        true => Decimal::new(0, left.scale()),
        false => left,
    }
}

/// Takes a credit off its purchase, and frees that part of the purchase's share of the caps.
pub(super) async fn take_off(
    transaction: &mut Connection,
    credit: &Decision,
    purchase: &StoredDecision,
) -> Result<Returned, LedgerError> {
    let bought = &purchase.decision;
    let (wanted, currency) = (-credit.expense.amount, bought.expense.currency);
    let before = credited(transaction, bought).await?;
    let granted = purchase.granted();
    let rest = less(granted, before.all);
    let after = (before.all + wanted).min(bought.expense.amount);
    let freed =
        purchase.in_policy_currency(rest) - purchase.in_policy_currency(less(granted, after));
    let (_, policy_currency) = credit.policy_amount();
    let freed_minor = shares::free(transaction, purchase, to_minor(freed, policy_currency)).await?;
    if before.is_counted {
        query("UPDATE decision SET credited_minor = $1 WHERE tenant_id = $2 AND id = $3")
            .bind(to_minor(after, currency))
            .bind(&bought.tenant_id)
            .bind(bought.id.to_string())
            .execute(transaction)
            .await?;
    }
    Ok(Returned {
        purchase: bought.id,
        payment: purchase.payment(),
        amount: rest.min(wanted),
        currency,
        freed: from_minor(freed_minor, policy_currency),
        is_cut: wanted > rest,
    })
}

/// What is paid when a person approves an expense that waited for approval: the approved amount
/// less the credits that came meanwhile.
pub(super) async fn paid(
    transaction: &mut Connection,
    open: &StoredDecision,
    approved: Decimal,
) -> Result<Paid, LedgerError> {
    let decision = &open.decision;
    let credited = credited(transaction, decision).await?;
    let amount = less(approved, credited.unpaid);
    Ok(Paid {
        amount,
        credited: approved - amount,
        converted_amount: decision.converted_amount.as_ref().map(|all| all.of(amount)),
        share: open.in_policy_currency(less(approved, credited.all)),
    })
}

/// What credits have taken off a purchase, in its own currency.
struct Credited {
    /// By all credits.
    all: Decimal,
    /// By those that took nothing back because the purchase was not paid yet.
    unpaid: Decimal,
    /// Whether the purchase's row counts them.
    is_counted: bool,
}

/// The part of a credit's document that is counted.
#[derive(Deserialize)]
struct Credit {
    refunds: Option<Uuid>,
    amount: Decimal,
    reimbursable: Option<Decimal>,
}

async fn credited(
    transaction: &mut Connection,
    purchase: &Decision,
) -> Result<Credited, LedgerError> {
    let currency = purchase.expense.currency;
    let sql = "SELECT credited_minor FROM decision WHERE tenant_id = $1 AND id = $2";
    let (counted,): (Option<i64>,) = query(sql)
        .bind(&purchase.tenant_id)
        .bind(purchase.id.to_string())
        .fetch_one(transaction)
        .await?;
    if let Some(minor) = counted {
        let all = from_minor(minor, currency);
        return Ok(Credited {
            all,
            unpaid: all,
            is_counted: true,
        });
    }
    // An earlier version recorded the purchase, and did not count its credits there. That version
    // took money back even for a purchase that was not paid yet, so a resolution must subtract only
    // the credits that took nothing back.
    let sql = "SELECT document FROM decision WHERE tenant_id = $1 AND person = $2 AND currency = $3 AND amount_minor < 0";
    let documents: Vec<(String,)> = query(sql)
        .bind(&purchase.tenant_id)
        .bind(spelling::person(&purchase.expense.user_id).into_owned())
        .bind(currency.code())
        .fetch_all(transaction)
        .await?;
    let mut all = Decimal::ZERO;
    let mut unpaid = Decimal::ZERO;
    for (document,) in &documents {
        let credit: Credit = read(document)?;
        if credit.refunds != Some(purchase.id) {
            continue;
        }
        all -= credit.amount;
        if credit.reimbursable.is_none_or(|amount| amount.is_zero()) {
            unpaid -= credit.amount;
        }
    }
    let amount = purchase.expense.amount;
    Ok(Credited {
        all: all.min(amount),
        unpaid: unpaid.min(amount),
        is_counted: false,
    })
}
