//! How similar two expenses of one employee are, as a hint that a purchase was submitted twice. The
//! hint is for people, and changes an outcome only where a policy has a rule on duplicates. `ledger`
//! finds the earlier expenses.

use rust_decimal::Decimal;

use crate::domain::expense::Expense;
use crate::policy::phrase::have_same_words;

/// How similar two expenses are, from 0 to 1; `None` when nothing suggests that they are the same
/// purchase. Amount and currency must be equal. Texts are compared by their words, regardless of
/// case, punctuation and look-alike letters.
///
/// | days apart | merchant and transaction equal | merchant equal | transaction equal |
/// | --- | --- | --- | --- |
/// | zero | 1.0 | 0.8 | 0.8 |
/// | one | 0.8 | 0.6 | - |
///
/// Two expenses without a merchant count as having the same merchant, but only when their
/// transactions are equal too.
pub fn similarity(one: &Expense, other: &Expense) -> Option<Decimal> {
    if (one.amount, one.currency) != (other.amount, other.currency) {
        return None;
    }
    let is_merchant_named = one.merchant.is_some();
    let is_merchant_equal = match (&one.merchant, &other.merchant) {
        (Some(one), Some(other)) => have_same_words(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let is_transaction_equal = have_same_words(&one.transaction, &other.transaction);
    let n_days_apart = (one.date - other.date).get_days().unsigned_abs();
    let tenths = match (n_days_apart, is_merchant_equal, is_transaction_equal) {
        (0, true, true) => 10,
        (0, false, true) => 8,
        (0, true, false) if is_merchant_named => 8,
        // The same text on two days, such as "lunch", means two purchases, unless the merchant is
        // the same.
        (1, true, true) if is_merchant_named => 8,
        (1, true, false) if is_merchant_named => 6,
        _ => return None,
    };
    Some(Decimal::new(tenths, 1))
}
