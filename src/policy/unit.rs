//! Caps for each person, night or distance: a limit that grows with a fact of the expense.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantNames};
use utoipa::ToSchema;

use crate::domain::facts::{FactName, Facts};
use crate::domain::ruling::Missing;

/// What a cap is multiplied by.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Each of the `attendees`.
    Attendee,
    /// Each of the `nights`.
    Night,
    /// Each kilometre of the `distance`.
    Km,
    /// Each mile of the `distance`.
    Mile,
}

/// A cap for each unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PerUnit {
    /// The unit.
    pub unit: Unit,
    /// The most units that count; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u16>,
}

impl Unit {
    /// The fact that says how many there are.
    pub fn fact(self) -> FactName {
        match self {
            Self::Attendee => FactName::Attendees,
            Self::Night => FactName::Nights,
            Self::Km | Self::Mile => FactName::Distance,
        }
    }

    /// How many decimals a cap may have: a rate for a kilometre can have fractions of a cent.
    pub fn decimals(self, minor_digits: u32) -> u32 {
        match self {
            Self::Attendee | Self::Night => minor_digits,
            Self::Km | Self::Mile => 4,
        }
    }

    /// How many of the unit an expense has; `None` if it does not say, or says it in another unit.
    fn n_units(self, facts: &Facts) -> Option<Decimal> {
        let distance_in = |unit: &str| {
            let is_same = facts.text(FactName::DistanceUnit) == Some(unit);
            facts.decimal(FactName::Distance).filter(|_| is_same)
        };
        match self {
            Self::Attendee | Self::Night => facts.count(self.fact()).map(Decimal::from),
            Self::Km => distance_in("km"),
            Self::Mile => distance_in("mile"),
        }
    }
}

impl PerUnit {
    /// The limit for an expense at `max` for each unit, rounded up to `decimals` decimals.
    ///
    /// # Errors
    /// With the fact that the expense does not state.
    pub fn limit(self, max: Decimal, facts: &Facts, decimals: u32) -> Result<Decimal, Missing> {
        let n_units = self.unit.n_units(facts);
        let n_units = n_units.ok_or(Missing::Fact(self.unit.fact()))?;
        let most = self.most.map_or(n_units, Decimal::from);
        let limit = max * n_units.min(most);
        Ok(limit.round_dp_with_strategy(decimals, RoundingStrategy::ToPositiveInfinity))
    }
}
