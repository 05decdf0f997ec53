//! The steps of a run, and the report that a decision keeps of each: attempts, model calls, tokens,
//! cost and times. The steps themselves are in `agent`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};
use utoipa::ToSchema;

use crate::domain::feedback::FeedbackName;
use crate::domain::milliseconds::Milliseconds;

/// The parts of a run. Each one is a span.
#[derive(Serialize, Deserialize, ToSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The whole run.
    Agent,
    /// The model names the category.
    Classify,
    /// The policy in force is looked up and evaluated.
    PolicyLookup,
    /// The model advises on the outcome.
    Decide,
    /// A person resolves an open decision.
    Resolve,
    /// A person says what they think of a decision. No part of a run, so no record names it.
    #[serde(skip)]
    Feedback(FeedbackName),
    /// The idempotency key of a request is claimed, before the run. No record names this step either,
    /// nor the next three.
    #[serde(skip)]
    ClaimIdempotencyKey,
    /// The decision is written to the ledger.
    #[serde(skip)]
    RecordDecision,
    /// The resolution is written to the ledger.
    #[serde(skip)]
    RecordResolution,
    /// The feedback is written to the ledger.
    #[serde(skip)]
    RecordFeedback,
}

/// What one model call cost, in US dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// Input and output tokens together.
    pub total: Decimal,
    /// The input tokens, cached ones at their own price.
    pub prompt: Decimal,
    /// The output tokens.
    pub completion: Decimal,
    /// The entry of the price table that was used.
    pub source: String,
}

/// One call of the model, answered or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelCall {
    /// The model that answered, or the one that was asked if none answered.
    pub model: String,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// Why the model stopped, in the provider's words.
    pub finish_reason: Option<String>,
    /// Input tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Output tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// What the call cost; absent if the price or the token usage is unknown.
    pub cost: Option<Cost>,
    /// Transport retries before the answer or the error.
    pub retries: u32,
    /// Why there is no answer, such as `timeout` or `429`; absent if there is one.
    pub error: Option<String>,
    /// When the call began, in milliseconds after the request arrived. Absent in records of earlier
    /// versions, like `duration_ms`.
    #[serde(default)]
    pub started_ms: Option<Milliseconds>,
    /// How long the call took in milliseconds, with its retries and the wait for its turn.
    #[serde(default)]
    pub duration_ms: Option<Milliseconds>,
}

/// The prompt that a step used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptRef {
    /// The prompt's name.
    pub name: String,
    /// The prompt's version, which is raised whenever its text changes.
    pub version: String,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepReport {
    /// Which step.
    pub step: Step,
    /// How often the model was asked: 2 if the first answer had to be repaired.
    pub attempts: u32,
    /// The category, the policy or the decision that resulted.
    pub result: Option<String>,
    /// Why there is no result.
    pub error: Option<String>,
    /// The prompt; absent in a step that asks no model.
    #[serde(default)]
    pub prompt: Option<PromptRef>,
    /// The model calls, in order.
    pub calls: Vec<ModelCall>,
    /// When the step began, in milliseconds after the request arrived. Absent in records of earlier
    /// versions, like `duration_ms`.
    #[serde(default)]
    pub started_ms: Option<Milliseconds>,
    /// How long the step took, in milliseconds.
    #[serde(default)]
    pub duration_ms: Option<Milliseconds>,
}
