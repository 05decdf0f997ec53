//! The story: an expense is classified, its policy is looked up, the model advises, and policy code
//! decides. Read [`Agent::run`] first. No telemetry here but `step`, which makes a span of a part
//! of the story.

pub mod amounts;
pub mod ask;
pub mod classify;
pub mod combine;
pub mod credit;
pub mod decide;
pub mod lookup;
pub mod prompts;
pub mod resolve;
pub mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::expense::Expense;
use crate::domain::ruling::{Outcome, Role};
use crate::domain::step::{ModelCall, Step};
use crate::ledger::{Effect, Entry, KeyClaim, Ledger, LedgerError, RecordError};
use crate::llm::ChatModel;
use crate::rulebook::Rulebook;
use crate::telemetry::spans::step::step;
use ask::StepRun;
use classify::{Classification, classify};
use combine::combine;
use decide::{Advice, decide};
use lookup::{Lookup, lookup};
use prompts::facts::ExpenseFacts;

/// How often a verdict is computed anew because a cap was taken while the model thought. Each time
/// another expense got its answer, so a run that loses this often stands in a queue that moves.
const MAX_RECORD_ATTEMPTS: u32 = 16;

/// What a run needs of the world.
#[derive(Clone)]
pub struct Agent {
    /// The adviser.
    pub model: Arc<dyn ChatModel>,
    /// The memory.
    pub ledger: Ledger,
    /// Whether the model sees `[CARD]` instead of a card's number, and so on.
    pub redacts_prompts: bool,
}

/// One expense to decide about, and what came with its request.
#[derive(Clone, Debug)]
pub struct Case {
    /// UUIDv7 of the expense.
    pub id: Uuid,
    /// When the request came in.
    pub received_at: Timestamp,
    /// Whose policies and caps count.
    pub tenant_id: String,
    /// The trace the run is part of: 32 hex digits.
    pub trace_id: String,
    /// The request's own span in it: 16 hex digits.
    pub span_id: String,
    /// When the model has to have answered, repairs included.
    pub model_deadline: tokio::time::Instant,
    /// The request's hold on its idempotency key, if it sent one.
    pub key: Option<KeyClaim>,
    /// What the expense is judged by, from the first step to the record, whatever is loaded
    /// meanwhile.
    pub rulebook: Rulebook,
    /// The expense.
    pub expense: Expense,
    /// The purchase that it refunds, when it is a credit.
    pub refunds: Option<Box<Entry>>,
}

/// A decision that is in the ledger.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The decision.
    pub decision: Decision,
    /// The hash of its record, which every later record of the tenant rests on: 64 hex digits.
    pub record_hash: String,
    /// How long the ledger took to take it.
    pub record_duration: Duration,
    /// How often a cap was taken by another expense between verdict and record.
    pub n_caps_moved: u32,
}

impl Agent {
    /// Decides about one expense. The decision is in the ledger when this returns.
    ///
    /// # Errors
    /// When the ledger fails; then nothing is answered.
    pub async fn run(&self, case: &Case) -> Result<Recorded, LedgerError> {
        step(Step::Agent, async {
            if let Some(purchase) = &case.refunds {
                return self.record_credit(case, purchase).await;
            }
            let classification = step(Step::Classify, classify(self, case)).await;
            let lookup = match &classification.category {
                Some(category) => {
                    Some(step(Step::PolicyLookup, lookup(self, case, category)).await?)
                }
                None => None,
            };
            let advice = match lookup.as_ref().and_then(|lookup| lookup.found.as_ref()) {
                Some(found) => Some(step(Step::Decide, decide(self, case, found)).await),
                None => None,
            };
            self.record(case, &classification, lookup, advice).await
        })
        .await
    }

