//! The pictures of README and docs. `PICTURES=docs/images cargo test --test it -- pictures` draws
//! them anew.

use std::fs;
use std::path::{Path, PathBuf};

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::demo::transactions;
use expense_agent::ledger::Store;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::access::LOG_OUT;
use super::view_of;
use crate::harness::browser::{Browser, browse};
use crate::harness::skip::skip;
use crate::harness::{TestApp, config, project_path};

/// The width of every picture.
const WIDTH: u32 = 1200;
/// Pictures load with the pages that show them, and stay in the history of the repository.
const MAX_BYTES: u64 = 150_000;
/// When the pictures are drawn, as their clock says.
const NOW: &str = "2026-04-01T15:20:00Z";
/// Transactions that are posted at a time, and the hours between two times: all of them within a day.
const AT_A_TIME: usize = 4;
const HOURS: i64 = 2;

/// A service in the middle of a day, with the demo behind it. Some classifications went wrong.
async fn service(folder: &Path) -> TestApp {
    let now: Timestamp = NOW.parse().unwrap();
    let with = async |at: Timestamp, fault_seed: u64| {
        let model = ModelConfig::Offline {
            faults: vec!["misclassify:0.12".parse().unwrap()],
            fault_seed,
        };
        let store = Store::Sqlite(folder.to_owned());
        TestApp::with_clock(
            Clock::fixed(at),
            Config {
                store,
                model,
                ..config()
            },
        )
        .await
    };
    let transactions = transactions(None).unwrap();
    let parts: Vec<_> = transactions.chunks(AT_A_TIME).collect();
    for (index, part) in parts.iter().enumerate() {
        let n_left = i64::try_from(parts.len() - index).unwrap();
        let app = with(
            now - (n_left * HOURS).hours(),
            u64::try_from(index).unwrap(),
        )
        .await;
        for submission in *part {
            app.decide(serde_json::to_value(submission).unwrap()).await;
        }
        app.stop().await;
    }
    with(now, 0).await
}

/// Writes a picture of a view in a window of this height.
async fn draw(browser: &Browser, folder: &Path, name: &str, height: u32) {
    let size = json!({"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": false});
    browser
        .devtools("Emulation.setDeviceMetricsOverride", size)
        .await;
    browser.screenshot(&folder.join(name)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_the_documents_are_drawn() {
    let Ok(folder) = std::env::var("PICTURES") else {
        skip("no pictures are wanted; PICTURES=docs/images draws them");
        return;
    };
    let folder = project_path(&folder);
    fs::create_dir_all(&folder).unwrap();
    browse(async |browser| {
        let data = tempfile::tempdir().unwrap();
        let app = service(data.path()).await;
        for (setting, value) in [
            ("ScrollbarsHidden", json!({"hidden": true})),
            ("TimezoneOverride", json!({"timezoneId": "UTC"})),
            ("LocaleOverride", json!({"locale": "en-GB"})),
        ] {
            let command = format!("Emulation.set{setting}");
            browser.devtools(&command, value).await;
        }
        browser.prefer("light").await;
        // Before the login, without the form that resolves it, so that more of the tree is seen.
        let failed = "/v1/expenses?failed_validation=category_evidence";
        let failed = app.get(failed).await.body["decisions"][0].clone();
        browser.open(&app.url, &view_of(&failed)).await;
        draw(browser, &folder, "decision.png", 900).await;

        let key = app.local_key.clone().unwrap();
        browser.open(&app.url, &format!("/ui/#key={key}")).await;
        browser.see(LOG_OUT).await;
        draw(browser, &folder, "overview.png", 1060).await;
        browser.open(&app.url, "/ui/review?actor=mia").await;
        draw(browser, &folder, "review.png", 580).await;
    })
    .await;
}

#[test]
fn pictures_are_small() {
    let pictures = fs::read_dir(project_path("docs/images")).unwrap();
    let pictures: Vec<PathBuf> = pictures.map(|entry| entry.unwrap().path()).collect();
    assert!(!pictures.is_empty());
    for picture in pictures {
        let n_bytes = fs::metadata(&picture).unwrap().len();
        assert!(
            n_bytes < MAX_BYTES,
            "{} has {n_bytes} bytes",
            picture.display()
        );
    }
}
