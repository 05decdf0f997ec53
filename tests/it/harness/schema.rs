//! Whether a JSON Schema of the OpenAPI description admits a value.

use regex::Regex;
use serde_json::Value;

/// Whether a schema admits a value. Supports only the part of JSON Schema that the bounds use; a crate
/// for all of it would be larger than the service.
pub(crate) fn admits(schemas: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str() {
        return admits(schemas, &schemas[name.rsplit('/').next().unwrap()], value);
    }
    let each = |key: &str| schema[key].as_array().into_iter().flatten();
    let admitted = |key: &str| {
        each(key)
            .filter(|part| admits(schemas, part, value))
            .count()
    };
    let has = |key: &str| schema.get(key).is_some();
    let types: Vec<&str> = match &schema["type"] {
        Value::String(only) => vec![only],
        some => some
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
    };
    let own_type = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if !number.is_f64() && types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let conditional = |key: &str| match schema.get(key) {
        Some(schema) => admits(schemas, schema, value),
        None => true,
    };
    let n_chars = |key: &str, or: u64| schema[key].as_u64().unwrap_or(or);
    let fits = |text: &str| {
        let n = u64::try_from(text.chars().count()).unwrap();
        let is_form = |form: &str| match form {
            "uuid" => text.len() == 36 && text.parse::<uuid::Uuid>().is_ok(),
            "date" => text.parse::<jiff::civil::Date>().is_ok(),
            _ => true,
        };
        (n_chars("minLength", 0)..=n_chars("maxLength", u64::MAX)).contains(&n)
            && schema["pattern"]
                .as_str()
                .is_none_or(|p| Regex::new(p).unwrap().is_match(text))
            && schema["format"].as_str().is_none_or(is_form)
    };
    (types.is_empty() || types.contains(&own_type))
        && value.as_str().is_none_or(fits)
        && value.as_f64().is_none_or(|number| {
            schema["exclusiveMinimum"]
                .as_f64()
                .is_none_or(|least| number > least)
                && schema["exclusiveMaximum"]
                    .as_f64()
                    .is_none_or(|most| number < most)
        })
        && (!has("const") || schema["const"] == *value)
        && (!has("enum") || each("enum").any(|known| known == value))
        && (!has("oneOf") || admitted("oneOf") == 1)
        && (!has("anyOf") || admitted("anyOf") > 0)
        && admitted("allOf") == each("allOf").count()
        && (!has("not") || !admits(schemas, &schema["not"], value))
        && value.as_array().is_none_or(|items| {
            let known = &schema["items"];
            let is_repeated = |place: usize| items[..place].contains(&items[place]);
            items
                .iter()
                .all(|item| known.is_null() || admits(schemas, known, item))
                && !(schema["uniqueItems"] == true && (0..items.len()).any(is_repeated))
        })
        && value.as_object().is_none_or(|object| {
            let required = each("required").all(|name| object.contains_key(name.as_str().unwrap()));
            let properties =
                object
                    .iter()
                    .all(|(name, value)| match schema["properties"].get(name) {
                        Some(schema) => admits(schemas, schema, value),
                        None => schema["additionalProperties"] != false,
                    });
            required && properties
        })
        && (!has("if") || conditional(if conditional("if") { "then" } else { "else" }))
}
