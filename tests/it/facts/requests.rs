//! Facts in requests: what is accepted, what is refused and how, and what the answer repeats.

use std::collections::BTreeSet;

use expense_agent::domain::facts::FactName;
use expense_agent::domain::facts::form::Form;
use expense_agent::domain::submission::{self, Defaults, FIELDS, Submitted};
use jiff::civil::date;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use crate::harness::TestApp;
use crate::harness::expenses::{path_of, taxi};
use crate::harness::facts::{all_stated, stated, with_all_facts};
use crate::harness::schema::admits;

fn parse(body: &Value) -> Option<Submitted> {
    let defaults = Defaults {
        date: date(2026, 3, 14),
        user_id: "ana".to_owned(),
    };
    submission::parse(body.to_string().as_bytes(), defaults).ok()
}

/// An expense that states one fact, and the other half of a distance.
fn stating(name: FactName, value: Value) -> Value {
    let mut body = taxi();
    match name {
        FactName::Distance => body["distance_unit"] = json!("mile"),
        FactName::DistanceUnit => body["distance"] = json!(7),
        _ => {}
    }
    body[name.to_string()] = value;
    body
}

/// Values of a form that are accepted, each with the value that the answer repeats, and values that
/// are refused.
fn values(form: Form) -> (Vec<(Value, Value)>, Vec<Value>) {
    let n = |n: u16| "é".repeat(n.into());
    let same = |values: Vec<Value>| {
        values
            .into_iter()
            .map(|value| (value.clone(), value))
            .collect()
    };
    match form {
        Form::Count { max } => (
            same(vec![json!(1), json!(max)]),
            vec![
                json!(0),
                json!(max + 1),
                json!(-1),
                json!(1.5),
                json!("2"),
                json!(true),
                json!(1e2),
            ],
        ),
        Form::Distance => (
            vec![
                (json!(12), json!("12.0")),
                (json!(12.0), json!("12.0")),
                (json!("12"), json!("12.0")),
                (json!("0.1"), json!("0.1")),
                (json!(0.1), json!("0.1")),
                (json!("999999999999.9"), json!("999999999999.9")),
            ],
            vec![
                json!(0),
                json!("0.0"),
                json!(-1),
                json!("-1"),
                json!("1.25"),
                json!("1,5"),
                json!("far"),
                json!([1]),
            ],
        ),
        Form::Choice(words) => (
            same(words.iter().map(|word| json!(word)).collect()),
            vec![
                json!(""),
                json!("another"),
                json!(words[0].to_uppercase()),
                json!(1),
                json!([words[0]]),
            ],
        ),
        Form::Choices(words) => (
            vec![
                (json!(words), json!(words)),
                (json!([words[1], words[0]]), json!([words[0], words[1]])),
                (json!([]), json!([])),
            ],
            vec![
                json!(words[0]),
                json!([words[0], words[0]]),
                json!(["another"]),
                json!([1]),
            ],
        ),
        Form::Country => (
            same(vec![json!("DE"), json!("US")]),
            vec![json!("de"), json!("DEU"), json!("ZZ"), json!(49)],
        ),
        Form::Line { max } => (
            same(vec![json!("x"), json!(n(max))]),
            vec![
                json!(n(max + 1)),
                json!(""),
                json!(" x"),
                json!("a\nb"),
                json!("\u{200b}"),
                json!(1),
            ],
        ),
        Form::Text { min, max } => (
            same(vec![json!(n(min)), json!(n(max)), json!("a\nb\r\nc")]),
            vec![
                json!(n(min - 1)),
                json!(format!("  {}  ", n(min - 1))),
                json!(n(max + 1)),
                json!("a\tbc"),
                json!(1),
            ],
        ),
        Form::Date => (
            same(vec![json!("2024-02-29")]),
            vec![
                json!("2026-02-29"),
                json!("soon"),
                json!("29.02.2024"),
                json!(20),
            ],
        ),
        Form::Url => (
            same(vec![
                json!("https://receipts.example"),
                json!("https://127.0.0.1:8443/a?b=c#d"),
                json!("https://r.example/%C3%A9"),
            ]),
            vec![
                json!("http://receipts.example/1"),
                json!("https://"),
                json!("https:receipts.example"),
                json!("https://ann@receipts.example"),
                json!("https://ann:secret@receipts.example"),
                json!("https://receipts.example/a b"),
                json!("https://receipts.example/é"),
                json!("javascript:alert(1)"),
                json!("//receipts.example"),
                json!(format!("https://r.example/{}", "a".repeat(2_000))),
            ],
        ),
    }
}

