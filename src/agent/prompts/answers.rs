//! The model's two answers, and the bounds of their fields that JSON types cannot express. The JSON
//! Schemas that the model is given are in `policy::schema`; whether an answer is true is checked in
//! `agent::validate`. Keys that the schema does not have are ignored.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::domain::ruling::Ruling;

/// The answer of the step classify.
#[derive(Clone, Debug, Deserialize)]
pub struct CategoryAnswer {
    /// Why, in a sentence.
    #[serde(deserialize_with = "with_plain_blanks")]
    pub rationale: String,
    /// The category's id; whether it exists is checked in `agent::validate`.
    #[serde(deserialize_with = "in_lower_case")]
    pub category: String,
}

/// The answer of the step decide.
#[derive(Clone, Debug, Deserialize)]
pub struct DecisionAnswer {
    /// The ids of the rules it rests on.
    pub cited_rules: Vec<String>,
    /// The reason, one sentence for the employee.
    #[serde(deserialize_with = "with_plain_blanks")]
    pub reason: String,
    /// The advice.
    #[serde(deserialize_with = "ruling")]
    pub decision: Ruling,
}

/// Characters that a sentence in an answer may have.
const MAX_SENTENCE_CHARS: usize = 1_000;
/// Rules that an answer may cite; no policy has as many.
const MAX_CITATIONS: usize = 32;

/// An answer whose fields have bounds that JSON types cannot express.
pub trait StructuredAnswer: DeserializeOwned {
    /// What is out of bounds, as the end of a sentence that asks the model for a repair.
    fn problem(&self) -> Option<String>;
}

impl StructuredAnswer for CategoryAnswer {
    fn problem(&self) -> Option<String> {
        sentence_problem("rationale", &self.rationale)
    }
}

impl StructuredAnswer for DecisionAnswer {
    fn problem(&self) -> Option<String> {
        if self.reason.trim().is_empty() {
            return Some("`reason` is empty".to_owned());
        }
        if self.cited_rules.len() > MAX_CITATIONS {
            return Some(format!(
                "`cited_rules` has more than {MAX_CITATIONS} entries"
            ));
        }
        sentence_problem("reason", &self.reason)
    }
}

fn sentence_problem(field: &str, text: &str) -> Option<String> {
    let is_sentence = text.chars().count() <= MAX_SENTENCE_CHARS
        && !text.contains(|c: char| c.is_control() && c != '\n');
    (!is_sentence).then(|| {
        format!("`{field}` is longer than {MAX_SENTENCE_CHARS} characters or contains control characters")
    })
}

/// Reads a sentence whose tabs become blanks and whose line ends become line feeds: they are no reason
/// to ask again, but records and answers hold no other control characters.
fn with_plain_blanks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.replace("\r\n", "\n").replace(['\t', '\r'], " "))
}

/// Reads a word of the schema. Models that no schema binds begin it with a capital.
fn in_lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.trim().to_ascii_lowercase())
}

fn ruling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ruling, D::Error> {
    let word = in_lower_case(deserializer)?;
    word.parse().map_err(D::Error::custom)
}
