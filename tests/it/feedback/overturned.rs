//! How a resolution judges what the machine proposed, and the feedback that it implies.

use expense_agent::domain::decision::Decision;
use expense_agent::domain::overturned::{Judgement, OverturnKind, derived, judgement};
use expense_agent::domain::resolution::{Action, Resolution};
use expense_agent::domain::ruling::{Outcome, Ruling};
use expense_agent::domain::share::Share;
use serde_json::json;

use super::Office;
use crate::harness::expenses::laptop;

use Action::{Approve, Deny, Withdraw};
use Outcome::{Approved, Denied, NeedsApproval, NeedsReview};

/// A decision about 499.00, filed under `category`.
fn decision(outcome: Outcome, verdict: Option<Ruling>, category: Option<&str>) -> Decision {
    let text = include_str!("../../data/decision-0.1.0.json");
    Decision {
        outcome,
        policy_verdict: verdict,
        category: category.map(str::to_owned),
        ..serde_json::from_str(text).unwrap()
    }
}

/// A resolution; an approval pays `amount`, after credits of `credited`.
fn resolution(action: Action, amount: &str, credited: &str, category: &str) -> Resolution {
    let text = include_str!("../../data/resolution-0.1.0.json");
    let given = |text: &str| (action == Approve).then(|| text.parse().unwrap());
    Resolution {
        action,
        amount: given(amount),
        credited: given(credited),
        category: (action == Approve).then(|| category.to_owned()),
        ..serde_json::from_str(text).unwrap()
    }
}

#[test]
fn a_resolution_overturns_what_the_machine_proposed_by_action_category_or_amount() {
    let upheld = Some(Judgement::Upheld);
    let overturned = |kind| Some(Judgement::Overturned(kind));
    let (action, category, amount) = (
        overturned(OverturnKind::Action),
        overturned(OverturnKind::Category),
        overturned(OverturnKind::Amount),
    );
    let (approved, pending, denied) = (
        Some(Ruling::Approved),
        Some(Ruling::NeedsApproval),
        Some(Ruling::Denied),
    );
    let whole = || ("499.00", "0", "office");
    for (outcome, verdict, done, (paid, credited, filed), expected) in [
        // It waited for approval: approving all of it is what was proposed.
        (NeedsApproval, pending, Approve, whole(), upheld),
        (
            NeedsApproval,
            pending,
            Approve,
            ("499", "0", "office"),
            upheld,
        ),
        (
            NeedsApproval,
            pending,
            Approve,
            ("300.00", "199.00", "office"),
            upheld,
        ),
        (
            NeedsApproval,
            pending,
            Approve,
            ("400.00", "0", "office"),
            amount,
        ),
        (
            NeedsApproval,
            pending,
            Approve,
            ("300.00", "99.00", "office"),
            amount,
        ),
        (
            NeedsApproval,
            pending,
            Approve,
            ("499.00", "0", "meals"),
            category,
        ),
        (NeedsApproval, pending, Deny, whole(), action),
        (NeedsApproval, pending, Withdraw, whole(), None),
        // It was in review: the verdict is what was proposed.
        (NeedsReview, approved, Approve, whole(), upheld),
        (NeedsReview, pending, Approve, whole(), upheld),
        (
            NeedsReview,
            approved,
            Approve,
            ("499.00", "0", "meals"),
            category,
        ),
        (
            NeedsReview,
            approved,
            Approve,
            ("400.00", "0", "meals"),
            category,
        ),
        (
            NeedsReview,
            pending,
            Approve,
            ("400.00", "0", "office"),
            amount,
        ),
        (NeedsReview, approved, Deny, whole(), action),
        (NeedsReview, denied, Approve, whole(), action),
        (
            NeedsReview,
            denied,
            Approve,
            ("400.00", "0", "meals"),
            action,
        ),
        (NeedsReview, denied, Deny, whole(), upheld),
        (NeedsReview, denied, Withdraw, whole(), None),
        // Without a verdict nothing was proposed.
        (NeedsReview, None, Approve, whole(), None),
        (NeedsReview, None, Deny, whole(), None),
        // These were never open.
        (Approved, approved, Deny, whole(), None),
        (Denied, denied, Approve, whole(), None),
    ] {
        let decision = decision(outcome, verdict, Some("office"));
        let resolution = resolution(done, paid, credited, filed);
        let found = judgement(&decision, &resolution);
        assert_eq!(
            found, expected,
            "{outcome} {verdict:?} {done} {paid} {credited} {filed}"
        );
        // The implied feedback says the same.
        let implied: Vec<_> = derived(&decision, &resolution)
            .into_iter()
            .map(|one| {
                (
                    one.name.to_string(),
                    one.label.unwrap(),
                    one.source.to_string(),
                )
            })
            .collect();
        let mut said = Vec::new();
        let source = || "resolution".to_owned();
        if let Some(judgement) = expected {
            let label = if judgement == Judgement::Upheld {
                "right"
            } else {
                "wrong"
            };
            said.push(("decision".to_owned(), label.to_owned(), source()));
        }
        if done == Approve && filed != "office" {
            said.push(("category".to_owned(), filed.to_owned(), source()));
        }
        assert_eq!(implied, said, "{outcome} {verdict:?} {done} {filed}");
    }
}

