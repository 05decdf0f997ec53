//! The list as a file: the same decisions as the list, in the columns of the subcommand `export`.

use serde_json::{Value, json};

use super::{ids, view};
use crate::harness::TestApp;
use crate::harness::expenses::{flight, meal, numbered_ride, of_user, ride};
use crate::harness::store::on_each_store;

/// The rows of a CSV file, by its header.
async fn rows(app: &TestApp, path: &str) -> Vec<csv::StringRecord> {
    let reply = app.get(path).await;
    assert_eq!(reply.status, 200, "{path}");
    assert_eq!(reply.headers["content-type"], "text/csv; charset=utf-8");
    let disposition = reply.headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"decisions.csv\"");
    let text = match reply.body {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "id");
    reader.records().map(Result::unwrap).collect()
}

#[tokio::test]
async fn both_files_hold_exactly_the_list() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        assert_files_hold_the_list(&app).await;
        app.stop().await;
    })
    .await;
}

async fn assert_files_hold_the_list(app: &TestApp) {
    for expense in [ride(), flight(), meal("90.00"), of_user(ride(), "ben")] {
        app.decide(expense).await;
    }
    for query in [
        "",
        "outcome=denied",
        "user_id=ben",
        "rule=travel-trip-cap",
        "text=chicago",
        "text=nothing",
    ] {
        let shown = ids(&view(app, &format!("/ui/decisions?{query}")).await);
        let table = rows(app, &format!("/ui/decisions.csv?{query}")).await;
        let in_table: Vec<&str> = table.iter().map(|row| &row[0]).collect();
        assert_eq!(in_table, shown, "{query}");
        let lines = app.get(&format!("/ui/decisions.ndjson?{query}")).await;
        let text = match &lines.body {
            Value::String(text) => text.clone(),
            one => one.to_string(),
        };
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let in_lines: Vec<&str> = lines
            .iter()
            .map(|line| line["id"].as_str().unwrap())
            .collect();
        assert_eq!(in_lines, shown, "{query}");
        assert!(lines.iter().all(|line| line["record_hash"].is_string()));
    }
}

#[tokio::test]
async fn a_file_has_all_pages_of_a_list_and_one_header() {
    let app = TestApp::spawn().await;
    for n in 0..205 {
        app.decide(numbered_ride(n)).await;
    }
    let table = rows(&app, "/ui/decisions.csv?limit=3").await;
    assert_eq!(table.len(), 205);
}

#[tokio::test]
async fn a_text_that_looks_like_a_formula_is_harmless_in_the_table() {
    let app = TestApp::spawn().await;
    app.decide(
        json!({"transaction": "=HYPERLINK(\"http://x\")", "amount": "5.00", "user_id": "+1"}),
    )
    .await;
    let table = rows(&app, "/ui/decisions.csv").await;
    assert_eq!(&table[0][5], "'=HYPERLINK(\"http://x\")");
    assert_eq!(&table[0][3], "'+1");
}
