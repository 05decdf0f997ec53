//! The policy engine and its files: exact limits, a diagnostic for every mistake in a file, and the
//! evidence for categories.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use expense_agent::domain::facts::NO_FACTS;
use expense_agent::domain::receipt::Receipt;
use expense_agent::domain::ruling::{Finding, Missing, Role, Ruling, Window};
use expense_agent::policy::condition::Conditions;
use expense_agent::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use expense_agent::policy::rule::{Rule, RuleKind};
use expense_agent::policy::subject::Subject;
use expense_agent::policy::{Policies, parse};
use expense_agent::rulebook::Rulebooks;
use jiff::civil::date;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::harness::{assert_golden, shipped_policies};

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Limit, used, amount, allowable and exceeded of a finding.
pub(crate) fn amounts_of(finding: &Finding) -> [String; 5] {
    let amounts = [
        finding.limit,
        finding.used,
        finding.amount,
        finding.allowable,
        finding.exceeded,
    ];
    amounts.map(|amount| amount.to_string())
}

/// The windows of the shipped caps.
const SHIPPED_WINDOWS: [Window; 3] = [Window::Day, Window::Trip, Window::Year];

/// What is used of some windows of the policy's own category.
pub(crate) fn used<const N: usize>(windows: [(Window, &str); N]) -> CapUsage {
    let mut usage = CapUsage::default();
    for (window, amount) in windows {
        usage.add(&window.into(), dec(amount));
    }
    usage
}

/// Loaded once, because the properties below use them a thousand times.
static SHIPPED: LazyLock<Arc<Policies>> = LazyLock::new(|| {
    Rulebooks::load(&shipped_policies())
        .unwrap()
        .shared
        .policies
});

/// The verdict of the shipped policy of a category on an amount.
fn verdict(category: &str, amount: &str, usage: CapUsage, has_receipt: bool) -> Verdict {
    let policy = SHIPPED.in_force(category, date(2026, 3, 14)).unwrap();
    let rules: Vec<RuleFacts> = policy
        .rules
        .iter()
        .map(|rule| RuleFacts::new(rule, &usage))
        .collect();
    evaluate(
        &rules,
        &Subject {
            receipt: if has_receipt {
                Receipt::Attached
            } else {
                Receipt::Absent
            },
            ..expense(amount)
        },
    )
}

/// A taxi ride of this amount, submitted on its day.
pub(crate) fn expense(amount: &str) -> Subject<'static> {
    let day = date(2026, 3, 14);
    Subject {
        amount: dec(amount),
        receipt: Receipt::Attached,
        facts: &NO_FACTS,
        date: day,
        today: day,
        mcc: None,
        merchant: None,
        transaction: "Taxi to the client",
    }
}

fn ruling(category: &str, amount: &str) -> Ruling {
    verdict(category, amount, CapUsage::default(), true).ruling
}

#[test]
fn a_cap_includes_its_limit_and_a_threshold_is_above_it() {
    use Ruling::{Approved, Denied, NeedsApproval};
    for (category, amount, expected) in [
        ("travel", "200.00", Approved),
        ("travel", "200.01", NeedsApproval),
        ("travel", "500.00", NeedsApproval),
        ("travel", "500.01", Denied),
        ("meals", "75.00", Approved),
        ("meals", "75.01", Denied),
        ("office", "500.00", Approved),
        ("office", "500.01", NeedsApproval),
        ("office", "2500.00", NeedsApproval),
        ("office", "2500.01", Denied),
        ("other", "0.01", NeedsApproval),
    ] {
        assert_eq!(ruling(category, amount), expected, "{category} {amount}");
    }
}

#[test]
fn a_meal_above_the_receipt_threshold_without_a_receipt_needs_the_manager() {
    let without = verdict("meals", "25.01", CapUsage::default(), false);
    assert_eq!(without.ruling, Ruling::NeedsApproval);
    assert_eq!(
        (without.approvers.highest(), without.missing),
        (Some(Role::Manager), vec![Missing::Receipt])
    );
    assert_eq!(
        verdict("meals", "25.00", CapUsage::default(), false).ruling,
        Ruling::Approved
    );
    assert_eq!(
        verdict("meals", "25.01", CapUsage::default(), true).ruling,
        Ruling::Approved
    );
}

#[test]
fn a_finding_says_what_is_used_allowed_and_exceeded() {
    let usage = used([(Window::Day, "60.00")]);
    let verdict = verdict("meals", "20.00", usage, true);
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.rule.as_str(), finding.window),
        ("meals-day-cap", Window::Day)
    );
    assert_eq!(
        amounts_of(finding),
        ["75.00", "60.00", "20.00", "15.00", "5.00"]
    );
}

#[test]
fn a_cap_that_was_lowered_below_its_use_allows_nothing_more() {
    let usage = used([(Window::Day, "90.00")]);
    let verdict = verdict("meals", "1.00", usage, true);
    assert_eq!(verdict.findings[0].allowable, Decimal::ZERO);
    assert_eq!(verdict.findings[0].exceeded, dec("1.00"));
}

