//! The decision that follows from the steps: the one value that everything else shows. `combine`
//! chooses the outcome. The two fields that only the ledger can know are filled in while it records
//! ([`Decision::complete`]).

use rust_decimal::Decimal;

use crate::agent::ask::StepRun;
use crate::agent::combine::{Combined, Steps, combine};
use crate::agent::decide::Advice;
use crate::agent::{Agent, Case};
use crate::domain::approvers::Approvers;
use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::ruling::{Outcome, Role};
use crate::domain::step::ModelCall;

impl Agent {
    /// A decision of which only the outcome is known: nothing was asked, looked up or checked.
    /// Every decision starts from this one, so a new field gets its default value here.
    pub(super) fn bare_decision(&self, case: &Case, outcome: Outcome, reason: String) -> Decision {
        Decision {
            id: case.id,
            outcome,
            category: None,
            reason,
            approver: None,
            reviewer: None,
            approvers: Vec::new(),
            missing: Vec::new(),
            findings: Vec::new(),
            caps: Vec::new(),
            reimbursable: None,
            duplicates: Vec::new(),
            validations: Vec::new(),
            policy_verdict: None,
            model_decision: None,
            agent_outcome: AgentOutcome::Success,
            is_override: false,
            cap_moved: false,
            category_corroborated: false,
            policy: None,
            supersedes: case.supersedes.as_ref().map(|old| old.decision.id),
            model: self.model.info().model.clone(),
            steps: Vec::new(),
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: None,
            trace_id: case.trace_id.clone(),
            span_id: case.span_id.clone(),
            agent_span_id: case.agent_span_id.clone(),
            tenant_id: case.judged.tenant_id.clone(),
            submitted_by: case.submitted_by.clone(),
            received_at: case.received_at,
            expense: case.judged.expense.clone(),
            converted_amount: None,
        }
    }

    /// The decision that follows from the steps. `cap_moved` says that another expense took a cap
    /// while the model thought.
    pub(super) fn conclude(&self, case: &Case, steps: &Steps<'_>, cap_moved: bool) -> Decision {
        let Combined {
            outcome,
            reason,
            is_override,
        } = combine(steps);
        let found = steps.found();
        let verdict = found.map(|found| &found.verdict);
        let asks_for_approval = outcome == Outcome::NeedsApproval;
        let asks_for_review = outcome == Outcome::NeedsReview;
        let approvers = approvers(steps, outcome);
        let first = approvers.first().copied();
        let calls = || steps.runs().flat_map(|run| &run.report.calls);
        let tokens = |count: fn(&ModelCall) -> Option<u64>| {
            calls().filter_map(count).fold(0, u64::saturating_add)
        };
        Decision {
            category: steps.classification.category.clone(),
            approver: first.filter(|_| asks_for_approval),
            reviewer: asks_for_review.then(|| first.unwrap_or(Role::Manager)),
            // One approver is named above.
            approvers: match approvers.len() {
                0 | 1 => Vec::new(),
                _ => approvers,
            },
            missing: verdict
                .filter(|_| asks_for_approval)
                .map(|verdict| verdict.missing.clone())
                .unwrap_or_default(),
            findings: verdict
                .map(|verdict| verdict.findings.clone())
                .unwrap_or_default(),
            caps: found.map(|found| found.caps.clone()).unwrap_or_default(),
            reimbursable: found
                // Nothing is paid for a plan.
                .filter(|_| !asks_for_review && !case.judged.expense.plan)
                .map(|found| found.verdict.reimbursable(found.amount())),
            validations: steps
                .runs()
                .flat_map(|run| run.validations.clone())
                .collect(),
            policy_verdict: verdict.map(|verdict| verdict.ruling),
            model_decision: steps.advice.and_then(Advice::ruling),
            agent_outcome: agent_outcome(outcome, steps),
            // The model could not know that the cap would move, so it was not overruled.
            is_override: is_override && !cap_moved,
            cap_moved,
            category_corroborated: steps.classification.is_corroborated,
            policy: found.map(|found| found.policy.clone()),
            steps: steps.runs().map(|run| run.report.clone()).collect(),
            input_tokens: tokens(|call| call.input_tokens),
            output_tokens: tokens(|call| call.output_tokens),
            cost_usd: total_cost(calls()),
            converted_amount: found.and_then(|found| found.facts.converted_amount.clone()),
            ..self.bare_decision(case, outcome, reason)
        }
    }
}

/// The roles that have to approve an expense with this outcome. A review needs those that the rules ask
/// for, of each category that the evidence points to.
fn approvers(steps: &Steps<'_>, outcome: Outcome) -> Vec<Role> {
    let verdict = steps.found().map(|found| &found.verdict.approvers);
    let all = match outcome {
        Outcome::Approved | Outcome::Denied => None,
        Outcome::NeedsApproval => verdict,
        // Those of an ambiguity contain those of the verdict.
        Outcome::NeedsReview => {
            let ambiguity = steps.ambiguity();
            ambiguity.map(|found| &found.approvers).or(verdict)
        }
    };
    all.map(Approvers::roles).unwrap_or_default()
}

/// What the answered calls cost together; unknown if one of them has no price, or none was
/// answered.
fn total_cost<'a>(calls: impl Iterator<Item = &'a ModelCall>) -> Option<Decimal> {
    let costs = calls
        .filter(|call| call.error.is_none())
        .map(|call| call.cost.as_ref().map(|cost| cost.total));
    costs.reduce(|sum, cost| Some(sum? + cost?)).flatten()
}

/// How the reasoning went, independently of the business result.
fn agent_outcome(outcome: Outcome, steps: &Steps<'_>) -> AgentOutcome {
    let mut validations = steps.runs().flat_map(|run| &run.validations);
    if steps.runs().any(StepRun::is_unanswered) {
        AgentOutcome::Error
    } else if outcome == Outcome::NeedsReview {
        AgentOutcome::Escalated
    } else if validations.any(|validation| !validation.passed) {
        AgentOutcome::Corrected
    } else {
        AgentOutcome::Success
    }
}
