//! The list: its rows, its filters, and its pages.

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::Value;

use super::{attributes, ids, normalised, view};
use crate::harness::expenses::{flight, id_of, laptop, meal, of_user, ride};
use crate::harness::{TestApp, assert_golden, config};

/// A service whose model takes every expense for one of another category.
async fn with_misclassifications() -> TestApp {
    let clock = Clock::fixed("2026-03-15T09:30:00Z".parse().unwrap());
    let faults = vec!["misclassify:1".parse().unwrap()];
    let config = Config {
        model: ModelConfig::Offline {
            faults,
            fault_seed: 1,
        },
        ..config()
    };
    TestApp::with_clock(clock, config).await
}

#[tokio::test]
async fn a_row_shows_outcome_amount_and_what_a_decision_waits_for() {
    let clock = Clock::fixed("2026-03-15T09:30:00Z".parse().unwrap());
    let app = TestApp::with_clock(clock, config()).await;
    for expense in [ride(), flight(), laptop("900.00")] {
        app.decide(expense).await;
    }
    assert_golden("page_list", &normalised(&view(&app, "/ui/decisions").await));
}

#[tokio::test]
async fn a_check_that_failed_for_good_makes_its_row_red_and_is_named() {
    let app = with_misclassifications().await;
    app.decide(meal("20.00")).await;
    let html = view(&app, "/ui/decisions").await;
    assert!(html.contains("<tr class=\"failed\""), "{html}");
    assert!(html.contains("failed: category evidence"), "{html}");
}

#[tokio::test]
async fn each_filter_shows_what_the_api_lists() {
    let app = TestApp::spawn().await;
    for expense in [
        ride(),
        flight(),
        laptop("900.00"),
        meal("90.00"),
        meal("20.00"),
    ] {
        app.decide(expense).await;
    }
    app.decide(of_user(ride(), "ben")).await;
    for query in [
        "",
        "outcome=denied",
        "outcome=needs_approval",
        "category=travel",
        "category=travel&outcome=approved",
        "user_id=ben",
        "user_id=BEN",
        "failed_validation=category_evidence",
        "pending=manager",
        "limit=2",
    ] {
        let listed = app.get(&format!("/v1/expenses?{query}")).await;
        let listed = listed.body["decisions"].as_array().unwrap().clone();
        let listed: Vec<&str> = listed.iter().map(id_of).collect();
        let shown = ids(&view(&app, &format!("/ui/decisions?{query}")).await);
        assert_eq!(shown, listed, "{query}");
    }
}

#[tokio::test]
async fn the_filters_of_the_url_are_in_the_form_and_in_every_link_of_the_list() {
    let app = TestApp::spawn().await;
    for _ in 0..3 {
        app.decide(ride()).await;
    }
    let query = "category=travel&user_id=ana";
    let html = view(&app, &format!("/ui/decisions?{query}&limit=2")).await;
    assert!(html.contains("<option value=\"travel\" selected>"));
    assert!(html.contains("name=\"user_id\" value=\"ana\""));
    let links = attributes(&html, "href");
    let is_of_list = |link: &&String| {
        [
            "/ui/decisions?cursor",
            "/ui/decisions.csv",
            "/ui/decisions.ndjson",
        ]
        .iter()
        .any(|path| link.starts_with(path))
            || link.contains("cursor=")
    };
    let of_list: Vec<_> = links.iter().filter(is_of_list).collect();
    assert_eq!(of_list.len(), 3, "{links:#?}");
    let live = attributes(&html, "data-live");
    for link in of_list.into_iter().chain(&live) {
        assert!(link.contains(query), "{link}");
    }
    assert!(links.contains(&"/ui/decisions?user_id=ana".to_owned()));
}

#[tokio::test]
async fn a_filter_that_only_a_link_sets_is_named_and_stays_when_the_form_is_sent() {
    let app = TestApp::spawn().await;
    for (filter, value, shown) in [
        ("judged", "true", "Approved or denied by a person"),
        ("overturned", "true", "Overturned"),
        ("paid", "true", "Paid"),
        ("priced", "true", "Known model cost"),
        ("timed_step", "classify", "Known time of"),
    ] {
        let html = view(&app, &format!("/ui/decisions?{filter}={value}")).await;
        let field = format!("<input type=\"hidden\" name=\"{filter}\" value=\"{value}\">");
        assert!(html.contains(&field), "{html}");
        let chip = format!("{shown}: </span><bdi>{value}</bdi>");
        assert!(html.contains(&chip), "{html}");
    }
}

#[tokio::test]
async fn the_tenant_of_the_url_is_in_every_link_to_a_view() {
    let app = TestApp::spawn().await;
    let baggage = [("baggage", "tenant.id=acme")];
    let decision = app.post_with(ride(), &baggage).await.body;
    let html = view(&app, "/ui/decisions?tenant=acme").await;
    assert_eq!(ids(&html), [id_of(&decision)]);
    let links = attributes(&html, "href");
    let views = links
        .iter()
        .filter(|link| link.starts_with("/ui/") && !link.starts_with("/ui/assets"));
    for link in views {
        assert!(link.contains("tenant=acme"), "{link}");
    }
    assert!(ids(&view(&app, "/ui/decisions").await).is_empty());
}

#[tokio::test]
async fn the_pages_of_a_list_hold_every_decision_once_newest_first() {
    let app = TestApp::spawn().await;
    let mut decided = Vec::new();
    for _ in 0..5 {
        decided.insert(0, id_of(&app.decide(ride()).await).to_owned());
    }
    let mut shown = Vec::new();
    let mut path = Some("/ui/decisions?limit=2".to_owned());
    while let Some(next) = path {
        let html = view(&app, &next).await;
        shown.extend(ids(&html));
        let links = attributes(&html, "href");
        path = links.into_iter().find(|link| {
            link.contains("cursor=")
                && html.contains(&format!(
                    "rel=\"next\" href=\"{}\"",
                    link.replace('&', "&amp;")
                ))
        });
    }
    assert_eq!(shown, decided);
}

#[tokio::test]
async fn a_filter_that_does_not_exist_is_refused_in_words() {
    let app = TestApp::spawn().await;
    for query in [
        "colour=red",
        "outcome=fine",
        "outcome=denied&outcome=approved",
        "cursor=1",
    ] {
        let reply = app.get(&format!("/ui/decisions?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        let html = reply.body.as_str().unwrap();
        assert!(html.contains("This list cannot be shown"), "{html}");
    }
}

#[tokio::test]
async fn an_empty_parameter_is_a_filter_that_was_left_alone() {
    let app = TestApp::spawn().await;
    app.decide(ride()).await;
    let html = view(&app, "/ui/decisions?text=&outcome=&from=&until=&tenant=").await;
    assert_eq!(ids(&html).len(), 1);
    assert!(!html.contains("class=\"chips\""), "{html}");
}

#[tokio::test]
async fn the_views_are_not_traced() {
    let app = TestApp::spawn().await;
    let decision: Value = app.decide(ride()).await;
    let n_spans = app.ended_spans().len();
    for path in ["/ui/", "/ui/decisions", "/ui/policies", "/ui/nowhere"] {
        app.get(path).await;
    }
    assert_eq!(app.ended_spans().len(), n_spans, "{decision}");
}
