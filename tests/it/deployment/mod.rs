//! Cross-references in the deployment files that no linter follows, and values on which the files
//! and the program have to agree. A check is a function that takes the parsed files and returns what
//! is wrong with them. Its test shows that the shipped files have no errors, and that the check finds
//! the error in a copy that was broken on purpose.

mod agent;
mod agreement;
mod compose;
mod database;
mod guide;
mod hosts;
mod jaeger_ui;
mod manifest;
mod monitoring;
mod network;
mod policies;
mod references;

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use clap::CommandFactory;
use expense_agent::cli::Cli;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::project_path;

const MANIFEST: &str = "k8s-manifest.yaml";
const COMPOSE: &str = "docker-compose.yml";
const DOCKERFILE: &str = "Dockerfile";
const VARIABLES: &str = ".env.example";
const PROMETHEUS: &str = "deploy/prometheus.yml";
const DATASOURCE: &str = "deploy/grafana/datasource.yaml";
const DASHBOARDS: &str = "deploy/grafana/dashboards.yaml";

/// The name of the agent's service and image in Compose, and of its container, Deployment and
/// Service in Kubernetes.
const AGENT: &str = "expense-agent";

/// The variables that `config` reads in addition to those of the flags.
const OTHER_VARIABLES: [&str; 9] = [
    "DATABASE_URL",
    "EXPENSE_AGENT_NOTIFY_SECRET",
    "EXPENSE_AGENT_NOTIFY_SECRET_FILE",
    "OPENAI_API_KEY",
    "OPENAI_API_KEY_FILE",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "RUST_LOG",
];

/// The variables that `telemetry::settings` or the SDK reads.
pub(crate) const OTEL_VARIABLES: [&str; 30] = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_LOG_LEVEL",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_PROPAGATORS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// The exporter reads each suffix with the prefix of one signal and with the prefix of all signals.
const EXPORTER_PREFIXES: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_LOGS_",
    "OTEL_EXPORTER_OTLP_TRACES_",
    "OTEL_EXPORTER_OTLP_METRICS_",
    "OTEL_EXPORTER_OTLP_",
];
pub(crate) const EXPORTER_SUFFIXES: [&str; 9] = [
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
    "COMPRESSION",
    "ENDPOINT",
    "HEADERS",
    "INSECURE",
    "PROTOCOL",
    "TIMEOUT",
];

/// The longest the program takes to exit once requests are finished: a second to close the ledger, a
/// second for other blocking work, and five for the last spans.
const FINAL_STEPS: Duration = Duration::from_secs(1 + 1 + 5);

/// The text of each file, by the file's name.
type Texts = BTreeMap<&'static str, String>;

/// The files as they ship. They are read once, so a test that rewrites one of them does not disturb
/// the others.
static SHIPPED: LazyLock<Texts> = LazyLock::new(|| {
    [
        MANIFEST, COMPOSE, DOCKERFILE, VARIABLES, PROMETHEUS, DATASOURCE, DASHBOARDS,
    ]
    .into_iter()
    .map(|name| (name, fs::read_to_string(project_path(name)).unwrap()))
    .collect()
});

/// The files, parsed.
struct Files {
    /// The documents of the Kubernetes manifest.
    manifest: Vec<Value>,
    /// The Compose file.
    compose: Value,
    /// The configuration of Prometheus.
    prometheus: Value,
    /// Grafana's data source.
    datasource: Value,
    /// Grafana's provider of dashboards.
    dashboards: Value,
    /// `ENV` of the Dockerfile.
    image_env: BTreeMap<String, String>,
    /// `EXPOSE` of the Dockerfile.
    image_ports: Vec<String>,
    /// The variables of `.env.example`, including those that are commented out.
    variables: Vec<String>,
    /// The lines of the comment at the top of the manifest, without `#`; lines that a backslash
    /// continues are joined.
    manifest_head: Vec<String>,
    /// The Postgres URLs in each file, including those in comments.
    database_urls: BTreeMap<&'static str, Vec<String>>,
}

