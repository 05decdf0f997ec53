//! The steps of a run, and the report that a decision keeps of each: attempts, model calls, tokens
//! and cost. The steps themselves are in `agent`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};
use utoipa::ToSchema;

/// The parts of a run, each of them one span.
#[derive(Serialize, Deserialize, ToSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The whole run.
    Agent,
    /// The model names the category.
    Classify,
    /// The policy in force is looked up.
    PolicyLookup,
    /// The model advises on the outcome.
    Decide,
    /// A person settles what was left open.
    Resolve,
}

/// What one call of the model cost, in US dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// Prompt and completion together.
    pub total: Decimal,
    /// The tokens read, cached ones at their own price.
    pub prompt: Decimal,
    /// The tokens written.
    pub completion: Decimal,
    /// The entry of the price table that was used.
    pub source: String,
}

/// One answer asked of the model, whether or not it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelCall {
    /// The model that answered, else the one that was asked.
    pub model: String,
    /// The answer's id, as the provider gave it.
    pub response_id: Option<String>,
    /// Why the model stopped, in the provider's words.
    pub finish_reason: Option<String>,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// What it cost; absent when the price or the usage is unknown.
    pub cost: Option<Cost>,
    /// Transport retries before the answer or the error.
    pub retries: u32,
    /// The class of the failure when no answer came, such as `timeout` or `429`.
    pub error: Option<String>,
}

/// The prompt file that a step asked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptRef {
    /// What it is called.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What a step did, whatever it concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepReport {
    /// Which step.
    pub step: Step,
    /// Answers asked for: 2 when the first one had to be repaired.
    pub attempts: u32,
    /// The category, the policy or the decision it came to.
    pub result: Option<String>,
    /// Why it came to nothing.
    pub error: Option<String>,
    /// What it asked the model with; absent in a step without a model.
    #[serde(default)]
    pub prompt: Option<PromptRef>,
    /// The model calls it made.
    pub calls: Vec<ModelCall>,
}
