//! The section of the overview that shows the figures.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use regex::Regex;
use reqwest::redirect::Policy;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::harness::expenses::{flight, id_of, laptop, meal, numbered_ride, ride};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, config, poll};

/// The overview as HTML.
async fn overview(app: &TestApp, query: &str) -> String {
    let response = app
        .client
        .get(format!("{}/ui/?{query}", app.url))
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

/// The tile of a figure: its HTML up to the next one.
fn tile<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<dt>{name}</dt>")).unwrap();
    rest.split_once("</div>").unwrap().0
}

#[tokio::test]
async fn the_overview_shows_the_figures_of_the_decisions_so_far() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        for body in [ride(), flight(), laptop("900.00"), meal("10.00")] {
            app.decide(body).await;
        }
        for query in ["", "range=24h", "range=7d", "range=30d", "range=nonsense"] {
            let page = overview(&app, query).await;
            let decisions = tile(&page, "Decisions");
            assert!(
                decisions.contains("<span class=\"number\">4</span>"),
                "{query}: {decisions}"
            );
            assert!(decisions.contains("outcome=denied"), "{decisions}");
            assert!(tile(&page, "Paid").contains("55.00"), "{page}");
            assert!(page.contains("Counted just now"), "{page}");
            assert!(page.contains("pending=manager"), "what waits: {page}");
            assert!(!page.contains("style="), "{page}");
        }
        app.stop().await;
    })
    .await;
}

/// The links of a page to lists of decisions, with their texts.
fn links(page: &str) -> Vec<(String, String)> {
    let links = page.split("<a href=\"/ui/decisions?").skip(1).map(|rest| {
        let (query, rest) = rest.split_once("\">").unwrap();
        let (text, _) = rest.split_once("</a>").unwrap();
        let tag = Regex::new("<[^>]*>").unwrap();
        (
            query.replace("&amp;", "&"),
            tag.replace_all(text, " ").into_owned(),
        )
    });
    links.collect()
}

#[tokio::test]
async fn every_number_that_is_a_link_leads_to_a_list_of_that_size() {
    let faults = ["misclassify:0.3", "approve_everything:0.3"];
    let app = TestApp::with(Config {
        model: ModelConfig::Offline {
            faults: faults.map(|fault| fault.parse().unwrap()).to_vec(),
            fault_seed: 5,
        },
        ..config()
    })
    .await;
    for n in 0..24 {
        let body = match n % 4 {
            0 => numbered_ride(n),
            1 => flight(),
            2 => laptop("900.00"),
            _ => meal("10.00"),
        };
        app.decide(body).await;
    }
    let page = overview(&app, "").await;
    let (_, figures) = page.split_once("<section class=\"figures\"").unwrap();
    let (figures, _) = figures.split_once("</section>").unwrap();
    let mut n_links = 0;
    for (query, text) in links(figures) {
        let mut numbers = text
            .split_whitespace()
            .filter_map(|word| word.parse::<usize>().ok());
        let (Some(number), false) = (numbers.next_back(), text.contains("USD")) else {
            continue;
        };
        let list = format!("{}/ui/decisions?{query}&limit=200", app.url);
        let list = app
            .client
            .get(list)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(list.matches("data-id=").count(), number, "{query}: {text}");
        n_links += 1;
    }
    assert!(n_links >= 10, "{figures}");
}

/// Adds copies of a decision, in the chain, as if they were decided now.
async fn add_chained_copies(store: &TestStore, decision: &Value, n_copies: u32) {
    let id = id_of(decision);
    let copy = "SUBSTR(id, 1, 24) || CAST(100000000000 + n AS TEXT)";
    let numbered = format!(
        "WITH RECURSIVE numbered (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbered WHERE n < {n_copies})"
    );
    let sql = format!(
        "INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, person)
         {numbered} SELECT {copy}, tenant_id, user_id, outcome, category, trace_id, REPLACE(document, id, {copy}), person
         FROM decision, numbered WHERE id = '{id}';
         INSERT INTO chain (tenant_id, seq, record_id, salt, hash)
         {numbered} SELECT tenant_id, 1 + n, {copy}, NULL, '' FROM decision, numbered WHERE id = '{id}';
         UPDATE chain_head SET seq = 1 + {n_copies}"
    );
    store.execute(AssertSqlSafe(sql)).await;
}

#[tokio::test]
async fn a_long_backlog_is_counted_in_the_background_and_the_page_says_so() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let decision = app.decide(ride()).await;
        add_chained_copies(&store, &decision, 1_499).await;
        let page = overview(&app, "").await;
        assert!(page.contains("newer records are being counted"), "{page}");
        let limit = Duration::from_secs(30);
        let page = poll::until(limit, "figures that are up to date", async || {
            let page = overview(&app, "").await;
            match page.contains("Counted just now") {
                true => Ok(page),
                false => Err(page),
            }
        })
        .await;
        let decisions = tile(&page, "Decisions");
        assert!(
            decisions.contains("<span class=\"number\">1500</span>"),
            "{decisions}"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_to_still_shows_its_figures() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        app.decide(ride()).await;
        overview(&app, "").await;
        app.decide(flight()).await;
        store
            .execute("ALTER TABLE figures_mark RENAME COLUMN seq TO gone")
            .await;
        let response = app.client.get(format!("{}/ui/", app.url)).send().await;
        assert_eq!(response.unwrap().status(), 503, "it cannot be read");
        store
            .execute("ALTER TABLE figures_mark RENAME COLUMN gone TO seq")
            .await;
        let page = overview(&app, "").await;
        assert!(tile(&page, "Decisions").contains(">2<"), "{page}");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_sees_only_its_own_decisions_sees_no_figures() {
    let store = TestStore::sqlite();
    let keys = KeyFile::new(&[
        entry("ana", "default", "ea_ana", "user = \"ana\""),
        entry(
            "boss",
            "default",
            "ea_boss",
            "user = \"ben\"\nroles = [\"manager\"]",
        ),
    ]);
    let app = keys.app_on(&store).await;
    app.post_as("ea_ana", ride()).await;
    let browser = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    for (key, sees) in [("ea_ana", false), ("ea_boss", true)] {
        let login = browser
            .post(format!("{}/ui/login", app.url))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={key}"))
            .send()
            .await
            .unwrap();
        let cookie = login.headers()["set-cookie"].clone();
        let overview = browser
            .get(format!("{}/ui/", app.url))
            .header("cookie", cookie);
        let page = overview.send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Log out"), "{key}: {page}");
        assert_eq!(page.contains("<dt>Decisions</dt>"), sees, "{key}: {page}");
    }
}
