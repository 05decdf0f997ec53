//! The facts of an expense in `/openapi.json`: properties of requests and of answers, made from the
//! declarations in `domain::facts`. The other fields are described by their types, and bounded in
//! `bounds`.

use serde_json::{Map, Value, json};
use strum::IntoEnumIterator;

use crate::domain::facts::form::{Form, HTTPS_URL, MAX_URL_CHARS, countries};
use crate::domain::facts::{Declaration, FactName};
use crate::http::text_bounds::{line, text};

/// The facts as properties of a request. A fact that is null is absent.
pub(super) fn of_requests() -> Map<String, Value> {
    properties(|declaration| {
        let mut schema = schema(declaration.form);
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
        let mut types = match schema["type"].take() {
            Value::Array(types) => types,
            only => vec![only],
        };
        types.push("null".into());
        schema["type"] = types.into();
        schema
    })
}

/// The facts as properties of an answer. A text may have been redacted or erased, so it has no
/// bounds.
pub(super) fn of_answers() -> Map<String, Value> {
    properties(
        |declaration| match (declaration.personal, declaration.form) {
            (true, _) | (_, Form::Distance) => json!({"type": "string"}),
            (_, form) => schema(form),
        },
    )
}

/// A distance needs its unit, and a unit its distance.
pub(super) fn distance_with_unit() -> Value {
    let (distance, unit): (&str, &str) = (FactName::Distance.into(), FactName::DistanceUnit.into());
    json!({"anyOf": [
        {"properties": {distance: {"type": "null"}, unit: {"type": "null"}}},
        {
            "properties": {distance: {"type": ["string", "number"]}, unit: {"type": "string"}},
            "required": [distance, unit],
        },
    ]})
}

fn properties(schema: impl Fn(Declaration) -> Value) -> Map<String, Value> {
    FactName::iter()
        .map(|name| {
            let declaration = name.declaration();
            let mut schema = schema(declaration);
            schema["description"] = declaration.meaning.into();
            (name.to_string(), schema)
        })
        .collect()
}

/// What a form admits.
fn schema(form: Form) -> Value {
    match form {
        // Not `maximum`: the bounds of all numbers are written in one way.
        Form::Count { max } => json!({
            "type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": u32::from(max) + 1,
        }),
        Form::Distance => json!({
            "type": ["string", "number"],
            "allOf": [{"pattern": r"^[0-9]{1,12}(\.[0-9])?$"}, {"pattern": "[1-9]"}],
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1_000_000_000_000_u64,
        }),
        Form::Choice(words) => json!({"type": "string", "enum": words}),
        Form::Choices(words) => json!({
            "type": "array", "items": {"type": "string", "enum": words}, "uniqueItems": true,
        }),
        Form::Country => json!({"type": "string", "enum": countries().collect::<Vec<_>>()}),
        Form::Line { max } => line(json!("string"), max.into()),
        Form::Text { min, max } => text(json!("string"), min.into(), max.into()),
        Form::Date => json!({"type": "string", "format": "date"}),
        Form::Url => json!({
            "type": "string", "pattern": HTTPS_URL, "maxLength": MAX_URL_CHARS,
        }),
    }
}
