//! Facts of an expense for the tests: a value of each, and values that are refused.

use expense_agent::domain::facts::FactName;
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator;

/// What every personal text of [`stated`] contains, and nothing else does.
pub(crate) const MARK: &str = "zyzzyva";

/// A value of a fact that is accepted, as the answer repeats it.
pub(crate) fn stated(name: FactName) -> Value {
    let marked = || json!(format!("{name} {MARK}"));
    match name {
        FactName::Attendees => json!(4),
        FactName::Nights => json!(3),
        FactName::Distance => json!("12.5"),
        FactName::DistanceUnit => json!("km"),
        FactName::Country => json!("DE"),
        FactName::Class => json!("business"),
        FactName::Meal => json!("dinner"),
        FactName::PaidBy => json!("own"),
        FactName::Recurring => json!("monthly"),
        FactName::TravelDate => json!("2026-04-01"),
        FactName::MealsProvided => json!(["breakfast", "dinner"]),
        FactName::Day => json!("full"),
        FactName::ReceiptUrl => json!(format!("https://receipts.example/{MARK}?page=1")),
        FactName::Place
        | FactName::EmployeeGroup
        | FactName::Purpose
        | FactName::Project
        | FactName::CostCenter
        | FactName::Department
        | FactName::Recipient => marked(),
    }
}

/// All facts with their values.
pub(crate) fn all_stated() -> Map<String, Value> {
    let facts = FactName::iter();
    facts.map(|name| (name.to_string(), stated(name))).collect()
}

/// An expense that states every fact.
pub(crate) fn with_all_facts(mut expense: Value) -> Value {
    expense.as_object_mut().unwrap().extend(all_stated());
    expense
}