#[test]
fn a_category_where_the_machine_found_none_is_feedback_but_no_judgement() {
    let decision = decision(NeedsReview, None, None);
    let resolution = resolution(Approve, "499.00", "0", "meals");
    assert_eq!(judgement(&decision, &resolution), None);
    let implied = derived(&decision, &resolution);
    assert_eq!(implied.len(), 1);
    assert_eq!(implied[0].label.as_deref(), Some("meals"));
}

#[tokio::test]
async fn a_resolution_is_listed_as_feedback_without_being_stored_again() {
    let office = Office::on_sqlite().await;
    let decision = office.decide(laptop("510.00")).await;
    let note = json!({"comment": "Is it the third one?"});
    office.give("ea_ana", &decision, "note", note).await;
    let less = json!({
        "action": "approve", "role": "manager", "amount": "400.00", "reason": "The cheaper one.",
    });
    let resolved = office.app.resolve("ea_ben", &decision, less).await;
    assert_eq!(resolved.status, 201, "{:#}", resolved.body);
    let holds = json!([
        ["decision", "wrong", "The cheaper one.", "ben", "resolution"],
        ["note", null, "Is it the third one?", "ana", "employee"],
    ]);
    assert_eq!(office.standing(&decision).await, holds);
    // What the person says besides does not take its place.
    let right = json!({"label": "right"});
    office.give("ea_ben", &decision, "decision", right).await;
    let holds = json!([
        holds[0],
        holds[1],
        ["decision", "right", null, "ben", "person"],
    ]);
    assert_eq!(office.standing(&decision).await, holds);
}

#[test]
fn a_share_is_shown_with_its_interval_from_twenty_cases_on() {
    for (n, of, expected) in [
        (0, 0, None),
        (19, 19, None),
        (0, 20, Some(["0.0", "0.0", "16.1"])),
        (3, 30, Some(["10.0", "3.5", "25.6"])),
        (20, 20, Some(["100.0", "83.9", "100.0"])),
        (1, 1_000, Some(["0.1", "0.0", "0.6"])),
        (412, 5_000, Some(["8.2", "7.5", "9.0"])),
        (4_000_000_000, 8_000_000_000, Some(["50.0", "50.0", "50.0"])),
    ] {
        let percent = Share { n, of }.percent();
        let shown = percent.map(|percent| {
            [percent.value, percent.low, percent.high].map(|end| format!("{end:.1}"))
        });
        assert_eq!(
            shown,
            expected.map(|ends| ends.map(str::to_owned)),
            "{n} of {of}"
        );
    }
}
