//! Whether a person resolved a decision otherwise than the machine proposed, and the feedback that
//! the resolution implies. The rate of such decisions among those that a person judged tells how good
//! the proposals are. It is another number than `override`, by which policy code overrules the model
//! before any person sees the expense.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::domain::decision::Decision;
use crate::domain::feedback::{Feedback, FeedbackName, FeedbackSource};
use crate::domain::resolution::{Action, Resolution};
use crate::domain::ruling::{Outcome, Ruling};

/// In which way a person resolved a decision otherwise than the machine proposed; the first that
/// applies.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OverturnKind {
    /// It approved what the machine would have denied, or the other way round.
    Action,
    /// It approved the expense in another category.
    Category,
    /// It approved less than the machine proposed.
    Amount,
}

/// What a resolution says of the machine's proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The person did what the machine proposed.
    Upheld,
    /// The person did something else.
    Overturned(OverturnKind),
}

/// How a resolution judges what the machine proposed. A decision that waited for approval proposed
/// to approve all of the expense in its category. A decision in review proposed what the verdict of
/// its policy says: to approve all of it in the category of the policy, or to deny it.
///
/// `None` if there is nothing to judge: the expense was withdrawn, or there was no verdict.
pub fn judgement(decision: &Decision, resolution: &Resolution) -> Option<Judgement> {
    let proposes_approval = match decision.outcome {
        Outcome::NeedsApproval => true,
        Outcome::NeedsReview => decision.policy_verdict? != Ruling::Denied,
        Outcome::Approved | Outcome::Denied => return None,
    };
    let is_approval = match resolution.action {
        Action::Approve => true,
        Action::Deny => false,
        Action::Withdraw => return None,
    };
    let overturned = if is_approval != proposes_approval {
        Some(OverturnKind::Action)
    } else if is_approval && resolution.category != decision.category {
        Some(OverturnKind::Category)
    } else if is_approval && resolution.approved() != Some(decision.expense.amount) {
        Some(OverturnKind::Amount)
    } else {
        None
    };
    Some(overturned.map_or(Judgement::Upheld, Judgement::Overturned))
}

/// What a resolution says of the decision: whether it was right, and the category that the person
/// chose instead of the machine's. Nothing, if the resolution is no judgement.
pub fn derived(decision: &Decision, resolution: &Resolution) -> Vec<Feedback> {
    let of = |name, label: &str| Feedback {
        id: resolution.id,
        expense_id: resolution.expense_id,
        name,
        label: Some(label.to_owned()),
        comment: Some(resolution.reason.clone()),
        author: resolution.actor.clone(),
        api_key: resolution.api_key.clone(),
        source: FeedbackSource::Resolution,
        taken_back: false,
        tenant_id: resolution.tenant_id.clone(),
        trace_id: resolution.trace_id.clone(),
        given_at: resolution.resolved_at,
    };
    let label = match judgement(decision, resolution) {
        Some(Judgement::Upheld) => Some("right"),
        Some(Judgement::Overturned(_)) => Some("wrong"),
        None => None,
    };
    let mut derived = Vec::from_iter(label.map(|label| of(FeedbackName::Decision, label)));
    let chosen = resolution.category.as_deref();
    if resolution.action == Action::Approve && chosen != decision.category.as_deref() {
        derived.extend(chosen.map(|category| of(FeedbackName::Category, category)));
    }
    derived
}
