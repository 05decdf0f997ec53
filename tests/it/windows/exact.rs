//! What is used of every window is what the decisions say, in any course of events, also when requests
//! compete for the rest of a cap.

use expense_agent::config::Config;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{app_with, cap, cap_of, toner};
use crate::harness::expenses::{DAY, meal, of_user};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, policies_with};
use crate::policy::MEALS;
use crate::respelling::write_earlier_ledger;

/// The windows of days, and two days in each.
const WINDOWS: [(&str, [&str; 2]); 8] = [
    ("per = \"week\"", ["2026-03-09", "2026-03-15"]),
    ("per = \"month\"", ["2026-03-01", "2026-03-31"]),
    ("per = \"quarter\"", ["2026-01-01", "2026-03-31"]),
    (
        "per = \"year\"\nbegins = \"04-06\"",
        ["2025-04-06", "2026-04-05"],
    ),
    (
        "per = \"month\"\nover = \"all\"",
        ["2026-03-01", "2026-03-31"],
    ),
    (
        "per = \"day\"\nby = \"recipient\"",
        ["2026-03-14", "2026-03-14"],
    ),
    (
        "per = \"month\"\nby = \"project\"",
        ["2026-03-01", "2026-03-31"],
    ),
    (
        "per = \"year\"\nby = \"department\"\nover = \"all\"",
        ["2026-01-01", "2026-12-31"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_competing_requests_as_many_are_approved_as_fit_into_the_window() {
    on_each_store(async |store| {
        for (n, (keys, days)) in WINDOWS.into_iter().enumerate() {
            let rules = cap("window", keys, "100.00");
            let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
            let is_keyed = keys.contains("by =");
            let requests = (0..16).map(|m: usize| {
                // A key adds up what two people spend, every other window what one does.
                let user_id = format!("ana-{n}-{}", if is_keyed { m % 2 } else { 0 });
                let mut body = of_user(toner("30.00", days[m % 2]), &user_id);
                for fact in ["recipient", "project", "department"] {
                    body[fact] = format!("key {n}").into();
                }
                app.decide(body)
            });
            let decisions = join_all(requests).await;
            let mut used: Vec<&str> = decisions
                .iter()
                .filter(|decision| decision["outcome"] == "approved")
                .map(|decision| cap_of(decision, "window")["used"].as_str().unwrap())
                .collect();
            used.sort_unstable();
            assert_eq!(used, ["0.00", "30.00", "60.00"], "{keys}");
            assert!(
                decisions
                    .iter()
                    .all(|decision| decision["override"] == Value::Bool(false))
            );
            app.stop().await;
        }
    })
    .await;
}

/// What a ledger of version 0.1.0 holds is in its rows of days, so that windows which that version did
/// not know count it.
#[tokio::test]
async fn what_an_earlier_version_recorded_counts_in_every_window() {
    on_each_store(async |store| {
        write_earlier_ledger(&store).await;
        let rules: String = WINDOWS
            .iter()
            .filter(|(keys, _)| !keys.contains("by ="))
            .enumerate()
            .map(|(n, (keys, _))| cap(&format!("window-{n}"), keys, "9000.00"))
            .collect();
        let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
        let probe = app.decide(of_user(toner("9500.00", DAY), "ANA")).await;
        let used: Vec<&Value> = (0..5)
            .map(|n| &cap_of(&probe, &format!("window-{n}"))["used"])
            .collect();
        // 1000.00 of office, and 200.00 of travel.
        assert_eq!(
            used,
            ["1000.00", "1000.00", "1000.00", "1000.00", "1200.00"]
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_trip_counts_over_all_categories() {
    on_each_store(async |store| {
        let rules = cap("trip", "per = \"trip\"\nover = \"all\"", "100.00");
        let (app, _folder) = app_with("office.toml", &rules, &store.store).await;
        let on_trip = |mut expense: Value, trip_id: &str| {
            expense["trip_id"] = trip_id.into();
            expense
        };
        for (expense, trip_id, outcome, used) in [
            (meal("40.00"), "Oslo 1", "approved", Value::Null),
            (toner("60.01", DAY), "Oslo 1", "denied", json!("40.00")),
            (toner("60.00", DAY), "Oslo 1", "approved", json!("40.00")),
            (toner("0.01", DAY), "Oslo 1", "denied", json!("100.00")),
            (toner("100.00", DAY), "Oslo 2", "approved", json!("0.00")),
        ] {
            let decision = app.decide(on_trip(expense, trip_id)).await;
            assert_eq!(decision["outcome"], outcome, "{decision:#}");
            if !used.is_null() {
                assert_eq!(cap_of(&decision, "trip")["used"], used);
            }
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn two_caps_on_one_counter_see_the_same_use() {
    let caps = [("low", "100.00"), ("high", "200.00")];
    let rules: String = caps
        .iter()
        .map(|(id, max)| cap(id, "per = \"month\"", max))
        .collect();
    let (app, _folder) = app_with("office.toml", &rules, &config().store).await;
    app.decide(toner("60.00", DAY)).await;
    let second = app.decide(toner("40.00", DAY)).await;
    assert_eq!(second["outcome"], "approved");
    for rule in ["low", "high"] {
        assert_eq!(cap_of(&second, rule)["used"], "60.00");
    }
}

#[tokio::test]
async fn a_cap_counts_over_hundreds_of_categories() {
    on_each_store(async |store| {
        let rules = cap("all", "per = \"month\"\nover = \"all\"", "100.00")
            + cap("quarter", "per = \"quarter\"\nover = \"all\"", "100.00").as_str();
        let folder = policies_with("office.toml", &rules);
        for n in 0..300 {
            let text = MEALS
                .replace("meals", &format!("more-{n}"))
                .replace("[\"5812\"]", "[]")
                .replace("[\"diner\"]", "[]")
                .replace("2026-01-01", "2010-01-01");
            std::fs::write(folder.path().join(format!("more-{n}.toml")), text).unwrap();
        }
        let app = TestApp::with(Config {
            policies: folder.path().to_owned(),
            store: store.store.clone(),
            ..config()
        })
        .await;
        app.decide(meal("40.00")).await;
        let second = app.decide(toner("60.01", DAY)).await;
        assert_eq!(second["outcome"], "denied");
        for rule in ["all", "quarter"] {
            assert_eq!(cap_of(&second, rule)["used"], "40.00", "{second:#}");
        }
        app.stop().await;
    })
    .await;
}
