//! Cross-references in the deployment files that no linter follows, and what the files have to
//! agree on among each other and with the program. A check is a function from the parsed files to
//! faults; its test shows that the shipped files have none, and that the check names the fault of a
//! copy that was broken on purpose.

mod agent;
mod agreement;
mod compose;
mod database;
mod guide;
mod manifest;
mod network;
mod policies;
mod references;
mod watching;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use clap::CommandFactory;
use expense_agent::cli::Cli;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

const MANIFEST: &str = "k8s-manifest.yaml";
const COMPOSE: &str = "docker-compose.yml";
const DOCKERFILE: &str = "Dockerfile";
const VARIABLES: &str = ".env.example";
const PROMETHEUS: &str = "deploy/prometheus.yml";
const DATASOURCE: &str = "deploy/grafana/datasource.yaml";
const DASHBOARDS: &str = "deploy/grafana/dashboards.yaml";

/// The agent's name: of its service and image in Compose, and of its container, Deployment and
/// Service in Kubernetes.
const AGENT: &str = "expense-agent";

/// What `config` reads beside the flags' own variables.
const OTHER_VARIABLES: [&str; 7] = [
    "DATABASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_API_KEY_FILE",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "RUST_LOG",
];

/// What `telemetry::settings` reads, and the SDK after it.
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

/// What the exporter reads, each for all signals and for one alone.
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

/// What the program takes at most once requests are finished: for whatever holds the ledger or a
/// file, and for its last spans.
const LAST: Duration = Duration::from_secs(2 + 5);

/// Texts of the files by name.
type Texts = BTreeMap<&'static str, String>;

/// The files as they ship. Read once, so that a test that writes one of them anew disturbs no
/// other.
static SHIPPED: LazyLock<Texts> = LazyLock::new(|| {
    [
        MANIFEST, COMPOSE, DOCKERFILE, VARIABLES, PROMETHEUS, DATASOURCE, DASHBOARDS,
    ]
    .into_iter()
    .map(|name| (name, fs::read_to_string(of_project(name)).unwrap()))
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
    /// Where Grafana reads.
    datasource: Value,
    /// Where Grafana finds the dashboard.
    dashboards: Value,
    /// `ENV` of the Dockerfile.
    image_env: BTreeMap<String, String>,
    /// `EXPOSE` of the Dockerfile.
    image_ports: Vec<String>,
    /// The variables of `.env.example`, those that are commented out among them.
    variables: Vec<String>,
    /// The lines of the manifest's comment at its top, without the marks; a line that goes on in
    /// the next is one.
    manifest_head: Vec<String>,
    /// The URLs of a Postgres that stand in each file, in comments as well.
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

/// A file or folder of the project.
fn of_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The elements of a list; of anything else, none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or an empty one if the value is not a text.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The part after the last colon: the port of an address, the tag of an image.
fn behind_colon(text: &str) -> &str {
    text.rsplit_once(':').map_or("", |(_, behind)| behind)
}

/// Host and port of a URL.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url: reqwest::Url = url.parse().ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

/// The default of a flag.
fn default_of(variable: &str) -> String {
    let cli = Cli::command();
    let flag = cli
        .get_arguments()
        .find(|flag| flag.get_env().is_some_and(|name| name == variable))
        .unwrap();
    flag.get_default_values()[0].to_str().unwrap().to_owned()
}

/// The longest the agent takes from the signal to its end, with these variables.
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
        + LAST
}

/// Whether the program, or a library of its, reads a variable.
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

/// Fails unless the shipped files pass a check, and the check names the problem of each broken copy.
/// What breaks a copy is a text that stands once in the file of that name, and the text put there
/// instead.
fn assert_check(check: fn(&Files) -> Vec<String>, name: &str, broken: &[(&str, &str, &str)]) {
    let faults = check(&Files::parse(&SHIPPED));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (shipped, instead, fault) in broken {
        let mut texts = SHIPPED.clone();
        let text = texts.get_mut(name).unwrap();
        let n_found = text.matches(shipped).count();
        assert_eq!(
            n_found, 1,
            "{name} holds this {n_found} times, so the test cannot break it:\n{shipped}"
        );
        *text = text.replace(shipped, instead);
        let faults = check(&Files::parse(&texts));
        let found = faults.join("\n  ");
        let has_fault = faults.iter().any(|found| found == fault);
        assert!(
            has_fault,
            "{name} with\n{instead}\nshould have the fault\n  {fault}\nand has\n  {found}"
        );
    }
}

/// The lists above are written by hand, so they are held against the sources.
#[test]
fn every_variable_that_the_sources_name_is_known_here() {
    let sources = [
        "src/config/mod.rs",
        "src/config/model.rs",
        "src/config/storage.rs",
        "src/telemetry/settings/parse.rs",
        "src/telemetry/settings/exporter.rs",
    ];
    let sources: String = sources
        .iter()
        .map(|path| fs::read_to_string(of_project(path)).unwrap())
        .collect();
    let variables = Regex::new(r#""((?:DATABASE|OPENAI|OTEL|RUST)_[A-Z_]*[A-Z])""#).unwrap();
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
