//! Rules of `common.toml`, which hold in every category but those that it excepts.

use std::path::Path;

use expense_agent::domain::short_hash::short_hash;
use expense_agent::policy::{Policies, parse};
use expense_agent::rulebook::Rulebooks;
use jiff::civil::date;

use crate::harness::assert_golden;
use crate::harness::policy_folder::{PolicyFolder, wait_for_policy_text};
use crate::policy::MEALS;

const COMMON: &str = r#"currency = "USD"
except = ["petty_cash"]

[[rule]]
id = "not-old"
kind = "max_age"
days = 90
text = "An expense is handed in within 90 days."

[[rule]]
id = "large"
kind = "approval"
above = "1000.00"
role = "cfo"
text = "The chief financial officer approves what costs more than 1000.00."
"#;

/// A policy of another category, with other ids and evidence.
fn category(name: &str) -> String {
    let renamed = MEALS.replace("meals", name).replace("5812", "5813");
    renamed
        .replace("diner", name)
        .replace("mcc = [\"5813\"]\n", "")
}

fn parsed(files: &[(&str, &str)]) -> Result<Policies, String> {
    let sources: Vec<(&Path, &str)> = files
        .iter()
        .map(|(name, text)| (Path::new(*name), *text))
        .collect();
    parse::parse(Path::new("policies"), &sources).map_err(|error| error.to_string())
}

/// The ids of the rules of a category.
fn ids(policies: &Policies, category: &str) -> String {
    let policy = policies.in_force(category, date(2026, 3, 14)).unwrap();
    let ids: Vec<&str> = policy.rules.iter().map(|rule| rule.id.as_str()).collect();
    ids.join(" ")
}

#[test]
fn common_rules_hold_in_every_category_but_those_excepted() {
    let petty_cash = category("petty_cash");
    let policies = parsed(&[
        ("common.toml", COMMON),
        ("meals.toml", MEALS),
        ("petty_cash.toml", &petty_cash),
    ])
    .unwrap();
    assert_eq!(ids(&policies, "meals"), "meals-day-cap not-old large");
    assert_eq!(ids(&policies, "petty_cash"), "petty_cash-day-cap");
    assert_eq!(policies.categories().count(), 2);
}

#[test]
fn a_rule_of_a_policy_replaces_the_common_one_with_its_id_in_several_policies() {
    let with = |text: &str, days: &str| {
        text.replace(
            "\n[evidence]",
            &format!(
                "\n[[rule]]\nid = \"not-old\"\nkind = \"max_age\"\ndays = {days}\n\
                 text = \"Soon.\"\n\n[evidence]"
            ),
        )
    };
    let (meals, travel) = (with(MEALS, "30"), with(&category("travel"), "60"));
    let policies = parsed(&[
        ("common.toml", COMMON),
        ("meals.toml", &meals),
        ("travel.toml", &travel),
    ])
    .unwrap();
    assert_eq!(ids(&policies, "meals"), "meals-day-cap not-old large");
    assert_eq!(ids(&policies, "travel"), "travel-day-cap not-old large");
    let texts = policies.iter().flat_map(|policy| &policy.rules);
    let replaced = texts.filter(|rule| rule.text == "Soon.").count();
    assert_eq!(replaced, 2);
    let without = parsed(&[("meals.toml", &meals), ("travel.toml", &travel)]);
    assert!(
        without
            .unwrap_err()
            .contains("the rule id `not-old` is already in")
    );
}

#[test]
fn the_hash_of_a_policy_covers_the_common_rules_that_hold_in_it() {
    let petty_cash = category("petty_cash");
    let hash = |common: &str, category: &str| {
        let files = [
            ("common.toml", common),
            ("meals.toml", MEALS),
            ("petty_cash.toml", &petty_cash),
        ];
        let policies = parsed(&files).unwrap();
        let policy = policies.in_force(category, date(2026, 3, 14)).unwrap();
        policy.hash.clone()
    };
    assert_eq!(hash(COMMON, "meals"), short_hash(&[MEALS, COMMON].concat()));
    assert_eq!(hash(COMMON, "petty_cash"), short_hash(&petty_cash));
    let changed = COMMON.replace("90", "91");
    assert_ne!(hash(COMMON, "meals"), hash(&changed, "meals"));
}

