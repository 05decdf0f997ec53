//! What a day away may cost: by its length, its place, and the meals that others paid for.

use std::path::Path;

use expense_agent::config::Config;
use expense_agent::domain::facts::{FactName, FactValue, Facts};
use expense_agent::domain::ruling::{Missing, Role, Ruling};
use expense_agent::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use expense_agent::policy::subject::Subject;
use expense_agent::rulebook::Rulebooks;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::harness::policy_folder::PolicyFolder;
use crate::harness::{TestApp, config};
use crate::policy::{dec, expense};

const RULE: &str = r#"
[[rule]]
id = "day-away"
kind = "allowance"
full = "28.00"
part = "14.00"
meals = { breakfast = "5.60", lunch = "11.20", dinner = "11.20" }
text = "A day away costs at most its allowance."
"#;

const BY_PLACE: &str = r#"
[[rule]]
id = "day-away"
kind = "allowance"
table = "places"
meals = { breakfast = "20%", lunch = "40%", dinner = "40%" }
text = "A day away costs at most the allowance of the place."
"#;

const PLACES: &str = r#"currency = "USD"

[[place]]
place = "São Paulo"
effective_from = "2026-01-01"
full = "46.00"
part = "31.00"

[[place]]
place = "São Paulo"
effective_from = "2026-07-01"
full = "48.00"
part = "32.00"
source = "Letter of the ministry"

[[place]]
place = "Oslo"
effective_from = "2026-07-01"
full = "75.33"
part = "50.00"
"#;

const OTHER: &str = r#"
[[place]]
place = "other"
effective_from = "2025-01-01"
full = "30.00"
part = "20.00"
"#;

/// A folder with this rule for meals, whose shipped cap is left out, and this table.
fn folder(rule: &str, table: &str) -> PolicyFolder {
    let folder = PolicyFolder::shipped();
    let meals = std::fs::read_to_string(folder.path().join("meals.toml")).unwrap();
    let rules = meals.find("[[rule]]").unwrap()..meals.find("\n[evidence]").unwrap();
    folder.write(
        "meals.toml",
        &format!("{}{rule}{}", &meals[..rules.start], &meals[rules.end..]),
    );
    if !table.is_empty() {
        folder.write("tables/places.toml", table);
    }
    folder
}

