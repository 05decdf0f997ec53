//! Settings of the HTTP server: where it listens, who may use it, and how much time and room one
//! request gets.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use humantime::parse_duration;
use rustix::process::{Resource, getrlimit};
use tokio::sync::Semaphore;

use crate::config::host_name::HostName;
use crate::config::public_url::PublicUrl;
use crate::config::trace_url::TraceUrl;
use crate::config::{MAX_LIMIT, check_limit};
use crate::connections::ConnectionLimits;

/// The longest time an idempotency key may be remembered.
pub const MAX_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);
/// The shortest such time: a client that retries for an hour must not get a second decision.
const MIN_RETENTION: Duration = MAX_LIMIT;

/// Open files that are reserved for the ledger, telemetry, policies and logs.
const RESERVED_FILES: usize = 64;
/// Bounds of the default number of connections.
const DEFAULT_CONNECTIONS: RangeInclusive<usize> = 16..=8192;

/// Flags and variables of the HTTP server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP server")]
pub struct HttpSettings {
    /// Address and port to listen on; an address other than loopback needs `--api-keys` or
    /// `--allow-anonymous`
    #[arg(long, global = true, env = "EXPENSE_AGENT_LISTEN")]
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,

    /// File of API keys, one of which every request must then present; reloaded when it changes and
    /// on SIGHUP
    #[arg(long, global = true, env = "EXPENSE_AGENT_API_KEYS")]
    #[arg(value_name = "FILE")]
    pub api_keys: Option<PathBuf>,

    /// Accept requests without an API key, from anyone who can reach the service and for any tenant
    /// they name
    #[arg(long, global = true, env = "EXPENSE_AGENT_ALLOW_ANONYMOUS")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub allow_anonymous: bool,

    /// Host name by which clients may reach a service without API keys, besides `localhost` and IP
    /// addresses; requests for other hosts are refused with 421, because pages of other sites could
    /// send them; repeatable
    #[arg(long, global = true, env = "EXPENSE_AGENT_ALLOWED_HOST")]
    #[arg(value_name = "NAME", value_delimiter = ',')]
    pub allowed_host: Vec<String>,

    /// Without `--api-keys`, make a key with every role when the service starts, and print it; on
    /// loopback this is done anyway
    #[arg(long, global = true, env = "EXPENSE_AGENT_LOCAL_KEY")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub local_key: bool,

    /// Leave the page below `/ui/` out
    #[arg(long, global = true, env = "EXPENSE_AGENT_NO_PAGE")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub no_page: bool,

    /// URL by which people reach the service, without a path, such as `https://expenses.example.com`;
    /// links to the page begin with it, its host is allowed, and `https` says that a proxy in front
    /// terminates TLS
    #[arg(long, global = true, env = "EXPENSE_AGENT_PUBLIC_URL")]
    #[arg(value_name = "URL")]
    pub public_url: Option<String>,

    /// Time limit of one request; nine tenths of it are for the model
    #[arg(long, global = true, env = "EXPENSE_AGENT_DEADLINE")]
    #[arg(value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub deadline: Duration,

    /// Maximum number of requests in progress; further ones are refused with 503
    #[arg(long, global = true, env = "EXPENSE_AGENT_MAX_IN_FLIGHT")]
    #[arg(value_name = "COUNT", default_value_t = 256)]
    pub max_in_flight: usize,

    /// Maximum number of open connections; when it is reached, the one that has waited longest for
    /// its client is closed for a new one [default: half of the files that the process may open, at most 8192]
    #[arg(long, global = true, env = "EXPENSE_AGENT_MAX_CONNECTIONS")]
    #[arg(value_name = "COUNT")]
    pub max_connections: Option<usize>,

    /// How long a client may take to send the head of a request
    #[arg(long, global = true, env = "EXPENSE_AGENT_HEAD_TIMEOUT")]
    #[arg(value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub head_timeout: Duration,

