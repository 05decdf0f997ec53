//! Expenses that written policies forbid and that caps, approvals and receipts alone let pass. Each is
//! handed in to a service with an example policy that has the rule, and gets what a careful finance
//! person would give: who decides, what is missing, and how much could be paid.

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{TestApp, config};
use crate::policy_tools::example;

/// A service with an example policy on one day, and the folder that it reads.
async fn app_with(name: &str) -> (TestApp, TempDir) {
    let folder = example(name);
    let clock = Clock::fixed("2026-03-14T09:30:00Z".parse().unwrap());
    let config = Config {
        policies: folder.path().to_owned(),
        ..config()
    };
    (TestApp::with_clock(clock, config).await, folder)
}

/// What an expense gets: outcome, category, approver, what is missing, the rules that say so, and how
/// much could be paid.
fn verdict(decision: &Value) -> Value {
    let findings = decision["findings"].as_array().unwrap();
    let rules: Vec<&Value> = findings.iter().map(|finding| &finding["rule"]).collect();
    json!([
        decision["outcome"],
        decision["category"],
        decision["approver"],
        decision["missing"],
        rules,
        decision["reimbursable"],
    ])
}

/// Checks the verdict on an expense that is handed in alone.
async fn assert_verdict(name: &str, expense: Value, expected: Value) {
    let (app, _folder) = app_with(name).await;
    let decision = app.decide(expense).await;
    assert_eq!(verdict(&decision), expected, "{decision:#}");
}

#[tokio::test]
async fn more_than_the_rate_of_a_kilometre_is_denied() {
    let expense = json!({
        "transaction": "Own car to a customer", "amount": "90.00", "currency": "EUR",
        "distance": "200", "distance_unit": "km", "purpose": "Repair",
    });
    let expected = json!(["denied", "own_car", null, [], ["own-car-km"], "60.00"]);
    assert_verdict("german-travel", expense, expected).await;
}

#[tokio::test]
async fn business_class_asks_a_director() {
    let expense = json!({
        "transaction": "Flight to Chicago", "amount": "640.00", "class": "business", "receipt": true,
    });
    let rules = ["flights-class"];
    let expected = json!(["needs_approval", "flights", "director", [], rules, "640.00"]);
    assert_verdict("small-company", expense, expected).await;
}

#[tokio::test]
async fn a_client_dinner_that_names_nobody_is_asked_about() {
    let expense = json!({
        "transaction": "Client dinner", "merchant": "Trattoria Nonna", "amount": "280.00",
        "currency": "EUR", "project": "P-100", "receipt": "itemized",
    });
    let missing = ["attendees", "purpose"];
    let rules = ["client-meals-facts", "client-meals-head"];
    let expected = json!([
        "needs_approval",
        "client_meals",
        "manager",
        missing,
        rules,
        "280.00"
    ]);
    assert_verdict("consulting", expense, expected).await;
}

#[tokio::test]
async fn a_second_team_event_in_a_quarter_is_denied_above_what_the_first_left() {
    let (app, _folder) = app_with("consulting").await;
    let event = |user: &str, date: &str| {
        json!({
            "transaction": "Team event", "amount": "900.00", "currency": "EUR", "receipt": true,
            "department": "Data", "user_id": user, "date": date,
        })
    };
    let first = app.decide(event("ana", "2026-01-20")).await;
    let asked = json!([
        "needs_approval",
        "internal",
        "manager",
        [],
        ["internal-large"],
        "900.00"
    ]);
    assert_eq!(verdict(&first), asked, "{first:#}");
    // Another person hands it in, but for the same department.
    let second = app.decide(event("ben", "2026-03-10")).await;
    let rules = ["internal-quarter", "internal-large"];
    let denied = json!(["denied", "internal", null, [], rules, "300.00"]);
    assert_eq!(verdict(&second), denied, "{second:#}");
}

#[tokio::test]
async fn a_second_gift_to_one_client_in_a_year_is_denied_above_what_the_first_left() {
    let (app, _folder) = app_with("small-company").await;
    let gift = |user: &str, recipient: &str, date: &str| {
        json!({
            "transaction": "Gift for a client", "amount": "35.00", "recipient": recipient,
            "purpose": "Ten years together", "receipt": true, "user_id": user, "date": date,
        })
    };
    let first = app.decide(gift("ana", "Ada Example", "2026-02-01")).await;
    assert_eq!(first["outcome"], "approved", "{first:#}");
    // Another person gives it, and writes the name of the client in another way.
    let second = app.decide(gift("ben", "ADA EXAMPLE", "2026-03-14")).await;
    let denied = json!(["denied", "gifts", null, [], ["gifts-recipient"], "15.00"]);
    assert_eq!(verdict(&second), denied, "{second:#}");
}

#[tokio::test]
async fn wine_with_a_dinner_alone_is_denied() {
    let expense = json!({
        "transaction": "Dinner and a glass of wine", "merchant": "Trattoria Nonna", "amount": "38.00",
        "receipt": true,
    });
    let expected = json!(["denied", "meals", null, [], ["meals-alcohol"], "0.00"]);
    assert_verdict("small-company", expense, expected).await;
}

#[tokio::test]
async fn a_taxi_to_the_office_is_denied() {
    let expense = json!({"transaction": "Taxi to the office", "amount": "18.00"});
    let expected = json!(["denied", "travel", null, [], ["travel-commute"], "0.00"]);
    assert_verdict("small-company", expense, expected).await;
}

#[tokio::test]
async fn one_taxi_that_is_handed_in_twice_asks_a_manager() {
    let (app, _folder) = app_with("small-company").await;
    let taxi = |transaction: &str| {
        json!({
            "transaction": transaction, "merchant": "City Taxi", "amount": "23.40", "user_id": "ana",
        })
    };
    let first = app.decide(taxi("Taxi to the station")).await;
    assert_eq!(first["outcome"], "approved", "{first:#}");
    // The app and the card statement name the same ride in different words.
    let second = app.decide(taxi("Cab ride")).await;
    let asked = json!([
        "needs_approval",
        "travel",
        "manager",
        [],
        ["handed-in-twice"],
        "23.40"
    ]);
    assert_eq!(verdict(&second), asked, "{second:#}");
}

#[tokio::test]
async fn a_hotel_above_the_limit_of_the_city_is_denied() {
    let expense = json!({
        "transaction": "Two nights", "merchant": "Hotel Example", "amount": "640.00",
        "place": "London", "nights": 2, "receipt": "itemized",
    });
    let expected = json!([
        "denied",
        "lodging",
        null,
        [],
        ["lodging-night-city"],
        "560.00"
    ]);
    assert_verdict("small-company", expense, expected).await;
}
