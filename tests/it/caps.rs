//! The field `caps` of a decision: every cap of the policy, and what was used of it before the
//! expense. How caps are enforced is tested in `policy` and `ledger`.

use expense_agent::config::Config;
use futures_util::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::expenses::{expense, meal, of_user};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::{advice, category};
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, policies_with};

fn cap(rule: &str, window: &str, key: impl Into<Value>, limit: &str, used: &str) -> Value {
    json!({"rule": rule, "window": window, "window_key": key.into(), "limit": limit, "used": used})
}

fn on_trip(mut expense: Value, trip_id: &str) -> Value {
    expense["trip_id"] = trip_id.into();
    expense
}

#[tokio::test]
async fn each_cap_is_shown_with_what_was_used_before_the_expense() {
    let rules = "[[rule]]\nid = \"travel-expense-cap\"\nkind = \"cap\"\nper = \"expense\"\nmax = \"2000.00\"\n\
                 text = \"One expense costs at most 2000.\"\n\
                 [[rule]]\nid = \"travel-year-cap\"\nkind = \"cap\"\nper = \"year\"\nmax = \"9000.00\"\n\
                 text = \"A year costs at most 9000.\"\n";
    let policies = policies_with("travel.toml", rules);
    let app = TestApp::with(Config {
        policies: policies.path().to_owned(),
        ..config()
    })
    .await;
    let flight = |amount| expense("Flight to Chicago", amount);
    let caps = |trip: Value, of_trip: &str, of_year: &str| {
        json!([
            cap("travel-trip-cap", "trip", trip, "500.00", of_trip),
            cap(
                "travel-expense-cap",
                "expense",
                Value::Null,
                "2000.00",
                "0.00"
            ),
            cap("travel-year-cap", "year", "2026", "9000.00", of_year),
        ])
    };
    for (body, outcome, expected) in [
        (
            flight("100.00"),
            "approved",
            caps(Value::Null, "0.00", "0.00"),
        ),
        (
            on_trip(flight("200.00"), "Chicago 1"),
            "approved",
            caps("Chicago 1".into(), "0.00", "100.00"),
        ),
        (
            on_trip(flight("310.00"), "Chicago 1"),
            "denied",
            caps("Chicago 1".into(), "200.00", "300.00"),
        ),
        (
            flight("50.00"),
            "approved",
            caps(Value::Null, "0.00", "300.00"),
        ),
    ] {
        let decision = app.decide(body).await;
        assert_eq!(decision["outcome"], outcome, "{decision}");
        assert_eq!(decision["caps"], expected);
        assert_eq!(app.read(&decision).await["caps"], expected);
    }
}

#[tokio::test]
async fn what_was_used_is_in_the_currency_of_the_policy() {
    let app = TestApp::spawn().await;
    let mut in_euro = meal("20.00");
    in_euro["currency"] = "EUR".into();
    let first = app.decide(in_euro).await;
    let second = app.decide(meal("10.00")).await;
    assert_eq!(
        second["caps"][0]["used"],
        first["converted_amount"]["amount"]
    );
}

/// Shares that were taken at the same time follow each other without a gap: each begins where the one
/// before it ended, although all verdicts may have been computed before the first share was taken.
#[tokio::test]
async fn expenses_at_the_same_time_see_each_others_shares() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let decisions = join_all((0..12).map(|_| app.decide(meal("5.00")))).await;
        let amount: Decimal = "5.00".parse().unwrap();
        let mut used: Vec<Decimal> = decisions
            .iter()
            .filter(|decision| decision["outcome"] == "approved")
            .map(|decision| {
                decision["caps"][0]["used"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        used.sort();
        let expected: Vec<Decimal> = (0..12).map(|n| amount * Decimal::from(n)).collect();
        assert_eq!(used, expected);
    })
    .await;
}

#[tokio::test]
async fn without_a_policy_that_judged_the_expense_there_are_no_caps() {
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with_openai(&fake).await;

    fake.always(Reply::status(500));
    let unanswered = app.decide(of_user(meal("20.00"), "ben")).await;
    assert_eq!(unanswered["caps"], json!([]));

    fake.script([category("meals"), advice("approved", "meals-day-cap")]);
    let purchase = app.decide(meal("20.00")).await;
    assert_eq!(purchase["outcome"], "approved");
    let mut credit = expense("Refund of the lunch", "-5.00");
    credit["refunds"] = purchase["id"].clone();
    assert_eq!(app.decide(credit).await["caps"], json!([]));
}
