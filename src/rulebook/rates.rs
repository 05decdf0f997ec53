//! Exchange rates, from the dated table `tables/rates.toml`. A rate is valid from its day on, until
//! a later rate for the same two currencies replaces it. It is used in its own direction only: rates
//! are neither inverted nor combined.

use std::collections::HashMap;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::{self, Currency};
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::values::{DATE, TEXT, currency, date, filled_text};
use crate::toml_reader::{self, Source};

/// The most decimals of a rate.
const MAX_RATE_DECIMALS: u32 = 10;
const RATE: &str =
    "a decimal in quotes such as \"1.0850\", above zero and with at most ten decimals";
const CURRENCY: &str = "an ISO 4217 code such as \"EUR\"";

/// Rates by pair of currencies, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    by_pair: HashMap<(Currency, Currency), Vec<Rate>>,
}

/// The value of one unit of a currency in another currency.
#[derive(Clone, Copy, Debug)]
struct Rate {
    effective_from: Date,
    rate: Decimal,
}

/// Why an amount cannot be converted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// No rate is valid on the day of the expense.
    #[error(
        "there is no exchange rate from {from} to {into} on {date}, \
         and the amounts of the policy are in {into}"
    )]
    NoRate {
        /// The currency of the expense.
        from: Currency,
        /// The currency of the policy.
        into: Currency,
        /// The day of the expense.
        date: Date,
    },
    /// The result has more digits than an amount can have.
    #[error("the amount in {0} would have more than {max} digits", max = money::MAX_INTEGER_DIGITS)]
    TooLarge(Currency),
}

impl Rates {
    /// Parses a table of exchange rates.
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

    /// The amount of an expense in another currency, rounded up to its minor digits; `None` when the
    /// expense is in that currency.
    ///
    /// # Errors
    /// When no rate is valid on the day of the expense, or when the result is too large.
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
        let from = table.required(source, "from", CURRENCY, currency);
        let to = table.required(source, "to", CURRENCY, currency);
        let effective_from = table.required(source, "effective_from", DATE, date);
        let rate = table.decimal(source, "rate", MAX_RATE_DECIMALS, RATE);
        // Only for people, who have to know where a rate comes from.
        table.required(source, "source", TEXT, filled_text);
        if rate.is_some_and(|rate| rate.is_zero()) {
            source.report(at, format!("`rate` is zero; write {RATE}"));
        }
        if from.is_some() && from == to {
            source.report(
                at,
                "`from` and `to` are the same currency; write two different ones".to_owned(),
            );
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
