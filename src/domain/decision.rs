//! The one value that everything else is a projection of: span attributes, ledger row, HTTP body
//! and page all show a [`Decision`] and compute nothing. What its parts mean stands here; how they
//! come about is in `agent`.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::Currency;

/// What becomes of an expense.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Within policy, nothing further needed.
    Approved,
    /// Within the caps, but a named role has to agree.
    NeedsApproval,
    /// Against policy.
    Denied,
    /// The machine is not to be trusted here; a person decides.
    NeedsReview,
}

/// What the policy engine or the model holds of an expense, from lenient to strict.
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
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Ruling {
    /// Nothing stands against it.
    Approved,
    /// A role has to agree.
    NeedsApproval,
    /// It breaks a rule.
    Denied,
}

impl From<Ruling> for Outcome {
    fn from(ruling: Ruling) -> Self {
        match ruling {
            Ruling::Approved => Self::Approved,
            Ruling::NeedsApproval => Self::NeedsApproval,
            Ruling::Denied => Self::Denied,
        }
    }
}

/// How the reasoning went, whatever the business result.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AgentOutcome {
    /// Every check passed.
    Success,
    /// A repair was needed, or policy code stood in for the model.
    Corrected,
    /// The machine was not trusted.
    Escalated,
    /// A dependency failed.
    Error,
}

/// Who can approve what a threshold asks for, from the lowest to the highest.
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
    ToSchema,
    Display,
    EnumIter,
    EnumString,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// The employee's manager.
    Manager,
    /// The head of the department.
    Director,
    /// A vice president.
    Vp,
    /// The chief financial officer.
    Cfo,
}

/// What has to be handed in before an expense can be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The receipt.
    Receipt,
}

/// The parts of a run, each of them one span.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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

/// The semantic checks, by the thing each one looks at.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ValidationType {
    /// The answer is what the schema asks for.
    AnswerSchema,
    /// The label is one of the loaded categories.
    CategoryMembership,
    /// Merchant category code, merchant and words agree with the category.
    CategoryEvidence,
    /// The lookup found a policy that can be used.
    ToolResult,
    /// The model's decision is the policy engine's verdict.
    DecisionConsistency,
    /// Every cited rule was retrieved, and at least one is cited.
    CitationGrounding,
    /// Every amount in the reason is in the input or a fact of the policy.
    AmountGrounding,
}

/// One check of one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// What was checked.
    #[serde(rename = "type")]
    pub kind: ValidationType,
    /// The step whose answer it was.
    pub step: Step,
    /// Which answer of that step, from 1.
    pub attempt: u32,
    /// Whether the check held.
    pub passed: bool,
    /// Whether a later answer of the same step passed this check.
    pub repaired: bool,
    /// Only the checked field: a label, a decision, a rule id or an amount, never free text.
    pub input: Option<String>,
    /// What would have passed.
    pub expected: Vec<String>,
    /// One sentence for a person.
    pub message: String,
    /// The answer's id, as the model's provider gave it.
    pub response_id: Option<String>,
}

impl Validation {
    /// Whether the check failed and no later answer mended it.
    pub fn finally_failed(&self) -> bool {
        !self.passed && !self.repaired
    }
}

/// The span of time, or the thing, that a limit counts over.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Window {
    /// This expense alone.
    Expense,
    /// One calendar day.
    Day,
    /// All expenses with one trip id.
    Trip,
    /// One calendar year.
    Year,
    /// Purchases at one merchant, within the days that the rule says.
    Merchant,
}

/// One rule that speaks against approving an expense as it is. Amounts are in the policy's
/// currency. A rule that names no amount, such as one against old expenses, allows nothing: its
/// `limit` and `allowable` are zero, and all of the expense is `exceeded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// What the rule asks for.
    pub effect: Ruling,
    /// What the limit counts over.
    pub window: Window,
    /// The cap, or the threshold above which a role or a receipt is asked for; zero where a rule
    /// allows nothing.
    #[schema(example = "500.00")]
    pub limit: Decimal,
    /// What the window already holds, this expense apart.
    #[schema(example = "0.00")]
    pub used: Decimal,
    /// This expense.
    #[schema(example = "650.00")]
    pub amount: Decimal,
    /// How much of this expense the rule lets pass: `limit` less `used`, at least zero.
    #[schema(example = "500.00")]
    pub allowable: Decimal,
    /// How much of this expense is above that.
    #[schema(example = "150.00")]
    pub exceeded: Decimal,
    /// One sentence for a person.
    pub message: String,
}

/// An earlier decision that may be about the same purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// The earlier decision.
    pub id: Uuid,
    /// How alike the two expenses are, from 0 to 1: 1 when amount, date, merchant and text are the
    /// same.
    #[schema(example = "1.0")]
    pub score: Decimal,
}

