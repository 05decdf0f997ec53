//! What a day away may cost: a sum for a whole day or a part of one, which may depend on the place,
//! less a share for each meal that others paid for. What is used of a day is in `evaluate`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::facts::{FactName, Facts};
use crate::domain::money;
use crate::policy::places::Places;

/// What a day away may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allowance {
    /// A whole day, if the expense names no place for a table; absent if only a table says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Decimal>,
    /// A part of a day, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Decimal>,
    /// What is taken off for each meal that others paid for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>, example = json!({"breakfast": "5.60", "dinner": "40%"}))]
    pub meals: BTreeMap<String, Deduction>,
    /// The table with the amounts of each place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What the table says.
    #[serde(skip)]
    pub places: Option<Arc<Places>>,
}

/// A table says nothing about the place of an expense. The name of the place is left out, because
/// this text is put on spans.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table `{table}` has neither the place of this expense nor \"other\" on {date}, so no amount is known"
)]
pub struct UnknownPlace {
    table: String,
    date: Date,
}

impl Allowance {
    /// The allowance for an expense, with amounts instead of a table and percentages. If the expense
    /// has no place and the rule no amounts of its own, the table stays, and nothing is known.
    ///
    /// # Errors
    /// When the table does not have the place.
    pub fn at(&self, facts: &Facts, date: Date) -> Result<Self, UnknownPlace> {
        let rates = match (&self.table, &self.places, facts.text(FactName::Place)) {
            (Some(table), Some(places), Some(place)) => {
                let unknown = || UnknownPlace {
                    table: table.clone(),
                    date,
                };
                let rates = places.rates(place, date).ok_or_else(unknown)?;
                Some((rates.full, rates.part))
            }
            _ => self.full.zip(self.part),
        };
        let Some((full, part)) = rates else {
            return Ok(self.clone());
        };
        let meals = self.meals.iter();
        let meals = meals
            .map(|(meal, deduction)| (meal.clone(), Deduction::Amount(deduction.amount(full))));
        Ok(Self {
            full: Some(full),
            part: Some(part),
            meals: meals.collect(),
            table: None,
            places: None,
        })
    }

    /// The most that the day of an expense may cost, at least zero.
    ///
    /// # Errors
    /// With the facts that are needed and not known.
    pub fn limit(&self, facts: &Facts) -> Result<Decimal, Vec<FactName>> {
        let (Some(full), Some(part)) = (self.full, self.part) else {
            let needed = [FactName::Place, FactName::Day].into_iter();
            return Err(needed.filter(|name| !facts.has(*name)).collect());
        };
        let whole = match facts.text(FactName::Day) {
            None => return Err(vec![FactName::Day]),
            Some(FULL_DAY) => full,
            Some(_) => part,
        };
        let provided = facts.words(FactName::MealsProvided).iter();
        let off: Decimal = provided
            .filter_map(|meal| self.meals.get(*meal))
            .map(|deduction| deduction.amount(full))
            .sum();
        Ok((whole - off).max(Decimal::new(0, whole.scale())))
    }

    /// The amounts that it names.
    pub fn amounts(&self) -> impl Iterator<Item = Decimal> {
        let meals = self.meals.values().filter_map(|deduction| match deduction {
            Deduction::Amount(amount) => Some(*amount),
            Deduction::Percent(_) => None,
        });
        self.full.into_iter().chain(self.part).chain(meals)
    }

    /// The facts that it looks at.
    pub fn facts(&self) -> impl Iterator<Item = FactName> {
        let place = self.table.as_ref().map(|_| FactName::Place);
        let meals = (!self.meals.is_empty()).then_some(FactName::MealsProvided);
        [Some(FactName::Day), place, meals].into_iter().flatten()
    }
}

/// The value of the fact `day` for a whole day.
const FULL_DAY: &str = "full";

/// What a meal takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Deduction {
    /// An amount.
    Amount(Decimal),
    /// A percentage of the allowance for a whole day at the place.
    Percent(Decimal),
}

/// The text is neither an amount nor a percentage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an amount nor a percentage up to 100%")]
pub struct NotADeduction(String);

impl Deduction {
    /// Parses an amount with at most `minor_digits` decimals, or a percentage.
    pub fn parse(text: &str, minor_digits: u32) -> Option<Self> {
        /// The most decimals of a percentage.
        const MAX_DECIMALS: u32 = 2;
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = money::parse_amount(percent.trim_end(), MAX_DECIMALS).ok()?;
                let percent = percent.normalize();
                (percent <= Decimal::ONE_HUNDRED).then_some(Self::Percent(percent))
            }
            None => money::parse_amount(text, minor_digits)
                .ok()
                .map(Self::Amount),
        }
    }

    /// The amount that is taken off, of a whole day that costs `full`. A percentage is rounded down
    /// to the minor digit, in favour of the employee.
    fn amount(self, full: Decimal) -> Decimal {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent(percent) => (full * percent / Decimal::ONE_HUNDRED)
                .round_dp_with_strategy(full.scale(), RoundingStrategy::ToZero),
        }
    }
}

impl fmt::Display for Deduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => write!(f, "{amount}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Deduction {
    type Err = NotADeduction;

    fn from_str(text: &str) -> Result<Self, NotADeduction> {
        // As many decimals as are written: the currency is not known here.
        let decimals = text
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        let parsed = u32::try_from(decimals)
            .ok()
            .and_then(|n| Self::parse(text, n));
        parsed.ok_or_else(|| NotADeduction(text.to_owned()))
    }
}

impl TryFrom<String> for Deduction {
    type Error = NotADeduction;

    fn try_from(text: String) -> Result<Self, NotADeduction> {
        text.parse()
    }
}

impl From<Deduction> for String {
    fn from(deduction: Deduction) -> Self {
        deduction.to_string()
    }
}
