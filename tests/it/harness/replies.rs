//! The answers of a fake model: a category in the classify step, advice in the decide step.

use serde_json::json;

use super::fake_openai::Reply;

/// A classification with a default rationale.
pub(crate) fn category(label: &str) -> Reply {
    category_because(label, "It says so.")
}

/// A classification with its rationale.
pub(crate) fn category_because(label: &str, rationale: &str) -> Reply {
    Reply::content(json!({"category": label, "rationale": rationale}))
}

/// Advice that cites one rule, with a default reason.
pub(crate) fn advice(decision: &str, rule: &str) -> Reply {
    advice_because(decision, "By the rules.", &[rule])
}

/// Advice with its reason and the rules it cites.
pub(crate) fn advice_because(decision: &str, reason: &str, rules: &[&str]) -> Reply {
    Reply::content(json!({"decision": decision, "reason": reason, "cited_rules": rules}))
}

/// The category of a trip and its approval: the two answers of a model that agrees with the policy.
pub(crate) fn approved_trip() -> [Reply; 2] {
    [category("travel"), advice("approved", "travel-trip-cap")]
}