fn facts(day: &str, place: &str, provided: &[&'static str]) -> Facts {
    let text = |text: &str| (!text.is_empty()).then(|| FactValue::Text(text.to_owned()));
    let words = (!provided.is_empty()).then(|| FactValue::Words(provided.to_vec()));
    [
        (FactName::Day, text(day)),
        (FactName::Place, text(place)),
        (FactName::MealsProvided, words),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The verdict on an amount, or why there is none.
fn verdict(
    folder: &PolicyFolder,
    amount: &str,
    used: &str,
    on: Date,
    facts: &Facts,
) -> Result<Verdict, String> {
    let rulebooks = Rulebooks::load(folder.path()).unwrap();
    let policy = rulebooks.shared.policies.in_force("meals", on).unwrap();
    let subject = Subject {
        date: on,
        today: on,
        facts,
        ..expense(amount)
    };
    let mut usage = CapUsage::default();
    usage.add(
        &expense_agent::domain::ruling::Window::Day.into(),
        dec(used),
    );
    let rules = policy.rules_for(&subject).into_iter().map(|rule| {
        let rule = rule.at(&subject).map_err(|error| error.to_string())?;
        Ok(RuleFacts::new(&rule, &usage))
    });
    Ok(evaluate(
        &rules.collect::<Result<Vec<_>, String>>()?,
        &subject,
    ))
}

#[test]
fn a_day_allows_its_sum_less_the_meals_that_others_paid_for() {
    let folder = folder(RULE, "");
    let all = ["breakfast", "lunch", "dinner"];
    for (day, provided, used, limit) in [
        ("full", &[][..], "0.00", "28.00"),
        ("part", &[], "0.00", "14.00"),
        ("full", &["breakfast"], "0.00", "22.40"),
        ("full", &["lunch", "dinner"], "0.00", "5.60"),
        ("full", &all, "0.00", "0.00"),
        ("part", &["breakfast"], "0.00", "8.40"),
        // Never below zero.
        ("part", &["lunch", "dinner"], "0.00", "0.00"),
        // Several claims share the day.
        ("full", &[], "20.00", "8.00"),
    ] {
        let facts = facts(day, "", provided);
        let on = date(2026, 3, 14);
        let above = (dec(limit) + dec("0.01")).to_string();
        let broken = verdict(&folder, &above, used, on, &facts).unwrap();
        assert_eq!(broken.ruling, Ruling::Denied, "{day} {provided:?}");
        assert_eq!(
            broken.findings[0].allowable,
            dec(limit),
            "{day} {provided:?}"
        );
        if limit != "0.00" {
            let kept = verdict(&folder, limit, used, on, &facts).unwrap();
            assert_eq!(kept.ruling, Ruling::Approved, "{day} {provided:?}");
        }
    }
}

#[test]
fn the_table_says_what_a_place_allows_from_which_day_on() {
    let listed = folder(BY_PLACE, PLACES);
    let with_other = folder(BY_PLACE, &format!("{PLACES}{OTHER}"));
    for (folder, place, on, day, provided, limit) in [
        (
            &listed,
            "São Paulo",
            date(2026, 1, 1),
            "full",
            &[][..],
            Some("46.00"),
        ),
        (
            &listed,
            "SA\u{303}O PAULO.",
            date(2026, 6, 30),
            "part",
            &[],
            Some("31.00"),
        ),
        (
            &listed,
            "são paulo",
            date(2026, 7, 1),
            "full",
            &[],
            Some("48.00"),
        ),
        (&listed, "São Paulo", date(2025, 12, 31), "full", &[], None),
        (&listed, "Paris", date(2026, 7, 1), "full", &[], None),
        (&listed, "Oslo", date(2026, 6, 30), "full", &[], None),
        (
            &with_other,
            "Oslo",
            date(2026, 6, 30),
            "full",
            &[],
            Some("30.00"),
        ),
        (
            &with_other,
            "Paris",
            date(2026, 7, 1),
            "part",
            &[],
            Some("20.00"),
        ),
        (&with_other, "Paris", date(2024, 12, 31), "part", &[], None),
        // A percentage is one of the whole day, rounded down: 15.06 of 75.33.
        (
            &listed,
            "Oslo",
            date(2026, 7, 1),
            "full",
            &["breakfast"],
            Some("60.27"),
        ),
        (
            &listed,
            "Oslo",
            date(2026, 7, 1),
            "part",
            &["breakfast"],
            Some("34.94"),
        ),
        (
            &listed,
            "Oslo",
            date(2026, 7, 1),
            "part",
            &["breakfast", "lunch", "dinner"],
            Some("0.00"),
        ),
    ] {
        let found = verdict(folder, "900.00", "0.00", on, &facts(day, place, provided));
        match (found, limit) {
            (Ok(verdict), Some(limit)) => {
                assert_eq!(
                    verdict.findings[0].limit,
                    dec(limit),
                    "{place} {on} {day} {provided:?}"
                );
            }
            (Err(reason), None) => {
                assert!(
                    reason.contains("`places`") && !reason.contains(place),
                    "{reason}"
                );
            }
            (found, limit) => panic!("{place} {on}: {found:?} instead of {limit:?}"),
        }
    }
}

#[test]
fn a_rule_with_a_table_may_say_what_holds_where_no_place_is_named() {
    let rule = RULE.replace("full =", "table = \"places\"\nfull =");
    let folder = folder(&rule, &PLACES.replace("currency = \"USD\"\n", ""));
    for (place, limit) in [("", "28.00"), ("Oslo", "75.33")] {
        let facts = facts("full", place, &[]);
        let found = verdict(&folder, "900.00", "0.00", date(2026, 7, 1), &facts).unwrap();
        assert_eq!(found.findings[0].limit, dec(limit), "{place:?}");
    }
    let elsewhere = facts("full", "Paris", &[]);
    assert!(verdict(&folder, "5.00", "0.00", date(2026, 7, 1), &elsewhere).is_err());
}

#[test]
fn what_an_allowance_needs_and_is_not_known_is_asked_for() {
    let fixed = folder(RULE, "");
    let by_place = folder(BY_PLACE, PLACES);
    for (folder, day, place, missing) in [
        (&fixed, "", "", vec![FactName::Day]),
        (&by_place, "full", "", vec![FactName::Place]),
        (&by_place, "", "Oslo", vec![FactName::Day]),
        (&by_place, "", "", vec![FactName::Place, FactName::Day]),
    ] {
        let verdict = verdict(
            folder,
            "5.00",
            "0.00",
            date(2026, 7, 1),
            &facts(day, place, &[]),
        )
        .unwrap();
        assert_eq!(
            (verdict.ruling, verdict.approvers.highest()),
            (Ruling::NeedsApproval, Some(Role::Manager))
        );
        let missing: Vec<Missing> = missing.into_iter().map(Missing::Fact).collect();
        assert_eq!(verdict.missing, missing);
    }
}

#[test]
fn a_mistake_in_an_allowance_or_its_table_is_told_with_what_to_write() {
    for (rule, table, expected) in [
        (
            RULE.replace("full = \"28.00\"\n", ""),
            String::new(),
            "an allowance needs amounts; write `full` and `part`, or the name of a `table`",
        ),
        (
            RULE.replace("28.00", "13.99"),
            String::new(),
            "`part` is more than `full`; write at most \"13.99\"",
        ),
        (
            RULE.replace("5.60", "120%"),
            String::new(),
            "`breakfast` is \"120%\"; write an amount such as \"5.60\", or a percentage of a whole day such as \"20%\"",
        ),
        (
            RULE.replace("lunch =", "brunch ="),
            String::new(),
            "`brunch` is not a key of this table; accepted keys: breakfast, lunch, dinner",
        ),
        (
            RULE.replace("part = \"14.00\"", "table = \"places\""),
            PLACES.to_owned(),
            "an allowance needs amounts; write `full` and `part`, or the name of a `table`",
        ),
        (
            BY_PLACE.replace("\"places\"", "\"cities\""),
            String::new(),
            "`table` is \"cities\", and there is no tables/cities.toml; add the file, or write the name of another one",
        ),
        (
            BY_PLACE.to_owned(),
            PLACES.replace("\"USD\"", "\"EUR\""),
            "the amounts of tables/places.toml are in EUR, while those of this file are in USD; write the name of a table in USD",
        ),
        (
            BY_PLACE.to_owned(),
            PLACES.replace("2026-07-01", "2026-01-01"),
            "the amounts of são paulo from 2026-01-01 on is already in",
        ),
        (
            BY_PLACE.to_owned(),
            PLACES.replace("31.00", "46.01"),
            "`part` is more than `full`; write at most \"46.00\"",
        ),
        (
            BY_PLACE.to_owned(),
            PLACES.replace("\"Oslo\"", "\"?\""),
            "`place` is \"?\"; write the name of a place, or \"other\" for all that are not listed",
        ),
    ] {
        let found = Rulebooks::load(folder(&rule, &table).path()).unwrap_err();
        let found: Vec<String> = found.0.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains(expected),
            "{found:#?} instead of {expected}"
        );
    }
}

#[test]
fn a_table_that_no_rule_names_is_not_read_and_named_in_a_warning() {
    let rulebooks = Rulebooks::load(folder(RULE, "no table").path()).unwrap();
    let warnings: Vec<String> = rulebooks
        .passed_over
        .iter()
        .map(|warning| warning.message.clone())
        .collect();
    assert_eq!(
        warnings,
        ["is not read, because no rule has `table = \"places\"`; name it in a rule, or remove it"]
    );
}

fn day_away(amount: &str, facts: &Value) -> Value {
    let mut body = json!({"transaction": "Team lunch", "amount": amount, "date": "2026-07-01", "user_id": "ana"});
    for (name, value) in facts.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_of_one_day_share_its_allowance_and_the_model_agrees() {
    let folder = folder(BY_PLACE, PLACES);
    let app = TestApp::with(Config {
        policies: Path::new(folder.name()).to_owned(),
        ..config()
    })
    .await;
    let full = json!({"day": "full", "place": "Oslo", "meals_provided": ["dinner"]});
    // 75.33 less 30.13.
    let claims =
        futures_util::future::join_all((0..8).map(|_| app.decide(day_away("15.00", &full)))).await;
    let approved: Vec<&Value> = claims
        .iter()
        .filter(|claim| claim["outcome"] == "approved")
        .collect();
    assert_eq!(approved.len(), 3, "{claims:#?}");
    let cap = &approved[0]["caps"][0];
    assert_eq!(
        (
            &cap["rule"],
            &cap["window"],
            &cap["window_key"],
            &cap["limit"]
        ),
        (
            &json!("day-away"),
            &json!("day"),
            &json!("2026-07-01"),
            &json!("45.20")
        )
    );
    for (amount, facts, outcome) in [
        ("0.21", full.clone(), "denied"),
        ("0.20", full, "approved"),
        ("5.00", json!({"day": "full"}), "needs_approval"),
        (
            "5.00",
            json!({"day": "full", "place": "Paris"}),
            "needs_review",
        ),
    ] {
        let decision = app.decide(day_away(amount, &facts)).await;
        assert_eq!(decision["outcome"], outcome, "{amount}: {decision:#}");
        if outcome != "needs_review" {
            assert_eq!(decision["model_decision"], outcome, "{decision:#}");
        }
    }
}
