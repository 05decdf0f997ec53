//! The view of a decision of each outcome, as golden files: the content of the page, with ids, hashes,
//! times and bars normalised.

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use regex::Regex;
use serde_json::{Value, json};

use super::{Office, Person, keys, view_of};
use crate::harness::expenses::{expense, flight, laptop, meal, ride};
use crate::harness::store::TestStore;
use crate::harness::{TestApp, assert_golden, config};

/// What changes from run to run.
const CHANGING: [(&str, &str); 9] = [
    (
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "<id>",
    ),
    ("[0-9a-f]{64}(-[0-9]+)?", "<hash>"),
    ("[0-9a-f]{32}", "<trace id>"),
    (r"(<dt>span id</dt>\n<dd>)[0-9a-f]{16}", "$1<span id>"),
    (r"[0-9.]+ (?:µs|ms)\b", "<duration>"),
    (r#"<rect x="[0-9]+" y="1" width="[0-9]+""#, "<rect"),
    (r#"<time datetime="[^"]*" title="[^"]*">[^<]*"#, "<time>"),
    (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC", "<time>"),
    ("offline-[0-9a-f]+", "<response id>"),
];

/// The content of a page, an element a line.
fn content(html: &str) -> String {
    let (_, main) = html.split_once("<main id=\"content\">").unwrap();
    let main = main.split("</main>").next().unwrap().replace("><", ">\n<");
    CHANGING.iter().fold(main, |text, (pattern, name)| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *name)
            .into_owned()
    })
}

async fn assert_view(office: &Office, decision: &Value, name: &str) {
    let view = office
        .person("ea_vp")
        .get(&format!("{}?actor=zoe", view_of(decision)))
        .await;
    assert_eq!(view.status, 200);
    assert!(view.html.len() < 60_000, "{} bytes", view.html.len());
    assert_golden(name, &content(&view.html));
}

#[tokio::test]
async fn the_view_of_an_approved_expense() {
    let office = Office::open().await;
    let decision = office.decide(ride()).await;
    assert_view(&office, &decision, "page_approved").await;
}

#[tokio::test]
async fn the_view_of_a_denied_expense_shows_by_how_much() {
    let office = Office::open().await;
    let decision = office.decide(flight()).await;
    assert_view(&office, &decision, "page_denied").await;
}

#[tokio::test]
async fn the_view_of_an_expense_that_waits_for_approval_and_of_its_resolution() {
    let office = Office::open().await;
    let decision = office.decide(laptop("1000.00")).await;
    assert_view(&office, &decision, "page_needs_approval").await;
    let body = json!({"action": "approve", "role": "manager", "actor": "zoe", "amount": "400.00", "reason": "The smaller one."});
    let reply = office.app.resolve("ea_manager", &decision, body).await;
    assert_eq!(reply.status, 201);
    assert_view(&office, &decision, "page_resolved").await;
}

#[tokio::test]
async fn the_view_of_a_review_opens_the_step_that_failed() {
    let office = Office::open().await;
    let mut body = meal("30.00");
    body["mcc"] = "4511".into();
    let decision = office.decide(body).await;
    assert_eq!(decision["outcome"], "needs_review");
    assert_view(&office, &decision, "page_needs_review").await;
}

#[tokio::test]
async fn a_model_that_does_not_answer_is_red_where_it_was_asked() {
    let keys = keys();
    let app = TestApp::with(Config {
        http: keys.http_config(),
        model: ModelConfig::Offline {
            faults: vec!["unavailable:1".parse().unwrap()],
            fault_seed: 1,
        },
        ..config()
    })
    .await;
    let decision = app.post_as("ea_feed", ride()).await.body;
    let view = Person {
        app: &app,
        key: Some("ea_vp"),
    }
    .get(&view_of(&decision))
    .await
    .html;
    let failed: Vec<_> = view
        .match_indices("<details class=\"span failed\" open")
        .collect();
    assert_eq!(failed.len(), 2, "the step and its call: {view}");
}

#[tokio::test]
async fn a_decision_of_an_earlier_version_is_drawn_without_bars() {
    let store = TestStore::sqlite();
    let keys = keys();
    let config = || Config {
        http: keys.http_config(),
        store: store.store.clone(),
        ..config()
    };
    let app = TestApp::with(config()).await;
    let decision = app.post_as("ea_feed", expense("Taxi", "5.00")).await.body;
    app.stop().await;
    let mut old: Value =
        serde_json::from_str(include_str!("../../data/decision-0.1.0.json")).unwrap();
    old["id"] = decision["id"].clone();
    old["tenant_id"] = "acme".into();
    let sql = format!(
        "UPDATE decision SET document = '{}'",
        old.to_string().replace('\'', "''")
    );
    store.execute(sqlx::AssertSqlSafe(sql)).await;
    let app = TestApp::with(config()).await;
    let view = Person {
        app: &app,
        key: Some("ea_vp"),
    }
    .get(&view_of(&decision))
    .await;
    assert_eq!(view.status, 200, "{}", view.html);
    assert!(
        view.html
            .contains("The record of an earlier version holds no times."),
        "{}",
        view.html
    );
    assert!(!view.html.contains("<svg class=\"time"), "{}", view.html);
    assert_golden("page_of_an_earlier_version", &content(&view.html));
}
