//! What a credit does to its purchase. What a purchase holds of its caps and what was paid for it
//! are two facts: a purchase that waits for approval holds a share, and nothing was paid for it yet.
//! The arithmetic is in `ledger::credits`.

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::money::Currency;

/// Whether money was paid for a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// It was approved, so it is paid.
    Paid,
    /// It waits for approval: it holds its share of the caps, and nothing is paid yet.
    Pending,
    /// It was denied, withdrawn or superseded, or waits for review: it holds nothing, and nothing
    /// is paid.
    Unpaid,
}

/// What recording a credit did to its purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The purchase.
    pub purchase: Uuid,
    /// Whether the purchase was paid when the credit was recorded.
    pub payment: Payment,
    /// How much of the purchase the credit returns: at most what earlier credits left of it. In
    /// `currency`, zero or more.
    pub amount: Decimal,
    /// The currency of the purchase and of the credit.
    pub currency: Currency,
    /// By how much the purchase's share of the caps shrank, in the policy's currency, zero or more.
    pub freed: Decimal,
    /// Whether the credit is larger than what earlier credits left of the purchase.
    pub is_cut: bool,
}

impl Returned {
    /// What is taken back from the employee, in the policy's currency: below zero, or zero if
    /// nothing was paid.
    pub fn reimbursable(&self) -> Decimal {
        match self.payment {
            Payment::Paid if !self.freed.is_zero() => -self.freed,
            Payment::Paid | Payment::Pending | Payment::Unpaid => {
                Decimal::new(0, self.freed.scale())
            }
        }
    }

    /// What the credit does, in a sentence for the employee.
    pub fn reason(&self) -> String {
        let Self {
            purchase,
            amount,
            currency,
            ..
        } = self;
        let all = if self.is_cut {
            ", all that was left of it"
        } else {
            ""
        };
        match self.payment {
            Payment::Unpaid => {
                format!("Returns nothing: nothing was paid for purchase {purchase}.")
            }
            Payment::Paid | Payment::Pending if amount.is_zero() => {
                format!("Returns nothing: earlier credits returned all of purchase {purchase}.")
            }
            Payment::Paid => format!("Returns {amount} {currency} of purchase {purchase}{all}."),
            Payment::Pending => format!(
                "Takes {amount} {currency} off purchase {purchase}{all}. The purchase waits for approval, so nothing \
                 was paid and nothing is taken back."
            ),
        }
    }
}