/// The policy a decision was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRef {
    /// Its category.
    pub id: String,
    /// Its version, as its file says.
    pub version: String,
    /// Beginning of the SHA-256 of its file.
    pub hash: String,
    /// The ids of its rules.
    pub rules: Vec<String>,
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

/// What was decided about one expense, and everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// UUIDv7, so ids sort by the time of receipt.
    pub id: Uuid,
    /// What became of the expense.
    pub outcome: Outcome,
    /// The category, unless no answer could be used.
    pub category: Option<String>,
    /// One or two sentences for the employee.
    pub reason: String,
    /// Who has to agree, when approval is asked for.
    pub approver: Option<Role>,
    /// Who has to look at it at least, when the machine is not to be trusted.
    #[serde(default)]
    pub reviewer: Option<Role>,
    /// What has to be handed in.
    pub missing: Vec<Missing>,
    /// The rules that speak against approving the expense as it is, the strictest first.
    pub findings: Vec<Finding>,
    /// How much of the expense policy lets be paid, in the policy's currency: all of it when it is
    /// approved or pending approval, what every broken rule still allows when it is denied,
    /// what a credit takes back, below zero. Absent when a person has to decide. A denial
    /// takes nothing of the caps, so what it tells is for a new expense to ask for,
    /// and nothing to pay by.
    #[schema(example = "500.00")]
    pub reimbursable: Option<Decimal>,
    /// Earlier decisions, approved or pending approval, that may be about the same purchase, the
    /// most alike first. A note for people, which changes no outcome.
    #[serde(default)]
    pub duplicates: Vec<Duplicate>,
    /// Every check made, in order.
    pub validations: Vec<Validation>,
    /// What the policy engine holds; absent without a policy.
    pub policy_verdict: Option<Ruling>,
    /// What the model advised; absent when no answer could be read.
    pub model_decision: Option<Ruling>,
    /// How the reasoning went.
    pub agent_outcome: AgentOutcome,
    /// Whether policy code overruled a more lenient model.
    #[serde(rename = "override")]
    pub is_override: bool,
    /// Whether another expense took a cap while the model thought. Verdict, findings and outcome
    /// are then those of the cap as it was when this decision was recorded; the checks are
    /// those of the verdict the model was held against.
    pub cap_moved: bool,
    /// Whether anything but the model's word speaks for the category.
    pub category_corroborated: bool,
    /// The policy it was made under.
    pub policy: Option<PolicyRef>,
    /// The model that was asked.
    pub model: String,
    /// The steps in order, with their model calls.
    pub steps: Vec<StepReport>,
    /// Tokens read in all calls.
    pub input_tokens: u64,
    /// Tokens written in all calls.
    pub output_tokens: u64,
    /// What all calls cost; absent when the price of one is unknown.
    pub cost_usd: Option<Decimal>,
    /// The trace that shows how it came about: 32 hex digits.
    pub trace_id: String,
    /// The request's own span in that trace: 16 hex digits.
    #[serde(default)]
    pub span_id: String,
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// When the request came in.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// The expense itself, as it was understood.
    #[serde(flatten)]
    pub expense: Expense,
    /// Its amount in the policy's currency, which findings and caps are in; absent when it is in
    /// that currency already, or cannot be converted.
    pub converted_amount: Option<ConvertedAmount>,
}

impl Decision {
    /// The lowest role that can settle it; absent when nothing is open.
    pub fn pending(&self) -> Option<Role> {
        self.approver.or(self.reviewer)
    }

    /// Its amount in the currency of its policy, as far as it is known.
    pub fn policy_amount(&self) -> (Decimal, Currency) {
        let own = (self.expense.amount, self.expense.currency);
        self.converted_amount
            .as_ref()
            .map_or(own, |converted| (converted.amount, converted.currency))
    }

    /// The model, if it was asked anything: about a credit it is not.
    pub fn asked_model(&self) -> Option<&str> {
        self.steps
            .iter()
            .any(|step| !step.calls.is_empty())
            .then_some(&*self.model)
    }

    /// The types of the checks that finally failed, each once, in order.
    pub fn failed_types(&self) -> Vec<ValidationType> {
        failed_types(&self.validations)
    }
}

/// The types of the checks among these that finally failed, each once, in order.
pub fn failed_types(validations: &[Validation]) -> Vec<ValidationType> {
    let mut failed = Vec::new();
    for validation in validations
        .iter()
        .filter(|validation| validation.finally_failed())
    {
        if !failed.contains(&validation.kind) {
            failed.push(validation.kind);
        }
    }
    failed
}
