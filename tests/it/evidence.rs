//! Evidence that points to several categories, and the words and codes of the shipped policies that
//! real card statements need.

use std::path::Path;

use expense_agent::policy::{Policies, parse};
use expense_agent::rulebook::Rulebooks;
use serde_json::{Value, json};

use crate::harness::expenses::{expense, meal};
use crate::harness::{TestApp, config, shipped_policies};

fn shipped() -> Policies {
    let rulebooks = Rulebooks::load(&shipped_policies()).unwrap();
    (*rulebooks.shared.policies).clone()
}

/// An expense of an employee who has no other, so that no cap is shared.
fn of_new_employee(transaction: &str, amount: &str) -> Value {
    let mut body = expense(transaction, amount);
    body["user_id"] = json!(transaction);
    body
}

#[tokio::test]
async fn the_order_of_words_does_not_choose_the_more_lenient_policy() {
    let app = TestApp::with(config()).await;
    for transaction in [
        "Travel: gym membership",
        "Taxi to the gym",
        "Flight and theatre",
        "Hotel with swimming pool",
        "Laptop for the golf club",
        "Printer, donation",
        "Parking, then a speeding fine",
    ] {
        let decision = app.decide(of_new_employee(transaction, "190.00")).await;
        assert_eq!(decision["outcome"], "needs_review", "{decision:#}");
        assert_eq!(decision["reviewer"], "vp", "{transaction}");
        let reason = decision["reason"].as_str().unwrap();
        let category = decision["category"].as_str().unwrap();
        assert!(
            reason.contains(category) && reason.contains("other"),
            "{transaction}: {reason}"
        );
        let checks = decision["validations"].as_array().unwrap();
        assert!(
            checks.iter().all(|check| check["passed"] == true),
            "no check fails: {transaction}"
        );
    }
    for transaction in [
        "Gym membership",
        "Gym membership, travel",
        "Donation of a printer",
    ] {
        let decision = app.decide(of_new_employee(transaction, "190.00")).await;
        assert_eq!(decision["outcome"], "needs_approval", "{decision:#}");
        assert_eq!(decision["approver"], "vp", "{transaction}");
    }
}

#[tokio::test]
async fn a_merchants_name_that_points_to_several_categories_is_ambiguous_too() {
    let app = TestApp::with(config()).await;
    let mut body = of_new_employee("Two days in Leeds", "190.00");
    body["merchant"] = json!("Hilton Spa & Fitness");
    let decision = app.decide(body).await;
    assert_eq!(decision["outcome"], "needs_review", "{decision:#}");
}

#[tokio::test]
async fn a_higher_approver_is_stricter() {
    let app = TestApp::with(config()).await;
    let decision = app
        .decide(of_new_employee("Flight to a concert", "250.00"))
        .await;
    assert_eq!(
        (
            &decision["outcome"],
            &decision["policy_verdict"],
            &decision["reviewer"]
        ),
        (
            &json!("needs_review"),
            &json!("needs_approval"),
            &json!("vp")
        ),
        "a manager would have to approve the flight"
    );
}

#[tokio::test]
async fn categories_with_one_verdict_are_not_ambiguous() {
    let app = TestApp::with(config()).await;
    let mut dinner = meal("32.00");
    dinner["transaction"] = json!("Dinner on a business trip");
    assert_eq!(app.decide(dinner).await["outcome"], "approved");
    let denied = app
        .decide(of_new_employee("Flight and gym", "500.01"))
        .await;
    assert_eq!(denied["outcome"], "denied", "no category is stricter");
}

#[tokio::test]
async fn a_cap_that_is_used_up_makes_a_category_stricter() {
    let app = TestApp::with(config()).await;
    assert_eq!(app.decide(meal("70.00")).await["outcome"], "approved");
    let mut trip = meal("32.00");
    trip["transaction"] = json!("Business trip, dinner");
    let decision = app.decide(trip).await;
    assert_eq!(decision["category"], "travel");
    assert_eq!(decision["outcome"], "needs_review", "{decision:#}");
}

#[tokio::test]
async fn a_merchant_category_code_of_the_proposed_category_resolves_the_ambiguity() {
    let app = TestApp::with(config()).await;
    let mut body = of_new_employee("Flight to a training course", "190.00");
    assert_eq!(app.decide(body.clone()).await["outcome"], "needs_review");
    body["mcc"] = json!("4511");
    body["user_id"] = json!("ben");
    assert_eq!(app.decide(body).await["outcome"], "approved");
}