    /// Records the decision, and takes its share of the caps in the same transaction. When a cap
    /// was taken meanwhile, verdict and combination are computed again, so that the answer is
    /// the one recorded.
    async fn record(
        &self,
        case: &Case,
        classification: &Classification,
        mut lookup: Option<Lookup>,
        advice: Option<Advice>,
    ) -> Result<Recorded, LedgerError> {
        let started = Instant::now();
        let mut n_caps_moved = 0;
        loop {
            let mut decision =
                self.conclude(case, classification, lookup.as_ref(), advice.as_ref());
            // The model could not know that the cap would move, so it was not overruled.
            decision.cap_moved = n_caps_moved > 0;
            decision.is_override &= !decision.cap_moved;
            let found = lookup.as_ref().and_then(|lookup| lookup.found.as_ref());
            let effect = found.map_or(Effect::None, |found| Effect::Take(&found.reservation));
            match self
                .ledger
                .record(&mut decision, effect, case.key.as_ref())
                .await
            {
                Ok(record_hash) => {
                    let record_duration = started.elapsed();
                    return Ok(Recorded {
                        decision,
                        record_hash,
                        record_duration,
                        n_caps_moved,
                    });
                }
                Err(RecordError::CapMoved) if n_caps_moved < MAX_RECORD_ATTEMPTS => {
                    n_caps_moved += 1
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(before) = &mut lookup {
                before.found = self::lookup::lookup(self, case, &before.category)
                    .await?
                    .found;
            }
        }
    }

    /// An expense as the model sees it; the rest of a prompt was written by the operator. Redaction
    /// is for the model alone: the verdict of the policy code rests on what the employee wrote.
    fn shown(&self, expense: &Expense) -> ExpenseFacts {
        if self.redacts_prompts {
            (&expense.clone().redacted()).into()
        } else {
            expense.into()
        }
    }

    /// The decision that follows from the steps: the one value everything else shows.
    fn conclude(
        &self,
        case: &Case,
        classification: &Classification,
        lookup: Option<&Lookup>,
        advice: Option<&Advice>,
    ) -> Decision {
        let combined = combine(classification, lookup, advice);
        let found = lookup.and_then(|lookup| lookup.found.as_ref());
        let verdict = found.map(|found| &found.verdict);
        let asks_for_approval = combined.outcome == Outcome::NeedsApproval;
        let runs: Vec<&StepRun> = [
            Some(&classification.run),
            lookup.map(|l| &l.run),
            advice.map(|a| &a.run),
        ]
        .into_iter()
        .flatten()
        .collect();
        let calls = || runs.iter().flat_map(|run| &run.report.calls);
        Decision {
            id: case.id,
            outcome: combined.outcome,
            category: classification.category.clone(),
            reason: combined.reason,
            approver: verdict
                .and_then(|verdict| verdict.approver)
                .filter(|_| asks_for_approval),
            // A review asks for no less than the rules would.
            reviewer: (combined.outcome == Outcome::NeedsReview).then(|| {
                verdict
                    .and_then(|verdict| verdict.approver)
                    .unwrap_or(Role::Manager)
            }),
            missing: verdict
                .filter(|_| asks_for_approval)
                .map(|verdict| verdict.missing.clone())
                .unwrap_or_default(),
            findings: verdict
                .map(|verdict| verdict.findings.clone())
                .unwrap_or_default(),
            reimbursable: found
                .filter(|_| combined.outcome != Outcome::NeedsReview)
                .map(|found| found.verdict.reimbursable(found.amount())),
            // The ledger notes them, when no other decision can come between.
            duplicates: Vec::new(),
            validations: runs
                .iter()
                .flat_map(|run| run.validations.clone())
                .collect(),
            policy_verdict: verdict.map(|verdict| verdict.ruling),
            model_decision: advice
                .and_then(|advice| advice.given.as_ref())
                .map(|(ruling, _)| *ruling),
            agent_outcome: agent_outcome(combined.outcome, &runs),
            is_override: combined.is_override,
            cap_moved: false,
            category_corroborated: classification.is_corroborated,
            policy: found.map(|found| found.policy.clone()),
            model: self.model.info().model.clone(),
            steps: runs.iter().map(|run| run.report.clone()).collect(),
            input_tokens: calls()
                .filter_map(|call| call.input_tokens)
                .fold(0, u64::saturating_add),
            output_tokens: calls()
                .filter_map(|call| call.output_tokens)
                .fold(0, u64::saturating_add),
            cost_usd: total_cost(calls()),
            trace_id: case.trace_id.clone(),
            span_id: case.span_id.clone(),
            tenant_id: case.tenant_id.clone(),
            received_at: case.received_at,
            expense: case.expense.clone(),
            converted_amount: found.and_then(|found| found.facts.converted_amount.clone()),
        }
    }
}

/// What the answered calls cost together; unknown when one of them has no price, or none was
/// answered.
fn total_cost<'a>(calls: impl Iterator<Item = &'a ModelCall>) -> Option<Decimal> {
    let costs = calls
        .filter(|call| call.error.is_none())
        .map(|call| call.cost.as_ref().map(|cost| cost.total));
    costs.reduce(|sum, cost| Some(sum? + cost?)).flatten()
}

/// How the reasoning went, whatever the business result.
fn agent_outcome(outcome: Outcome, runs: &[&StepRun]) -> AgentOutcome {
    if runs.iter().any(|run| run.is_unanswered()) {
        AgentOutcome::Error
    } else if outcome == Outcome::NeedsReview {
        AgentOutcome::Escalated
    } else if runs
        .iter()
        .flat_map(|run| &run.validations)
        .any(|validation| !validation.passed)
    {
        AgentOutcome::Corrected
    } else {
        AgentOutcome::Success
    }
}

/// Facts as the JSON text that a prompt holds.
fn to_text(facts: &impl Serialize) -> String {
    serde_json::to_string(facts).expect("facts are plain texts and decimals, which JSON can hold")
}
