//! Every setting, read once from flags and environment and checked as a whole before anything
//! starts. The only file that reads the environment; tests fill [`Config`] instead.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use reqwest::Url;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};

use crate::ledger::Store;
use crate::llm::breaker::BreakerLimits;
use crate::llm::openai::OpenAiConfig;
use crate::offline;
use crate::offline::fault::{self, FaultRate};
use crate::telemetry::sampling::{Ratio, Sampling};
use crate::telemetry::settings::{DEFAULT_QUEUE_BYTES, TelemetrySettings, Variables};
use crate::telemetry::subscriber::LogFormat;

/// The model that is asked when there is a key and no other model is named.
const DEFAULT_OPENAI_MODEL: &str = "gpt-4o-mini";
/// The longest any time limit may be.
const MAX_LIMIT: Duration = Duration::from_secs(3600);
/// The longest an idempotency key may be remembered.
pub const MAX_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);
/// The most tenants that may have metrics of their own.
const MAX_METRICS_TENANTS: usize = 1_000;
/// The shortest key of pseudonyms: shorter ones can be guessed.
const MIN_PSEUDONYM_KEY: usize = 16;
/// The least memory for spans that wait: a few decisions' worth.
const MIN_QUEUE_BYTES: usize = 64 * 1024;
/// Where OpenAI itself is.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// Settings as a person gives them: each is a flag and a variable.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address and port to listen on; beyond loopback only with `--api-keys` or
    /// `--allow-anonymous`
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_LISTEN",
        default_value = "127.0.0.1:8000",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// File of API keys, one of which every request then has to show; read again when it changes,
    /// and on SIGHUP
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_API_KEYS",
        value_name = "FILE"
    )]
    pub api_keys: Option<PathBuf>,

    /// How often files that may change while the service runs are looked at
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_RELOAD_INTERVAL", default_value = "5s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub reload_interval: Duration,

    /// Without API keys, let anyone who reaches the service use it, as the tenant they say they
    /// are
    #[arg(long, global = true, env = "EXPENSE_AGENT_ALLOW_ANONYMOUS", value_parser = BoolishValueParser::new())]
    pub allow_anonymous: bool,

    /// Folder of the policy files; read again when one changes, and on SIGHUP
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_POLICIES",
        default_value = "policies",
        value_name = "DIR"
    )]
    pub policies: PathBuf,

    /// Folder of the SQLite ledger; made if it is not there, unused with `DATABASE_URL`
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_DATA",
        default_value = "data",
        value_name = "DIR"
    )]
    pub data: PathBuf,

    /// `offline`, or the name of an OpenAI model [default: gpt-4o-mini with a key or a base URL,
    /// else offline]
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL", value_name = "NAME")]
    pub model: Option<String>,

    /// Most tokens of an answer; unset, the endpoint decides
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_MAX_TOKENS",
        value_name = "TOKENS"
    )]
    pub max_tokens: Option<u32>,

    /// Sampling temperature from 0 to 2; unset, it is not sent, because reasoning models refuse it
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_TEMPERATURE",
        value_name = "NUMBER"
    )]
    pub temperature: Option<f64>,

    /// Seed of the model's sampling; unset, it is not sent
    #[arg(long, global = true, env = "EXPENSE_AGENT_SEED", value_name = "NUMBER")]
    pub seed: Option<i64>,

    /// Limit of one attempt to ask the model
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_MODEL_TIMEOUT", default_value = "10s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub model_timeout: Duration,

    /// Attempts after the first when the model's endpoint is overloaded or cannot be reached
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_MODEL_RETRIES",
        default_value_t = 3,
        value_name = "COUNT"
    )]
    pub model_retries: usize,

    /// Calls in a row that get no answer from the model's endpoint, retries included, after which
    /// it is left alone for a while and expenses that need it go to review at once; 0 never
    /// leaves it alone
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_MODEL_BREAKER_FAILURES",
        default_value_t = 5,
        value_name = "N"
    )]
    pub model_breaker_failures: u32,

    /// How long it is left alone before one call is let through to see whether it answers again
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_MODEL_BREAKER_COOL_DOWN", default_value = "10s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub model_breaker_cool_down: Duration,

    /// Send the trace context (`traceparent`, never baggage) to the model's endpoint
    #[arg(long, global = true, env = "EXPENSE_AGENT_PROPAGATE_TO_MODEL", value_parser = BoolishValueParser::new())]
    pub propagate_to_model: bool,

    /// Make the offline model fail: FAULT:RATE, such as misclassify:0.12; may be given several
    /// times
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_MODEL_FAULT", value_delimiter = ',', value_name = "FAULT:RATE",
        long_help = fault::help()
    )]
    pub model_fault: Vec<FaultRate>,

    /// Seed of those faults: the same seed strikes the same questions
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_MODEL_FAULT_SEED",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    pub model_fault_seed: u64,

    /// Trace UI for the links in answers: a URL with `{trace_id}`, or the base of a Jaeger UI
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_TRACE_URL",
        value_name = "URL"
    )]
    pub trace_url: Option<String>,

    /// Limit of one request; nine tenths of it are the model's
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_DEADLINE", default_value = "30s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub deadline: Duration,

    /// How long new requests are still taken after the signal to stop, and callers told to leave
    /// their connections
    #[arg(long, global = true, env = "EXPENSE_AGENT_LINGER", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub linger: Option<Duration>,

    /// How long requests may go on after that
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_DRAIN_TIMEOUT", default_value = "30s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub drain_timeout: Duration,

    /// How long an idempotency key is remembered
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_KEY_RETENTION", default_value = "24h", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub key_retention: Duration,

    /// Requests worked on at once; one more is refused with 503
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_MAX_IN_FLIGHT",
        default_value_t = 256,
        value_name = "COUNT"
    )]
    pub max_in_flight: usize,

    /// How many tenants have metrics of their own; the others share one series, and 0 tells no
    /// tenants apart
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_METRICS_TENANTS",
        default_value_t = 0,
        value_name = "COUNT"
    )]
    pub metrics_tenants: usize,

    /// Write the metrics of model calls also under the names that older dashboards read
    #[arg(long, global = true, env = "EXPENSE_AGENT_METRICS_OLD_NAMES", value_parser = BoolishValueParser::new())]
    pub metrics_old_names: bool,

    /// Put keys on spans that Phoenix and Langfuse read beside the GenAI conventions, or instead
    /// of them
    #[arg(long, global = true, env = "EXPENSE_AGENT_COMPATIBILITY_KEYS", value_parser = BoolishValueParser::new())]
    pub compatibility_keys: bool,

    /// Let the model see card numbers, addresses and keys as they were written; otherwise it sees
    /// `[CARD]` and the like
    #[arg(long, global = true, env = "EXPENSE_AGENT_RAW_PROMPTS", value_parser = BoolishValueParser::new())]
    pub raw_prompts: bool,

    /// Keep the text of transactions and merchants in the ledger redacted; answers then show it so
    /// as well
    #[arg(long, global = true, env = "EXPENSE_AGENT_REDACT_LEDGER", value_parser = BoolishValueParser::new())]
    pub redact_ledger: bool,

    /// Key of the pseudonyms that stand in traces for user ids that are personal data, the same
    /// for all replicas; better as a variable than as a flag [default: one made once and kept
    /// in the data folder]
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_PSEUDONYM_KEY", hide_env_values = true, value_name = "KEY",
        value_parser = |key: &str| Ok::<_, Infallible>(SecretString::from(key))
    )]
    pub pseudonym_key: Option<SecretString>,

    /// Memory of spans that wait to be delivered, in bytes; beyond it the oldest traces go, those
    /// with a failed check last
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_TELEMETRY_QUEUE_BYTES", default_value_t = DEFAULT_QUEUE_BYTES,
        value_name = "BYTES"
    )]
    pub telemetry_queue_bytes: usize,

    /// Share of traces that are kept, from 0 to 1; kept in any case are errors, failed checks,
    /// overrides, reviews, what is slow or costly, and the first of each rule
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_TELEMETRY_KEEP_RATIO", default_value = "1", value_name = "NUMBER",
        value_parser = Ratio::from_str
    )]
    pub telemetry_keep_ratio: Ratio,

    /// A request that takes longer is slow
    #[arg(
        long, global = true, env = "EXPENSE_AGENT_TELEMETRY_KEEP_SLOW", default_value = "5s", value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub telemetry_keep_slow: Duration,

    /// A decision whose model calls cost more is costly
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_TELEMETRY_KEEP_COSTLY",
        default_value = "0.05",
        value_name = "USD"
    )]
    pub telemetry_keep_costly: Decimal,

    /// How log lines look
    #[arg(
        long,
        global = true,
        env = "EXPENSE_AGENT_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// A model, and how to reach it.