#[tokio::test]
async fn the_contract_and_the_service_accept_the_same_values_of_every_fact() {
    let contract = TestApp::spawn().await.get("/openapi.json").await.body;
    let schemas = &contract["components"]["schemas"];
    let is_admitted = |body: &Value| admits(schemas, &schemas["Submission"], body);
    for name in FactName::iter() {
        let (accepted, refused) = values(name.declaration().form);
        for (given, repeated) in accepted {
            let body = stating(name, given);
            let fact = parse(&body).map(|parsed| json!(parsed.expense)[name.to_string()].clone());
            assert_eq!(fact, Some(repeated), "{body}");
            assert!(is_admitted(&body), "the contract refuses {body}");
        }
        for given in refused {
            let body = stating(name, given);
            assert!(parse(&body).is_none(), "the service accepts {body}");
            assert!(!is_admitted(&body), "the contract admits {body}");
        }
        // Null is the same as nothing, for the other half of a distance as well.
        for null in [json!({}), json!({"distance": null, "distance_unit": null})] {
            let mut body = taxi();
            body.as_object_mut()
                .unwrap()
                .extend(null.as_object().unwrap().clone());
            body[name.to_string()] = Value::Null;
            assert!(parse(&body).is_some() && is_admitted(&body), "{body}");
        }
    }
    for (half, other) in [("distance", "distance_unit"), ("distance_unit", "distance")] {
        for absent in [None, Some(Value::Null)] {
            let mut body = with_all_facts(taxi());
            body.as_object_mut().unwrap().remove(other);
            body.as_object_mut()
                .unwrap()
                .extend(absent.map(|null| (other.to_owned(), null)));
            assert!(
                parse(&body).is_none() && !is_admitted(&body),
                "only {half}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_fact_of_another_form_is_refused_with_its_name_and_what_to_write() {
    let app = TestApp::spawn().await;
    for name in FactName::iter() {
        let (_, refused) = values(name.declaration().form);
        let reply = app.post(stating(name, refused[0].clone())).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (422, &json!("invalid_expense"))
        );
        let expected = json!([{"field": name, "message": name.declaration().form.accepted()}]);
        assert_eq!(reply.body["errors"], expected);
    }
    let reply = app
        .post(json!({"transaction": "Car", "amount": 9, "distance": 30}))
        .await;
    let message = "`distance` says nothing without this field; write one of \"km\", \"mile\"";
    assert_eq!(
        reply.body["errors"],
        json!([{"field": "distance_unit", "message": message}])
    );
}

#[tokio::test]
async fn an_answer_repeats_every_fact_and_its_description_names_them() {
    let app = TestApp::spawn().await;
    let answer = app.decide(with_all_facts(taxi())).await;
    let again = app.get(&path_of(&answer)).await.body;
    let contract = app.get("/openapi.json").await.body;
    let described = &contract["components"]["schemas"]["Expense"]["properties"];
    for (name, value) in all_stated() {
        assert_eq!(answer[&name], value, "{name}");
        assert_eq!(again[&name], value, "{name}");
        assert!(admits(&contract, &described[&name], &value), "{name}");
        assert!(described[&name]["description"].is_string(), "{name}");
        assert!(FIELDS.contains(&name.as_str()), "{name}");
    }
    let plain = app.decide(taxi()).await;
    for name in FactName::iter() {
        assert_eq!(
            plain.get(name.to_string()),
            None,
            "an absent fact is not written"
        );
    }
}

#[tokio::test]
async fn an_answer_repeats_which_receipt_is_attached() {
    let app = TestApp::spawn().await;
    for receipt in [json!(false), json!(true), json!("itemized")] {
        let mut body = taxi();
        body["receipt"] = receipt.clone();
        assert_eq!(app.decide(body).await["receipt"], receipt);
    }
}

#[test]
fn every_fact_changes_the_fingerprint_and_an_absent_one_does_not() {
    let fingerprint = |body: &Value| parse(body).unwrap().fingerprint();
    let mut seen = BTreeSet::from([fingerprint(&taxi())]);
    for name in FactName::iter() {
        let fresh = seen.insert(fingerprint(&stating(name, stated(name))));
        // Half of a distance is stated beside the other half.
        assert!(fresh, "{name}");
        let mut absent = taxi();
        absent[name.to_string()] = Value::Null;
        assert_eq!(fingerprint(&absent), fingerprint(&taxi()), "{name}");
    }
    // One distance is one meaning, however it is written.
    let far = |distance: Value| fingerprint(&stating(FactName::Distance, distance));
    assert_eq!(far(json!(12)), far(json!("12.0")));
}
