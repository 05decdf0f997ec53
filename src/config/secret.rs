//! Secrets from the environment: in a variable, or in the file that another variable names, because
//! orchestrators mount secrets as files.

use std::path::Path;

use secrecy::SecretString;

use crate::telemetry::settings::{Variables, variable};

/// A secret, and the variable that it or its file comes from, for messages.
pub(super) struct Found<'a> {
    pub(super) secret: SecretString,
    pub(super) variable: &'a str,
}

/// The secret in the variable `name`, or else in the first line of the file that the variable
/// `file_name` names. No message repeats the secret.
pub(super) fn read<'a>(
    name: &'a str,
    file_name: &'a str,
    variables: &Variables,
    errors: &mut Vec<String>,
) -> Option<Found<'a>> {
    if let Some(secret) = variable(variables, name) {
        return Some(Found {
            secret: secret.into(),
            variable: name,
        });
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
            Some(Found {
                secret: secret.into(),
                variable: file_name,
            })
        }
        Err(error) => {
            errors.push(format!("{file_name} {shown} cannot be read: {error}"));
            None
        }
    }
}
