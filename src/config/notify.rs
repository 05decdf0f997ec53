//! Settings of notifications: who is notified, and with which secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use humantime::parse_duration;
use secrecy::ExposeSecret;

use crate::base_url;
use crate::config::{check_limit, secret};
use crate::domain::tenant::{TENANT, parse_tenant};
use crate::notify::message::Secret;
use crate::notify::{NotifyConfig, Receiver};
use crate::telemetry::settings::Variables;

/// The variable that holds the secrets.
const SECRETS: &str = "EXPENSE_AGENT_NOTIFY_SECRET";
/// The variable that names a file with the secrets.
const SECRETS_FILE: &str = "EXPENSE_AGENT_NOTIFY_SECRET_FILE";
/// How a secret is written.
const SECRET: &str = "write \"whsec_\" and 24 to 64 random bytes in Base64, such as the output of `echo whsec_$(openssl rand -base64 32)`";
/// How a receiver is written.
const RECEIVER: &str = "write a URL, or TENANT=URL";

/// Flags and variables of notifications.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Notifications")]
pub struct NotifySettings {
    /// Notify this URL of expenses that begin to wait for a person, have waited for a day, or wait no
    /// longer: TENANT=URL for one tenant, a URL for all others; needs `EXPENSE_AGENT_NOTIFY_SECRET`
    /// or `EXPENSE_AGENT_NOTIFY_SECRET_FILE`; repeatable
    #[arg(long, global = true, env = "EXPENSE_AGENT_NOTIFY")]
    #[arg(value_name = "[TENANT=]URL", hide_env_values = true)]
    pub notify: Vec<String>,

    /// Time limit of one attempt to deliver a notification
    #[arg(long, global = true, env = "EXPENSE_AGENT_NOTIFY_TIMEOUT")]
    #[arg(value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub notify_timeout: Duration,
}

impl NotifySettings {
    /// Checks the settings, and adds what is wrong with them to `errors`. No message repeats a URL or
    /// a secret.
    pub(super) fn build(&self, variables: &Variables, errors: &mut Vec<String>) -> NotifyConfig {
        check_limit("--notify-timeout", self.notify_timeout, errors);
        let texts = self.notify.iter().flat_map(|text| receiver_texts(text));
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        let mut config = NotifyConfig {
            receivers: Vec::new(),
            timeout: self.notify_timeout,
        };
        // The secret is read only if it is needed.
        if texts.is_empty() {
            return config;
        }
        let secrets = secrets(variables, errors);
        for text in texts {
            match receiver(text, &secrets) {
                Ok(receiver) if has_receiver(&config, &receiver) => {
                    errors.push(format!(
                        "--notify names two URLs for {}; leave one out",
                        shown(receiver.tenant_id.as_deref())
                    ));
                }
                Ok(receiver) => config.receivers.push(receiver),
                Err(wrong) => errors.push(format!("--notify {wrong}")),
            }
        }
        config
    }
}

/// The receivers of a text with several of them, each without blanks and commas around it. A comma
/// separates two only if another receiver begins behind it: a URL may contain commas too.
fn receiver_texts(text: &str) -> Vec<&str> {
    let begins_receiver = |rest: &str| {
        let until_scheme = rest.split("://").next().unwrap_or_default();
        let (tenant, scheme) = until_scheme.rsplit_once('=').unwrap_or(("", until_scheme));
        !tenant.contains(['/', '?', ',']) && matches!(scheme.trim(), "http" | "https")
    };
    let mut texts = Vec::new();
    let mut rest = text;
    let commas = text.match_indices(',').map(|(index, _)| index);
    for index in commas
        .filter(|index| begins_receiver(&text[index + 1..]))
        .rev()
    {
        let (before, after) = rest.split_at(index);
        texts.push(after);
        rest = before;
    }
    texts.push(rest);
    let is_around = |c: char| c == ',' || c.is_whitespace();
    let trimmed = texts.into_iter().map(|text| text.trim_matches(is_around));
    trimmed.rev().collect()
}

fn has_receiver(config: &NotifyConfig, new: &Receiver) -> bool {
    let mut receivers = config.receivers.iter();
    receivers.any(|receiver| receiver.tenant_id == new.tenant_id)
}

/// A tenant in a message, or all tenants that are not named.
fn shown(tenant_id: Option<&str>) -> String {
    tenant_id.map_or_else(
        || "all tenants".to_owned(),
        |tenant_id| format!("the tenant {tenant_id}"),
    )
}

fn receiver(text: &str, secrets: &Secrets) -> Result<Receiver, String> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    let (tenant_id, url) = match text.split_once('=') {
        Some((tenant, url)) if !is_url => {
            let tenant_id = parse_tenant(tenant.trim())
                .ok_or_else(|| format!("names no tenant before the \"=\"; write {TENANT}"))?;
            (Some(tenant_id), url.trim())
        }
        _ => (None, text),
    };
    let shown = shown(tenant_id.as_deref());
    let url = base_url::parse(url).map_err(|wrong| format!("for {shown} {wrong}; {RECEIVER}"))?;
    if base_url::credentials(&url).is_some() {
        return Err(format!(
            "for {shown} contains a user or a password; leave them out, and let the receiver check the signature"
        ));
    }
    let of_tenant = tenant_id
        .as_ref()
        .and_then(|id| secrets.get(&Some(id.clone())));
    let secrets = of_tenant.or_else(|| secrets.get(&None)).ok_or_else(|| {
        format!("for {shown} has no secret to sign with; set {SECRETS}: {SECRET}")
    })?;
    Ok(Receiver {
        tenant_id,
        url,
        secrets: secrets.clone(),
    })
}

/// The secrets of each tenant, those of all others under `None`.
type Secrets = BTreeMap<Option<String>, Vec<Secret>>;

fn secrets(variables: &Variables, errors: &mut Vec<String>) -> Secrets {
    let mut secrets = Secrets::new();
    let Some(found) = secret::read(SECRETS, SECRETS_FILE, variables, errors) else {
        return secrets;
    };
    let variable = found.variable;
    for part in found.secret.expose_secret().split(',').map(str::trim) {
        let (tenant, secret) = match part.split_once('=') {
            Some((tenant, secret)) if !part.starts_with("whsec_") => {
                (Some(tenant.trim()), secret.trim())
            }
            _ => (None, part),
        };
        let tenant_id = tenant.and_then(parse_tenant);
        match Secret::parse(secret) {
            Some(secret) if tenant.is_some() == tenant_id.is_some() => {
                secrets.entry(tenant_id).or_default().push(secret);
            }
            _ => errors.push(format!(
                "{variable} holds something that is no secret; {SECRET}"
            )),
        }
    }
    secrets
}