#[test]
fn the_amount_that_an_exceeded_cap_still_allows_can_be_paid() {
    let reimbursable = |category: &str, amount: &str, used: &str| {
        let usage = crate::policy::used(SHIPPED_WINDOWS.map(|window| (window, used)));
        verdict(category, amount, usage, false)
            .reimbursable(dec(amount))
            .to_string()
    };
    for (category, amount, used, expected) in [
        ("travel", "150.00", "0.00", "150.00"),
        ("travel", "500.00", "0.00", "500.00"),
        ("travel", "500.01", "0.00", "500.00"),
        ("travel", "650.00", "450.00", "50.00"),
        ("meals", "30.00", "75.00", "0.00"),
        ("meals", "30.00", "90.00", "0.00"),
        ("other", "9000.00", "0.00", "9000.00"),
    ] {
        assert_eq!(
            reimbursable(category, amount, used),
            expected,
            "{category} {amount} after {used}"
        );
    }
}

#[test]
fn the_tighter_of_two_exceeded_caps_limits_what_can_be_paid() {
    let cap = |id: &str, per: Window, max: &str| {
        let rule = Rule {
            id: id.to_owned(),
            kind: RuleKind::Cap {
                counter: per.into(),
                max: dec(max),
                per_unit: None,
            },
            text: id.to_owned(),
            exception: None,
            conditions: Conditions::default(),
        };
        RuleFacts::new(&rule, &used([(Window::Day, "30.00")]))
    };
    let rules = [
        cap("single", Window::Expense, "60.00"),
        cap("daily", Window::Day, "75.00"),
    ];
    assert_eq!(
        evaluate(&rules, &expense("80.00")).reimbursable(dec("80.00")),
        dec("45.00")
    );
}

#[test]
fn other_needs_a_vice_president_for_any_amount() {
    assert_eq!(
        verdict("other", "0.01", CapUsage::default(), true)
            .approvers
            .highest(),
        Some(Role::Vp)
    );
}

#[test]
fn the_approver_is_reported_even_when_a_cap_denies() {
    let above_both = verdict("office", "2500.01", CapUsage::default(), true);
    assert_eq!(
        (above_both.ruling, above_both.approvers.highest()),
        (Ruling::Denied, Some(Role::Manager))
    );
}

proptest! {
    #[test]
    fn no_approval_exceeds_a_cap(amount in 1_i64..1_000_000, used in 0_i64..1_000_000) {
        let cents = |minor| Decimal::new(minor, 2);
        let used = cents(used).to_string();
        let usage = crate::policy::used(SHIPPED_WINDOWS.map(|window| (window, used.as_str())));
        for (category, cap) in [("travel", "500.00"), ("meals", "75.00"), ("office", "2500.00")] {
            let verdict = verdict(category, &cents(amount).to_string(), usage.clone(), true);
            prop_assert_eq!(verdict.ruling == Ruling::Denied, cents(amount) + dec(&used) > dec(cap));
            let reimbursable = verdict.reimbursable(cents(amount));
            prop_assert!(reimbursable >= Decimal::ZERO && reimbursable <= cents(amount));
            prop_assert_eq!(reimbursable < cents(amount), verdict.ruling == Ruling::Denied);
            for finding in &verdict.findings {
                prop_assert_eq!(finding.allowable + finding.exceeded, finding.amount.max(finding.allowable));
            }
        }
    }

    #[test]
    fn a_larger_amount_is_never_judged_more_leniently(amount in 1_i64..1_000_000, more in 0_i64..1_000_000) {
        for category in ["travel", "meals", "office", "other"] {
            let ruling_of = |minor| ruling(category, &Decimal::new(minor, 2).to_string());
            prop_assert!(ruling_of(amount) <= ruling_of(amount + more));
        }
    }
}

/// The diagnostics of one file, as `policies check` prints them.
fn diagnostics(text: &str) -> String {
    diagnostics_of(&[("policies/meals.toml", text)])
}

fn diagnostics_of(files: &[(&str, &str)]) -> String {
    let sources: Vec<(&Path, &str)> = files
        .iter()
        .map(|(name, text)| (Path::new(*name), *text))
        .collect();
    parse::parse(Path::new("policies"), &sources)
        .unwrap_err()
        .to_string()
}

/// A policy file with the required keys and little else.
pub(crate) const MEALS: &str = r#"category = "meals"
version = "1"
effective_from = "2026-01-01"
currency = "USD"
uncorroborated_limit = "25.00"
text = "At most 75.00 a day."

[[rule]]
id = "meals-day-cap"
kind = "cap"
per = "day"
max = "75.00"
text = "At most 75.00 a day."

[evidence]
mcc = ["5812"]
merchant = ["diner"]
"#;

