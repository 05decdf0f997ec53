//! What rules look at in one expense. Its amount is in the currency of the policy.

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::facts::Facts;
use crate::domain::receipt::Receipt;

/// What rules look at in one expense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The amount in the policy's currency.
    pub amount: Decimal,
    /// Which receipt is attached.
    pub receipt: Receipt,
    /// The day of the purchase.
    pub date: Date,
    /// The day on which this service received the expense, UTC.
    pub today: Date,
    /// The merchant category code, if known.
    pub mcc: Option<&'a str>,
    /// The merchant's name, if known.
    pub merchant: Option<&'a str>,
    /// What the employee wrote.
    pub transaction: &'a str,
    /// The facts that the expense states.
    pub facts: &'a Facts,
}
