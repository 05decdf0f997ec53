//! Exact money: decimal amounts and ISO 4217 currencies. No binary float ever touches an amount.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Digits that an amount may have before its decimal point: below a trillion, so that the minor
/// units of every currency (at most four decimals) fit a 64-bit integer.
pub const MAX_INTEGER_DIGITS: usize = 12;

/// An ISO 4217 currency that has minor units, which excludes metals and testing codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// The code is not in ISO 4217, or is not money, such as gold.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an ISO 4217 currency; write three capital letters such as \"USD\"")]
pub struct UnknownCurrency(String);

impl Currency {
    /// The US dollar, the currency of an expense that names none.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// Every currency, in the order of the numeric codes of ISO 4217.
    pub fn all() -> impl Iterator<Item = Self> {
        // The crate has a list as well, but with a second version of `strum`.
        (0..1000)
            .filter_map(iso_currency::Currency::from_numeric)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
    }

    /// How many digits follow the decimal point: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some() && currency.code() == code)
            .map(Self)
            .ok_or_else(|| UnknownCurrency(code.to_owned()))
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is not an amount in plain digits of its currency.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write up to {MAX_INTEGER_DIGITS} digits{}, without plus sign, exponent, blank or separator",
    fraction(*.minor_digits)
)]
pub struct AmountError {
    minor_digits: u32,
}

fn fraction(minor_digits: u32) -> String {
    match minor_digits {
        0 => " and no decimals".to_owned(),
        n => format!(" and at most {n} decimals"),
    }
}

/// Parses an amount; the result always has exactly `minor_digits` decimals.
///
/// # Errors
/// When the text is anything but digits, optionally followed by a point and at most `minor_digits`
/// digits.
pub fn parse_amount(text: &str, minor_digits: u32) -> Result<Decimal, AmountError> {
    let error = AmountError { minor_digits };
    let (integer, decimals) = match text.split_once('.') {
        Some((integer, decimals)) if !decimals.is_empty() => (integer, decimals),
        Some(_) => return Err(error),
        None => (text, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = (1..=MAX_INTEGER_DIGITS).contains(&integer.len())
        && u32::try_from(decimals.len()).is_ok_and(|n_decimals| n_decimals <= minor_digits)
        && all_digits(integer)
        && all_digits(decimals);
    if !well_formed {
        return Err(error);
    }
    let mut amount = Decimal::from_str_exact(text).map_err(|_| error)?;
    amount.rescale(minor_digits);
    Ok(amount)
}

/// An amount in its currency's minor units (cents), as the ledger's integer columns hold it.
pub fn to_minor(amount: Decimal, currency: Currency) -> i64 {
    let mut scaled = amount;
    scaled.rescale(currency.minor_digits());
    i64::try_from(scaled.mantissa()).expect("twelve digits and four decimals fit 64 bits")
}

/// The amount of a number of minor units.
pub fn from_minor(minor: i64, currency: Currency) -> Decimal {
    Decimal::new(minor, currency.minor_digits())
}

/// An amount above zero times a rate, rounded up to the minor digits of a currency; `None` if the
/// result has more digits than an amount may have.
pub fn convert(amount: Decimal, rate: Decimal, into: Currency) -> Option<Decimal> {
    // In whole numbers, because a decimal product with too many digits is rounded to what fits, and
    // that can round down.
    let product = amount.mantissa().checked_mul(rate.mantissa())?;
    let n_surplus = i64::from(amount.scale() + rate.scale()) - i64::from(into.minor_digits());
    let unit = 10_i128.checked_pow(u32::try_from(n_surplus.unsigned_abs()).ok()?)?;
    let minor = if n_surplus < 0 {
        product.checked_mul(unit)?
    } else {
        product.checked_add(unit - 1)? / unit
    };
    let converted = from_minor(i64::try_from(minor).ok()?, into);
    parse_amount(&converted.to_string(), into.minor_digits()).ok()
}
