//! The JSON Schemas of the model's two answers. A schema lists the categories or the rules that an
//! answer may choose from. Only the policies know these, so the schemas are built once, when the
//! policies are loaded, and not for every question. What the fields mean is in
//! `agent::prompts::answers`.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use strum::VariantNames;

use crate::domain::ruling::Ruling;
use crate::policy::rule::Rule;

/// The schema of a classification, which allows only these categories.
pub(super) fn classification(categories: &[&str]) -> Box<RawValue> {
    let properties = json!({
        "category": {"type": "string", "enum": categories},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "rationale": {"type": "string"},
    });
    object(properties)
}

/// The schema of a decision, with the rules of one policy as the only citations.
pub(super) fn decision(rules: &[Rule]) -> Box<RawValue> {
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let properties = json!({
        "cited_rules": {"type": "array", "items": {"type": "string", "enum": ids}},
        "decision": {"type": "string", "enum": Ruling::VARIANTS},
        "reason": {"type": "string"},
    });
    object(properties)
}

/// An object in the strict subset of JSON Schema that providers enforce: every property is
/// required, and no other one is allowed.
fn object(properties: Value) -> Box<RawValue> {
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    to_raw_value(&schema).expect("a JSON value can be written as JSON")
}
