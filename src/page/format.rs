//! How values are written on the page: amounts, times and outcomes.

use jiff::Timestamp;
use maud::{Markup, html};
use rust_decimal::Decimal;

use crate::domain::money::Currency;
use crate::domain::resolution::Action;

/// An amount with its currency.
pub(super) fn amount(amount: Decimal, currency: Currency) -> Markup {
    html! { span.amount { (amount) " " span.currency { (currency.code()) } } }
}

/// A moment. The script rewrites it in the reader's time zone, and keeps UTC as the title.
pub(super) fn time(at: Timestamp) -> Markup {
    let utc = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at.to_string()) title=(utc) { (at.strftime("%Y-%m-%d %H:%M")) } }
}

/// An outcome, such as `needs_review`, as a label.
pub(super) fn outcome(outcome: &str) -> Markup {
    html! { span.outcome data-outcome=(outcome) { (outcome.replace('_', " ")) } }
}

/// What a person did with an open decision, such as `approved`.
pub(super) fn resolved(action: Action) -> &'static str {
    match action {
        Action::Approve => "approved",
        Action::Deny => "denied",
        Action::Withdraw => "withdrawn",
    }
}

/// A share, given in thousandths, in per cent with one decimal.
pub(super) fn per_mille(per_mille: i64) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// A duration in microseconds, with three digits.
pub(super) fn micros(micros: i64) -> String {
    let (unit, name) = match micros {
        ..1_000 => return format!("{micros} µs"),
        1_000..1_000_000 => (1_000, "ms"),
        _ => (1_000_000, "s"),
    };
    let n_decimals = match micros / unit {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let rounded = Decimal::new(micros, 0) / Decimal::from(unit);
    format!("{} {name}", rounded.round_dp(n_decimals).normalize())
}
