//! The JSON Schemas of the model's two answers. A schema lists the categories or the rules that an
//! answer may choose from. Only the policies know these, so the schemas are built once, when the
//! policies are loaded, and not for every question. What the fields mean is in
//! `agent::prompts::answers`.
//!
//! The schemas use no keyword but `type`, `properties`, `required`, `additionalProperties`, `enum`
//! and `items`, which every provider and grammar engine enforces. Ranges and lengths are not among
//! them, so the service checks those itself. A model writes the keys in the order of the schema, so
//! the reason is before what it is the reason for.

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use strum::VariantNames;

use crate::domain::ruling::Ruling;
use crate::policy::rule::Rule;

/// The most values that the enums of one schema may have together, and the most characters that the
/// values of one enum of more than [`LARGE_ENUM`] values may have together: limits of
/// [OpenAI's structured outputs](https://platform.openai.com/docs/guides/structured-outputs).
const MAX_ENUM_VALUES: usize = 1_000;
const MAX_LARGE_ENUM_CHARS: usize = 15_000;
const LARGE_ENUM: usize = 250;

/// The schema of a classification, which allows only these categories.
pub(super) fn classification(categories: &[&str]) -> Box<RawValue> {
    object(vec![
        ("rationale", json!({"type": "string"})),
        ("category", json!({"type": "string", "enum": categories})),
    ])
}

/// The schema of a decision, with the rules of one policy as the only citations.
pub(super) fn decision(rules: &[Rule]) -> Box<RawValue> {
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let citation = json!({"type": "string", "enum": ids});
    object(vec![
        ("cited_rules", json!({"type": "array", "items": citation})),
        ("reason", json!({"type": "string"})),
        (
            "decision",
            json!({"type": "string", "enum": Ruling::VARIANTS}),
        ),
    ])
}

/// What is wrong with the number of categories, if they are too many for the schema.
pub(super) fn too_many_categories<'a>(categories: impl Iterator<Item = &'a str>) -> Option<String> {
    let problem = too_large(categories, 0)?;
    Some(format!("there are too many categories: {problem}"))
}

/// What is wrong with the number of rules of one policy, if they are too many for the schema.
pub(super) fn too_many_rules<'a>(ids: impl Iterator<Item = &'a str>) -> Option<String> {
    let problem = too_large(ids, Ruling::VARIANTS.len())?;
    Some(format!("the policy has too many rules: {problem}"))
}

/// Why these values cannot be an enum of a schema whose other enums have `n_others` values.
fn too_large<'a>(values: impl Iterator<Item = &'a str>, n_others: usize) -> Option<String> {
    let (n_values, n_chars) = values.fold((0, 0), |(n_values, n_chars), value| {
        (n_values + 1, n_chars + value.chars().count())
    });
    let most = MAX_ENUM_VALUES - n_others;
    if n_values > most {
        return Some(format!(
            "a model can choose from at most {most}, and here are {n_values}; merge or remove some"
        ));
    }
    (n_values > LARGE_ENUM && n_chars > MAX_LARGE_ENUM_CHARS).then(|| {
        format!(
            "a model can choose from more than {LARGE_ENUM} only if their names have at most \
             {MAX_LARGE_ENUM_CHARS} characters together, and here they have {n_chars}; shorten \
             names, or merge or remove some"
        )
    })
}

/// An object in the strict subset of JSON Schema that providers enforce: every property is
/// required, and no other one is allowed.
fn object(properties: Vec<(&'static str, Value)>) -> Box<RawValue> {
    let schema = ObjectSchema {
        kind: "object",
        required: properties.iter().map(|(name, _)| *name).collect(),
        properties: InOrder(properties),
        additional_properties: false,
    };
    to_raw_value(&schema).expect("a JSON value can be written as JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectSchema {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: InOrder,
    required: Vec<&'static str>,
    additional_properties: bool,
}

/// Properties that are written in their own order; a JSON value would sort them.
struct InOrder(Vec<(&'static str, Value)>);

impl Serialize for InOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, schema)| (name, schema)))
    }
}
