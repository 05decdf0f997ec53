//! Ids of tenants and of their users, as people write them in files, folder names and command
//! lines. API keys, which belong to a tenant, are in `keys`.

use crate::domain::body::{MAX_ID_CHARS, is_line};

/// What is accepted as the id of a tenant.
pub const TENANT: &str =
    "1 to 128 characters without control characters and no blank at either end, such as \"acme\"";
/// What is accepted as the id of a user.
pub const USER: &str =
    "1 to 128 characters without control characters and no blank at either end, such as \"ana\"";

/// Parses the id of a tenant or a user; `None` if it is not of the form of [`TENANT`] and [`USER`].
pub fn parse_id(text: &str) -> Option<String> {
    is_line(text, MAX_ID_CHARS).then(|| text.to_owned())
}
