//! `keys new`: a fresh API key, shown once, and what the service has to know of it.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use secrecy::ExposeSecret;
use strum::VariantNames;

use crate::domain::ruling::Role;
use crate::domain::tenant;
use crate::keys::{Digest, default_id, generate, parse};

/// What a new key is to be.
#[derive(Args, Clone, Debug)]
pub struct NewKey {
    /// Whom its holder acts for
    #[arg(long, value_name = "TENANT", value_parser = |text: &str| tenant::parse_id(text).ok_or(refused(tenant::TENANT)))]
    pub tenant: String,

    /// What logs and traces call it [default: the beginning of its hash]
    #[arg(long, value_name = "NAME", value_parser = |text: &str| parse::id(text).ok_or(refused(parse::ID)))]
    pub id: Option<String>,

    /// What its holder may approve; may be given several times
    #[arg(
        long, value_name = "ROLE",
        value_parser = PossibleValuesParser::new(Role::VARIANTS).try_map(|role| role.parse::<Role>())
    )]
    pub role: Vec<Role>,

    /// The person who holds it and signs with it; for a program that acts for several, leave it
    /// out
    #[arg(long, value_name = "USER", value_parser = |text: &str| tenant::parse_id(text).ok_or(refused(tenant::USER)))]
    pub user: Option<String>,
}

fn refused(accepted: &str) -> String {
    format!("write {accepted}")
}

/// Makes a key and prints it, with its entry for the file of keys.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new(wanted: &NewKey, out: &mut dyn Write) -> anyhow::Result<()> {
    let key = generate().context("the operating system has no randomness to give")?;
    let id = wanted.id.clone().unwrap_or_else(|| default_id(&key));
    let entry = parse::entry(
        &id,
        &wanted.tenant,
        Digest::of(key.expose_secret()),
        &wanted.role,
        wanted.user.as_deref(),
    );
    writeln!(
        out,
        "{}\n\nThis key is shown once and kept nowhere. Hand it to its holder, who sends it as `Authorization: Bearer KEY`,\n\
         and append this entry to the file that --api-keys names:\n\n{entry}",
        key.expose_secret()
    )?;
    Ok(())
}
