//! Amounts in other currencies, and the tables beside the policies: exact conversion that rounds up,
//! caps that count the converted amount, and a diagnostic for every mistake in a table.

use std::path::Path;

use expense_agent::config::Config;
use expense_agent::domain::expense::Expense;
use expense_agent::domain::facts::Facts;
use expense_agent::domain::money::{self, Currency};
use expense_agent::domain::receipt::Receipt;
use expense_agent::rulebook::prices::Prices;
use expense_agent::rulebook::rates::{ConversionError, Rates};
use jiff::civil::{Date, date};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::expenses::expense;
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::replies::{advice_because, category};
use crate::harness::{TestApp, assert_golden, config, policies_with};
use crate::policy::dec;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// A taxi ride of this amount on this day.
fn taxi(amount: &str, code: &str, day: Date) -> Expense {
    Expense {
        transaction: "Taxi".to_owned(),
        amount: dec(amount),
        currency: currency(code),
        merchant: None,
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

fn rates(text: &str) -> Rates {
    Rates::parse(Path::new("rates.toml"), text).unwrap()
}

const EUR: &str = r#"
[[rate]]
from = "EUR"
to = "USD"
effective_from = "2026-02-01"
rate = "1.2000"
source = "the bank"

[[rate]]
from = "EUR"
to = "USD"
effective_from = "2026-01-01"
rate = "1.1000"
source = "the bank"
"#;

#[test]
fn the_latest_rate_on_or_before_the_day_of_the_expense_is_used() {
    let rates = rates(EUR);
    let converted = |day: Date| rates.convert(&taxi("10.00", "EUR", day), Currency::USD);
    let (from, into) = (currency("EUR"), Currency::USD);
    let too_early = date(2025, 12, 31);
    assert_eq!(
        converted(too_early),
        Err(ConversionError::NoRate {
            from,
            into,
            date: too_early
        })
    );
    for (day, amount, rate_date) in [
        (date(2026, 1, 1), "11.00", date(2026, 1, 1)),
        (date(2026, 1, 31), "11.00", date(2026, 1, 1)),
        (date(2026, 2, 1), "12.00", date(2026, 2, 1)),
        (date(2030, 1, 1), "12.00", date(2026, 2, 1)),
    ] {
        let converted = converted(day).unwrap().unwrap();
        assert_eq!(
            (converted.amount.to_string().as_str(), converted.rate_date),
            (amount, rate_date),
            "{day}"
        );
    }
}

#[test]
fn a_rate_is_never_inverted_and_the_same_currency_needs_none() {
    let rates = rates(EUR);
    let back = rates.convert(&taxi("10.00", "USD", date(2026, 3, 14)), currency("EUR"));
    assert!(matches!(back, Err(ConversionError::NoRate { .. })));
    assert_eq!(
        rates.convert(&taxi("10.00", "USD", date(2026, 3, 14)), Currency::USD),
        Ok(None)
    );
}

#[test]
fn conversion_rounds_up_to_the_minor_digit_of_the_policys_currency() {
    for (amount, rate, into, expected) in [
        ("45.00", "1.0850", "USD", "48.83"),
        ("100.00", "1.0850", "USD", "108.50"),
        ("0.01", "0.0000000001", "USD", "0.01"),
        ("1", "0.0067", "USD", "0.01"),
        ("1000", "0.0067", "USD", "6.70"),
        ("10.00", "149.2537", "JPY", "1493"),
        ("1.00", "0.3071", "KWD", "0.308"),
        ("2", "1", "KWD", "2.000"),
        ("999999999999.99", "1", "USD", "999999999999.99"),
    ] {
        let converted =
            money::convert(dec(amount), dec(rate), currency(into)).map(|amount| amount.to_string());
        assert_eq!(
            converted.as_deref(),
            Some(expected),
            "{amount} at {rate} into {into}"
        );
    }
}

#[test]
fn an_amount_that_is_too_large_is_not_converted() {
    let huge = taxi("999999999999.99", "EUR", date(2026, 1, 1));
    assert_eq!(
        rates(EUR).convert(&huge, Currency::USD),
        Err(ConversionError::TooLarge(Currency::USD))
    );
    assert_eq!(
        money::convert(
            dec("999999999999.9999"),
            dec("999999999999.9999999999"),
            Currency::USD
        ),
        None
    );
}

proptest! {
    #[test]
    fn conversion_never_rounds_down_and_never_by_a_whole_cent(minor in 1_i64..=99_999_999_999_999, rate in 1_i64..=10_000_000_000) {
        let (amount, rate) = (Decimal::new(minor, 2), Decimal::new(rate, 10));
        let converted = money::convert(amount, rate, Currency::USD).unwrap();
        // Fourteen digits and eleven fit a decimal, so this product is exact.
        let exact = amount * rate;
        prop_assert!(converted >= exact && converted - exact < dec("0.01"), "{} for {}", converted, exact);
        prop_assert_eq!(converted.scale(), 2);
    }

    #[test]
    fn more_money_is_never_converted_to_less(minor in 1_i64..1_000_000, more in 0_i64..1_000_000, rate in 1_i64..100_000) {
        let converted = |minor| money::convert(Decimal::new(minor, 2), Decimal::new(rate, 4), Currency::USD);
        prop_assert!(converted(minor) <= converted(minor + more));
    }
}

#[test]
fn every_mistake_in_a_table_of_rates_is_reported() {
    let broken = r#"
title = "Rates"

[[rate]]
from = "euro"
to = "USD"
effective_from = "2026-02-30"
rate = 1.0850

[[rate]]
from = "GBP"
to = "USD"
effective_from = "2026-01-01"
rate = "-1.27"
source = " "
bank = "ours"

[[rate]]
from = "USD"
to = "USD"
effective_from = "2026-01-01"
rate = "0.00"
source = "the bank"

[[rate]]
from = "EUR"
to = "USD"
effective_from = "2026-01-01"
rate = "1.08500000001"
source = "the bank"

[[rate]]
from = "EUR"
to = "USD"
effective_from = "2026-01-01"
rate = "1.0850"
source = "the bank"
"#;
    let diagnostics = Rates::parse(Path::new("policies/tables/rates.toml"), broken).unwrap_err();
    assert_golden("diagnostics_of_a_table_of_rates", &diagnostics.to_string());
}

#[test]
fn every_mistake_in_a_table_of_prices_is_reported() {
    let broken = r#"
[[price]]
provider = "openai"
models = ["gpt-5"]
effective_from = "2025-08-07"
input_per_million = 1.25
cached_input_per_million = "-0.125"
output_per_million = "ten"
source = "the provider"

[[price]]
provider = ""
models = []
effective_from = "soon"
input_per_million = "1.25"
cached_input_per_million = "0.125"
output_per_million = "10.00"

[[price]]
provider = "openai"
models = ["gpt-4o", "gpt-4o"]
effective_from = "2024-10-02"
input_per_million = "2.50"
cached_input_per_million = "1.25"
output_per_million = "10.00"
per_image = "1.00"
source = "the provider"
"#;
    let diagnostics = Prices::parse(Path::new("policies/tables/prices.toml"), broken).unwrap_err();
    assert_golden("diagnostics_of_a_table_of_prices", &diagnostics.to_string());
}

#[test]
fn diagnostics_of_policies_and_of_tables_are_reported_together() {
    let folder = policies_with("tables/rates.toml", "[[rate]]");
    std::fs::write(folder.path().join("meals.toml"), "category = ").unwrap();
    std::fs::write(folder.path().join("tables/prices.toml"), "price = 1").unwrap();
    let diagnostics = expense_agent::rulebook::Rulebooks::load(folder.path())
        .unwrap_err()
        .to_string();
    for expected in [
        "meals.toml:1: is not TOML",
        "rates.toml:47: `from` is missing",
        "prices.toml:1: `price` is not a list",
    ] {
        assert!(
            diagnostics.contains(expected),
            "{expected} in {diagnostics}"
        );
    }
}

#[tokio::test]
async fn without_a_table_of_rates_every_other_currency_needs_review() {
    let folder = policies_with("other.toml", "");
    std::fs::remove_file(folder.path().join("tables/rates.toml")).unwrap();
    let app = TestApp::with(Config {
        policies: folder.path().to_owned(),
        ..config()
    })
    .await;
    let decision = app
        .decide(json!({"transaction": "Taxi in Paris", "amount": "45.00", "currency": "EUR"}))
        .await;
    assert_eq!(decision["outcome"], "needs_review");
    assert_eq!(
        app.decide(json!({"transaction": "Taxi", "amount": "45.00"}))
            .await["outcome"],
        "approved"
    );
}

/// A meal or trip that was paid in euros.
fn euros(transaction: &str, amount: &str) -> Value {
    let mut body = expense(transaction, amount);
    body["currency"] = "EUR".into();
    body["receipt"] = true.into();
    body
}

#[tokio::test]
async fn caps_add_converted_amounts_to_those_in_the_currency_of_the_policy() {
    let app = TestApp::spawn().await;
    let dollars =
        json!({"transaction": "Lunch", "amount": "20.00", "date": "2026-03-14", "user_id": "ana"});
    assert_eq!(app.decide(dollars).await["outcome"], "approved");
    // 46.09 euros are 50.01 dollars.
    assert_eq!(
        app.decide(euros("Team lunch", "46.09")).await["outcome"],
        "approved"
    );
    let denied = app.decide(euros("Dinner", "5.00")).await;
    assert_eq!(
        (&denied["outcome"], &denied["reimbursable"]),
        (&json!("denied"), &json!("4.99")),
        "{denied:#}"
    );
    let finding = &denied["findings"][0];
    assert_eq!(
        (&finding["used"], &finding["amount"], &finding["exceeded"]),
        (&json!("70.01"), &json!("5.43"), &json!("0.44"))
    );
    let last =
        json!({"transaction": "Coffee", "amount": "4.99", "date": "2026-03-14", "user_id": "ana"});
    assert_eq!(app.decide(last).await["outcome"], "approved");
}

#[tokio::test]
async fn the_body_of_a_converted_expense_shows_both_amounts() {
    let app = TestApp::spawn().await;
    let body = app.decide(euros("Train to Berlin", "600.00")).await;
    assert_eq!(app.read(&body).await, body);
    let mut shown = body.clone();
    for key in [
        "id",
        "trace_id",
        "span_id",
        "agent_span_id",
        "trace_url",
        "page_url",
        "received_at",
    ] {
        shown[key] = format!("<{key}>").into();
    }
    let varying = regex::Regex::new(r#"_(tokens|ms)": [\d.]+"#).unwrap();
    assert_golden(
        "converted_expense",
        &varying.replace_all(&format!("{shown:#}"), "_$1\": \"<$1>\""),
    );
}

/// The decision on an expense that the model classifies as travel and approves for this reason. The
/// model sees both amounts.
async fn decided(body: Value, reason: &str) -> Value {
    let fake = FakeOpenAi::spawn().await;
    fake.script([
        category("travel"),
        advice_because("approved", reason, &["travel-trip-cap"]),
    ]);
    let app = TestApp::with_openai(&fake).await;
    let decision = app.decide(body).await;
    let asked = fake.requests()[1].body["messages"][1]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    let facts: Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(facts["expense"]["amount"], decision["amount"]);
    assert_eq!(facts["converted_amount"], decision["converted_amount"]);
    decision
}

#[tokio::test]
async fn a_reason_may_name_the_amount_in_either_currency() {
    for (reason, outcome) in [
        ("EUR 45.00 is within the trip cap.", "approved"),
        ("$48.83 is within the trip cap.", "approved"),
        ("EUR 45.00 at 1.085 USD is within the trip cap.", "approved"),
        ("$50.00 is within the trip cap.", "needs_review"),
    ] {
        let decision = decided(euros("Train to Berlin", "45.00"), reason).await;
        assert_eq!(decision["outcome"], outcome, "{reason}");
    }
}

#[tokio::test]
async fn the_uncorroborated_limit_is_in_the_currency_of_the_policy() {
    for (amount, converted, outcome) in [
        ("23.04", "25.00", "approved"),
        ("23.05", "25.01", "needs_review"),
    ] {
        let decision = decided(euros("Something", amount), "Within the trip cap.").await;
        assert_eq!(decision["converted_amount"]["amount"], converted);
        assert_eq!(decision["outcome"], outcome, "{amount}");
    }
}
