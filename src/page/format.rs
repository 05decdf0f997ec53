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
