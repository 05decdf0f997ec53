//! Ids of tenants and of their users, and the names of groups of these, as people write them in files, folder names and command
//! lines. API keys, which belong to a tenant, are in `keys`.

use crate::domain::body::{MAX_ID_CHARS, is_line};
use crate::domain::facts::{FactName, FactValue};
use crate::spelling;

/// What is accepted as the id of a tenant.
pub const TENANT: &str =
    "1 to 128 characters without control characters and no blank at either end, such as \"acme\"";
/// What is accepted as the id of a user.
pub const USER: &str =
    "1 to 128 characters without control characters and no blank at either end, such as \"ana\"";

/// What is accepted as a group of employees.
pub const GROUP: &str =
    "1 to 64 characters without control characters and no blank at either end, such as \"sales\"";

/// Parses the id of a tenant, and returns it in its one spelling; `None` if it is not of the form of
/// [`TENANT`].
pub fn parse_tenant(text: &str) -> Option<String> {
    is_line(text, MAX_ID_CHARS).then(|| spelling::tenant(text).into_owned())
}

/// Parses the id of a user, and returns it as it was written; `None` if it is not of the form of
/// [`USER`].
pub fn parse_user(text: &str) -> Option<String> {
    is_line(text, MAX_ID_CHARS).then(|| text.to_owned())
}

/// Parses the name of a group of employees; `None` if it is not of the form of [`GROUP`].
pub fn parse_group(text: &str) -> Option<String> {
    match FactName::EmployeeGroup.declaration().form.of_text(text)? {
        FactValue::Text(group) => Some(group),
        _ => None,
    }
}