    /// How long a connection may be open without a request; longer than proxies in front keep
    /// theirs, or they send requests on connections that are closing
    #[arg(long, global = true, env = "EXPENSE_AGENT_IDLE_TIMEOUT")]
    #[arg(value_name = "TIME", default_value = "75s", value_parser = parse_duration)]
    pub idle_timeout: Duration,

    /// How long an idempotency key is remembered
    #[arg(long, global = true, env = "EXPENSE_AGENT_KEY_RETENTION")]
    #[arg(value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    pub key_retention: Duration,

    /// How long to keep accepting requests after the signal to stop, while `/readyz` answers 503
    /// and responses ask clients to close their connections
    #[arg(long, global = true, env = "EXPENSE_AGENT_LINGER")]
    #[arg(value_name = "TIME", value_parser = parse_duration)]
    pub linger: Option<Duration>,

    /// Time for requests in progress to finish on shutdown
    #[arg(long, global = true, env = "EXPENSE_AGENT_DRAIN_TIMEOUT")]
    #[arg(value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub drain_timeout: Duration,

    /// Trace UI that answers link to: a URL with `{trace_id}`, or the base URL of a Jaeger UI
    #[arg(long, global = true, env = "EXPENSE_AGENT_TRACE_URL")]
    #[arg(value_name = "URL", hide_env_values = true)]
    pub trace_url: Option<String>,

    /// Redact what people write (expenses, reasons of resolutions, comments) before it is recorded;
    /// answers then show the redacted text as well
    #[arg(long, global = true, env = "EXPENSE_AGENT_REDACT_LEDGER")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub redact_ledger: bool,
}

/// The HTTP server, as it was configured.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// File of API keys; `None` lets every caller in.
    pub api_keys: Option<PathBuf>,
    /// Host names by which requests without API keys may name the service, besides `localhost`.
    pub allowed_hosts: Vec<HostName>,
    /// Whether a service without API keys makes a key with every role when it starts.
    pub makes_local_key: bool,
    /// Whether the page is served.
    pub has_page: bool,
    /// The URL by which people reach the service.
    pub public_url: Option<PublicUrl>,
    /// Time limit of one request.
    pub deadline: Duration,
    /// Maximum number of requests in progress.
    pub max_in_flight: usize,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long an idempotency key is remembered.
    pub key_retention: Duration,
    /// How long requests are still accepted after the signal to stop.
    pub pre_stop_delay: Option<Duration>,
    /// How long requests in progress may take to finish after that.
    pub drain_timeout: Duration,
    /// Template of the links to a trace UI.
    pub trace_url: Option<TraceUrl>,
    /// Whether what people write is redacted before it is recorded.
    pub redacts_ledger: bool,
}

impl HttpConfig {
    /// What links to the page begin with, for a service that listens on this address; `None` without a
    /// page, and where only a setting could say how people reach the service.
    pub fn page_origin(&self, address: SocketAddr) -> Option<String> {
        let public = self.public_url.as_ref().map(PublicUrl::origin);
        let is_local = address.ip().is_loopback();
        let origin = public.or_else(|| is_local.then(|| format!("http://{address}")));
        origin.filter(|_| self.has_page)
    }

    /// The limits of connections.
    pub fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            max_open: self.max_connections,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            // A request may wait for its whole deadline without a byte.
            stall_timeout: self.deadline + self.idle_timeout,
        }
    }
}

