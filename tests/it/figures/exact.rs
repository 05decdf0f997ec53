//! Each figure is the size of the list that it links to, and decisions that lists leave out, or that no
//! chain holds, are in none.

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::domain::figures::{Figures, Series, TimeRange};
use expense_agent::domain::ruling::Outcome;
use expense_agent::domain::step::Step;
use expense_agent::ledger::search::{Content, Search};
use expense_agent::ledger::{Filter, Ledger, PageRequest};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;
use strum::VariantNames;

use super::counted;
use crate::harness::expenses::{expense, flight, laptop, meal, numbered_ride, path_of, ride};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, config};

/// Decisions of every outcome, some with failures and overrides, some of them resolved.
async fn decide_and_resolve(store: &TestStore) {
    let keys = KeyFile::new(&[
        entry("feed", "default", "ea_feed", ""),
        entry("cfo", "default", "ea_cfo", "roles = [\"manager\", \"cfo\"]"),
    ]);
    let config = Config {
        http: keys.http_config(),
        store: store.store.clone(),
        model: ModelConfig::Offline {
            faults: vec![
                "approve_everything:0.4".parse().unwrap(),
                "misclassify:0.3".parse().unwrap(),
            ],
            fault_seed: 5,
        },
        ..config()
    };
    let app = TestApp::with(config).await;
    let mut euros = ride();
    euros["currency"] = json!("EUR");
    let bodies = [flight(), meal("10.00"), ride(), laptop("900.00"), euros];
    for (n, body) in bodies.iter().cycle().take(30).enumerate() {
        let reply = app.post_as("ea_feed", body.clone()).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        let decision = reply.body;
        if decision["outcome"] == "approved" && n % 4 == 0 {
            let mut credit = expense("Part of it came back", "-2.00");
            credit["refunds"] = decision["id"].clone();
            credit["currency"] = decision["currency"].clone();
            assert_eq!(app.post_as("ea_feed", credit).await.status, 201);
        }
        let action = ["approve", "deny", "withdraw", "approve"][n % 4];
        let resolution = json!({
            "action": action,
            "role": "cfo",
            "actor": "dora",
            "reason": "Agreed",
        });
        if decision["outcome"].as_str().unwrap().starts_with("needs") && n % 5 != 1 {
            // Some of these the policy does not allow; they stay open.
            app.resolve("ea_cfo", &decision, resolution).await;
        }
    }
    app.stop().await;
}

/// The size of a list that begins with a series.
async fn size(ledger: &Ledger, series: &Series, filter: Filter, content: Content) -> i64 {
    let search = Search {
        filter: Filter {
            received_from: Some(series.from()),
            ..filter
        },
        content,
    };
    let page = PageRequest {
        after: None,
        limit: 200,
    };
    let found = ledger.search("default", None, &search, page).await.unwrap();
    assert_eq!(found.next, None);
    found.decisions.len().try_into().unwrap()
}

