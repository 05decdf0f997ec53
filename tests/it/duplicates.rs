//! The same purchase submitted twice: the score of two similar expenses, and which earlier decisions
//! a new decision lists as duplicates.

use expense_agent::domain::expense::Expense;
use expense_agent::domain::facts::Facts;
use expense_agent::domain::money::Currency;
use expense_agent::domain::receipt::Receipt;
use expense_agent::policy::duplicate::similarity;
use jiff::civil::{Date, date};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::store::on_each_store;
use crate::policy::dec;

const DAY: Date = date(2026, 3, 14);

fn expense(transaction: &str, merchant: Option<&str>, day: Date) -> Expense {
    Expense {
        transaction: transaction.to_owned(),
        amount: dec("45.00"),
        currency: Currency::USD,
        merchant: merchant.map(str::to_owned),
        mcc: None,
        category_hint: None,
        date: day,
        trip_id: None,
        receipt: Receipt::Attached,
        facts: Facts::default(),
        user_id: "ana".to_owned(),
        refunds: None,
        plan: false,
        under: None,
    }
}

#[test]
fn the_score_of_two_expenses_grows_with_what_they_have_in_common() {
    let cabs = Some("City Cabs");
    let next_day = date(2026, 3, 15);
    for (transaction, merchant, day, score) in [
        ("Taxi to the client", cabs, DAY, Some("1.0")),
        ("TAXI to the client!", Some("CITY CABS."), DAY, Some("1.0")),
        ("Ride", cabs, DAY, Some("0.8")),
        ("Taxi to the client", None, DAY, Some("0.8")),
        ("Taxi to the client", Some("Yellow Cabs"), DAY, Some("0.8")),
        ("Taxi to the client", cabs, next_day, Some("0.8")),
        ("Taxi to the client", cabs, date(2026, 3, 13), Some("0.8")),
        ("Ride", cabs, next_day, Some("0.6")),
        ("Taxi to the client", None, next_day, None),
        ("Ride", None, DAY, None),
        ("Ride", Some("Yellow Cabs"), DAY, None),
        ("Taxi to the client", cabs, date(2026, 3, 16), None),
    ] {
        let (first, second) = (
            expense("Taxi to the client", cabs, DAY),
            expense(transaction, merchant, day),
        );
        let shown = similarity(&first, &second).map(|score| score.to_string());
        assert_eq!(shown.as_deref(), score, "{transaction} {merchant:?} {day}");
        assert_eq!(similarity(&first, &second), similarity(&second, &first));
    }
}

#[test]
fn without_merchants_the_same_words_of_one_day_are_one_purchase() {
    let first = expense("Lunch", None, DAY);
    assert_eq!(
        similarity(&first, &expense("lunch", None, DAY)),
        Some(Decimal::ONE)
    );
    assert_eq!(similarity(&first, &expense("Dinner", None, DAY)), None);
    assert_eq!(
        similarity(&first, &expense("Lunch", None, date(2026, 3, 15))),
        None
    );
    // Texts of punctuation alone have no words, and are compared as they are.
    assert_eq!(
        similarity(&expense("?!", None, DAY), &expense("!!", None, DAY)),
        None
    );
    assert_eq!(
        similarity(&expense("?!", None, DAY), &expense("?!", None, DAY)),
        Some(Decimal::ONE)
    );
}

#[test]
fn another_amount_or_currency_is_another_purchase() {
    let first = expense("Lunch", None, DAY);
    assert_eq!(
        similarity(
            &first,
            &Expense {
                amount: dec("45.01"),
                ..first.clone()
            }
        ),
        None
    );
    assert_eq!(
        similarity(
            &first,
            &Expense {
                currency: "CAD".parse().unwrap(),
                ..first.clone()
            }
        ),
        None
    );
}

fn taxi() -> Value {
    json!({
        "transaction": "Taxi to the client",
        "amount": "45.00",
        "merchant": "City Cabs",
        "date": "2026-03-14",
        "user_id": "ana",
    })
}

fn with(key: &str, value: &str) -> Value {
    let mut body = taxi();
    body[key] = value.into();
    body
}

#[tokio::test]
async fn a_purchase_submitted_twice_is_noted_and_not_blocked() {
    let app = TestApp::spawn().await;
    let first = app.decide(taxi()).await;
    assert_eq!(first["duplicates"], json!([]));
    let next_day = app.decide(with("date", "2026-03-15")).await;
    assert_eq!(
        next_day["duplicates"],
        json!([{"id": first["id"], "score": "0.8"}])
    );
    let again = app.decide(taxi()).await;
    assert_eq!(
        (&again["outcome"], &again["agent_outcome"]),
        (&json!("approved"), &json!("success"))
    );
    let noted =
        json!([{"id": first["id"], "score": "1.0"}, {"id": next_day["id"], "score": "0.8"}]);
    assert_eq!(again["duplicates"], noted);
    assert_eq!(app.read(&again).await, again);
}

#[tokio::test]
async fn another_employee_tenant_amount_or_week_is_another_purchase() {
    let app = TestApp::spawn().await;
    app.decide(taxi()).await;
    for body in [
        with("user_id", "ben"),
        with("amount", "45.01"),
        with("currency", "CAD"),
        with("date", "2026-03-21"),
    ] {
        assert_eq!(
            app.decide(body.clone()).await["duplicates"],
            json!([]),
            "{body}"
        );
    }
    let elsewhere = app
        .post_with(taxi(), &[("baggage", "tenant.id=zeta")])
        .await;
    assert_eq!(elsewhere.body["duplicates"], json!([]));
}

#[tokio::test]
async fn a_denied_or_reviewed_expense_can_be_submitted_again() {
    let app = TestApp::spawn().await;
    let denied = with("amount", "650.00");
    assert_eq!(app.decide(denied.clone()).await["outcome"], "denied");
    assert_eq!(app.decide(denied).await["duplicates"], json!([]));
    let conflict = with("mcc", "5812");
    assert_eq!(app.decide(conflict).await["outcome"], "needs_review");
    assert_eq!(app.decide(taxi()).await["duplicates"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_concurrent_duplicates_finds_those_before_it() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let decisions = futures_util::future::join_all((0..8).map(|_| app.decide(taxi()))).await;
        let mut n_noted: Vec<usize> = decisions
            .iter()
            .map(|decision| decision["duplicates"].as_array().unwrap().len())
            .collect();
        n_noted.sort_unstable();
        assert_eq!(n_noted, [0, 1, 2, 3, 4, 5, 6, 7]);
    })
    .await;
}