#[derive(Clone, Debug)]
pub enum ModelConfig {
    /// The one in this process.
    Offline {
        /// How it is to fail.
        faults: Vec<FaultRate>,
        /// What the failures depend on.
        fault_seed: u64,
    },
    /// OpenAI, or an endpoint compatible with it.
    OpenAi(Box<OpenAiConfig>),
}

/// A template of links to a trace UI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl(String);

impl TraceUrl {
    /// Reads a URL with the placeholder `{trace_id}`, or the base URL of a Jaeger UI.
    pub fn parse(text: &str) -> Option<Self> {
        let template = match text.contains("{trace_id}") {
            true => text.to_owned(),
            false => format!("{}/trace/{{trace_id}}", text.trim_end_matches('/')),
        };
        let url: Url = template.replace("{trace_id}", "0").parse().ok()?;
        matches!(url.scheme(), "http" | "https").then_some(Self(template))
    }

    /// The link to one trace.
    pub fn of(&self, trace_id: &str) -> String {
        self.0.replace("{trace_id}", trace_id)
    }
}

/// Everything the service is run with, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// File of API keys; absent, nobody is asked for one.
    pub api_keys: Option<PathBuf>,
    /// How often files that may change are looked at.
    pub reload_interval: Duration,
    /// Folder of the policy files, and of the tables beside them.
    pub policies: PathBuf,
    /// Where the ledger is.
    pub store: Store,
    /// The model.
    pub model: ModelConfig,
    /// When the model's endpoint is left alone; absent, never.
    pub model_breaker: Option<BreakerLimits>,
    /// Whether the model's endpoint sees the trace id.
    pub propagate_to_model: bool,
    /// Links to the trace UI.
    pub trace_url: Option<TraceUrl>,
    /// Limit of one request.
    pub deadline: Duration,
    /// How long new requests are still taken after the signal to stop.
    pub linger: Option<Duration>,
    /// How long requests may go on after that.
    pub drain_timeout: Duration,
    /// How long an idempotency key is remembered.
    pub key_retention: Duration,
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// Whether the model sees what the employee wrote.
    pub raw_prompts: bool,
    /// Whether the ledger gets redacted text.
    pub redact_ledger: bool,
    /// Key of the pseudonyms; absent, one is kept beside an SQLite ledger.
    pub pseudonym_key: Option<SecretString>,
    /// What `RUST_LOG` says.
    pub log_filter: Option<String>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Telemetry.
    pub telemetry: TelemetrySettings,
}

