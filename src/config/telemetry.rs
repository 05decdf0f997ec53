//! Settings of telemetry in addition to the standard `OTEL_*` variables, which
//! [`TelemetrySettings`] reads itself.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use humantime::parse_duration;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};

use crate::telemetry::sampling::{Ratio, Sampling};
use crate::telemetry::settings::{DEFAULT_QUEUE_BYTES, TelemetrySettings, Variables};
use crate::telemetry::subscriber::LogFormat;

/// The most tenants that may have metric series of their own.
const MAX_METRICS_TENANTS: usize = 1_000;
/// The shortest key of pseudonyms: shorter ones can be guessed.
const MIN_PSEUDONYM_KEY: usize = 16;
/// The least memory for spans that wait for delivery: a few decisions' worth.
const MIN_QUEUE_BYTES: usize = 64 * 1024;

/// Flags and variables of telemetry.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryFlags {
    /// Share of ordinary traces to keep, from 0 to 1; traces with errors, failed checks, overrides
    /// or reviews, slow or costly ones, and the first of each rule are always kept
    #[arg(long, global = true, env = "EXPENSE_AGENT_TELEMETRY_KEEP_RATIO")]
    #[arg(value_name = "NUMBER", default_value = "1", value_parser = Ratio::from_str)]
    pub telemetry_keep_ratio: Ratio,

    /// Always keep traces of requests slower than this
    #[arg(long, global = true, env = "EXPENSE_AGENT_TELEMETRY_KEEP_SLOW")]
    #[arg(value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub telemetry_keep_slow: Duration,

    /// Always keep traces of decisions whose model calls cost more than this
    #[arg(long, global = true, env = "EXPENSE_AGENT_TELEMETRY_KEEP_COSTLY")]
    #[arg(value_name = "USD", default_value = "0.05")]
    pub telemetry_keep_costly: Decimal,

    /// Memory for spans that wait for delivery, in bytes; when it is full, the oldest traces are
    /// dropped, those with a failed check last
    #[arg(long, global = true, env = "EXPENSE_AGENT_TELEMETRY_QUEUE_BYTES")]
    #[arg(value_name = "BYTES", default_value_t = DEFAULT_QUEUE_BYTES)]
    pub telemetry_queue_bytes: usize,

    /// Number of tenants with metric series of their own; the others share one series, and 0
    /// distinguishes no tenants
    #[arg(long, global = true, env = "EXPENSE_AGENT_METRICS_TENANTS")]
    #[arg(value_name = "COUNT", default_value_t = 0)]
    pub metrics_tenants: usize,

    /// Also write the metrics of model calls under the names that older dashboards read
    #[arg(long, global = true, env = "EXPENSE_AGENT_METRICS_OLD_NAMES")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub metrics_old_names: bool,

    /// Also write the span attributes that Phoenix and Langfuse read in addition to, or instead of,
    /// those of the GenAI conventions
    #[arg(long, global = true, env = "EXPENSE_AGENT_COMPATIBILITY_KEYS")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub compatibility_keys: bool,

    /// Secret key of the pseudonyms that replace personal user ids in traces, and of the signatures of
    /// the page's sessions, the same for all replicas; prefer the variable to the flag [default: generated once and kept in the data
    /// folder]
    #[arg(long, global = true, env = "EXPENSE_AGENT_PSEUDONYM_KEY")]
    #[arg(value_name = "KEY", hide_env_values = true, value_parser = secret)]
    pub pseudonym_key: Option<SecretString>,

    /// Format of log lines
    #[arg(long, global = true, env = "EXPENSE_AGENT_LOG_FORMAT")]
    #[arg(value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

impl TelemetryFlags {
    /// Checks the flags and the `OTEL_*` variables, and adds what is wrong with them to `errors`.
    pub(super) fn build(
        &self,
        variables: &Variables,
        errors: &mut Vec<String>,
    ) -> TelemetrySettings {
        if self.metrics_tenants > MAX_METRICS_TENANTS {
            errors.push(format!(
                "--metrics-tenants is {}; write a number up to {MAX_METRICS_TENANTS}: each takes memory",
                self.metrics_tenants
            ));
        }
        if self.telemetry_queue_bytes < MIN_QUEUE_BYTES {
            errors.push(format!(
                "--telemetry-queue-bytes is {}; write a number from {MIN_QUEUE_BYTES}",
                self.telemetry_queue_bytes
            ));
        }
        let mut telemetry = TelemetrySettings::parse(variables, errors);
        telemetry.metrics.max_tenants = self.metrics_tenants;
        telemetry.metrics.has_old_names = self.metrics_old_names;
        telemetry.has_compatibility_keys = self.compatibility_keys;
        telemetry.queue.max_bytes = self.telemetry_queue_bytes;
        telemetry.sampling = Sampling {
            ratio: self.telemetry_keep_ratio,
            slow: self.telemetry_keep_slow,
            costly: self.telemetry_keep_costly,
        };
        telemetry
    }

    /// The key of the pseudonyms, if it was given; an empty one counts as none.
    pub(super) fn pseudonym_key(&self, errors: &mut Vec<String>) -> Option<SecretString> {
        let key = self.pseudonym_key.clone()?;
        let n_bytes = key.expose_secret().len();
        if n_bytes == 0 {
            return None;
        }
        if n_bytes < MIN_PSEUDONYM_KEY {
            errors.push(format!(
                "--pseudonym-key is too short; write at least {MIN_PSEUDONYM_KEY} random characters"
            ));
        }
        Some(key)
    }
}
