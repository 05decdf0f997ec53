//! The expenses that the tests post, and helpers that read a decision. The answers of the fake model
//! are in `replies`.

use serde_json::{Value, json};

/// The date of every expense that has one.
pub(crate) const DAY: &str = "2026-03-14";

/// An expense of the employee `ana`.
pub(crate) fn expense(transaction: &str, amount: &str) -> Value {
    json!({"transaction": transaction, "amount": amount, "date": DAY, "user_id": "ana"})
}

/// An expense with the required fields only.
pub(crate) fn taxi() -> Value {
    json!({"transaction": "Taxi", "amount": "5.00"})
}

/// A trip that the shipped travel policy approves.
pub(crate) fn ride() -> Value {
    expense("Uber ride to the client", "45.00")
}

/// One of many trips that the shipped travel policy approves, no two of them equal.
pub(crate) fn numbered_ride(n: usize) -> Value {
    expense(&format!("Uber ride {n}"), "45.00")
}

/// A trip above the cap of the shipped travel policy. Its amount is a JSON number.
pub(crate) fn flight() -> Value {
    let mut body = expense("Flight to Chicago, $650", "650.00");
    body["amount"] = json!(650.00);
    body
}

/// A meal with a receipt. Meals of one employee on one day share a cap.
pub(crate) fn meal(amount: &str) -> Value {
    let mut body = expense("Team lunch", amount);
    body["receipt"] = json!(true);
    body
}

/// Office equipment, which needs an approval if it costs more than 500.00.
pub(crate) fn laptop(amount: &str) -> Value {
    expense("Laptop", amount)
}

/// The same expense of another employee.
pub(crate) fn of_user(mut expense: Value, user_id: &str) -> Value {
    expense["user_id"] = user_id.into();
    expense
}

/// The id of a decision.
pub(crate) fn id_of(decision: &Value) -> &str {
    decision["id"].as_str().expect("a decision has an id")
}

/// The path of a decision.
pub(crate) fn path_of(decision: &Value) -> String {
    format!("/v1/expenses/{}", id_of(decision))
}

/// The path to which the resolution of a decision is posted.
pub(crate) fn resolution_of(decision: &Value) -> String {
    format!("{}/resolution", path_of(decision))
}

/// The path of the feedback on a decision under a name.
pub(crate) fn feedback_on(decision: &Value, name: &str) -> String {
    format!("{}/feedback/{name}", path_of(decision))
}

/// The only check of this type in a decision.
pub(crate) fn check<'a>(decision: &'a Value, validation_type: &str) -> &'a Value {
    let checks = decision["validations"].as_array().unwrap();
    let mut found = checks
        .iter()
        .filter(|check| check["type"] == validation_type);
    match (found.next(), found.next()) {
        (Some(check), None) => check,
        _ => panic!("not one check {validation_type}: {checks:#?}"),
    }
}

/// A decision without the link to its page, which names the port of the service that answered.
pub(crate) fn without_page(mut decision: Value) -> Value {
    decision.as_object_mut().unwrap().remove("page_url");
    decision
}
