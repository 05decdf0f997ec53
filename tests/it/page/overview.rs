//! The overview's forms, and the policies.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::model::ModelConfig;
use serde_json::json;
use uuid::Uuid;

use super::{ids, location, normalised, send_form, view};
use crate::harness::policy_folder;
use crate::harness::poll::until;
use crate::harness::{TestApp, assert_golden, config, http_config};

const FLIGHT: [(&str, &str); 4] = [
    ("transaction", "Flight to Chicago, $650"),
    ("amount", "650.00"),
    ("currency", "USD"),
    ("merchant", ""),
];

#[tokio::test]
async fn the_overview_is_filled_in_with_a_flight() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/").await;
    let (_, forms) = html.split_once("<div class=\"start\">").unwrap();
    let (forms, _) = forms.split_once("</section></div>").unwrap();
    assert_golden("page_overview_forms", &normalised(forms));
}

#[tokio::test]
async fn the_flight_is_decided_with_one_click_and_its_tree_opens() {
    let app = TestApp::spawn().await;
    let response = send_form(&app, "/ui/expense", &FLIGHT).await;
    assert_eq!(response.status(), 303);
    let html = view(&app, &location(&response)).await;
    assert!(html.contains("denied"), "{html}");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_decides_once() {
    let app = TestApp::spawn().await;
    let key = Uuid::new_v4().to_string();
    let form = [&FLIGHT[..], &[("key", &key)]].concat();
    let first = send_form(&app, "/ui/expense", &form).await;
    let second = send_form(&app, "/ui/expense", &form).await;
    assert_eq!(location(&first), location(&second));
    assert_eq!(ids(&view(&app, "/ui/decisions").await).len(), 1);
}

#[tokio::test]
async fn every_field_of_the_form_reaches_the_expense() {
    let app = TestApp::spawn().await;
    let form = [
        ("transaction", " Team lunch "),
        ("amount", "20.00"),
        ("currency", "EUR"),
        ("merchant", "Bistro"),
        ("mcc", "5812"),
        ("date", "2026-03-14"),
        ("trip_id", "oslo"),
        ("user_id", "ana"),
        ("receipt", "true"),
    ];
    let response = send_form(&app, "/ui/expense", &form).await;
    assert_eq!(response.status(), 303);
    let decision = &app.get("/v1/expenses").await.body["decisions"][0];
    let fields = json!({
        "transaction": "Team lunch", "amount": "20.00", "currency": "EUR", "merchant": "Bistro", "mcc": "5812",
        "date": "2026-03-14", "trip_id": "oslo", "user_id": "ana", "receipt": true,
    });
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&decision[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_accepted_is_told_and_the_others_are_kept() {
    let app = TestApp::spawn().await;
    let form = [
        ("transaction", "Taxi to the fair"),
        ("amount", "4,50"),
        ("currency", "USD"),
    ];
    let response = send_form(&app, "/ui/expense", &form).await;
    assert_eq!(response.status(), 422);
    let html = response.text().await.unwrap();
    assert!(html.contains("role=\"alert\""), "{html}");
    assert!(html.contains("amount: write up to"), "{html}");
    assert!(html.contains("value=\"Taxi to the fair\""), "{html}");
    assert!(html.contains("value=\"4,50\""), "{html}");
    assert!(
        !html.contains("data-live"),
        "no address shows this view again: {html}"
    );
}

#[tokio::test]
async fn the_forty_of_the_demo_are_posted_once_for_each_press() {
    let app = TestApp::spawn().await;
    let key = Uuid::new_v4().to_string();
    for _ in 0..2 {
        let response = send_form(&app, "/ui/demo", &[("key", &key)]).await;
        assert_eq!(response.status(), 303);
        assert_eq!(location(&response), "/ui/decisions");
        assert_eq!(ids(&view(&app, "/ui/decisions").await).len(), 40);
    }
    let other_key = Uuid::new_v4().to_string();
    send_form(&app, "/ui/demo", &[("key", &other_key)]).await;
    let listed = app.get("/v1/expenses?limit=200").await;
    let decisions = listed.body["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 80);
    let n_denied = |decisions: &[serde_json::Value]| {
        decisions
            .iter()
            .filter(|decision| decision["outcome"] == "denied")
            .count()
    };
    // Each run has employees of its own, who have not used up their caps.
    assert_eq!(n_denied(&decisions[..40]), n_denied(&decisions[40..]));
}

#[tokio::test]
async fn a_demo_that_takes_longer_than_a_request_may_goes_on_in_the_background() {
    let slow = ModelConfig::Offline {
        faults: vec!["slow:1".parse().unwrap()],
        fault_seed: 1,
    };
    let app = TestApp::with(Config {
        model: slow,
        http: HttpConfig {
            deadline: Duration::from_secs(1),
            ..http_config()
        },
        ..config()
    })
    .await;
    let response = send_form(&app, "/ui/demo", &[]).await;
    assert_eq!(response.status(), 303);
    let n_answered = ids(&view(&app, "/ui/decisions").await).len();
    assert!(
        n_answered < 40,
        "{n_answered} were decided within the request"
    );
    until(Duration::from_secs(30), "a further one", async || {
        let n_decided = ids(&view(&app, "/ui/decisions").await).len();
        if n_decided > n_answered {
            Ok(())
        } else {
            Err(n_decided)
        }
    })
    .await;
}

#[tokio::test]
async fn a_model_without_faults_comes_with_a_hint_how_to_see_failures() {
    let hint = "--model-fault misclassify:0.12";
    let app = TestApp::spawn().await;
    assert!(view(&app, "/ui/").await.contains(hint));
    let with_faults = TestApp::with(Config {
        model: ModelConfig::Offline {
            faults: vec!["misclassify:0.12".parse().unwrap()],
            fault_seed: 1,
        },
        ..config()
    })
    .await;
    assert!(!view(&with_faults, "/ui/").await.contains(hint));
}

#[tokio::test]
async fn the_policies_are_shown_in_words_with_version_dates_and_hash() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/policies").await;
    let listed = app.get("/v1/policies").await;
    for policy in listed.body["policies"].as_array().unwrap() {
        for field in ["category", "version", "hash", "effective_from"] {
            assert!(html.contains(policy[field].as_str().unwrap()), "{field}");
        }
        for rule in policy["rules"].as_array().unwrap() {
            let id = rule["id"].as_str().unwrap();
            assert!(html.contains(&format!("<tr id=\"{id}\">")), "{id}");
            assert!(html.contains(rule["text"].as_str().unwrap()), "{id}");
        }
    }
    assert!(html.contains("for one trip"), "{html}");
}

#[tokio::test]
async fn a_later_version_of_a_policy_is_shown_apart_from_the_one_in_force() {
    let folder = tempfile::tempdir().unwrap();
    policy_folder::copy_shipped(folder.path());
    let travel = std::fs::read_to_string(folder.path().join("travel.toml")).unwrap();
    let later = travel
        .replace("version = \"1\"", "version = \"next\"")
        .replace("2010-01-01", "2999-01-01");
    std::fs::write(folder.path().join("travel-next.toml"), later).unwrap();
    let app = TestApp::with(Config {
        policies: folder.path().to_owned(),
        ..config()
    })
    .await;
    let html = view(&app, "/ui/policies").await;
    assert!(
        html.contains("<summary>Version next, from 2999-01-01</summary>"),
        "{html}"
    );
    assert_eq!(html.matches("<tr id=\"travel-trip-cap\">").count(), 1);
    let list = view(&app, "/ui/decisions").await;
    let choice = "<option value=\"travel-trip-cap\">";
    assert_eq!(list.matches(choice).count(), 1, "{list}");
}
