//! The names by which other services reach the agent: without API keys it answers no other.

use super::agent;
use super::compose;
use super::manifest::object;
use super::{AGENT, COMPOSE, Files, MANIFEST, PROMETHEUS, assert_check, host_and_port, list, text};

const ALLOWED: &str = "EXPENSE_AGENT_ALLOWED_HOST";

/// The `needed` names that are not among the allowed ones.
fn refused(allowed: Option<&str>, needed: Vec<String>) -> Vec<String> {
    let allowed: Vec<_> = allowed.unwrap_or_default().split(',').collect();
    needed
        .into_iter()
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("the agent refuses requests for {name}"))
        .collect()
}

fn check_manifest(files: &Files) -> Vec<String> {
    let Some(service) = object(files, "Service", AGENT) else {
        return vec!["the agent has no Service".to_owned()];
    };
    let (name, namespace) = (
        text(&service["metadata"]["name"]),
        text(&service["metadata"]["namespace"]),
    );
    let forms = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{name}.{namespace}{end}"));
    let needed = std::iter::once(name.to_owned()).chain(forms).collect();
    refused(agent::variable(files, ALLOWED), needed)
}

fn check_compose(files: &Files) -> Vec<String> {
    let jobs = list(&files.prometheus["scrape_configs"]).iter();
    let targets = jobs
        .flat_map(|job| list(&job["static_configs"]))
        .flat_map(|config| list(&config["targets"]));
    let hosts = targets.filter_map(|target| host_and_port(&format!("http://{}", text(target))));
    let needed = std::iter::once(AGENT.to_owned()).chain(hosts.map(|(host, _)| host));
    refused(compose::variable(files, ALLOWED), needed.collect())
}

#[test]
fn the_agent_answers_to_the_names_by_which_other_services_reach_it() {
    assert_check(
        check_manifest,
        MANIFEST,
        &[
            (
                "expense-agent.expense-agent.svc,\\",
                "\\",
                "the agent refuses requests for expense-agent.expense-agent.svc",
            ),
            (
                "name: EXPENSE_AGENT_ALLOWED_HOST",
                "name: EXPENSE_AGENT_MODEL",
                "the agent refuses requests for expense-agent",
            ),
        ],
    );
    assert_check(
        check_compose,
        COMPOSE,
        &[(
            "EXPENSE_AGENT_ALLOWED_HOST: expense-agent",
            "EXPENSE_AGENT_ALLOWED_HOST: agent",
            "the agent refuses requests for expense-agent",
        )],
    );
    assert_check(
        check_compose,
        PROMETHEUS,
        &[(
            "expense-agent:8000",
            "agent:8000",
            "the agent refuses requests for agent",
        )],
    );
}