impl Files {
    fn parse(texts: &Texts) -> Self {
        let documents = |name| {
            yaml_serde::Deserializer::from_str(&texts[name])
                .map(|document| Value::deserialize(document).unwrap())
        };
        let document = |name| documents(name).next().unwrap();
        let dockerfile = texts[DOCKERFILE].replace("\\\n", " ");
        let instructions = |name: &str| {
            let lines = dockerfile
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            lines
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let pair = |pair: &String| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let variable = Regex::new(r"(?m)^#?([A-Z_]+)=").unwrap();
        let manifest_head = texts[MANIFEST]
            .lines()
            .map_while(|line| line.strip_prefix('#'))
            .map(str::trim);
        let manifest_head = manifest_head
            .collect::<Vec<_>>()
            .join("\n")
            .replace("\\\n", "");
        let database_url = Regex::new(r"postgres://\S+").unwrap();
        let database_urls = |text| {
            database_url
                .find_iter(text)
                .map(|found| found.as_str().to_owned())
                .collect()
        };
        Self {
            manifest: documents(MANIFEST).collect(),
            compose: document(COMPOSE),
            prometheus: document(PROMETHEUS),
            datasource: document(DATASOURCE),
            dashboards: document(DASHBOARDS),
            image_env: instructions("ENV")
                .iter()
                .map(|given| pair(given).unwrap())
                .collect(),
            image_ports: instructions("EXPOSE"),
            variables: variable
                .captures_iter(&texts[VARIABLES])
                .map(|found| found[1].to_owned())
                .collect(),
            manifest_head: manifest_head.lines().map(str::to_owned).collect(),
            database_urls: texts
                .iter()
                .map(|(name, text)| (*name, database_urls(text)))
                .collect(),
        }
    }
}

/// The elements of a list; empty if the value is not a list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or an empty one if the value is not a text.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The part after the last colon: the port of an address, the tag of an image.
fn after_last_colon(text: &str) -> &str {
    text.rsplit_once(':').map_or("", |(_, after)| after)
}

/// Host and port of a URL.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url: reqwest::Url = url.parse().ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

/// The default of the flag that can be set by a variable.
fn default_of(variable: &str) -> String {
    let cli = Cli::command();
    let flag = cli
        .get_arguments()
        .find(|flag| flag.get_env().is_some_and(|name| name == variable))
        .unwrap();
    flag.get_default_values()[0].to_str().unwrap().to_owned()
}

/// The longest the agent takes from SIGTERM to its exit, with these variables.
fn time_to_stop<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Duration {
    let name = "EXPENSE_AGENT_DRAIN_TIMEOUT";
    let drain_timeout = variable(name).map_or_else(|| default_of(name), str::to_owned);
    let times = [
        variable("EXPENSE_AGENT_LINGER").unwrap_or("0s"),
        &drain_timeout,
    ];
    times
        .map(|time| humantime::parse_duration(time).unwrap())
        .iter()
        .sum::<Duration>()
        + FINAL_STEPS
}

/// Whether the program, or a library that it uses, reads a variable.
fn is_read(variable: &str) -> bool {
    let is_flag = Cli::command()
        .get_arguments()
        .any(|flag| flag.get_env().is_some_and(|name| name == variable));
    let mut of_exporter = EXPORTER_PREFIXES
        .into_iter()
        .filter_map(|prefix| variable.strip_prefix(prefix));
    is_flag
        || OTHER_VARIABLES.contains(&variable)
        || OTEL_VARIABLES.contains(&variable)
        || of_exporter.any(|suffix| EXPORTER_SUFFIXES.contains(&suffix))
}

/// Asserts that the shipped files pass a check, and that the check finds the error in each broken
/// copy. An element of `broken` has a text that occurs once in the file `name`, the text that
/// replaces it, and the error that the check has to return.
fn assert_check(check: fn(&Files) -> Vec<String>, name: &str, broken: &[(&str, &str, &str)]) {
    let errors = check(&Files::parse(&SHIPPED));
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    for (shipped, replacement, error) in broken {
        let mut texts = SHIPPED.clone();
        let text = texts.get_mut(name).unwrap();
        let n_found = text.matches(shipped).count();
        assert_eq!(
            n_found, 1,
            "{name} contains this {n_found} times instead of once:\n{shipped}"
        );
        *text = text.replace(shipped, replacement);
        let errors = check(&Files::parse(&texts));
        let found = errors.join("\n  ");
        let has_error = errors.iter().any(|found| found == error);
        assert!(
            has_error,
            "{name} with\n{replacement}\nshould have the error\n  {error}\nbut has\n  {found}"
        );
    }
}

/// The lists above are written by hand, so this test compares them with the sources.
#[test]
fn every_variable_that_the_sources_name_is_known_here() {
    let sources = [
        "src/config/mod.rs",
        "src/config/model.rs",
        "src/config/notify.rs",
        "src/config/storage.rs",
        "src/telemetry/settings/parse.rs",
        "src/telemetry/settings/exporter.rs",
    ];
    let sources: String = sources
        .iter()
        .map(|path| fs::read_to_string(project_path(path)).unwrap())
        .collect();
    let variables =
        Regex::new(r#""((?:DATABASE|EXPENSE_AGENT|OPENAI|OTEL|RUST)_[A-Z_]*[A-Z])""#).unwrap();
    let named: Vec<_> = variables
        .captures_iter(&sources)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert!(
        named.contains(&"OPENAI_API_KEY") && named.contains(&"OTEL_SERVICE_NAME"),
        "{named:?}"
    );
    let unknown: Vec<_> = named.iter().filter(|variable| !is_read(variable)).collect();
    assert!(
        unknown.is_empty(),
        "the sources read these as well: {unknown:?}"
    );
    let unread: Vec<_> = OTHER_VARIABLES
        .iter()
        .filter(|variable| !named.contains(variable))
        .collect();
    assert!(
        unread.is_empty(),
        "the sources do not read these: {unread:?}"
    );
    assert!(!is_read("OTEL_EXPORTER_OTLP_TRACES_MODEL") && !is_read("EXPENSE_AGENT_MODLE"));
}
