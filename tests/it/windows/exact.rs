//! What is used of every window is what the decisions say, in any course of events, also when requests
//! compete for the rest of a cap.

use futures_util::future::join_all;
use serde_json::Value;

use super::{app_with, cap, cap_of, toner};
use crate::harness::expenses::of_user;
use crate::harness::store::on_each_store;

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
                    body[fact] = keys.into();
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
