//! What a day away costs at which place, from dated tables such as `tables/places.toml`. Which table
//! a rule uses, and what is taken off, is in `allowance`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::money::Currency;
use crate::spelling;
use crate::toml_reader::Source;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::table::Table;
use crate::toml_reader::values::{DATE, TEXT, currency, date, filled_text};

const CURRENCY: &str = "an ISO 4217 code such as \"EUR\"";
const PLACE: &str = "the name of a place, or \"other\" for all that are not listed";
/// The place that stands for all that are not listed.
const OTHER: &str = "other";

/// The tables of places by name; `None` for one whose mistakes are reported with its own file.
pub type PlaceTables = BTreeMap<String, Option<Arc<Places>>>;

/// The amounts of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The currency of the amounts; absent if it is that of each policy that names the table.
    pub currency: Option<Currency>,
    /// By place, in the spelling in which places are compared; the earliest amounts first.
    by_place: BTreeMap<String, Vec<DayRates>>,
}

/// What a day at a place costs, from a day on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRates {
    effective_from: Date,
    /// A whole day.
    pub full: Decimal,
    /// A part of a day.
    pub part: Decimal,
}

impl Places {
    /// Parses a table.
    ///
    /// # Errors
    /// With all diagnostics of the table.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut diagnostics = Vec::new();
        let parsed = parse_places(&mut Source::new(file, text, &mut diagnostics));
        Diagnostics::none_in(diagnostics)?;
        Ok(parsed.expect("a table without a mistake has a value"))
    }

    /// The amounts of a place on a day, else those of all places that are not listed; `None` if the
    /// table has neither.
    pub fn rates(&self, place: &str, date: Date) -> Option<DayRates> {
        let in_force = |place: &str| {
            let rates = self.by_place.get(place)?.iter();
            rates.rev().find(|rates| rates.effective_from <= date)
        };
        in_force(&spelled(place))
            .or_else(|| in_force(OTHER))
            .copied()
    }
}

/// The spelling in which places are compared: the words that phrases of evidence are compared by.
fn spelled(place: &str) -> String {
    spelling::words(place).join(" ")
}

fn parse_places(source: &mut Source<'_>) -> Option<Places> {
    let document = source.document()?;
    let mut table = Table::new(document.get_ref(), 0);
    let currency = table.optional(source, "currency", CURRENCY, currency);
    // Without a currency, amounts are parsed as those of most currencies, with two decimals.
    let unit = currency.flatten().unwrap_or(Currency::USD);
    let mut claims = Claims::default();
    let rows = table.tables(source, "place", |source, table, at| {
        let place = table.required(source, "place", PLACE, |value| {
            filled_text(value)
                .map(|text| spelled(&text))
                .filter(|place| !place.is_empty())
        });
        let effective_from = table.required(source, "effective_from", DATE, date);
        let full = table.amount(source, "full", unit);
        let part = table.amount(source, "part", unit);
        // Only for people, who have to know where an amount comes from.
        table.optional(source, "source", TEXT, filled_text);
        if let (Some(full), Some(part)) = (full, part)
            && part > full
        {
            let message = format!("`part` is more than `full`; write at most \"{full}\"");
            source.report(at, message);
        }
        let (place, effective_from) = (place?, effective_from?);
        let thing = format!("the amounts of {place} from {effective_from} on");
        claims.claim(source, at, &thing, "");
        let rates = DayRates {
            effective_from,
            full: full?,
            part: part?,
        };
        Some((place, rates))
    });
    table.finish(source);
    let mut by_place: BTreeMap<String, Vec<DayRates>> = BTreeMap::new();
    for (place, rates) in rows? {
        by_place.entry(place).or_default().push(rates);
    }
    for rates in by_place.values_mut() {
        rates.sort_by_key(|rates| rates.effective_from);
    }
    Some(Places {
        currency: currency?,
        by_place,
    })
}