#[test]
fn rivals_are_the_same_in_every_order_of_the_words() {
    let policies = shipped();
    for text in [
        "Lunch, taxi and gym",
        "gym TAXI lunch",
        "Taxi: gym, then lunch",
    ] {
        let evidence = policies.evidence(None, None, text, None);
        assert_eq!(evidence.rivals("travel"), ["meals", "other"], "{text}");
        assert_eq!(evidence.rivals("other"), ["meals", "travel"], "{text}");
        assert!(evidence.rivals("office").is_empty(), "{text}");
    }
    let evidence = policies.evidence(Some("4121"), None, "Taxi and gym", None);
    assert!(evidence.rivals("travel").is_empty());
    assert!(
        policies
            .evidence(None, None, "Taxi", None)
            .rivals("travel")
            .is_empty()
    );
}

#[test]
fn merchants_of_card_statements_have_their_category() {
    let policies = shipped();
    for (merchant, category) in [
        ("MARKS&SPENCER PLC SF", Some("meals")),
        ("SACAT MARKS & SPENCER", Some("meals")),
        ("Marks and Spencer", Some("meals")),
        ("CENTRAL CONVENIENCE STO", Some("meals")),
        ("ICELAND", Some("meals")),
        ("ONE STOP 1437", Some("meals")),
        ("W M MORRISON", Some("meals")),
        ("WM MORRISONS STORE", Some("meals")),
        ("W M MORRISON PETROL", Some("travel")),
        ("WM MORRISONS PETROL", Some("travel")),
        ("COMMUNITY STORES LTD", Some("meals")),
        ("HP INSTANT INK", Some("office")),
        ("HPI INSTANT INK UK", Some("office")),
        ("CURRYS ONLINE", Some("office")),
        ("APPLE.COM/BILL", Some("other")),
        ("ITUNES.COM/BILL", Some("other")),
        ("Icelandair", Some("travel")),
        ("IZ Apple Taxi - CAR 437", Some("travel")),
    ] {
        let evidence = policies.evidence(None, Some(merchant), "-", None);
        assert_eq!(evidence.best(), category, "{merchant}");
        let named: Vec<&str> = evidence.categories().collect();
        assert_eq!(named.len(), 1, "{merchant}: {named:?}");
    }
}

#[test]
fn words_with_another_meaning_in_a_sentence_are_no_evidence() {
    let policies = shipped();
    for (text, categories) in [
        ("Flight to Iceland", vec!["travel"]),
        ("Conference in Iceland", vec![]),
        ("One stop in Leeds", vec![]),
        ("Visit to a community store", vec![]),
        ("Non Automotive Fuel", vec!["other"]),
        ("Automotive Fuel", vec!["travel"]),
        ("Print and Advertising", vec![]),
        ("PRINT & ADVERTISING", vec![]),
        ("Print", vec!["office"]),
        ("Advertising", vec!["other"]),
        ("Print and Advertising, business cards", vec!["office"]),
        ("Pet shops, food & supply", vec!["other"]),
        ("Pet food, dog food", vec!["other", "meals"]),
        ("Digital Goods: Media, Books, Movies, Music", vec!["other"]),
        ("Package Stores – Beer, Wine, and Liquor", vec!["other"]),
        ("Beer, wine and a book store", vec!["meals", "office"]),
        ("EATING_OUT", vec!["meals"]),
    ] {
        let evidence = policies.evidence(None, None, text, None);
        assert_eq!(
            evidence.categories().collect::<Vec<_>>(),
            categories,
            "{text}"
        );
    }
}

#[test]
fn codes_of_other_goods_point_to_other_and_codes_of_mixed_goods_to_nothing() {
    let policies = shipped();
    for code in [
        "4899", "4900", "5531", "5533", "5713", "5714", "5719", "5722", "5735", "5815", "5818",
        "5912", "5921", "6010", "6011", "6051", "7210", "7216", "7217", "7349", "7538", "7542",
    ] {
        let evidence = policies.evidence(Some(code), None, "-", None);
        assert_eq!(evidence.best(), Some("other"), "{code}");
    }
    for code in ["5310", "5311", "5331", "5399", "5712", "5964", "5999"] {
        let evidence = policies.evidence(Some(code), None, "-", None);
        assert!(evidence.is_empty(), "{code}");
    }
}

