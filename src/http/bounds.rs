//! What requests may contain, as JSON Schema in `/openapi.json`: lengths, patterns, formats, and which
//! field needs which. The checks themselves are in `domain::body`, `domain::submission`,
//! `domain::resolution` and `domain::feedback`; a test compares the two. The bounds are added to the finished description,
//! because a derived schema has no conditions, and its patterns are literals that every field would
//! repeat.
//!
//! A schema cannot say how many decimals a JSON number has, or that it is written without an exponent;
//! `multipleOf` would, but validators that divide binary floats then refuse 8.29 as a multiple of 0.01.
//! The description of the field says it instead.

use serde_json::{Map, Value, json};

use crate::domain::body::{MAX_ID_CHARS, MAX_TEXT_CHARS};
use crate::domain::money::Currency;
use crate::domain::submission::{MAX_HINT_CHARS, MAX_MERCHANT_CHARS};
use crate::http::fact_bounds;
use crate::http::idempotency::{MAX_BATCH_KEY_CHARS, MAX_KEY_CHARS};
use crate::http::text_bounds::{line, text};

/// Adds the bounds to a description.
pub(super) fn add(contract: &mut Value) {
    let schemas = "/components/schemas";
    merge(
        contract,
        &format!("{schemas}/Submission"),
        &submission_rules(),
    );
    for (schema, facts) in [
        ("Submission", fact_bounds::of_requests()),
        ("Expense", fact_bounds::of_answers()),
    ] {
        let properties = format!("{schemas}/{schema}/properties");
        merge(contract, &properties, &facts.into());
    }
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
    merge(
        contract,
        &format!("{schemas}/FeedbackRequest"),
        &feedback_rules(),
    );
    for (field, bounds) in feedback_fields() {
        merge(
            contract,
            &format!("{schemas}/FeedbackRequest/properties/{field}"),
            &bounds,
        );
    }
    merge(
        contract,
        &format!("{schemas}/KeyedLine/properties/idempotency_key"),
        &key(MAX_KEY_CHARS),
    );
    for (route, method, name, bounds) in parameters() {
        let parameters = &mut contract["paths"][route][method]["parameters"];
        let parameters = parameters.as_array_mut().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["name"] == name) {
            merge(parameter, "/schema", &bounds);
        }
    }
}

/// The bounds of parameters, each with its route, method and name.
fn parameters() -> [(&'static str, &'static str, &'static str, Value); 12] {
    let id = || json!({"type": "string", "format": "uuid"});
    let name = || line(json!("string"), MAX_ID_CHARS);
    [
        (
            "/v1/expenses",
            "post",
            "Idempotency-Key",
            key(MAX_KEY_CHARS),
        ),
        (
            "/v1/expenses/batch",
            "post",
            "Idempotency-Key",
            key(MAX_BATCH_KEY_CHARS),
        ),
        ("/v1/expenses", "get", "category", name()),
        ("/v1/expenses", "get", "user_id", name()),
        ("/v1/expenses", "get", "cursor", id()),
        ("/v1/expenses", "get", "limit", json!({"type": "integer"})),
        ("/v1/expenses/{id}", "get", "id", id()),
        ("/v1/expenses/{id}/resolution", "post", "id", id()),
        ("/v1/expenses/{id}/feedback", "get", "id", id()),
        ("/v1/expenses/{id}/feedback/{name}", "put", "id", id()),
        ("/v1/expenses/{id}/feedback/{name}", "delete", "id", id()),
        (
            "/v1/expenses/{id}/feedback/{name}",
            "delete",
            "actor",
            name(),
        ),
    ]
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
        "transaction": text(json!("string"), 1, MAX_TEXT_CHARS),
        "amount": {"oneOf": amounts},
        "currency": {"enum": currencies(|_| true).chain([Value::Null]).collect::<Vec<_>>()},
        "merchant": line(nullable(), MAX_MERCHANT_CHARS),
        "category_hint": line(nullable(), MAX_HINT_CHARS),
        "mcc": {"pattern": "^[0-9]{4}$"},
        "date": {"format": "date"},
        "trip_id": line(nullable(), MAX_ID_CHARS),
        "user_id": line(nullable(), MAX_ID_CHARS),
        "refunds": {"format": "uuid"},
        "supersedes": {"format": "uuid"},
        "under": {"format": "uuid"},
    }))
}

