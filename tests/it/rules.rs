//! Rules about something other than the amount: the age of an expense, a date in the future, or a
//! blocked merchant.

use std::path::Path;

use expense_agent::config::Config;
use expense_agent::domain::ruling::{Ruling, Window};
use expense_agent::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use expense_agent::policy::parse;
use expense_agent::policy::rule::{Rule, RuleKind};
use expense_agent::policy::subject::Subject;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::json;

use crate::harness::expenses::check;
use crate::harness::{TestApp, config, policies_with, shipped_policies};
use crate::policy::{MEALS, amounts_of, dec, expense};

/// A rule parsed from these lines of a policy file.
pub(crate) fn parsed(lines: &str) -> Rule {
    let rule = format!("[[rule]]\nid = \"it\"\ntext = \"Not paid.\"\n{lines}\n\n[evidence]");
    let text = MEALS.replace("[evidence]", &rule);
    let policies =
        parse::parse(Path::new("policies"), &[(Path::new("meals.toml"), &text)]).unwrap();
    policies
        .iter()
        .flat_map(|policy| &policy.rules)
        .find(|rule| rule.id == "it")
        .unwrap()
        .clone()
}

/// The verdict of one rule on an expense.
fn verdict_of(lines: &str, subject: &Subject<'_>) -> Verdict {
    evaluate(
        &[RuleFacts::new(&parsed(lines), &CapUsage::default())],
        subject,
    )
}

fn is_denied(lines: &str, subject: &Subject<'_>) -> bool {
    verdict_of(lines, subject).ruling == Ruling::Denied
}

#[test]
fn an_expense_as_old_as_the_limit_passes_and_a_day_more_does_not() {
    let bought_on = |day: Date| Subject {
        date: day,
        ..expense("45.00")
    };
    for (rule, day, expected) in [
        ("days = 90", date(2025, 12, 14), false),
        ("days = 90", date(2025, 12, 13), true),
        ("days = 0", date(2026, 3, 14), false),
        ("days = 0", date(2026, 3, 13), true),
        ("days = 90", date(2027, 3, 14), false),
        ("days = 9999", date(1000, 1, 1), true),
    ] {
        assert_eq!(
            is_denied(&format!("kind = \"max_age\"\n{rule}"), &bought_on(day)),
            expected,
            "{rule} {day}"
        );
    }
}

#[test]
fn an_expense_from_the_future_is_denied_beyond_the_tolerance() {
    let bought_on = |day: Date| Subject {
        date: day,
        ..expense("45.00")
    };
    for (rule, day, expected) in [
        ("", date(2026, 3, 14), false),
        ("", date(2026, 3, 15), true),
        ("days = 1", date(2026, 3, 15), false),
        ("days = 1", date(2026, 3, 16), true),
        ("", date(1000, 1, 1), false),
    ] {
        assert_eq!(
            is_denied(&format!("kind = \"future\"\n{rule}"), &bought_on(day)),
            expected,
            "{rule} {day}"
        );
    }
}

#[test]
fn a_blocked_merchant_category_code_is_denied() {
    let rule = "kind = \"blocked_mcc\"\nmcc = [\"7800-7802\", \"0742\"]";
    let with = |mcc: Option<&'static str>| Subject {
        mcc,
        ..expense("45.00")
    };
    for (mcc, expected) in [
        (Some("7799"), false),
        (Some("7800"), true),
        (Some("7802"), true),
        (Some("7803"), false),
        (Some("0742"), true),
        (None, false),
    ] {
        assert_eq!(is_denied(rule, &with(mcc)), expected, "{mcc:?}");
    }
}

#[test]
fn a_blocked_merchant_is_denied_by_its_words() {
    let rule = "kind = \"blocked_merchant\"\nmerchant = [\"casino*\", \"lucky joes\"]";
    for (merchant, transaction, expected) in [
        (Some("Grand CASINOS Ltd"), "Dinner", true),
        (Some("LUCKY JOE'S #12"), "Dinner", true),
        (Some("Joe's Lucky Diner"), "Dinner", false),
        (Some("Occasino"), "Dinner", false),
        // The merchant is known, so the words of the employee are about something else.
        (Some("City Cabs"), "Taxi to the casino hotel", false),
        (None, "An evening at the Casino", true),
        (None, "Dinner", false),
    ] {
        let subject = Subject {
            merchant,
            transaction,
            ..expense("45.00")
        };
        assert_eq!(
            is_denied(rule, &subject),
            expected,
            "{merchant:?} {transaction}"
        );
    }
}

#[test]
fn a_rule_without_an_amount_allows_all_of_an_expense_or_nothing() {
    let old = Subject {
        date: date(2025, 1, 1),
        ..expense("45.00")
    };
    let verdict = verdict_of("kind = \"max_age\"\ndays = 90", &old);
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.rule.as_str(), finding.window),
        ("it", Window::Expense)
    );
    assert_eq!(
        amounts_of(finding),
        ["0.00", "0.00", "45.00", "0.00", "45.00"]
    );
    assert_eq!(verdict.reimbursable(dec("45.00")).to_string(), "0.00");
    assert_eq!(verdict.reason(), "Not paid.");
}

