//! How policy files write windows, what is wrong with one, and how the model and people are shown it.

use std::path::Path;

use expense_agent::policy::Policies;
use expense_agent::policy::parse::parse;
use expense_agent::policy::rule::{Rule, RuleKind};
use serde_json::{Value, json};

use super::cap;
use crate::policy::MEALS;

/// The policies of meals with these rules, and travel in another file with these changes.
fn policies(rules: &str, change: impl Fn(&str) -> String) -> Result<Policies, String> {
    let meals = MEALS.replace("[evidence]", &format!("{rules}\n[evidence]"));
    let travel = MEALS
        .replace("meals", "travel")
        .replace("[\"5812\"]", "[\"4511\"]")
        .replace("diner", "airline");
    let office = travel
        .replace("travel", "office")
        .replace("4511", "5943")
        .replace("airline", "stationer");
    let travel = change(&travel);
    let files = [
        (Path::new("meals.toml"), meals.as_str()),
        (Path::new("office.toml"), &office),
        (Path::new("travel.toml"), &travel),
    ];
    parse(Path::new("policies"), &files).map_err(|diagnostics| diagnostics.to_string())
}

/// The counter of a cap with these keys, as JSON.
fn written(keys: &str) -> Value {
    let policies = policies(&cap("it", keys, "9.00"), str::to_owned).unwrap();
    let mut rules = policies.iter().flat_map(|policy| &policy.rules);
    let rule = rules.find(|rule| rule.id == "it").unwrap();
    assert_eq!(serde_json::from_value::<Rule>(json!(rule)).unwrap(), *rule);
    let RuleKind::Cap { counter, .. } = &rule.kind else {
        panic!("{rule:?}")
    };
    json!(counter)
}

#[test]
fn what_a_cap_adds_up_is_written_as_people_and_the_model_read_it() {
    for (keys, expected) in [
        ("per = \"week\"", json!({"per": "week"})),
        ("per = \"month\"", json!({"per": "month"})),
        ("per = \"quarter\"", json!({"per": "quarter"})),
        ("per = \"year\"", json!({"per": "year"})),
        (
            "per = \"year\"\nbegins = \"04-06\"",
            json!({"per": "year", "begins": "04-06"}),
        ),
        // The calendar year has one name.
        ("per = \"year\"\nbegins = \"01-01\"", json!({"per": "year"})),
        (
            "per = \"month\"\nover = \"all\"",
            json!({"per": "month", "over": ["meals", "office", "travel"]}),
        ),
        (
            "per = \"trip\"\nover = [\"travel\", \"meals\", \"travel\"]",
            json!({"per": "trip", "over": ["meals", "travel"]}),
        ),
        // The category of the file alone is the default.
        ("per = \"day\"\nover = [\"meals\"]", json!({"per": "day"})),
    ] {
        assert_eq!(written(keys), expected, "{keys}");
    }
}

#[test]
fn a_mistake_in_what_a_cap_adds_up_is_told_with_its_line_and_what_to_write() {
    let unchanged = str::to_owned as fn(&str) -> String;
    let in_euro = |text: &str| text.replace("\"USD\"", "\"EUR\"");
    for (keys, change, expected) in [
        (
            "per = \"fortnight\"",
            unchanged,
            "meals.toml:18: `per` is \"fortnight\"; write one of \"expense\", \"day\", \"week\", \"month\", \
             \"quarter\", \"trip\", \"year\"",
        ),
        (
            "per = \"year\"\nbegins = \"02-29\"",
            unchanged,
            "meals.toml:19: `begins` is \"02-29\"; write month and day, such as \"04-06\", but not \"02-29\"",
        ),
        (
            "per = \"year\"\nbegins = \"4-6\"",
            unchanged,
            "meals.toml:19: `begins` is \"4-6\"; write month and day, such as \"04-06\", but not \"02-29\"",
        ),
        (
            "per = \"month\"\nbegins = \"04-06\"",
            unchanged,
            "meals.toml:19: `begins` is for `per = \"year\"` only; remove it",
        ),
        (
            "per = \"expense\"\nover = \"all\"",
            unchanged,
            "meals.toml:19: `over` adds up several expenses, and `per` is \"expense\"; remove `over`, or write \
             another window",
        ),
        (
            "per = \"month\"\nover = [\"meals\", \"travell\"]",
            unchanged,
            "meals.toml:19: `over` is [\"meals\", \"travell\"]; write \"all\", or a list with some of \"meals\", \
             \"office\", \"travel\"",
        ),
        (
            "per = \"month\"\nover = []",
            unchanged,
            "meals.toml:19: `over` is []; write \"all\", or a list with some of \"meals\", \"office\", \"travel\"",
        ),
        (
            "per = \"month\"\nover = [\"office\", \"travel\"]",
            unchanged,
            "meals.toml:19: `over` leaves out `meals`, the category of this file; add it",
        ),
        (
            "per = \"month\"\nover = \"all\"",
            in_euro,
            "meals.toml:19: `over` adds up `travel`, whose amounts are in EUR, while those of this file are in \
             USD; list only categories in USD",
        ),
    ] {
        let found = policies(&cap("it", keys, "9.00"), change).unwrap_err();
        assert_eq!(found, expected, "{keys}");
    }
}

#[test]
fn categories_are_added_up_if_their_currencies_differ_only_at_other_times() {
    let rules = cap("it", "per = \"month\"\nover = \"all\"", "9.00");
    let earlier = |text: &str| {
        text.replace("\"USD\"", "\"EUR\"").replace(
            "effective_from = \"2026-01-01\"",
            "effective_from = \"2020-01-01\"\neffective_to = \"2025-12-31\"",
        )
    };
    assert!(policies(&rules, earlier).is_ok());
    let until_the_first_day = |text: &str| earlier(text).replace("2025-12-31", "2026-01-01");
    assert!(policies(&rules, until_the_first_day).is_err());
    let other = cap(
        "it",
        "per = \"month\"\nover = [\"meals\", \"office\"]",
        "9.00",
    );
    let in_euro = |text: &str| text.replace("\"USD\"", "\"EUR\"");
    assert!(policies(&other, in_euro).is_ok());
}
