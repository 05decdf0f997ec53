//! Parses what a day away may cost: the keys `full`, `part`, `meals` and `table` of a rule. The rest
//! of a rule is parsed in `rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::money::Currency;
use crate::policy::allowance::{Allowance, Deduction};
use crate::policy::places::{PlaceTables, Places};
use crate::toml_reader::Source;
use crate::toml_reader::table::Table;
use crate::toml_reader::values::name;

/// The meals that others may pay for.
const MEALS: [&str; 3] = ["breakfast", "lunch", "dinner"];
const DEDUCTION: &str =
    "an amount such as \"5.60\", or a percentage of a whole day such as \"20%\"";

pub(super) fn parse_allowance(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
    tables: &PlaceTables,
) -> Option<Allowance> {
    let [full_at, table_at] = ["full", "table"].map(|key| table.at(key));
    let [full, part] = ["full", "part"].map(|key| table.optional_amount(source, key, currency));
    let meals = parse_meals(source, table, currency);
    let table_name = table.optional(source, "table", "the name of a file in `tables`", |value| {
        name(value.as_str()?)
    });
    let (full, part, table_name) = (full?, part?, table_name?);
    match (full, part) {
        (Some(full), Some(part)) if part > full => {
            let message = format!("`part` is more than `full`; write at most \"{full}\"");
            source.report(full_at, message);
        }
        (Some(_), Some(_)) => {}
        (None, None) if table_name.is_some() => {}
        _ => {
            let message =
                "an allowance needs amounts; write `full` and `part`, or the name of a `table`";
            source.report(full_at, message.to_owned());
        }
    }
    let places = match &table_name {
        Some(table_name) => places(source, table_at, currency, table_name, tables)?,
        None => None,
    };
    Some(Allowance {
        full,
        part,
        meals: meals?,
        table: table_name,
        places,
    })
}

/// The table of this name; `None`, and a diagnostic, if a rule in this currency cannot use it.
fn places(
    source: &mut Source<'_>,
    at: usize,
    currency: Currency,
    table_name: &str,
    tables: &PlaceTables,
) -> Option<Option<Arc<Places>>> {
    let Some(places) = tables.get(table_name) else {
        let message = format!(
            "`table` is \"{table_name}\", and there is no tables/{table_name}.toml; add the file, or write the \
             name of another one"
        );
        source.report(at, message);
        return None;
    };
    let other = places.as_ref().and_then(|places| places.currency);
    if let Some(other) = other.filter(|other| *other != currency) {
        let message = format!(
            "the amounts of tables/{table_name}.toml are in {other}, while those of this file are in {currency}; \
             write the name of a table in {currency}"
        );
        source.report(at, message);
    }
    Some(places.clone())
}

fn parse_meals(
    source: &mut Source<'_>,
    table: &mut Table<'_, '_>,
    currency: Currency,
) -> Option<BTreeMap<String, Deduction>> {
    let Some((at, value)) = table.take("meals") else {
        return Some(BTreeMap::new());
    };
    let Some(section) = value.get_ref().as_table() else {
        let message = "`meals` is not a table; write { breakfast = \"5.60\" }".to_owned();
        source.report(at, message);
        return None;
    };
    let mut table = Table::new(section, at);
    let meals = MEALS.map(|meal| {
        let deduction = table.optional(source, meal, DEDUCTION, |value| {
            Deduction::parse(value.as_str()?, currency.minor_digits())
        });
        Some((meal.to_owned(), deduction?))
    });
    table.finish(source);
    let meals: Option<Vec<_>> = meals.into_iter().collect();
    let given = meals?.into_iter();
    Some(
        given
            .filter_map(|(meal, deduction)| Some((meal, deduction?)))
            .collect(),
    )
}
