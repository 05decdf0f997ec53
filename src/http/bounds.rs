//! What requests may contain, as JSON Schema in `/openapi.json`: lengths, patterns, formats, and which
//! field needs which. The checks themselves are in `domain::body`, `domain::submission` and
//! `domain::resolution`; a test compares the two. The bounds are added to the finished description,
//! because a derived schema has no conditions, and its patterns are literals that every field would
//! repeat.
//!
//! A schema cannot say which calendar days and currencies exist, how many decimals a currency has, or
//! that a JSON number is written without an exponent; the description of the field does.

use serde_json::{Map, Value, json};

use crate::domain::body::{MAX_ID_CHARS, MAX_TEXT_CHARS};
use crate::domain::submission::{MAX_HINT_CHARS, MAX_MERCHANT_CHARS};

/// Control characters, in the notation that regular expressions of JavaScript, Python and Rust share.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// White space that is not a control character.
const BLANK: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// What `spelling::is_invisible` names, and the blank of Braille. Characters above U+FFFF are left
/// out, because the notation has only four digits: a text of these alone is refused all the same.
const INVISIBLE: &str = r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb";

/// Adds the bounds to a description.
pub(super) fn add(contract: &mut Value) {
    let schemas = "/components/schemas";
    merge(
        contract,
        &format!("{schemas}/Submission"),
        &submission_rules(),
    );
    for (field, bounds) in submission_fields() {
        merge(
            contract,
            &format!("{schemas}/Submission/properties/{field}"),
            &bounds,
        );
    }
    merge(
        contract,
        &format!("{schemas}/ResolutionRequest"),
        &resolution_rules(),
    );
    for (field, bounds) in resolution_fields() {
        merge(
            contract,
            &format!("{schemas}/ResolutionRequest/properties/{field}"),
            &bounds,
        );
    }
    let key = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    for (route, method, name, bounds) in [
        ("/v1/expenses", "post", "Idempotency-Key", key.clone()),
        ("/v1/expenses/batch", "post", "Idempotency-Key", key),
        (
            "/v1/expenses",
            "get",
            "category",
            line(json!("string"), MAX_ID_CHARS),
        ),
        (
            "/v1/expenses",
            "get",
            "user_id",
            line(json!("string"), MAX_ID_CHARS),
        ),
        (
            "/v1/expenses",
            "get",
            "cursor",
            json!({"type": "string", "format": "uuid"}),
        ),
        ("/v1/expenses", "get", "limit", json!({"type": "integer"})),
    ] {
        let parameters = &mut contract["paths"][route][method]["parameters"];
        let parameters = parameters.as_array_mut().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["name"] == name) {
            merge(parameter, "/schema", &bounds);
        }
    }
}

/// Adds members to the object at a place of a document.
fn merge(document: &mut Value, place: &str, members: &Value) {
    let object = document.pointer_mut(place).and_then(Value::as_object_mut);
    if let (Some(object), Some(members)) = (object, members.as_object()) {
        object.extend(members.clone());
    }
}

fn submission_fields() -> Map<String, Value> {
    let nullable = || json!(["string", "null"]);
    let amounts = json!([
        {
            "type": "string",
            "allOf": [{"pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,4})?$"}, {"pattern": "[1-9]"}],
        },
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1_000_000_000_000_u64},
        {"type": "number", "exclusiveMaximum": 0, "exclusiveMinimum": -1_000_000_000_000_i64},
    ]);
    fields(json!({
        "transaction": text(),
        "amount": {"oneOf": amounts},
        "currency": {"pattern": "^[A-Z]{3}$"},
        "merchant": line(nullable(), MAX_MERCHANT_CHARS),
        "category_hint": line(nullable(), MAX_HINT_CHARS),
        "mcc": {"pattern": "^[0-9]{4}$"},
        "date": {"format": "date"},
        "trip_id": line(nullable(), MAX_ID_CHARS),
        "user_id": line(nullable(), MAX_ID_CHARS),
        "refunds": {"format": "uuid"},
        "supersedes": {"format": "uuid"},
    }))
}

/// A credit is below zero and supersedes nothing; everything else is above zero.
fn submission_rules() -> Value {
    json!({
        "if": {"properties": {"refunds": {"type": "string"}}, "required": ["refunds"]},
        "then": {"properties": {
            "amount": {"anyOf": [
                {"type": "string", "pattern": "^-"},
                {"type": "number", "exclusiveMaximum": 0},
            ]},
            "supersedes": {"type": "null"},
        }},
        "else": {"properties": {"amount": {"anyOf": [
            {"type": "string", "pattern": "^[0-9]"},
            {"type": "number", "exclusiveMinimum": 0},
        ]}}},
    })
}

fn resolution_fields() -> Map<String, Value> {
    let nullable = || json!(["string", "null"]);
    let amounts = json!([
        {
            "type": "string",
            "allOf": [{"pattern": r"^[0-9]{1,12}(\.[0-9]{1,4})?$"}, {"pattern": "[1-9]"}],
        },
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1_000_000_000_000_u64},
        {"type": "null"},
    ]);
    fields(json!({
        "actor": line(nullable(), MAX_ID_CHARS),
        "reason": text(),
        "amount": {"type": ["string", "number", "null"], "oneOf": amounts},
        "category": line(nullable(), MAX_ID_CHARS),
    }))
}

/// Only an approval has an amount and a category, and only people who withdraw need no role.
fn resolution_rules() -> Value {
    json!({"allOf": [
        {
            "if": {"properties": {"action": {"const": "approve"}}},
            "else": {"properties": {"amount": {"type": "null"}, "category": {"type": "null"}}},
        },
        {
            "if": {"properties": {"action": {"const": "withdraw"}}},
            "else": {"properties": {"role": {"type": "string"}}, "required": ["role"]},
        },
    ]})
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A name or an id: see `domain::body::is_line`.
fn line(types: Value, max_chars: usize) -> Value {
    let visible = format!("[^{CONTROL}{BLANK}{INVISIBLE}]");
    let rest = format!("(?:[^{CONTROL}]*[^{CONTROL}{BLANK}])?");
    let pattern = format!("^(?:[{INVISIBLE}][{INVISIBLE}{BLANK}]*)?{visible}{rest}$");
    json!({"type": types, "minLength": 1, "maxLength": max_chars, "pattern": pattern})
}

/// A free text: control characters other than line breaks are refused, and something has to show.
fn text() -> Value {
    let accepted = r"[^\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f]*";
    let visible = format!("[^{CONTROL}{BLANK}{INVISIBLE}]");
    let pattern = format!("^{accepted}{visible}{accepted}$");
    json!({"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS, "pattern": pattern})
}
