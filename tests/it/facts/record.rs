//! Facts in the ledger and in exports: sealed, erased, and written so that `decide` reads them again.

use expense_agent::domain::facts::FactName;
use expense_agent::ledger::Ledger;
use serde_json::Value;
use strum::IntoEnumIterator;

use crate::harness::TestApp;
use crate::harness::binary::{run, text};
use crate::harness::expenses::{numbered_ride, taxi};
use crate::harness::facts::{MARK, all_stated, stated, with_all_facts};
use crate::harness::store::{TestStore, on_each_store};

#[tokio::test]
async fn erasing_removes_every_personal_fact_and_keeps_the_others_and_the_chain() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let decided = app.decide(with_all_facts(numbered_ride(1))).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.erase("default", "ana").await.unwrap(), 1);
        let walk = ledger.walk("default", None).await.unwrap();
        assert_eq!((walk.broken, walk.n_records), (None, 1));
        let erased = app.read(&decided).await;
        for (name, value) in all_stated() {
            match name.parse::<FactName>().unwrap().declaration().personal {
                true => assert!(
                    erased[&name].as_str().unwrap().starts_with("sha256:"),
                    "{name}"
                ),
                false => assert_eq!(erased[&name], value, "{name}"),
            }
        }
        assert!(!erased.to_string().contains(MARK));
        ledger.close().await;
        app.stop().await;
        for file in store.files() {
            let bytes = std::fs::read(&file).unwrap();
            let holds_mark = bytes
                .windows(MARK.len())
                .any(|bytes| bytes == MARK.as_bytes());
            assert!(!holds_mark, "{}", file.display());
        }
    })
    .await;
}

#[tokio::test]
async fn every_fact_is_a_column_of_the_exported_table_and_a_member_of_its_json() {
    let store = TestStore::sqlite();
    let folder = store.folder().to_owned();
    let app = TestApp::on(&store).await;
    let stating = app.decide(with_all_facts(taxi())).await;
    let plain = app.decide(taxi()).await;
    app.stop().await;
    let day_of = |decision: &Value| decision["received_at"].as_str().unwrap()[..10].to_owned();
    let (from, to) = (day_of(&stating), day_of(&plain));
    let export = async |format: &str| {
        let period = ["export", "--data", &folder, "--from", &from, "--to", &to];
        text(
            run(&[&period[..], &["--format", format]].concat(), &[])
                .await
                .stdout,
        )
    };
    let table = export("csv").await;
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let header = rows.headers().unwrap().clone();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let lines = export("ndjson").await;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for name in FactName::iter() {
        let column = header
            .iter()
            .position(|column| column == name.to_string())
            .unwrap();
        let cell = match stated(name) {
            Value::String(text) => text,
            Value::Array(words) => {
                let words = words.iter().map(|word| word.as_str().unwrap());
                words.collect::<Vec<_>>().join(";")
            }
            other => other.to_string(),
        };
        assert_eq!(
            (&rows[0][column], &rows[1][column]),
            (cell.as_str(), ""),
            "{name}"
        );
        assert_eq!(lines[0][name.to_string()], stated(name));
        assert_eq!(lines[1].get(name.to_string()), None);
    }
}