impl HttpSettings {
    /// Checks the settings, and adds what is wrong with them to `errors`.
    pub(super) fn build(self, errors: &mut Vec<String>) -> HttpConfig {
        self.check_access(errors);
        check_limit("--deadline", self.deadline, errors);
        check_limit("--drain-timeout", self.drain_timeout, errors);
        check_limit("--head-timeout", self.head_timeout, errors);
        check_limit("--idle-timeout", self.idle_timeout, errors);
        if let Some(linger) = self.linger {
            check_limit("--linger", linger, errors);
        }
        if !(MIN_RETENTION..=MAX_RETENTION).contains(&self.key_retention) {
            let range = "write a time from 1h to 90days, such as \"24h\"";
            errors.push(format!("--key-retention is out of range; {range}"));
        }
        if !(1..=Semaphore::MAX_PERMITS).contains(&self.max_in_flight) {
            errors.push(format!(
                "--max-in-flight is {}; write a number from 1",
                self.max_in_flight
            ));
        }
        let trace_url = self.trace_url(errors);
        let public_url = self.public_url(errors);
        let mut allowed_hosts = self.allowed_hosts(errors);
        allowed_hosts.extend(public_url.as_ref().and_then(PublicUrl::host_name));
        let max_connections = max_connections(self.max_connections, open_files(), errors);
        HttpConfig {
            listen: self.listen,
            api_keys: self.api_keys,
            allowed_hosts,
            makes_local_key: self.local_key || self.listen.ip().is_loopback(),
            has_page: !self.no_page,
            public_url,
            deadline: self.deadline,
            max_in_flight: self.max_in_flight,
            max_connections,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            key_retention: self.key_retention,
            pre_stop_delay: self.linger,
            drain_timeout: self.drain_timeout,
            trace_url,
            redacts_ledger: self.redact_ledger,
        }
    }

    /// A service that the network can reach must authenticate its callers, unless
    /// `--allow-anonymous` is set.
    fn check_access(&self, errors: &mut Vec<String>) {
        let is_open = self.api_keys.is_none() && !self.allow_anonymous;
        if is_open && !self.listen.ip().is_loopback() {
            errors.push(format!(
                "--listen {} is not a loopback address, so callers would not be authenticated; listen on 127.0.0.1, \
                 name a file of keys with --api-keys, or pass --allow-anonymous",
                self.listen
            ));
        }
    }

    /// An empty name counts as none: Compose files pass a variable on even when it is unset.
    fn allowed_hosts(&self, errors: &mut Vec<String>) -> Vec<HostName> {
        let texts = self.allowed_host.iter().map(|text| text.trim());
        let mut hosts = Vec::new();
        for text in texts.filter(|text| !text.is_empty()) {
            match HostName::parse(text) {
                Some(host) => hosts.push(host),
                None => errors.push(format!(
                    "--allowed-host is \"{text}\"; write a name without scheme, port and pattern, such as \
                     \"expense-agent\""
                )),
            }
        }
        hosts
    }

    /// An empty URL counts as none, as in `trace_url`.
    fn public_url(&self, errors: &mut Vec<String>) -> Option<PublicUrl> {
        let text = self.public_url.as_deref().map(str::trim);
        let text = text.filter(|text| !text.is_empty())?;
        let url = PublicUrl::parse(text);
        if url.is_none() {
            errors.push(
                "--public-url is not a scheme and a host alone; write a URL without user and path, such as \
                 \"https://expenses.example.com\""
                    .to_owned(),
            );
        }
        url
    }

    /// An empty URL counts as none: Compose files pass a variable on even when it is unset.
    fn trace_url(&self, errors: &mut Vec<String>) -> Option<TraceUrl> {
        let text = self.trace_url.as_deref().map(str::trim);
        let text = text.filter(|text| !text.is_empty())?;
        let url = TraceUrl::parse(text);
        if url.is_none() {
            errors.push(format!(
                "--trace-url is \"{text}\"; write a URL such as \"http://localhost:16686\""
            ));
        }
        url
    }
}

/// The maximum number of open connections. The default is half of the files that are left, because
/// each request may need a second one, for a connection to the model.
fn max_connections(given: Option<usize>, n_files: usize, errors: &mut Vec<String>) -> usize {
    let n_left = n_files.saturating_sub(RESERVED_FILES);
    let Some(given) = given else {
        return (n_left / 2).clamp(*DEFAULT_CONNECTIONS.start(), *DEFAULT_CONNECTIONS.end());
    };
    if !(1..=n_left).contains(&given) {
        errors.push(format!(
            "--max-connections is {given}, and the process may open {n_files} files; write a number from 1 to {n_left}, \
             or raise that limit"
        ));
    }
    given
}

/// How many files the process may open, connections included.
fn open_files() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .and_then(|n_files| usize::try_from(n_files).ok())
        .unwrap_or(usize::MAX)
}
