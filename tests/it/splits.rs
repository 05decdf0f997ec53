//! One purchase submitted as several expenses: which expenses count together, and that concurrent
//! requests cannot evade the rule.

use expense_agent::config::Config;
use expense_agent::domain::ruling::{Role, Ruling, Window};
use expense_agent::ledger::Store;
use expense_agent::policy::condition::Conditions;
use expense_agent::policy::evaluate::{CapUsage, Purchase, RuleFacts, Verdict, evaluate};
use expense_agent::policy::rule::{Rule, RuleKind};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, policies_with};
use crate::policy::{amounts_of, dec, expense};

/// The verdict of a rule of 7 days and 500.00 on an amount, after these purchases: days apart, amount.
fn verdict(purchases: &[(u32, &str)], amount: &str) -> Verdict {
    let purchases = purchases.iter().map(|(n_days_apart, amount)| Purchase {
        n_days_apart: *n_days_apart,
        amount: dec(amount),
    });
    let usage = CapUsage {
        purchases: purchases.collect(),
        ..CapUsage::default()
    };
    let kind = RuleKind::Split {
        days: 7,
        limit: dec("500.00"),
        role: Role::Director,
    };
    let rule = Rule {
        id: "split".to_owned(),
        kind,
        text: "Not split.".to_owned(),
        exception: None,
        conditions: Conditions::default(),
    };
    evaluate(&[RuleFacts::new(&rule, &usage)], &expense(amount))
}

#[test]
fn purchases_at_one_merchant_need_a_role_when_they_are_above_the_limit_together() {
    use Ruling::{Approved, NeedsApproval};
    for (purchases, amount, expected) in [
        (vec![(0, "300.00")], "200.00", Approved),
        (vec![(0, "300.00")], "200.01", NeedsApproval),
        (vec![(7, "300.00")], "200.01", NeedsApproval),
        (vec![(8, "300.00")], "200.01", Approved),
        (vec![(1, "250.00"), (2, "200.00")], "50.01", NeedsApproval),
        (vec![(1, "500.00")], "0.01", NeedsApproval),
        // Above the limit on its own, it needed approval already and is not part of a split.
        (vec![(1, "500.01")], "0.01", Approved),
        // One purchase alone is not split.
        (vec![], "900.00", Approved),
    ] {
        assert_eq!(
            verdict(&purchases, amount).ruling,
            expected,
            "{purchases:?} and {amount}"
        );
    }
}

#[test]
fn a_split_finding_says_what_counts_together() {
    let verdict = verdict(&[(1, "250.00"), (2, "200.00")], "80.00");
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.window, verdict.approvers.highest()),
        (Window::Merchant, Some(Role::Director))
    );
    assert_eq!(
        amounts_of(finding),
        ["500.00", "450.00", "80.00", "50.00", "30.00"]
    );
    // A required approval does not reduce what can be paid.
    assert_eq!(verdict.reimbursable(dec("80.00")), dec("80.00"));
}

proptest! {
    #[test]
    fn more_money_is_never_judged_more_leniently(earlier in 1_i64..100_000, amount in 1_i64..100_000, more in 0_i64..100_000) {
        let ruling = |minor| verdict(&[(1, &Decimal::new(earlier, 2).to_string())], &Decimal::new(minor, 2).to_string()).ruling;
        prop_assert!(ruling(amount) <= ruling(amount + more));
    }
}

const SPLIT: &str = r#"
[[rule]]
id = "office-split"
kind = "split"
days = 7
limit = "500.00"
role = "director"
text = "Purchases at one merchant within a week, above 500.00 together, need a director."
"#;

/// A service whose office policy knows split purchases, and the folder it reads.
async fn app(store: Store) -> (TestApp, tempfile::TempDir) {
    let folder = policies_with("office.toml", SPLIT);
    (
        TestApp::with(Config {
            policies: folder.path().to_owned(),
            store,
            ..config()
        })
        .await,
        folder,
    )
}

fn toner(amount: &str, merchant: &str, day: &str) -> Value {
    json!({
        "transaction": "Printer toner",
        "amount": amount,
        "merchant": merchant,
        "date": day,
        "user_id": "ana",
    })
}

#[tokio::test]
async fn a_purchase_split_in_two_needs_a_director_and_the_model_agrees() {
    let (app, _folder) = app(config().store).await;
    assert_eq!(
        app.decide(toner("300.00", "Staples", "2026-03-14")).await["outcome"],
        "approved"
    );
    let second = app.decide(toner("250.00", "STAPLES.", "2026-03-21")).await;
    assert_eq!(
        (&second["outcome"], &second["approver"]),
        (&json!("needs_approval"), &json!("director")),
        "{second:#}"
    );
    assert_eq!(
        (&second["model_decision"], &second["agent_outcome"]),
        (&json!("needs_approval"), &json!("success"))
    );
    assert_eq!(
        (
            &second["findings"][0]["rule"],
            &second["findings"][0]["used"]
        ),
        (&json!("office-split"), &json!("300.00"))
    );
    // What was pending counts as well, before and after its day, and in another currency by its
    // converted amount.
    let mut euros = toner("200.00", "Staples", "2026-03-17");
    euros["currency"] = "EUR".into();
    let third = app.decide(euros).await;
    assert_eq!(
        (
            &third["findings"][0]["used"],
            &third["findings"][0]["amount"]
        ),
        (&json!("550.00"), &json!("217.00"))
    );
}

#[tokio::test]
async fn purchases_at_another_merchant_in_another_week_or_by_another_employee_do_not_count() {
    let (app, _folder) = app(config().store).await;
    assert_eq!(
        app.decide(toner("300.00", "Staples", "2026-03-14")).await["outcome"],
        "approved"
    );
    let mut of_ben = toner("250.00", "Staples", "2026-03-14");
    of_ben["user_id"] = "ben".into();
    let mut unnamed = toner("250.00", "Staples", "2026-03-14");
    unnamed["merchant"] = Value::Null;
    for body in [
        toner("250.00", "Office Depot", "2026-03-14"),
        toner("250.00", "Staples", "2026-03-22"),
        of_ben,
        unnamed,
    ] {
        assert_eq!(
            app.decide(body.clone()).await["outcome"],
            "approved",
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_parts_of_a_purchase_are_approved_up_to_the_limit_only() {
    on_each_store(async |store| {
        let (app, _folder) = app(store.store.clone()).await;
        let parts = (0..20).map(|_| app.decide(toner("120.00", "Staples", "2026-03-14")));
        let decisions = futures_util::future::join_all(parts).await;
        let n_approved = decisions
            .iter()
            .filter(|decision| decision["outcome"] == "approved")
            .count();
        assert_eq!(n_approved, 4, "four parts are 480.00, five would be 600.00");
        assert!(
            decisions
                .iter()
                .all(|decision| decision["override"] == false)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_parts_that_need_a_manager_need_a_director_above_the_limit() {
    // Each part alone needs a manager, and two parts together need a director.
    let rule = SPLIT.replace("500.00", "1000.00");
    let folder = policies_with("office.toml", &rule);
    let app = TestApp::with(Config {
        policies: folder.path().to_owned(),
        ..config()
    })
    .await;
    let parts = (0..4).map(|_| app.decide(toner("600.00", "Staples", "2026-03-14")));
    let decisions = futures_util::future::join_all(parts).await;
    let asked_of = |role: &str| {
        decisions
            .iter()
            .filter(|decision| decision["approver"] == role)
            .count()
    };
    assert_eq!(
        (asked_of("manager"), asked_of("director")),
        (1, 3),
        "{decisions:#?}"
    );
}