#[test]
fn a_rule_means_the_same_to_the_model_that_reads_it_as_json() {
    for (rule, shown) in [
        (
            "kind = \"max_age\"\ndays = 90",
            json!({"kind": "max_age", "days": 90}),
        ),
        (
            "kind = \"allowance\"\nfull = \"28.00\"\npart = \"14.00\"\nmeals = { lunch = \"40%\", dinner = \"9\" }",
            json!({
                "kind": "allowance", "full": "28.00", "part": "14.00",
                "meals": {"lunch": "40%", "dinner": "9.00"},
            }),
        ),
        ("kind = \"future\"", json!({"kind": "future", "days": 0})),
        (
            "kind = \"blocked_mcc\"\nmcc = [\"0742\", \"7800-7802\"]",
            json!({"kind": "blocked_mcc", "mcc": ["0742", "7800-7802"]}),
        ),
        (
            "kind = \"blocked_merchant\"\nmerchant = [\"Casino*\", \"Lucky Joe's\"]",
            json!({"kind": "blocked_merchant", "merchant": ["casino*", "lucky joes"]}),
        ),
    ] {
        let facts = RuleFacts::new(&parsed(rule), &CapUsage::default());
        let written = serde_json::to_value(&facts).unwrap();
        for (key, value) in shown.as_object().unwrap() {
            assert_eq!(&written[key], value, "{rule}");
        }
        assert_eq!(serde_json::from_value::<RuleFacts>(written).unwrap(), facts);
    }
}

#[test]
fn the_rules_that_a_policy_file_comments_out_can_be_activated() {
    let other = std::fs::read_to_string(shipped_policies().join("other.toml")).unwrap();
    let commented_out = regex::Regex::new(r"(?m)^# (\[\[rule\]\]|[a-z]+ = )").unwrap();
    let text = commented_out.replace_all(&other, "$1").into_owned();
    let policies =
        parse::parse(Path::new("policies"), &[(Path::new("other.toml"), &text)]).unwrap();
    let ids: Vec<&str> = policies
        .iter()
        .flat_map(|policy| &policy.rules)
        .map(|rule| rule.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "other-vp-approval",
            "other-age",
            "other-future",
            "other-split",
            "other-gambling",
            "other-gift-cards"
        ]
    );
}

#[tokio::test]
async fn an_expense_that_is_too_old_or_at_a_blocked_merchant_is_denied_and_the_model_agrees() {
    let policies = policies_with(
        "other.toml",
        r#"
[[rule]]
id = "other-age"
kind = "max_age"
days = 90
text = "An expense is handed in within 90 days."

[[rule]]
id = "other-merchants"
kind = "blocked_merchant"
merchant = ["gift card*"]
text = "Gift cards are not paid."
"#,
    );
    let app = TestApp::with(Config {
        policies: policies.path().to_owned(),
        ..config()
    })
    .await;
    let donation = |date: &str| {
        json!({
            "transaction": "Donation to the hospice",
            "amount": "45.00",
            "date": date,
        })
    };
    let old = app.decide(donation("2020-01-01")).await;
    assert_eq!(
        (&old["outcome"], &old["model_decision"]),
        (&json!("denied"), &json!("denied")),
        "{old:#}"
    );
    assert_eq!(old["reason"], "An expense is handed in within 90 days.");
    assert_eq!(
        (
            &old["reimbursable"],
            &check(&old, "decision_consistency")["passed"]
        ),
        (&json!("0.00"), &json!(true))
    );
    let cards = json!({"transaction": "Donation of five gift cards", "amount": "45.00"});
    assert_eq!(
        app.decide(cards).await["findings"][0]["rule"],
        "other-merchants"
    );
    let today = json!({"transaction": "Donation to the hospice", "amount": "45.00"});
    assert_eq!(app.decide(today).await["outcome"], "needs_approval");
}

proptest! {
    #[test]
    fn an_older_expense_is_never_judged_more_leniently(age in 0_i32..400, more in 0_i32..400, limit in 0_u16..400) {
        let rule = Rule { id: "age".to_owned(), kind: RuleKind::MaxAge { days: limit, effect: Default::default() }, text: "Not too old.".to_owned(), exception: None, conditions: Default::default() };
        let rules = [RuleFacts::new(&rule, &CapUsage::default())];
        let ruling_at = |age: i32| {
            let day = date(2026, 3, 14).checked_sub(age.days()).unwrap();
            evaluate(&rules, &Subject { date: day, ..expense("45.00") }).ruling
        };
        prop_assert!(ruling_at(age) <= ruling_at(age + more));
        prop_assert_eq!(ruling_at(age) == Ruling::Denied, age > i32::from(limit));
    }
}