#[test]
fn every_mistake_in_a_file_is_reported_with_line_key_and_accepted_values() {
    let broken = r#"category = "Meals!"
version = 1
effective_from = "2026-13-01"
effective_to = "soon"
currency = "EURO"
uncorroborated_limit = 25.00
colour = "red"
text = " "

[[rule]]
id = "meals-day-cap"
kind = "cap"
per = "fortnight"
max = "75,00"
text = "At most 75.00 a day."

[[rule]]
id = "meals-day-cap"
kind = "approval"
above = "-5"
role = "boss"
who = "me"

[[rule]]
kind = "tip"
text = "A tip."

[[rule]]
id = "age"
kind = "max_age"
days = "90"
text = "Within 90 days."

[[rule]]
id = "future"
kind = "future"
days = -1
max = "75.00"
text = "Not from the future."

[[rule]]
id = "gambling"
kind = "blocked_mcc"
mcc = ["7995", "79"]
text = "No gambling."

[[rule]]
id = "casino"
kind = "blocked_merchant"
merchant = []
text = "No casino."

[[rule]]
id = "old"
kind = "max_age"
text = "Not too old."

[[rule]]
id = "together"
kind = "cap"
per = "merchant"
max = "75.00"
text = "Not over merchants."

[[rule]]
id = "split"
kind = "split"
days = 10000
limit = 500
text = "Not split."

[evidence]
mcc = ["581", "5812-5800", 5812]
merchant = ["***"]
transaction = "lunch"
words = []
"#;
    assert_golden("diagnostics_of_a_policy_file", &diagnostics(broken));
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_its_line() {
    assert_golden(
        "diagnostic_of_a_file_that_is_not_toml",
        &diagnostics("category = \"meals\"\nversion = \n"),
    );
}

#[test]
fn files_that_contradict_each_other_are_reported() {
    let travel = MEALS.replace("\"meals\"", "\"travel\"");
    let again = MEALS.replace("75.00", "80.00");
    // The merchant phrase of one category is a transaction phrase of another one.
    let word = travel.replace("merchant = ", "transaction = ");
    let diagnostics = diagnostics_of(&[
        ("policies/a.toml", MEALS),
        ("policies/b.toml", &travel),
        ("policies/c.toml", &again),
        ("policies/d.toml", &word),
    ]);
    assert_golden("diagnostics_between_policy_files", &diagnostics);
}

#[test]
fn a_folder_without_policies_is_an_error() {
    assert!(diagnostics_of(&[]).contains("contains no policy"));
    let missing = Rulebooks::load(Path::new("no-such-folder"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("no-such-folder: cannot be read"),
        "{missing}"
    );
}

#[test]
fn the_date_of_the_expense_selects_the_version() {
    let first = MEALS.replace("category", "effective_to = \"2026-06-30\"\ncategory");
    let second = MEALS
        .replace("2026-01-01", "2026-08-01")
        .replace("version = \"1\"", "version = \"2\"");
    let sources = [
        (Path::new("1.toml"), first.as_str()),
        (Path::new("2.toml"), &second),
    ];
    let policies = parse::parse(Path::new("policies"), &sources).unwrap();
    let version = |day| {
        policies
            .in_force("meals", day)
            .map(|policy| policy.version.as_str())
    };
    assert_eq!(version(date(2025, 12, 31)), None);
    assert_eq!(version(date(2026, 1, 1)), Some("1"));
    assert_eq!(version(date(2026, 6, 30)), Some("1"));
    assert_eq!(version(date(2026, 7, 1)), None);
    assert_eq!(version(date(2026, 8, 1)), Some("2"));
}

#[test]
fn after_a_temporary_version_the_one_before_is_in_force_again() {
    let temporary = MEALS
        .replace(
            "2026-01-01\"",
            "2026-03-01\"\neffective_to = \"2026-03-31\"",
        )
        .replace("version = \"1\"", "version = \"2\"");
    let sources = [
        (Path::new("1.toml"), MEALS),
        (Path::new("2.toml"), temporary.as_str()),
    ];
    let policies = parse::parse(Path::new("policies"), &sources).unwrap();
    let version = |day| {
        policies
            .in_force("meals", day)
            .map(|policy| policy.version.as_str())
    };
    assert_eq!(version(date(2026, 3, 31)), Some("2"));
    assert_eq!(version(date(2026, 4, 1)), Some("1"));
}

#[test]
fn the_longest_phrase_wins_and_consumes_its_words() {
    let best = |text: &str| {
        SHIPPED
            .evidence(None, None, text, None)
            .best()
            .map(str::to_owned)
    };
    for (text, category) in [
        ("Flight to Chicago, $650", Some("travel")),
        ("Uber ride downtown", Some("travel")),
        ("Uber Eats for the team", Some("meals")),
        ("Team lunch at the Thai place", Some("meals")),
        ("Printer paper and toner", Some("office")),
        ("Donation to the hospice", Some("other")),
        ("Miscellaneous retail", None),
        ("something", None),
    ] {
        assert_eq!(best(text).as_deref(), category, "{text}");
    }
}

#[test]
fn sources_of_evidence_that_disagree_object_to_each_other() {
    let evidence = SHIPPED.evidence(Some("3000"), None, "Team lunch", None);
    assert!(evidence.objection("meals").is_some());
    assert!(evidence.objection("travel").is_some());
    assert!(
        SHIPPED
            .evidence(Some("5812"), Some("Joe's Diner"), "Team lunch", None)
            .objection("meals")
            .is_none()
    );
    assert!(
        SHIPPED
            .evidence(Some("9999"), None, "something", None)
            .is_empty()
    );
}