#[tokio::test]
async fn every_figure_is_the_size_of_the_list_that_it_links_to() {
    on_each_store(async |store| {
        decide_and_resolve(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let series = counted(&ledger, "default").await;
        let total = &series.total;
        for outcome in Outcome::VARIANTS {
            let outcome = outcome.parse().unwrap();
            let filter = Filter {
                outcome: Some(outcome),
                ..Filter::default()
            };
            let n = size(&ledger, &series, filter, Content::default()).await;
            assert_eq!(total.n_of(outcome), n, "{outcome}");
            assert!(n > 0, "{outcome}");
        }
        type Set = fn(&mut Content);
        let figures: [(&str, i64, Set); 7] = [
            ("failed", total.n_failed, |content| {
                content.has_failed_check = Some(true)
            }),
            ("override", total.n_overrides, |content| {
                content.is_override = Some(true)
            }),
            ("resolved", total.n_resolved, |content| {
                content.is_resolved = Some(true)
            }),
            ("judged", total.n_judged, |content| {
                content.is_judged = Some(true)
            }),
            ("overturned", total.n_overturned, |content| {
                content.is_overturned = Some(true)
            }),
            ("paid", total.n_paid, |content| content.is_paid = Some(true)),
            (
                "classified",
                total.durations[&Step::Classify].len(),
                |content| {
                    content.timed_step = Some("classify".to_owned());
                },
            ),
        ];
        for (name, figure, set) in figures {
            let mut content = Content::default();
            set(&mut content);
            assert_eq!(
                figure,
                size(&ledger, &series, Filter::default(), content).await,
                "{name}"
            );
            assert!(figure > 0, "no decision is counted as {name}");
        }
        assert!(
            total.n_judged < total.n_resolved,
            "a withdrawal judges nothing"
        );
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_paid_is_what_was_approved_less_what_came_back() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let bought = app.decide(ride()).await;
        let mut credit = expense("Half of it came back", "-22.50");
        credit["refunds"] = bought["id"].clone();
        app.decide(credit).await;
        app.decide(flight()).await;
        app.decide(laptop("900.00")).await;
        app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let paid = counted(&ledger, "default").await.total.paid;
        assert_eq!(paid.len(), 1);
        assert_eq!(paid["USD"], "22.50".parse::<Decimal>().unwrap());
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn decisions_from_before_the_chain_are_in_no_figure_even_when_they_are_superseded() {
    on_each_store(async |store| {
        let outage = Config {
            store: store.store.clone(),
            model: ModelConfig::Offline {
                faults: vec!["unavailable:1".parse().unwrap()],
                fault_seed: 1,
            },
            ..config()
        };
        let app = TestApp::with(outage).await;
        let old = app.decide(laptop("900.00")).await;
        app.stop().await;
        store
            .execute("DELETE FROM chain; DELETE FROM chain_head")
            .await;
        let app = TestApp::on(&store).await;
        app.decide(numbered_ride(1)).await;
        let mut anew = laptop("900.00");
        anew["supersedes"] = old["id"].clone();
        app.decide(anew).await;
        assert!(!app.get(&path_of(&old)).await.body["superseded_by"].is_null());
        app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let total = counted(&ledger, "default").await.total;
        assert_eq!(total.n_decisions(), 2);
        assert!(total.outcomes.values().all(|n| *n > 0), "{total:?}");
        ledger.close().await;
    })
    .await;
}

#[test]
fn the_time_of_a_new_decision_takes_the_place_of_that_of_the_superseded_one() {
    let took = |micros: &str| -> Figures {
        let durations = json!({ "classify": { micros: 1 } });
        serde_json::from_value(json!({ "durations": durations })).unwrap()
    };
    // Both decisions are of one hour, and the old one was counted in an earlier page.
    let mut page = took("1024");
    page.subtract(&took("2048"));
    let mut hour = took("2048");
    hour.add(&page);
    assert_eq!(hour, took("1024"));
    hour.subtract(&took("1024"));
    assert_eq!(hour, Figures::default());
}

#[test]
fn a_time_range_begins_with_a_whole_hour_or_day_and_holds_what_was_received_in_it() {
    let now: Timestamp = "2026-03-14T09:26:53Z".parse().unwrap();
    let begins = |range| {
        let series = Series::new(range, now);
        let last = series.begins().last().unwrap();
        (
            series.from().to_string(),
            series.parts.len(),
            last.to_string(),
        )
    };
    let expected = |from: &str, n_parts, last: &str| (from.to_owned(), n_parts, last.to_owned());
    let hours = expected("2026-03-13T10:00:00Z", 24, "2026-03-14T09:00:00Z");
    assert_eq!(begins(TimeRange::Day), hours);
    let days = expected("2026-03-08T00:00:00Z", 7, "2026-03-14T00:00:00Z");
    assert_eq!(begins(TimeRange::Week), days);
    let days = expected("2026-02-13T00:00:00Z", 30, "2026-03-14T00:00:00Z");
    assert_eq!(begins(TimeRange::Month), days);

    let one = Figures {
        n_failed: 1,
        ..Figures::default()
    };
    let mut series = Series::new(TimeRange::Day, now);
    let first = series.first_hour;
    for hour in [first - 1, first, first + 23, first + 30] {
        series.add(hour, &one);
    }
    let n_failed: Vec<i64> = series
        .parts
        .iter()
        .map(|figures| figures.n_failed)
        .collect();
    assert_eq!(
        (n_failed[0], n_failed[23], series.total.n_failed),
        (1, 2, 3)
    );
}
