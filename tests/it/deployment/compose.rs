//! The Compose file: every port is published on loopback only, the agent reads every variable, every
//! URL leads to a service, and the agent has enough time to stop.

use serde_json::Value;

use super::{
    AGENT, COMPOSE, Files, VARIABLES, assert_check, host_and_port, is_read, list, text,
    time_to_stop,
};

/// A port that a service publishes.
pub(super) struct Published<'a> {
    /// Address on the host; empty for all addresses.
    address: &'a str,
    /// Port on the host.
    pub(super) port: &'a str,
    /// Port in the container.
    pub(super) container_port: &'a str,
}

/// The ports a service publishes, each written as `ADDRESS:PORT:PORT`.
pub(super) fn published<'a>(files: &'a Files, service: &str) -> Vec<Published<'a>> {
    let ports = list(&files.compose["services"][service]["ports"])
        .iter()
        .map(text);
    let parts = ports.map(|port| port.rsplitn(3, ':').collect::<Vec<_>>());
    let part = |parts: &[&'a str], i: usize| parts.get(i).copied().unwrap_or_default();
    parts
        .map(|parts| Published {
            container_port: part(&parts, 0),
            port: part(&parts, 1),
            address: part(&parts, 2),
        })
        .collect()
}

/// Every port that any service publishes, with the service's name.
fn all_published(files: &Files) -> impl Iterator<Item = (&str, Published<'_>)> {
    let services = files.compose["services"].as_object().into_iter().flatten();
    services.flat_map(|(name, _)| {
        published(files, name)
            .into_iter()
            .map(move |port| (name.as_str(), port))
    })
}

/// A service of the Compose file.
pub(super) fn service<'a>(files: &'a Files, name: &str) -> &'a Value {
    &files.compose["services"][name]
}

/// The value of a variable of the agent.
pub(super) fn variable<'a>(files: &'a Files, name: &str) -> Option<&'a str> {
    service(files, AGENT)["environment"][name].as_str()
}

/// The VALUE of `${NAME:-VALUE}`, which holds when the shell does not set NAME.
fn by_default(value: &str) -> &str {
    let default = value
        .strip_prefix("${")
        .and_then(|value| value.strip_suffix('}')?.split_once(":-"));
    default.map_or(value, |(_, default)| default)
}

fn check_addresses(files: &Files) -> Vec<String> {
    let strays = all_published(files).filter(|(_, port)| port.address != "127.0.0.1");
    strays
        .map(|(service, port)| {
            format!(
                "{service} publishes {} beyond loopback",
                port.container_port
            )
        })
        .collect()
}

#[test]
fn nothing_is_published_beyond_loopback() {
    assert_check(
        check_addresses,
        COMPOSE,
        &[
            (
                "127.0.0.1:8000:8000",
                "8000:8000",
                "expense-agent publishes 8000 beyond loopback",
            ),
            (
                "127.0.0.1:4317:4317",
                "0.0.0.0:4317:4317",
                "jaeger publishes 4317 beyond loopback",
            ),
            (
                "127.0.0.1:4318:4318",
                "4318",
                "jaeger publishes 4318 beyond loopback",
            ),
        ],
    );
}

fn check_variables(files: &Files) -> Vec<String> {
    let given = &service(files, AGENT)["environment"];
    let names = given
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    let unread = names
        .filter(|name| !is_read(name))
        .map(|name| format!("{name} is not read by any program"));
    let lost = files
        .variables
        .iter()
        .filter(|name| given.get(name.as_str()).is_none());
    unread
        .chain(lost.map(|name| format!("{name} of {VARIABLES} does not reach the agent")))
        .collect()
}

#[test]
fn every_variable_of_the_agent_is_read() {
    let broken = (
        "EXPENSE_AGENT_MODEL:",
        "EXPENSE_MODEL:",
        "EXPENSE_MODEL is not read by any program",
    );
    assert_check(check_variables, COMPOSE, &[broken]);
}

#[test]
fn every_variable_of_the_example_reaches_the_agent() {
    let broken = (
        "#RUST_LOG=",
        "#RUST_BACKTRACE=",
        "RUST_BACKTRACE of .env.example does not reach the agent",
    );
    assert_check(check_variables, VARIABLES, &[broken]);
}

fn check_urls(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let url = by_default(variable(files, "OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default());
    // Containers reach each other on every port, so the file does not list the open ones. Take the
    // ports that a service publishes.
    let has_port = |host: &str, port: u16| {
        published(files, host)
            .iter()
            .any(|p| p.container_port == port.to_string())
    };
    if !host_and_port(url).is_some_and(|(host, port)| has_port(&host, port)) {
        errors.push(format!("OTEL_EXPORTER_OTLP_ENDPOINT: no service is {url}"));
    }
    let url = variable(files, "EXPENSE_AGENT_TRACE_URL").unwrap_or_default();
    let is_open =
        |port: u16| all_published(files).any(|(_, published)| published.port == port.to_string());
    if !host_and_port(url).is_some_and(|(host, port)| host == "localhost" && is_open(port)) {
        errors.push(format!(
            "EXPENSE_AGENT_TRACE_URL: nothing is published at {url}"
        ));
    }
    errors
}

#[test]
fn every_url_of_the_agent_leads_to_a_service() {
    let trace_url = "http://localhost:16686/trace/{trace_id}";
    assert_check(
        check_urls,
        COMPOSE,
        &[
            (
                "http://jaeger:4317",
                "http://trace:4317",
                "OTEL_EXPORTER_OTLP_ENDPOINT: no service is http://trace:4317",
            ),
            (
                "http://jaeger:4317",
                "http://jaeger:4316",
                "OTEL_EXPORTER_OTLP_ENDPOINT: no service is http://jaeger:4316",
            ),
            (
                trace_url,
                "http://jaeger:16686",
                "EXPENSE_AGENT_TRACE_URL: nothing is published at http://jaeger:16686",
            ),
            (
                "127.0.0.1:16686:16686",
                "127.0.0.1:8080:16686",
                "EXPENSE_AGENT_TRACE_URL: nothing is published at http://localhost:16686/trace/{trace_id}",
            ),
        ],
    );
}

fn check_grace_period(files: &Files) -> Vec<String> {
    let needed = time_to_stop(|name| variable(files, name));
    // By default Compose kills a container after ten seconds.
    let given = service(files, AGENT)["stop_grace_period"]
        .as_str()
        .unwrap_or("10s");
    let given = humantime::parse_duration(given).unwrap();
    if given > needed {
        Vec::new()
    } else {
        vec![format!(
            "stopping takes up to {needed:?}, but the grace period is {given:?}"
        )]
    }
}

#[test]
fn the_agent_is_not_killed_while_it_stops() {
    let grace_period = "stop_grace_period: 45s";
    let other_variable = "OTEL_SERVICE_NAME: expense-agent";
    assert_check(
        check_grace_period,
        COMPOSE,
        &[
            (
                grace_period,
                "stop_grace_period: 35s",
                "stopping takes up to 37s, but the grace period is 35s",
            ),
            (
                grace_period,
                "tty: false",
                "stopping takes up to 37s, but the grace period is 10s",
            ),
            (
                other_variable,
                "EXPENSE_AGENT_DRAIN_TIMEOUT: 1m",
                "stopping takes up to 67s, but the grace period is 45s",
            ),
        ],
    );
}