#[test]
fn a_common_cap_over_some_categories_holds_in_these() {
    let (travel, office) = (category("travel"), category("office"));
    let petty_cash = category("petty_cash");
    let cap = |over: &str| {
        format!(
            "currency = \"USD\"\nexcept = [\"petty_cash\"]\n[[rule]]\nid = \"together\"\nkind = \"cap\"\n\
             per = \"month\"\nover = {over}\nmax = \"900.00\"\ntext = \"At most 900.00 a month.\"\n"
        )
    };
    let with = |over: &str| {
        let common = cap(over);
        parsed(&[
            ("common.toml", &common),
            ("meals.toml", MEALS),
            ("office.toml", &office),
            ("petty_cash.toml", &petty_cash),
            ("travel.toml", &travel),
        ])
    };
    let over = |policies: &Policies, category: &str| {
        let policy = policies.in_force(category, date(2026, 3, 14)).unwrap();
        let cap = policy.caps().find(|(id, ..)| *id == "together");
        cap.map(|(_, counter)| counter.over.join(" "))
    };
    let some = with("[\"meals\", \"travel\"]").unwrap();
    assert_eq!(over(&some, "meals").as_deref(), Some("meals travel"));
    assert_eq!(over(&some, "travel").as_deref(), Some("meals travel"));
    assert_eq!(over(&some, "office"), None);
    let all = with("\"all\"").unwrap();
    assert_eq!(over(&all, "office").as_deref(), Some("meals office travel"));
    assert_eq!(over(&all, "petty_cash"), None);
    let one = with("[\"meals\"]").unwrap();
    assert_eq!(over(&one, "meals").as_deref(), Some(""));
    assert_eq!(over(&one, "travel"), None);
    let excepted = with("[\"meals\", \"petty_cash\"]").unwrap_err();
    assert!(excepted.contains("write \"all\", or a list"), "{excepted}");
}

#[test]
fn every_mistake_in_common_rules_is_reported_once() {
    let euros = category("travel").replace("USD", "EUR");
    let broken = r#"currency = "USD"
except = ["Petty cash"]
category = "common"

[[rule]]
id = "large"
kind = "approval"
above = "1000,00"
role = "boss"
text = "Large."

[[rule]]
id = "large"
kind = "max_age"
days = 90
text = "Old."
"#;
    let files = [
        ("common.toml", broken),
        ("meals.toml", MEALS),
        ("office.toml", &category("office")),
        ("travel.toml", &euros),
    ];
    assert_golden("diagnostics_of_common_rules", &parsed(&files).unwrap_err());
    let alone = parsed(&[("common.toml", broken)]).unwrap_err();
    assert!(alone.contains("contains no policy") && alone.contains("`role` is \"boss\""));
}

#[test]
fn common_rules_of_a_tenant_replace_the_shared_ones() {
    let folder = PolicyFolder::shipped();
    folder.write("common.toml", COMMON);
    let own = COMMON.replace("not-old", "not-older");
    folder.write("tenants/acme/common.toml", &own);
    let books = Rulebooks::load(folder.path()).unwrap();
    let shared = ids(&books.rulebook("globex").policies, "meals");
    let of_acme = ids(&books.rulebook("acme").policies, "meals");
    assert_eq!(shared, "meals-day-cap meals-receipt not-old large");
    assert_eq!(of_acme, "meals-day-cap meals-receipt not-older large");
    assert_eq!(books.n_policies, 4);
}

#[tokio::test]
async fn changed_common_rules_are_loaded_by_a_running_service() {
    let folder = PolicyFolder::shipped();
    let app = folder.app().await;
    folder.write("common.toml", COMMON);
    wait_for_policy_text(&app, "acme", "An expense is handed in within 90 days.").await;
    let old = serde_json::json!({
        "transaction": "Lunch",
        "amount": "12.00",
        "date": "2020-01-01",
    });
    let decided = app.decide(old).await;
    assert_eq!(decided["outcome"], "denied", "{decided:#}");
    assert_eq!(decided["findings"][0]["rule"], "not-old");
}