/// A credit is below zero, supersedes nothing and has no plan; everything else is above zero. A plan has
/// no plan. A text has at most the decimals of its currency. A distance has a unit.
fn submission_rules() -> Value {
    let sign = json!({
        "if": {"properties": {"refunds": {"type": "string"}}, "required": ["refunds"]},
        "then": {"properties": {
            "amount": {"anyOf": [
                {"type": "string", "pattern": "^-"},
                {"type": "number", "exclusiveMaximum": 0},
            ]},
            "supersedes": {"type": "null"},
            "plan": {"enum": [false, null]},
            "under": {"type": "null"},
        }},
        "else": {"properties": {"amount": {"anyOf": [
            {"type": "string", "pattern": "^[0-9]"},
            {"type": "number", "exclusiveMinimum": 0},
        ]}}},
    });
    let plan = json!({"anyOf": [
        {"properties": {"under": {"type": "null"}}},
        {"properties": {"plan": {"enum": [false, null]}}},
    ]});
    json!({"allOf": [
        sign, plan, decimals(0), decimals(2), decimals(3), fact_bounds::distance_with_unit(),
    ]})
}

/// The amount of an expense whose currency has this many decimals; an expense that names no
/// currency is in the default one. No currency has more than the four that every amount may have.
fn decimals(n_decimals: u32) -> Value {
    let of_currency = currencies(|currency| currency.minor_digits() == n_decimals);
    let is_default = Currency::USD.minor_digits() == n_decimals;
    let named: Vec<Value> = of_currency
        .chain(is_default.then_some(Value::Null))
        .collect();
    let mut condition = json!({"properties": {"currency": {"enum": named}}});
    if !is_default {
        condition["required"] = json!(["currency"]);
    }
    let amount = match n_decimals {
        0 => json!({"anyOf": [{"type": "string", "pattern": r"^-?[0-9]+$"}, {"type": "integer"}]}),
        n => json!({"anyOf": [
            {"type": "string", "pattern": format!(r"^-?[0-9]+(\.[0-9]{{1,{n}}})?$")},
            {"type": "number"},
        ]}),
    };
    json!({"if": condition, "then": {"properties": {"amount": amount}}})
}

/// The codes of these currencies, in alphabetical order.
fn currencies(are_wanted: impl Fn(Currency) -> bool) -> impl Iterator<Item = Value> {
    let mut codes: Vec<_> = Currency::all()
        .filter(|currency| are_wanted(*currency))
        .map(Currency::code)
        .collect();
    codes.sort_unstable();
    codes.into_iter().map(Value::from)
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
        "reason": text(json!("string"), 1, MAX_TEXT_CHARS),
        "amount": {"type": ["string", "number", "null"], "oneOf": amounts},
        "category": line(nullable(), MAX_ID_CHARS),
    }))
}

/// Feedback has a label or a comment. Which of them depends on the name in the path.
fn feedback_rules() -> Value {
    let text = |field: &str| {
        let properties = json!({field: {"type": "string"}});
        json!({"properties": properties, "required": [field]})
    };
    json!({"anyOf": [text("label"), text("comment")]})
}

/// Which labels there are depends on the name too, and on the policies.
fn feedback_fields() -> Map<String, Value> {
    let nullable = || json!(["string", "null"]);
    fields(json!({
        "label": line(nullable(), MAX_ID_CHARS),
        "comment": text(nullable(), 1, MAX_TEXT_CHARS),
        "actor": line(nullable(), MAX_ID_CHARS),
    }))
}

/// Only an approval has an amount and a category, and only a withdrawal needs no role. How many
/// decimals the amount has depends on the expense, which the body does not repeat.
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

/// An idempotency key: see `idempotency::key`.
fn key(max_chars: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": max_chars, "pattern": "^[!-~]+$"})
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
