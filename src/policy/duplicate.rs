//! How much two expenses of one employee look like one purchase handed in twice. A note for people:
//! nothing is blocked by it. Where earlier expenses are found stands in `ledger`.

use rust_decimal::Decimal;

use crate::domain::expense::Expense;
use crate::policy::phrase::normalised;

/// How alike two expenses are, from 0 to 1; `None` when they are two purchases as far as anybody
/// can tell. Amount and currency have to be equal. Texts are compared by their words, without
/// regard to capitals and punctuation.
///
/// | days apart | merchant and transaction equal | merchant equal | transaction equal |
/// | --- | --- | --- | --- |
/// | none | 1.0 | 0.8 | 0.8 |
/// | one | 0.8 | 0.6 | - |
///
/// Two expenses that both name no merchant are equal in it as long as their transactions are.
pub fn similarity(one: &Expense, other: &Expense) -> Option<Decimal> {
    if (one.amount, one.currency) != (other.amount, other.currency) {
        return None;
    }
    let is_merchant_named = one.merchant.is_some();
    let is_merchant_equal = match (&one.merchant, &other.merchant) {
        (Some(one), Some(other)) => are_same_words(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let is_transaction_equal = are_same_words(&one.transaction, &other.transaction);
    let n_days_apart = (one.date - other.date).get_days().unsigned_abs();
    let tenths = match (n_days_apart, is_merchant_equal, is_transaction_equal) {
        (0, true, true) => 10,
        (0, false, true) => 8,
        (0, true, false) if is_merchant_named => 8,
        // The same words on two days, such as "lunch", are two purchases unless one merchant sold
        // both.
        (1, true, true) if is_merchant_named => 8,
        (1, true, false) if is_merchant_named => 6,
        _ => return None,
    };
    Some(Decimal::new(tenths, 1))
}

fn are_same_words(one: &str, other: &str) -> bool {
    // A text of signs alone has no words to compare.
    one == other || normalised(one).is_some_and(|words| normalised(other) == Some(words))
}