/// Everything wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub struct ConfigFaults(pub Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The environment of this process; variables that are no Unicode are left out.
pub fn environment() -> Variables {
    let unicode = |text: std::ffi::OsString| text.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((unicode(name)?, unicode(value)?)))
        .collect()
}

impl Config {
    /// Checks settings and variables as a whole.
    ///
    /// # Errors
    /// With every fault, not just the first.
    pub fn build(settings: Settings, variables: &Variables) -> Result<Self, ConfigFaults> {
        let mut faults = Vec::new();
        if !settings.listen.ip().is_loopback()
            && settings.api_keys.is_none()
            && !settings.allow_anonymous
        {
            faults.push(format!(
                "--listen {} is not loopback, and nobody would be asked who he is; listen on 127.0.0.1, name a file \
                 of keys with --api-keys, or say --allow-anonymous",
                settings.listen
            ));
        }
        let limits = [
            ("--deadline", settings.deadline),
            ("--model-timeout", settings.model_timeout),
            (
                "--model-breaker-cool-down",
                settings.model_breaker_cool_down,
            ),
            ("--drain-timeout", settings.drain_timeout),
            ("--reload-interval", settings.reload_interval),
        ];
        let limits = limits
            .into_iter()
            .chain(settings.linger.map(|linger| ("--linger", linger)));
        for (flag, _) in limits.filter(|(_, limit)| limit.is_zero() || *limit > MAX_LIMIT) {
            faults.push(format!(
                "{flag} is out of range; write a time above zero and up to an hour, such as \"30s\""
            ));
        }
        if settings.key_retention < MAX_LIMIT || settings.key_retention > MAX_RETENTION {
            faults.push(
                "--key-retention is out of range; write a time from 1h to 90days, such as \"24h\""
                    .to_owned(),
            );
        }
        if settings.max_in_flight == 0
            || settings.max_in_flight > tokio::sync::Semaphore::MAX_PERMITS
        {
            faults.push(format!(
                "--max-in-flight is {}; write a number from 1",
                settings.max_in_flight
            ));
        }
        if settings.metrics_tenants > MAX_METRICS_TENANTS {
            faults.push(format!(
                "--metrics-tenants is {}; write a number up to {MAX_METRICS_TENANTS}: each is held in memory",
                settings.metrics_tenants
            ));
        }
        if settings.telemetry_queue_bytes < MIN_QUEUE_BYTES {
            faults.push(format!(
                "--telemetry-queue-bytes is {}; write a number from {MIN_QUEUE_BYTES}",
                settings.telemetry_queue_bytes
            ));
        }
        if settings
            .temperature
            .is_some_and(|temperature| !(0.0..=2.0).contains(&temperature))
        {
            faults.push("--temperature is out of range; write a number from 0 to 2".to_owned());
        }
        let pseudonym_key = settings
            .pseudonym_key
            .clone()
            .filter(|key| !key.expose_secret().is_empty());
        if pseudonym_key
            .as_ref()
            .is_some_and(|key| key.expose_secret().len() < MIN_PSEUDONYM_KEY)
        {
            faults.push(format!(
                "--pseudonym-key is too short; write at least {MIN_PSEUDONYM_KEY} random characters"
            ));
        }
        let trace_url = settings
            .trace_url
            .as_deref()
            .filter(|text| !text.is_empty())
            .and_then(|text| {
                let url = TraceUrl::parse(text);
                if url.is_none() {
                    faults.push(format!(
                        "--trace-url is \"{text}\"; write a URL such as \"http://localhost:16686\""
                    ));
                }
                url
            });
        let store = store(&settings, variables, &mut faults);
        let model = model(&settings, variables, &mut faults);
        let mut telemetry = TelemetrySettings::parse(variables, &mut faults);
        telemetry.metrics.max_tenants = settings.metrics_tenants;
        telemetry.metrics.has_old_names = settings.metrics_old_names;
        telemetry.has_compatibility_keys = settings.compatibility_keys;
        telemetry.queue.max_bytes = settings.telemetry_queue_bytes;
        telemetry.sampling = Sampling {
            ratio: settings.telemetry_keep_ratio,
            slow: settings.telemetry_keep_slow,
            costly: settings.telemetry_keep_costly,
        };
        match model {
            Some(model) if faults.is_empty() => Ok(Self {
                listen: settings.listen,
                api_keys: settings.api_keys,
                reload_interval: settings.reload_interval,
                policies: settings.policies,
                store,
                model,
                model_breaker: BreakerLimits::new(
                    settings.model_breaker_failures,
                    settings.model_breaker_cool_down,
                ),
                propagate_to_model: settings.propagate_to_model,
                trace_url,
                deadline: settings.deadline,
                linger: settings.linger,
                drain_timeout: settings.drain_timeout,
                key_retention: settings.key_retention,
                max_in_flight: settings.max_in_flight,
                raw_prompts: settings.raw_prompts,
                redact_ledger: settings.redact_ledger,
                pseudonym_key,
                log_filter: variables
                    .get("RUST_LOG")
                    .filter(|filter| !filter.is_empty())
                    .cloned(),
                log_format: settings.log_format,
                telemetry,
            }),
            _ => Err(ConfigFaults(faults)),
        }
    }
}

