//! Facts as columns of the tables that `decide` reads.

use expense_agent::domain::facts::{FactName, Form};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use crate::harness::binary::{run, text};
use crate::harness::facts::stated;

/// Decides a table. Returns the answers, and what was written beside them.
async fn decide(table: &str, more: &[&str]) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("table.csv"), folder.path().join("data"));
    std::fs::write(&file, table).unwrap();
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    let arguments = ["decide", file, "--set", "currency=USD", "--data", data];
    let output = run(&[&arguments[..], more].concat(), &[]).await;
    let answers = text(output.stdout);
    let answers = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (answers.collect(), text(output.stderr))
}

/// A cell with the value of a fact.
fn cell(name: FactName) -> String {
    match stated(name) {
        Value::String(text) => text,
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            words.join("; ")
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn every_fact_is_read_from_a_column_with_its_name_however_that_is_written() {
    let titled = |name: FactName| name.to_string().replace('_', " ").to_uppercase();
    for heading in [|name: FactName| name.to_string(), titled] {
        let facts: Vec<FactName> = FactName::iter().collect();
        let headings: Vec<String> = facts.iter().map(|name| heading(*name)).collect();
        let cells: Vec<String> = facts.iter().map(|name| cell(*name)).collect();
        let table = format!(
            "transaction,amount,receipt,{}\nTaxi,5.00,ITEMIZED,{}\nTaxi,6.00,,{}\n",
            headings.join(","),
            cells.join(","),
            vec![""; cells.len()].join(","),
        );
        let (answers, notes) = decide(&table, &[]).await;
        assert_eq!(answers.len(), 2, "{notes}");
        assert_eq!(answers[0]["body"]["receipt"], "itemized", "{answers:?}");
        for name in facts {
            let key = name.to_string();
            assert_eq!(answers[0]["body"][&key], stated(name), "{key}");
            assert_eq!(
                answers[1]["body"].get(&key),
                None,
                "an empty cell is no fact: {key}"
            );
        }
    }
}

#[tokio::test]
async fn facts_are_written_as_people_write_them() {
    let table = "transaction;amount;Cost Centre;CLASS;country;Distance;Distance unit;Meals provided;Travel-Date\n\
                 Car;5,00;R&D;Business;de;12,5;KM;\"Dinner;breakfast\";14.03.2026\n";
    let flags = [
        "--decimal",
        ",",
        "--date-format",
        "%d.%m.%Y",
        "--negate-amounts",
    ];
    let (answers, notes) = decide(&table.replace("5,00", "-5,00"), &flags).await;
    let expected = json!({
        "cost_center": "R&D", "class": "business", "country": "DE", "distance": "12.5", "distance_unit": "km",
        "meals_provided": ["breakfast", "dinner"], "travel_date": "2026-03-14",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answers[0]["body"][name], value, "{notes}");
    }
}

#[tokio::test]
async fn a_cell_of_another_form_is_an_error_of_its_row_that_names_the_fact() {
    for name in FactName::iter() {
        let wrong = match name.declaration().form {
            // Every visible text is one.
            Form::Line { .. } => "\u{200b}".to_owned(),
            Form::Text { .. } => "xy".to_owned(),
            _ => "?".to_owned(),
        };
        let table = format!("transaction,amount,{name}\nTaxi,5.00,{wrong}\n");
        let (answers, _) = decide(&table, &[]).await;
        assert_eq!(answers[0]["status"], 422, "{name}");
        assert_eq!(answers[0]["body"]["errors"][0]["field"], name.to_string());
    }
}

#[tokio::test]
async fn a_column_is_not_taken_for_a_fact_where_columns_are_mapped_by_hand() {
    let table = "Purpose,amount,Country,project\nTaxi,5.00,United Kingdom,Apollo\n";
    let (answers, notes) = decide(table, &["--column", "transaction=Purpose"]).await;
    let body = &answers[0]["body"];
    assert_eq!(
        (&body["transaction"], &body["project"]),
        (&json!("Taxi"), &json!("Apollo"))
    );
    assert!(notes.contains("not read: \"Country\""), "{notes}");
    let mapped = [
        "--column",
        "transaction=Purpose",
        "--column",
        "place=Country",
    ];
    let (answers, _) = decide(table, &mapped).await;
    assert_eq!(answers[0]["body"]["place"], "United Kingdom");
    let (answers, _) = decide("transaction,amount\nTaxi,5.00\n", &["--set", "attendees=4"]).await;
    assert_eq!(answers[0]["body"]["attendees"], 4);
}
