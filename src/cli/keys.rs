//! `keys new`: a new API key, shown once, and its entry for the key file.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use secrecy::ExposeSecret;
use strum::VariantNames;

use crate::domain::ruling::Role;
use crate::domain::tenant;
use crate::keys::{Digest, default_id, generate, parse};

/// The arguments of `keys new`.
#[derive(Args, Clone, Debug)]
pub struct NewKey {
    /// The tenant that its holder acts for
    #[arg(long, value_name = "TENANT", value_parser = tenant_id)]
    pub tenant: String,

    /// The name of the key in logs and traces [default: the first digits of its hash]
    #[arg(long, value_name = "NAME", value_parser = key_id)]
    pub id: Option<String>,

    /// A role in which its holder may resolve decisions; may be given several times
    #[arg(long, value_name = "ROLE", value_parser = role())]
    pub role: Vec<Role>,

    /// The person who holds the key and resolves with it; omit it for a program that acts for
    /// several people
    #[arg(long, value_name = "USER", value_parser = user_id)]
    pub user: Option<String>,

    /// The group of employees that the person belongs to, or for a program, all whose expenses it hands
    /// in
    #[arg(long, value_name = "GROUP", value_parser = group)]
    pub group: Option<String>,
}

fn tenant_id(text: &str) -> Result<String, String> {
    tenant::parse_tenant(text).ok_or_else(|| format!("write {}", tenant::TENANT))
}

fn user_id(text: &str) -> Result<String, String> {
    tenant::parse_user(text).ok_or_else(|| format!("write {}", tenant::USER))
}

fn group(text: &str) -> Result<String, String> {
    tenant::parse_group(text).ok_or_else(|| format!("write {}", tenant::GROUP))
}

fn key_id(text: &str) -> Result<String, String> {
    parse::id(text).ok_or_else(|| format!("write {}", parse::ID))
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::VARIANTS).try_map(|role| role.parse::<Role>())
}

/// Creates a key and prints it, with its entry for the key file.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn new(wanted: &NewKey, out: &mut dyn Write) -> anyhow::Result<()> {
    let key = generate().context("the operating system provides no randomness")?;
    let id = wanted.id.clone().unwrap_or_else(|| default_id(&key));
    let entry = parse::entry(
        &id,
        &wanted.tenant,
        Digest::of(key.expose_secret()),
        &wanted.role,
        wanted.user.as_deref(),
        wanted.group.as_deref(),
    );
    writeln!(
        out,
        "{}\n\n\
         This key is shown once and not stored. Give it to its holder, who sends it as \
         `Authorization: Bearer KEY`,\n\
         and append this entry to the file that --api-keys names:\n\n{entry}",
        key.expose_secret()
    )?;
    Ok(())
}