fn store(settings: &Settings, variables: &Variables, faults: &mut Vec<String>) -> Store {
    let Some(url) = variables
        .get("DATABASE_URL")
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    else {
        return Store::Sqlite(settings.data.clone());
    };
    // The URL may hold a password, so it is not shown.
    if !url
        .parse::<Url>()
        .is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
    {
        faults.push(
            "DATABASE_URL is no URL of a Postgres; write one such as \"postgres://user:password@host/database\", or \
             leave it out for SQLite"
                .to_owned(),
        );
    }
    Store::Postgres(url.into())
}

fn model(
    settings: &Settings,
    variables: &Variables,
    faults: &mut Vec<String>,
) -> Option<ModelConfig> {
    let variable = |name: &str| {
        variables
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    };
    let api_key = api_key(
        variable("OPENAI_API_KEY"),
        variable("OPENAI_API_KEY_FILE").map(Path::new),
        faults,
    );
    let base_url = variable("OPENAI_BASE_URL");
    let named = settings.model.as_deref().filter(|name| !name.is_empty());
    let is_offline = named == Some("offline") || named == Some(offline::MODEL);
    if is_offline || (named.is_none() && api_key.is_none() && base_url.is_none()) {
        return Some(ModelConfig::Offline {
            faults: settings.model_fault.clone(),
            fault_seed: settings.model_fault_seed,
        });
    }
    if !settings.model_fault.is_empty() {
        faults.push(
            "--model-fault is for the offline model alone; add --model offline, or leave it out"
                .to_owned(),
        );
    }
    if api_key.is_none() && base_url.is_none() {
        faults.push(format!(
            "--model {} needs a key; set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint without keys",
            named.unwrap_or_default()
        ));
    }
    let (organization, project) = (variable("OPENAI_ORG_ID"), variable("OPENAI_PROJECT_ID"));
    let key_text = api_key.as_ref().map(|key| key.expose_secret());
    for (name, text) in [
        ("OPENAI_API_KEY", key_text),
        ("OPENAI_ORG_ID", organization),
        ("OPENAI_PROJECT_ID", project),
    ] {
        if text.is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            faults.push(format!(
                "{name} holds something that no header can; write visible ASCII characters"
            ));
        }
    }
    let base_url = base_url.unwrap_or(OPENAI_BASE_URL);
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let Some(base_url) = base_url.parse().ok().filter(is_http) else {
        faults.push(format!(
            "OPENAI_BASE_URL is \"{base_url}\"; write a URL such as \"{OPENAI_BASE_URL}\""
        ));
        return None;
    };
    Some(ModelConfig::OpenAi(Box::new(OpenAiConfig {
        base_url,
        api_key: api_key.unwrap_or_default(),
        organization: organization.unwrap_or_default().to_owned(),
        project: project.unwrap_or_default().to_owned(),
        model: named.unwrap_or(DEFAULT_OPENAI_MODEL).to_owned(),
        max_tokens: settings.max_tokens,
        temperature: settings.temperature,
        seed: settings.seed,
        attempt_timeout: settings.model_timeout,
        max_retries: settings.model_retries,
    })))
}

/// The key itself, or the first line of the file a secret is mounted as.
fn api_key(
    key: Option<&str>,
    file: Option<&Path>,
    faults: &mut Vec<String>,
) -> Option<SecretString> {
    match (key, file) {
        (Some(key), _) => Some(key.into()),
        (None, Some(file)) => match std::fs::read_to_string(file) {
            Ok(text) => {
                let key = text
                    .lines()
                    .next()
                    .map(str::trim)
                    .filter(|key| !key.is_empty())
                    .map(SecretString::from);
                if key.is_none() {
                    faults.push(format!(
                        "OPENAI_API_KEY_FILE {} has no key in its first line",
                        file.display()
                    ));
                }
                key
            }
            Err(error) => {
                faults.push(format!(
                    "OPENAI_API_KEY_FILE {} cannot be read: {error}",
                    file.display()
                ));
                None
            }
        },
        (None, None) => None,
    }
}
