//! `DATABASE_URL`, checked before sqlx reads it. sqlx alone would log every parameter that it does
//! not know, together with its value; read a part of a password with unencoded characters as a host
//! or a parameter; and look up an IPv6 address with its brackets as if it were a name.
//!
//! No message repeats a part of the URL, except the name of a parameter.

use std::str::FromStr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

/// The parameters that sqlx reads, in addition to `options[NAME]`.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// What is wrong with the URL, as the end of a sentence.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatabaseUrlError {
    /// It is not a URL, or one of another scheme.
    #[error(
        "is not the URL of a Postgres database; write one such as \"postgres://user@host/database\", with `/`, `?`, \
         `#`, `@` and `%` in user and password percent-encoded, or leave it out for SQLite"
    )]
    NotPostgres,
    /// A character that would end the password, or is read differently by different programs.
    #[error(
        "has a blank, an `@` after the first, a `#`, or a `%` without two hexadecimal digits; percent-encode the \
         characters of user, password and parameters, such as %40 for `@`, %2F for `/` and %3F for `?`"
    )]
    Unencoded,
    /// A parameter that would have no effect.
    #[error("has the unknown parameter `{0}`; leave it out, or write one of {known}", known = PARAMETERS.join(", "))]
    UnknownParameter(String),
    /// A parameter without a value, or with one that cannot be used.
    #[error(
        "has a parameter with an invalid value; `sslmode` is disable, allow, prefer, require, verify-ca or \
         verify-full, `port` and `statement-cache-capacity` are numbers, and `hostaddr` is an IP address"
    )]
    InvalidValue,
}

/// How to connect to the database of a URL.
///
/// # Errors
/// When the URL is invalid, or can be read in more than one way. The message shows no part of a
/// password.
pub fn parse(url: &SecretString) -> Result<PgConnectOptions, DatabaseUrlError> {
    let text = url.expose_secret();
    if is_ambiguous(text) {
        return Err(DatabaseUrlError::Unencoded);
    }
    let url: Url = text.parse().map_err(|_| DatabaseUrlError::NotPostgres)?;
    // `postgres:u:password@h` is a URL too, but one without a host.
    if !matches!(url.scheme(), "postgres" | "postgresql") || !url.has_authority() {
        return Err(DatabaseUrlError::NotPostgres);
    }
    check_parameters(&url)?;
    let options = PgConnectOptions::from_str(text).map_err(|_| DatabaseUrlError::InvalidValue)?;
    let bare = bare_address(options.get_host()).map(str::to_owned);
    Ok(match bare {
        Some(address) => options.host(&address),
        None => options,
    })
}

/// Whether a password may have been cut short by one of its own characters. An `@` may only precede
/// the host, and a `%` has to begin a percent-encoded character. A `/`, `?` or `#` in a password
/// would end it early, and then the `@` comes after the supposed host.
fn is_ambiguous(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_encoded = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.contains(|c: char| c.is_whitespace() || c.is_control())
        || authority.matches('@').count() > 1
        || tail.contains(['@', '#'])
        || !rest.split('%').skip(1).all(is_encoded)
}

/// Refuses parameters that sqlx would log and ignore.
fn check_parameters(url: &Url) -> Result<(), DatabaseUrlError> {
    let is_known = |name: &str| {
        PARAMETERS.contains(&name)
            || name
                .strip_prefix("options[")
                .is_some_and(|name| name.ends_with(']'))
    };
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    for (name, value) in url.query_pairs() {
        if is_known(&name) {
            continue;
        }
        // Without a value, what looks like a name may be a secret.
        return Err(match is_name(&name) && !value.is_empty() {
            true => DatabaseUrlError::UnknownParameter(name.into_owned()),
            false => DatabaseUrlError::InvalidValue,
        });
    }
    Ok(())
}

/// The IPv6 address between brackets.
fn bare_address(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}
