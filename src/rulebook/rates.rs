//! Exchange rates, from a dated table that finance keeps. A rate counts from its day on, until a
//! later one for the same two currencies; only a rate in the direction of the conversion is used,
//! and nothing is guessed from others.

use std::collections::HashMap;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::{self, Currency};
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::{self, DATE, Source, TEXT, date, filled_text};

/// Decimals a rate may have.
const MAX_RATE_DECIMALS: u32 = 10;
const RATE: &str =
    "a decimal in quotes such as \"1.0850\", above zero and with at most ten decimals";
const CURRENCY: &str = "an ISO 4217 code such as \"EUR\"";

/// Exchange rates by pair of currencies, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    by_pair: HashMap<(Currency, Currency), Vec<Rate>>,
}

/// What one unit of a currency is in another one, from which day on.
#[derive(Clone, Copy, Debug)]
struct Rate {
    effective_from: Date,
    rate: Decimal,
}

/// An expense cannot be judged in another currency.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// No rate has begun on the expense's day.
    #[error(
        "there is no exchange rate from {from} into {into} on {date}, and the policy's amounts are in {into}"
    )]
    NoRate {
        /// The expense's currency.
        from: Currency,
        /// The policy's currency.
        into: Currency,
        /// The expense's day.
        date: Date,
    },
    /// The result has more digits than an amount can have.
    #[error("the amount in {0} would have more than {max} digits", max = money::MAX_INTEGER_DIGITS)]
    TooLarge(Currency),
}

impl Rates {
    /// Reads a table of rates from its text.
    ///
    /// # Errors
    /// With all diagnostics of the table.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut by_pair: HashMap<_, Vec<Rate>> = HashMap::new();
        for (pair, rate) in toml_reader::parse(file, text, parse_rates)? {
            by_pair.entry(pair).or_default().push(rate);
        }
        for rates in by_pair.values_mut() {
            rates.sort_by_key(|rate| rate.effective_from);
        }
        Ok(Self { by_pair })
    }

    /// The amount of an expense in another currency, rounded up to its minor digits; `None` when it
    /// is in it already.
    ///
    /// # Errors
    /// When there is no rate on the expense's day, or the result is too large for an amount.
    pub fn convert(
        &self,
        expense: &Expense,
        into: Currency,
    ) -> Result<Option<ConvertedAmount>, ConversionError> {
        let (from, date) = (expense.currency, expense.date);
        if from == into {
            return Ok(None);
        }
        let rates = self
            .by_pair
            .get(&(from, into))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let rate = rates.iter().rev().find(|rate| rate.effective_from <= date);
        let Rate {
            effective_from,
            rate,
        } = *rate.ok_or(ConversionError::NoRate { from, into, date })?;
        let amount =
            money::convert(expense.amount, rate, into).ok_or(ConversionError::TooLarge(into))?;
        Ok(Some(ConvertedAmount {
            amount,
            currency: into,
            rate,
            rate_date: effective_from,
        }))
    }
}

fn parse_rates(source: &mut Source<'_>) -> Option<Vec<((Currency, Currency), Rate)>> {
    let mut claims = Claims::default();
    source.tables_of("rate", |source, table, at| {
        let from = table.required(source, "from", CURRENCY, |value| {
            value.as_str()?.parse::<Currency>().ok()
        });
        let to = table.required(source, "to", CURRENCY, |value| {
            value.as_str()?.parse::<Currency>().ok()
        });
        let effective_from = table.required(source, "effective_from", DATE, date);
        let rate = table.decimal(source, "rate", MAX_RATE_DECIMALS, RATE);
        table.required(source, "source", TEXT, filled_text);
        if rate.is_some_and(|rate| rate.is_zero()) {
            source.report(at, format!("`rate` is zero; write {RATE}"));
        }
        if from.is_some() && from == to {
            source.report(at, "`from` and `to` are one currency; write two".to_owned());
        }
        let (pair, effective_from) = ((from?, to?), effective_from?);
        claims.claim(
            source,
            at,
            &format!("the rate from {} to {} of {effective_from}", pair.0, pair.1),
            "",
        );
        Some((
            pair,
            Rate {
                effective_from,
                rate: rate?.normalize(),
            },
        ))
    })
}
