//! The bounds in the OpenAPI description, compared with what the service accepts: schema and service
//! accept the same bodies, and both refuse a body that exceeds a bound.

use std::collections::BTreeSet;

use expense_agent::domain::body::is_line;
use expense_agent::domain::feedback::{self, FeedbackName};
use expense_agent::domain::money::Currency;
use expense_agent::domain::resolution;
use expense_agent::domain::submission::{self, Defaults};
use jiff::civil::date;
use regex::Regex;
use serde_json::{Value, json};
use strum::VariantArray as _;

use crate::harness::TestApp;
use crate::harness::schema::admits;

const ID: &str = "00000000-0000-7000-8000-000000000000";

async fn schemas() -> Value {
    let contract = TestApp::spawn().await.get("/openapi.json").await.body;
    contract["components"]["schemas"].clone()
}

fn accepts_expense(body: &Value) -> bool {
    let defaults = Defaults {
        date: date(2026, 3, 14),
        user_id: "ana".to_owned(),
    };
    submission::parse(body.to_string().as_bytes(), defaults).is_ok()
}

fn accepts_resolution(body: &Value) -> bool {
    resolution::parse(body.to_string().as_bytes(), Currency::USD).is_ok()
}

/// A body with some fields replaced.
fn with(body: &Value, fields: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_bound_of_an_expense_is_the_same_in_the_contract_and_in_the_service() {
    let schemas = schemas().await;
    let taxi = json!({"transaction": "Taxi", "amount": "4.00"});
    let n = |n: usize| "é".repeat(n);
    for (fields, is_accepted) in [
        (json!({}), true),
        (json!({"other": 1}), false),
        (json!({"transaction": null}), false),
        (json!({"transaction": n(2_000)}), true),
        (json!({"transaction": n(2_001)}), false),
        (json!({"transaction": "\n\u{200b} "}), false),
        (json!({"transaction": "a\nb\r\n"}), true),
        (json!({"transaction": "a\tb"}), false),
        (json!({"amount": 0}), false),
        (json!({"amount": "0.00"}), false),
        (json!({"amount": -4}), false),
        (json!({"amount": "-4.00"}), false),
        (json!({"amount": "999999999999.99"}), true),
        (json!({"amount": "1000000000000"}), false),
        (json!({"amount": 1_000_000_000_000_u64}), false),
        (json!({"amount": "4,00"}), false),
        (json!({"amount": "4."}), false),
        (json!({"amount": true}), false),
        (json!({"amount": "-4.00", "refunds": ID}), true),
        (json!({"amount": -4, "refunds": ID}), true),
        (json!({"refunds": ID}), false),
        (json!({"refunds": "7"}), false),
        (json!({"supersedes": ID.replace('-', "")}), false),
        (json!({"supersedes": ID, "refunds": null}), true),
        (json!({"supersedes": "x"}), false),
        (
            json!({"amount": -4, "refunds": ID, "supersedes": ID}),
            false,
        ),
        (json!({"currency": "EUR"}), true),
        (json!({"currency": "eur"}), false),
        (json!({"currency": "XAU"}), false),
        (json!({"currency": "ZZZ"}), false),
        (json!({"amount": "4.005"}), false),
        (json!({"amount": "4.005", "currency": null}), false),
        (json!({"currency": "JPY"}), false),
        (json!({"amount": "4", "currency": "JPY"}), true),
        (json!({"amount": 4, "currency": "JPY"}), true),
        (json!({"amount": 4.5, "currency": "JPY"}), false),
        (json!({"amount": "4.005", "currency": "KWD"}), true),
        (json!({"amount": "4.0005", "currency": "KWD"}), false),
        (json!({"amount": "4.0005", "currency": "CLF"}), true),
        (json!({"currency": null}), true),
        (json!({"merchant": n(200)}), true),
        (json!({"merchant": n(201)}), false),
        (json!({"merchant": ""}), false),
        (json!({"category_hint": n(200)}), true),
        (json!({"category_hint": n(201)}), false),
        (json!({"merchant": " a"}), false),
        (json!({"mcc": "5812"}), true),
        (json!({"mcc": 5812}), false),
        (json!({"mcc": "58123"}), false),
        (json!({"mcc": "٥٨١٢"}), false),
        (json!({"date": "2024-02-29"}), true),
        (json!({"date": "yesterday"}), false),
        (json!({"trip_id": n(128), "user_id": n(128)}), true),
        (json!({"trip_id": n(129)}), false),
        (json!({"user_id": n(129)}), false),
        (json!({"user_id": "a\u{a0}"}), false),
        (json!({"receipt": true}), true),
        (json!({"receipt": "yes"}), false),
    ] {
        let body = with(&taxi, &fields);
        assert_eq!(accepts_expense(&body), is_accepted, "the service: {body}");
        let admitted = admits(&schemas, &schemas["Submission"], &body);
        assert_eq!(admitted, is_accepted, "the contract: {body}");
    }
}

#[tokio::test]
async fn a_bound_of_a_resolution_is_the_same_in_the_contract_and_in_the_service() {
    let schemas = schemas().await;
    let approval = json!({"action": "approve", "role": "cfo", "reason": "Agreed"});
    let n = |n: usize| "é".repeat(n);
    for (fields, is_accepted) in [
        (json!({}), true),
        (json!({"other": 1}), false),
        (json!({"action": "allow"}), false),
        (json!({"role": "boss"}), false),
        (json!({"role": null}), false),
        (json!({"action": "deny", "role": null}), false),
        (json!({"action": "withdraw", "role": null}), true),
        (json!({"reason": n(2_000)}), true),
        (json!({"reason": n(2_001)}), false),
        (json!({"reason": " "}), false),
        (json!({"actor": n(128), "category": n(128)}), true),
        (json!({"actor": n(129)}), false),
        (json!({"category": n(129)}), false),
        (json!({"amount": "4.00"}), true),
        (json!({"amount": 4}), true),
        (json!({"amount": null}), true),
        (json!({"amount": "-4.00"}), false),
        (json!({"amount": 0}), false),
        (json!({"action": "deny"}), true),
        (json!({"action": "deny", "amount": "4.00"}), false),
        (json!({"action": "withdraw", "category": "meals"}), false),
        (json!({"action": "withdraw", "amount": null}), true),
    ] {
        let body = with(&approval, &fields);
        assert_eq!(
            accepts_resolution(&body),
            is_accepted,
            "the service: {body}"
        );
        let admitted = admits(&schemas, &schemas["ResolutionRequest"], &body);
        assert_eq!(admitted, is_accepted, "the contract: {body}");
    }
}

#[tokio::test]
async fn a_bound_of_feedback_is_the_same_in_the_contract_and_in_the_service() {
    let schemas = schemas().await;
    let n = |n: usize| "é".repeat(n);
    for (body, is_accepted) in [
        (json!({}), false),
        (json!({"label": null, "comment": null}), false),
        (json!({"label": "right"}), true),
        (json!({"label": "right", "comment": null}), true),
        (json!({"label": n(128)}), true),
        (json!({"label": n(129)}), false),
        (json!({"label": ""}), false),
        (json!({"label": 1}), false),
        (json!({"comment": n(2_000)}), true),
        (json!({"comment": n(2_001)}), false),
        (json!({"comment": " "}), false),
        (json!({"comment": "a\tb"}), false),
        (json!({"comment": "a", "label": null}), true),
        (json!({"comment": "a", "actor": n(128)}), true),
        (json!({"comment": "a", "actor": n(129)}), false),
        (json!({"comment": "a", "actor": null}), true),
        (json!({"comment": "a", "other": 1}), false),
    ] {
        // The contract does not know the name in the path, which decides which of the two is needed.
        let accepts =
            |name: &FeedbackName| feedback::parse(body.to_string().as_bytes(), *name).is_ok();
        let accepted = FeedbackName::VARIANTS.iter().any(accepts);
        assert_eq!(accepted, is_accepted, "the service: {body}");
        let admitted = admits(&schemas, &schemas["FeedbackRequest"], &body);
        assert_eq!(admitted, is_accepted, "the contract: {body}");
    }
}

#[tokio::test]
async fn the_patterns_of_texts_agree_with_the_service_on_every_character() {
    let schemas = schemas().await;
    let pattern = |field: &str| {
        let pattern = schemas["Submission"]["properties"][field]["pattern"].as_str();
        Regex::new(pattern.unwrap()).unwrap()
    };
    let (line, text) = (pattern("user_id"), pattern("transaction"));
    for c in (0..=0xffff).filter_map(char::from_u32) {
        for id in [
            format!("{c}"),
            format!("{c}a"),
            format!("a{c}"),
            format!("a{c}b"),
            format!("{c} a"),
        ] {
            assert_eq!(line.is_match(&id), is_line(&id, 128), "{id:?}");
        }
        for transaction in [format!("{c}"), format!("a{c}")] {
            let body = json!({"transaction": transaction, "amount": "4.00"});
            assert_eq!(
                text.is_match(&transaction),
                accepts_expense(&body),
                "{transaction:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_contract_lists_the_currencies_that_the_service_accepts() {
    let schemas = schemas().await;
    let listed = schemas["Submission"]["properties"]["currency"]["enum"].as_array();
    let listed: BTreeSet<_> = listed.unwrap().iter().filter_map(Value::as_str).collect();
    let letters = || ('A'..='Z').map(String::from);
    let pairs =
        || letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    let codes = pairs().flat_map(|pair| letters().map(move |third| format!("{pair}{third}")));
    for code in codes {
        let is_accepted = code.parse::<Currency>().is_ok();
        assert_eq!(listed.contains(code.as_str()), is_accepted, "{code}");
    }
}
