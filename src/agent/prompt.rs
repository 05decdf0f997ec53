//! What the model is shown: two fixed instruction texts, and the facts of one expense as JSON
//! beside them. The facts are typed both ways, because the offline model reads the same prompt as
//! any other.

use std::sync::LazyLock;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::domain::expense::{ConvertedAmount, Expense};
use crate::domain::money::Currency;
use crate::domain::ruling::Ruling;
use crate::llm::{AnswerSchema, Prompt};
use crate::policy::evaluate::{RuleFacts, Subject};

/// Instructions of the step classify.
pub static CLASSIFY: LazyLock<Prompt> =
    LazyLock::new(|| Prompt::new("classify", "1", include_str!("prompts/classify.md")));

/// Instructions of the step decide.
pub static DECIDE: LazyLock<Prompt> =
    LazyLock::new(|| Prompt::new("decide", "4", include_str!("prompts/decide.md")));

/// The two forms an answer can have, by the name the model is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Schema {
    /// [`CategoryAnswer`].
    Classification,
    /// [`DecisionAnswer`].
    Decision,
}

/// What the model sees of an expense: nothing of who the employee is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExpenseFacts {
    /// What the employee wrote.
    pub transaction: String,
    /// Exact amount.
    pub amount: Decimal,
    /// Its currency.
    pub currency: Currency,
    /// The merchant's name, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// The merchant category code, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// The day of the purchase.
    pub date: Date,
    /// Whether a receipt is attached.
    pub receipt: bool,
}

impl From<&Expense> for ExpenseFacts {
    fn from(expense: &Expense) -> Self {
        Self {
            transaction: expense.transaction.clone(),
            amount: expense.amount,
            currency: expense.currency,
            merchant: expense.merchant.clone(),
            mcc: expense.mcc.clone(),
            date: expense.date,
            receipt: expense.receipt,
        }
    }
}

/// One category the model can choose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryFacts {
    /// Its id.
    pub id: String,
    /// Its policy, as people read it.
    pub policy: String,
}

/// The facts of the step classify.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassifyFacts {
    /// The choice.
    pub categories: Vec<CategoryFacts>,
    /// The expense.
    pub expense: ExpenseFacts,
}

/// One policy, as the model sees it: what is already used stands in its rules, the verdict does
/// not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyFacts {
    /// The policy, as people read it.
    pub text: String,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its rules, with what is used of each.
    pub rules: Vec<RuleFacts>,
}

/// The facts of the step decide.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecideFacts {
    /// The category it was sorted into.
    pub category: String,
    /// The day of receipt, UTC.
    pub today: Date,
    /// The expense.
    pub expense: ExpenseFacts,
    /// Its amount in the policy's currency, when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted_amount: Option<ConvertedAmount>,
    /// The policy in force.
    pub policy: PolicyFacts,
}

impl DecideFacts {
    /// What the rules look at: nothing that the model does not see as well.
    pub fn subject(&self) -> Subject<'_> {
        let expense = &self.expense;
        Subject {
            amount: self
                .converted_amount
                .as_ref()
                .map_or(expense.amount, |converted| converted.amount),
            receipt: expense.receipt,
            date: expense.date,
            today: self.today,
            mcc: expense.mcc.as_deref(),
            merchant: expense.merchant.as_deref(),
            transaction: &expense.transaction,
        }
    }
}

/// The answer of the step classify.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryAnswer {
    /// The label, checked later.
    pub category: String,
    /// How sure the model is, from 0 to 1.
    pub confidence: f64,
    /// Why, in a sentence.
    pub rationale: String,
}

/// The answer of the step decide.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionAnswer {
    /// The advice.
    pub decision: Ruling,
    /// One sentence for the employee.
    pub reason: String,
    /// The rules it rests on.
    pub cited_rules: Vec<String>,
}

/// Characters of a sentence in an answer: what is longer is no sentence.
const MAX_SENTENCE_CHARS: usize = 1_000;
/// Rules an answer may cite; no policy has as many.
const MAX_CITATIONS: usize = 32;

/// An answer whose form has bounds that JSON types cannot say.
pub trait Answerable: DeserializeOwned {
    /// What is out of bounds.
    fn fault(&self) -> Option<&'static str>;
}

impl Answerable for CategoryAnswer {
    fn fault(&self) -> Option<&'static str> {
        if !(0.0..=1.0).contains(&self.confidence) {
            return Some("its confidence is not from 0 to 1");
        }
        (!is_sentence(&self.rationale)).then_some("its rationale is no sentence")
    }
}

impl Answerable for DecisionAnswer {
    fn fault(&self) -> Option<&'static str> {
        if self.reason.trim().is_empty() || !is_sentence(&self.reason) {
            return Some("its reason is no sentence");
        }
        (self.cited_rules.len() > MAX_CITATIONS).then_some("it cites too many rules")
    }
}

fn is_sentence(text: &str) -> bool {
    text.chars().count() <= MAX_SENTENCE_CHARS
        && !text.contains(|c: char| c.is_control() && c != '\n')
}

/// The form of a classification, with the loaded categories as the only labels.
pub fn classification_schema(categories: &[&str]) -> AnswerSchema {
    #[derive(Serialize)]
    struct Properties<'a> {
        category: Labels<'a>,
        confidence: Share,
        rationale: Text,
    }
    let properties = Properties {
        category: Labels::of(categories),
        confidence: SHARE,
        rationale: TEXT,
    };
    answer_schema(
        Schema::Classification,
        &["category", "confidence", "rationale"],
        properties,
    )
}

/// The form of a decision, with the rules of one policy as the only citations.
pub fn decision_schema(rules: &[RuleFacts]) -> AnswerSchema {
    #[derive(Serialize)]
    struct Properties<'a> {
        cited_rules: List<Labels<'a>>,
        decision: Labels<'a>,
        reason: Text,
    }
    let ids: Vec<&str> = rules.iter().map(|facts| facts.rule.id.as_str()).collect();
    let cited_rules = List {
        kind: "array",
        items: Labels::of(&ids),
    };
    let properties = Properties {
        cited_rules,
        decision: Labels::of(Ruling::VARIANTS),
        reason: TEXT,
    };
    answer_schema(
        Schema::Decision,
        &["cited_rules", "decision", "reason"],
        properties,
    )
}

/// An object of which every property is required, and no other one allowed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a, P> {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: P,
    required: &'a [&'a str],
    additional_properties: bool,
}

/// One of some texts.
#[derive(Serialize)]
struct Labels<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    r#enum: &'a [&'a str],
}

impl<'a> Labels<'a> {
    fn of(labels: &'a [&'a str]) -> Self {
        Self {
            kind: "string",
            r#enum: labels,
        }
    }
}

/// Any text.
#[derive(Serialize)]
struct Text {
    #[serde(rename = "type")]
    kind: &'static str,
}

const TEXT: Text = Text { kind: "string" };

/// A number from 0 to 1.
#[derive(Serialize)]
struct Share {
    #[serde(rename = "type")]
    kind: &'static str,
    minimum: u8,
    maximum: u8,
}

const SHARE: Share = Share {
    kind: "number",
    minimum: 0,
    maximum: 1,
};

/// Any number of items.
#[derive(Serialize)]
struct List<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    items: T,
}

fn answer_schema(schema: Schema, required: &[&str], properties: impl Serialize) -> AnswerSchema {
    let object = Object {
        kind: "object",
        properties,
        required,
        additional_properties: false,
    };
    let schema_text = to_raw_value(&object).expect("names and numbers can be written as JSON");
    AnswerSchema {
        name: schema.into(),
        schema: schema_text,
    }
}
