//! The model's two answers, and the bounds of their fields that JSON types cannot express. The JSON
//! Schemas that the model is given are in `policy::schema`; whether an answer is true is checked in
//! `agent::validate`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::ruling::Ruling;

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

/// An answer whose fields have bounds that JSON types cannot express.
pub trait StructuredAnswer: DeserializeOwned {
    /// Which field is out of bounds.
    fn problem(&self) -> Option<&'static str>;
}

impl StructuredAnswer for CategoryAnswer {
    fn problem(&self) -> Option<&'static str> {
        if !(0.0..=1.0).contains(&self.confidence) {
            return Some("its confidence is not from 0 to 1");
        }
        (!is_sentence(&self.rationale)).then_some("its rationale is no sentence")
    }
}

impl StructuredAnswer for DecisionAnswer {
    fn problem(&self) -> Option<&'static str> {
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
