//! The story: an expense is classified, its policy is looked up, the model advises, and policy code
//! decides. Read [`Agent::run`] first. The only telemetry here is `step`, which puts a part of the
//! story into a span of its own.

pub mod ask;
pub mod classify;
pub mod combine;
mod conclude;
mod credit;
pub mod decide;
pub mod feedback;
pub mod lookup;
pub mod one_object;
pub mod people;
pub mod prompts;
pub mod record;
pub mod resolve;
pub mod supersede;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::decision::{Decision, Submitter};
use crate::domain::expense::Expense;
use crate::domain::step::Step;
use crate::ledger::{KeyClaim, Ledger, StoredDecision};
use crate::llm::ChatModel;
use crate::rulebook::Rulebook;
use crate::telemetry::spans::step::{span_id, step};
use classify::classify;
use decide::decide;
use lookup::lookup;
use prompts::facts::ExpenseFacts;
use supersede::RunError;

/// How often recording is attempted while other expenses keep taking shares of a cap between verdict
/// and record. Each failed attempt means that another expense was recorded, so the service makes
/// progress even if one run gives up.
const MAX_RECORD_ATTEMPTS: u32 = 16;

/// What every run uses.
#[derive(Clone)]
pub struct Agent {
    /// The model that advises.
    pub model: Arc<dyn ChatModel>,
    /// The ledger of decisions.
    pub ledger: Ledger,
    /// Whether the model sees placeholders such as `[CARD]` instead of personal data.
    pub redacts_prompts: bool,
}

/// An expense to judge, and what it is judged by. The policy lookup needs no more than this, so it
/// serves both a new expense and the resolution of an open one.
#[derive(Clone, Debug)]
pub struct JudgedExpense {
    /// The tenant whose caps count.
    pub tenant_id: String,
    /// When the request arrived, on a clock that is never set back: times in reports count from here.
    pub arrived: Instant,
    /// The day of receipt, UTC.
    pub today: Date,
    /// The policies, rates and prices, the same from the first step to the record, even if others
    /// are loaded meanwhile.
    pub rulebook: Rulebook,
    /// The expense.
    pub expense: Expense,
    /// The plan that it is the purchase of.
    pub plan: Option<Arc<StoredDecision>>,
}

/// One expense to decide, and the request that brought it.
#[derive(Clone, Debug)]
pub struct Case {
    /// UUIDv7, which becomes the id of the decision.
    pub id: Uuid,
    /// When the request came in.
    pub received_at: Timestamp,
    /// The holder of the API key of the request; `None` where none is required.
    pub submitted_by: Option<Submitter>,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// The request's own span in that trace: 16 hex digits.
    pub span_id: String,
    /// The span of the agent's run in that trace: 16 hex digits. Known once the run has begun.
    pub agent_span_id: Option<String>,
    /// By when the model must have answered, repairs included.
    pub model_deadline: Instant,
    /// The request's claim of its idempotency key, if it sent one.
    pub idempotency: Option<KeyClaim>,
    /// What is judged.
    pub judged: JudgedExpense,
    /// The purchase that the expense refunds, if it is a credit.
    pub refunds: Option<Box<StoredDecision>>,
    /// The decision that this one supersedes, if the expense is decided anew.
    pub supersedes: Option<Arc<StoredDecision>>,
}

/// A decision that is in the ledger.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The decision.
    pub decision: Decision,
    /// The hash of its record, on which every later record of the tenant rests: 64 hex digits.
    pub record_hash: String,
    /// How long it took to record, repeated lookups included.
    pub record_duration: Duration,
    /// The decision that this one superseded.
    pub superseded: Option<Arc<StoredDecision>>,
}

impl Agent {
    /// Decides one expense. The decision is in the ledger when this returns.
    ///
    /// # Errors
    /// When the ledger fails, the model has too many calls waiting, or the old decision cannot be
    /// superseded; then there is no new one.
    pub async fn run(&self, case: &mut Case) -> Result<Recorded, RunError> {
        if let Some(old) = &case.supersedes {
            supersede::check(old)?;
        }
        step(Step::Agent, async {
            case.agent_span_id = span_id();
            let case = &*case;
            if let Some(purchase) = &case.refunds {
                let write = self.record_credit(case, purchase);
                return Ok(self.recording(Step::RecordDecision, write).await?);
            }
            let shown = self.shown(&case.judged.expense);
            let classification = step(Step::Classify, classify(self, case, &shown)).await;
            classification.run.check_load()?;
            let lookup = match &classification.category {
                Some(category) => {
                    let lookup =
                        lookup(&self.ledger, &case.judged, category, &classification.rivals);
                    Some(step(Step::PolicyLookup, lookup).await?)
                }
                None => None,
            };
            let advice = match lookup.as_ref().and_then(|lookup| lookup.found.as_ref()) {
                Some(found) => Some(step(Step::Decide, decide(self, case, found, &shown)).await),
                None => None,
            };
            if let Some(advice) = &advice {
                advice.run.check_load()?;
            }
            self.record(case, &classification, lookup, advice).await
        })
        .await
    }

    /// What the model may see of an expense. Redaction concerns the model alone: the verdict rests
    /// on what the employee wrote, and everything else in a prompt was written by the operator.
    fn shown(&self, expense: &Expense) -> ExpenseFacts {
        if self.redacts_prompts {
            (&expense.clone().redacted()).into()
        } else {
            expense.into()
        }
    }
}

/// Facts as the JSON text that a prompt holds.
fn to_text(facts: &impl Serialize) -> String {
    serde_json::to_string(facts).expect("facts are plain texts and decimals, which JSON can hold")
}
