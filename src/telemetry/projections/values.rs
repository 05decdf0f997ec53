//! Values in the types that OpenTelemetry has.

use opentelemetry::{Array, StringValue, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Texts as one attribute value.
pub(super) fn strings(texts: impl Iterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.map(StringValue::from).collect()))
}

/// The host of a URL without the brackets around an IPv6 address.
pub(super) fn address_of(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// A count as the signed integer that attributes have.
pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An amount in US dollars as a float, so that backends can add and compare. The exact amount is in
/// the ledger.
pub(super) fn usd(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(f64::NAN)
}