/// A policy of a category with this evidence.
fn policy(category: &str, evidence: &str) -> String {
    format!(
        "category = \"{category}\"\nversion = \"1\"\neffective_from = \"2010-01-01\"\n\
         currency = \"USD\"\nuncorroborated_limit = \"25.00\"\ntext = \"Text.\"\n\
         [[rule]]\nid = \"{category}-cap\"\nkind = \"cap\"\nper = \"day\"\nmax = \"75.00\"\n\
         text = \"At most 75.00.\"\n[evidence]\n{evidence}\n"
    )
}

#[test]
fn a_phrase_under_but_takes_its_words_from_shorter_phrases_of_every_category() {
    let fish = policy("fish", r#"merchant = ["salmon", "smoked*"]"#);
    let fun = policy(
        "fun",
        "transaction = [\"ladder*\"]\nname = [\"river\"]\nbut = [\"salmon ladder*\", \"river bank\"]",
    );
    let sources = [
        (Path::new("fish.toml"), &*fish),
        (Path::new("fun.toml"), &*fun),
    ];
    let policies = parse::parse(Path::new("policies"), &sources).unwrap();
    let named = |merchant: Option<&str>, text: &str| -> Vec<String> {
        let evidence = policies.evidence(None, merchant, text, None);
        evidence.categories().map(str::to_owned).collect()
    };
    assert_eq!(named(None, "Smoked salmon"), ["fish"]);
    assert_eq!(named(None, "The salmon ladder"), [""; 0]);
    assert_eq!(named(None, "Salmon ladders, salmon"), ["fish"]);
    assert_eq!(
        named(Some("River"), "At the river"),
        ["fun"],
        "once, by name"
    );
    assert_eq!(named(Some("River Bank"), "-"), [""; 0]);
}

#[test]
fn a_phrase_under_but_or_name_belongs_to_one_category() {
    let fish = policy("fish", r#"merchant = ["salmon"]"#);
    for key in ["but", "name"] {
        let fun = policy("fun", &format!("{key} = [\"salmon\"]"));
        let sources = [
            (Path::new("fish.toml"), &*fish),
            (Path::new("fun.toml"), &*fun),
        ];
        let errors = parse::parse(Path::new("policies"), &sources).unwrap_err();
        assert!(errors.to_string().contains("\"salmon\""), "{errors}");
    }
}

/// Meals, and meals with clients, which the evidence for meals supports too.
fn meals_and_clients() -> Policies {
    let meals = policy("meals", "mcc = [\"5812\"]\nmerchant = [\"pizza*\"]");
    let clients = policy(
        "clients",
        "transaction = [\"client dinner*\"]\nsame_as = \"meals\"",
    );
    let sources = [
        (Path::new("clients.toml"), &*clients),
        (Path::new("meals.toml"), &*meals),
    ];
    parse::parse(Path::new("policies"), &sources).unwrap()
}

#[test]
fn a_category_by_purpose_is_supported_by_the_evidence_of_another_one() {
    let policies = meals_and_clients();
    for (text, category, is_supported, rivals) in [
        ("Pizza", "meals", true, vec![]),
        // Nothing but the model says that there were clients.
        ("Pizza", "clients", true, vec!["meals"]),
        ("Client dinner", "clients", true, vec![]),
        ("Client dinner", "meals", false, vec![]),
    ] {
        for mcc in [None, Some("5812")] {
            let evidence = policies.evidence(mcc, Some("Pizza Express"), text, None);
            let found = (
                evidence.objection(category).is_none(),
                evidence.rivals(category),
            );
            let rivals: Vec<String> = rivals.iter().map(ToString::to_string).collect();
            assert_eq!(found, (is_supported, rivals), "{category}: {text} {mcc:?}");
        }
    }
}

#[test]
fn a_category_by_purpose_is_the_best_only_where_it_is_named() {
    let policies = meals_and_clients();
    for (mcc, text, expected) in [
        (None, "Client dinner", "clients"),
        // Code and merchant are those of a restaurant, which supports both.
        (Some("5812"), "Client dinner", "clients"),
        (Some("5812"), "Dinner", "meals"),
    ] {
        let evidence = policies.evidence(mcc, Some("Pizza Express"), text, None);
        assert_eq!(evidence.best(), Some(expected), "{text} {mcc:?}");
    }
}

#[test]
fn a_category_shares_the_evidence_only_of_another_that_is_loaded() {
    for same_as in ["meals", "nothing"] {
        let meals = policy("meals", &format!("same_as = \"{same_as}\""));
        let sources = [(Path::new("meals.toml"), &*meals)];
        let errors = parse::parse(Path::new("policies"), &sources).unwrap_err();
        assert!(errors.to_string().contains("`same_as`"), "{errors}");
    }
}
