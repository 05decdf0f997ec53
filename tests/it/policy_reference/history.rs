//! Earlier expenses, and how much of a cap they use: recounted one by one.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Value as Json;
use toml::Table;

use super::periods;
use super::reference::{Question, text};
use super::words;

/// An expense that was decided before.
#[derive(Clone, Debug)]
pub(super) struct Earlier {
    /// The employee.
    pub(super) user: String,
    /// The category.
    pub(super) category: String,
    /// The currency of the amount.
    pub(super) currency: String,
    /// The day of the purchase.
    pub(super) date: Date,
    /// What counts of it.
    pub(super) amount: Decimal,
    /// Whether it was approved or waits for approval.
    pub(super) counts: bool,
    /// Merchant, trip and facts, as in a request.
    pub(super) body: Json,
}

impl Earlier {
    /// A text that it states.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }
}

/// The categories whose expenses a cap adds up.
fn categories(question: &Question<'_>, rule: &Table) -> BTreeSet<String> {
    let listed = |list: &toml::Value| -> Option<BTreeSet<String>> {
        let names = list.as_array()?.iter();
        Some(
            names
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
        )
    };
    match rule.get("over") {
        None => BTreeSet::from([question.category.to_owned()]),
        Some(over) => listed(over).unwrap_or_else(|| {
            let files = question.files.iter();
            let mut all: BTreeSet<String> = files
                .map(|file| text(file, "category").unwrap().to_owned())
                .collect();
            // In a rule of every category, those that are excepted do not count.
            if let Some(common) = question.common
                && common["rule"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|known| std::ptr::eq(known.as_table().unwrap(), rule))
                && let Some(except) = common.get("except").and_then(listed)
            {
                all.retain(|name| !except.contains(name));
            }
            all
        }),
    }
}

/// What earlier expenses have used of a cap that holds for the expense.
pub(super) fn used(question: &Question<'_>, rule: &Table, currency: &str) -> Decimal {
    // A day away is a window of a day, and a cap for each unit is one on the expense.
    let per = match rule.contains_key("unit") {
        true => "expense",
        false => text(rule, "per").unwrap_or("day"),
    };
    let begins = text(rule, "begins").unwrap_or("01-01");
    let days = match per {
        "expense" => return Decimal::ZERO,
        "trip" => None,
        _ => Some(periods::days(per, begins, question.date())),
    };
    let whose = match text(rule, "by") {
        None | Some("employee") => "user_id",
        Some(by) => by,
    };
    let own = |key: &str| {
        question
            .body
            .get(key)
            .and_then(Json::as_str)
            .map(words::name)
    };
    let categories = categories(question, rule);
    let mut sum = Decimal::ZERO;
    for earlier in question.history {
        let is_in_window = match days {
            Some((first, last)) => first <= earlier.date && earlier.date <= last,
            // Case counts in the ids of trips.
            None => {
                earlier.fact("trip_id").is_some()
                    && earlier.fact("trip_id") == question.body["trip_id"].as_str()
            }
        };
        let key = match whose {
            "user_id" => Some(words::name(&earlier.user)),
            by => earlier.fact(by).map(words::name),
        };
        if earlier.counts
            && is_in_window
            && key.is_some()
            && key == own(whose)
            && categories.contains(&earlier.category)
            && earlier.currency == currency
        {
            sum += earlier.amount;
        }
    }
    sum
}
