//! Secrets from the environment: in a variable, or in the file that another variable names, because
//! orchestrators mount secrets as files.

use std::path::Path;

use secrecy::SecretString;

use crate::telemetry::settings::{Variables, variable};

/// The secret in the variable `name`, or else in the first line of the file that the variable
/// `file_name` names. No message repeats the secret.
pub(super) fn read(
    name: &str,
    file_name: &str,
    variables: &Variables,
    errors: &mut Vec<String>,
) -> Option<SecretString> {
    if let Some(secret) = variable(variables, name) {
        return Some(secret.into());
    }
    let file = Path::new(variable(variables, file_name)?);
    let shown = file.display();
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let secret = text.lines().next().unwrap_or_default().trim();
            if secret.is_empty() {
                errors.push(format!("{file_name} {shown} has nothing in its first line"));
                return None;
            }
            Some(secret.into())
        }
        Err(error) => {
            errors.push(format!("{file_name} {shown} cannot be read: {error}"));
            None
        }
    }
}
