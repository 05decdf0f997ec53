//! Every setting, read once from flags and environment and checked as a whole before anything
//! starts. One file per concern: its flags, what they become, and what is checked. A new setting is
//! a flag, a field and a line of `build`, next to each other in one of these files.
//!
//! This folder alone reads the environment. Tests fill [`Config`] instead.

mod endpoint;
pub mod host_name;
pub mod http;
pub mod model;
pub mod notify;
pub mod public_url;
mod secret;
pub mod storage;
pub mod telemetry;
pub mod trace_url;

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use crate::config::http::{HttpConfig, HttpSettings};
use crate::config::model::{ModelConfig, ModelSettings};
use crate::config::notify::NotifySettings;
use crate::config::storage::StorageSettings;
use crate::config::telemetry::TelemetryFlags;
use crate::ledger::Store;
use crate::llm::breaker::BreakerLimits;
use crate::notify::NotifyConfig;
use crate::telemetry::settings::{TelemetrySettings, Variables, variable};
use crate::telemetry::subscriber::LogFormat;

/// The longest any time limit may be.
const MAX_LIMIT: Duration = Duration::from_secs(3600);

/// Settings as they are given: each is a flag and a variable.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The HTTP server.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Policies and ledger.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The model.
    #[command(flatten)]
    pub model: ModelSettings,
    /// Notifications.
    #[command(flatten)]
    pub notify: NotifySettings,
    /// Telemetry, beside the `OTEL_*` variables.
    #[command(flatten)]
    pub telemetry: TelemetryFlags,
}

/// The checked configuration of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP server.
    pub http: HttpConfig,
    /// Folder of the policy files, and of the tables beside them.
    pub policies: PathBuf,
    /// How often files are checked for changes.
    pub reload_interval: Duration,
    /// Where the ledger is.
    pub store: Store,
    /// The model.
    pub model: ModelConfig,
    /// When the circuit breaker of the model opens; `None` for never.
    pub model_breaker: Option<BreakerLimits>,
    /// How many model calls are made at once; `None` for any number.
    pub model_concurrency: Option<NonZeroU32>,
    /// Whether the model's endpoint is sent the trace context.
    pub propagate_to_model: bool,
    /// Whether the model sees the text of an expense unredacted.
    pub raw_prompts: bool,
    /// Who is notified of expenses that wait.
    pub notify: NotifyConfig,
    /// Key of the pseudonyms; `None` for the one that is kept beside an SQLite ledger, or, with
    /// Postgres, a new one for each process.
    pub pseudonym_key: Option<SecretString>,
    /// Filter of log lines, from `RUST_LOG`.
    pub log_filter: Option<String>,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Traces, metrics and log records.
    pub telemetry: TelemetrySettings,
}

/// Everything that is wrong with the settings, one message each.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The environment of this process, without variables that are not Unicode.
pub fn environment() -> Variables {
    let unicode = |text: OsString| text.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((unicode(name)?, unicode(value)?)))
        .collect()
}

impl Config {
    /// Checks settings and variables as a whole.
    ///
    /// # Errors
    /// With every error, not just the first.
    pub fn build(settings: Settings, variables: &Variables) -> Result<Self, ConfigErrors> {
        let Settings {
            http,
            storage,
            model,
            notify,
            telemetry,
        } = settings;
        let mut errors = Vec::new();
        let http = http.build(&mut errors);
        let store = storage.build(variables, &mut errors);
        let built_model = model.build(variables, &mut errors);
        let notify = notify.build(variables, &mut errors);
        let pseudonym_key = telemetry.pseudonym_key(&mut errors);
        let telemetry_settings = telemetry.build(variables, &mut errors);
        match built_model {
            Some(built_model) if errors.is_empty() => Ok(Self {
                http,
                policies: storage.policies,
                reload_interval: storage.reload_interval,
                store,
                model_concurrency: model.concurrency(&built_model),
                model: built_model,
                model_breaker: model.breaker(),
                propagate_to_model: model.propagate_to_model,
                raw_prompts: model.raw_prompts,
                notify,
                pseudonym_key,
                log_filter: variable(variables, "RUST_LOG").map(str::to_owned),
                log_format: telemetry.log_format,
                telemetry: telemetry_settings,
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

/// Adds an error unless a time limit is above zero and at most an hour.
fn check_limit(flag: &str, limit: Duration, errors: &mut Vec<String>) {
    if limit.is_zero() || limit > MAX_LIMIT {
        errors.push(format!(
            "{flag} is out of range; write a time above zero and up to an hour, such as \"30s\""
        ));
    }
}
