//! Postgres: every URL in the files leads to the Postgres that the files run, only the agent can
//! reach it, and it allows as many connections as the replicas may open.

use std::fs;

use regex::Regex;
use serde_json::Value;

use super::manifest::{Pod, object, pods, selected};
use super::{AGENT, COMPOSE, Files, MANIFEST, VARIABLES, assert_check, compose, list, text};
use crate::harness::project_path;

/// The name of the StatefulSet, its Service and its NetworkPolicy.
const IN_CLUSTER: &str = "expense-agent-postgres";
/// The name of the service in Compose.
const IN_COMPOSE: &str = "postgres";

/// Postgres's default port, which a URL may leave out.
const PORT: u64 = 5432;

/// Whether a pod is the cluster's Postgres.
fn is_postgres(pod: &Pod) -> bool {
    pod.owner == format!("StatefulSet {IN_CLUSTER}")
}

/// The container of the cluster's Postgres.
fn container(files: &Files) -> &Value {
    let postgres = pods(files)
        .find(is_postgres)
        .expect("Postgres is a StatefulSet");
    &list(&postgres.spec["containers"])[0]
}

/// Host, user, database and password that a URL in a file must have.
fn url_parts(files: &Files, file: &str) -> [String; 4] {
    let own = |value: &str| value.to_owned();
    if file == MANIFEST {
        let variables = list(&container(files)["env"]);
        let variable = |name: &str| variables.iter().find(|variable| variable["name"] == *name);
        let value =
            |name: &str| own(variable(name).map_or("", |variable| text(&variable["value"])));
        return [
            own(IN_CLUSTER),
            value("POSTGRES_USER"),
            value("POSTGRES_DB"),
            own("$PASSWORD"),
        ];
    }
    let given = &compose::service(files, IN_COMPOSE)["environment"];
    let value = |name: &str| own(text(&given[name]));
    let password = text(&given["POSTGRES_PASSWORD"]);
    let password = password
        .strip_prefix("${POSTGRES_PASSWORD:-")
        .and_then(|default| default.strip_suffix('}'));
    [
        own(IN_COMPOSE),
        value("POSTGRES_USER"),
        value("POSTGRES_DB"),
        own(password.unwrap_or_default()),
    ]
}

fn check_database_urls(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for file in [MANIFEST, COMPOSE, VARIABLES] {
        if files.database_urls[file].is_empty() {
            errors.push(format!("{file} shows no URL of a Postgres"));
        }
        let [host, user, database, password] = url_parts(files, file);
        for shown in &files.database_urls[file] {
            let agreed = format!("postgres://{user}:{password}@{host}/{database}");
            if *shown != agreed {
                errors.push(format!("{file} shows {shown}, but Postgres is at {agreed}"));
            }
        }
    }
    let leads_there = |service: &Value| {
        let is_open = list(&service["spec"]["ports"])
            .iter()
            .any(|port| port["port"] == PORT);
        is_open
            && selected(files, service, &service["spec"]["selector"])
                .iter()
                .any(is_postgres)
    };
    if !object(files, "Service", IN_CLUSTER).is_some_and(leads_there) {
        errors.push(format!(
            "the Service {IN_CLUSTER} does not lead to port {PORT} of Postgres"
        ));
    }
    errors
}

#[test]
fn every_url_that_is_shown_leads_to_postgres() {
    assert_check(
        check_database_urls,
        MANIFEST,
        &[
            (
                "@expense-agent-postgres/expense",
                "@postgres/expense",
                "k8s-manifest.yaml shows postgres://expense:$PASSWORD@postgres/expense, but Postgres is at \
                 postgres://expense:$PASSWORD@expense-agent-postgres/expense",
            ),
            (
                "name: POSTGRES_DB\n              value: expense",
                "name: POSTGRES_DB\n              value: ledger",
                "k8s-manifest.yaml shows postgres://expense:$PASSWORD@expense-agent-postgres/expense, but Postgres is \
                 at postgres://expense:$PASSWORD@expense-agent-postgres/ledger",
            ),
            (
                "port: 5432, targetPort",
                "port: 80, targetPort",
                "the Service expense-agent-postgres does not lead to port 5432 of Postgres",
            ),
            (
                "clusterIP: None\n  selector:\n    app.kubernetes.io/name: postgres",
                "clusterIP: None\n  selector:\n    app.kubernetes.io/name: jaeger",
                "the Service expense-agent-postgres does not lead to port 5432 of Postgres",
            ),
        ],
    );
    let shown = "docker-compose.yml shows postgres://expense:expense@postgres/expense, but Postgres is at \
                 postgres://expense:secret@postgres/expense";
    let user = "docker-compose.yml shows postgres://expense:expense@postgres/expense, but Postgres is at \
                postgres://agent:expense@postgres/expense";
    assert_check(
        check_database_urls,
        COMPOSE,
        &[
            ("PASSWORD:-expense", "PASSWORD:-secret", shown),
            ("POSTGRES_USER: expense", "POSTGRES_USER: agent", user),
        ],
    );
    let example = ".env.example shows postgres://expense@postgres/expense, but Postgres is at \
                   postgres://expense:expense@postgres/expense";
    let broken = [
        ("expense:expense@", "expense@", example),
        (
            "postgres://",
            "mysql://",
            ".env.example shows no URL of a Postgres",
        ),
    ];
    assert_check(check_database_urls, VARIABLES, &broken);
}

fn check_profile(files: &Files) -> Vec<String> {
    let postgres = compose::service(files, IN_COMPOSE);
    let mut errors = Vec::new();
    if list(&postgres["profiles"]).is_empty() {
        errors.push("Postgres starts without being asked for".to_owned());
    }
    if !postgres["ports"].is_null() {
        errors.push("Postgres is published".to_owned());
    }
    if compose::variable(files, "DATABASE_URL") != Some("${DATABASE_URL:-}") {
        errors.push("the agent's DATABASE_URL must be what the shell sets, or empty".to_owned());
    }
    errors
}

#[test]
fn compose_starts_and_uses_postgres_only_on_request() {
    let passed_on = "${DATABASE_URL:-}";
    let url = "the agent's DATABASE_URL must be what the shell sets, or empty";
    assert_check(
        check_profile,
        COMPOSE,
        &[
            (
                "    profiles: [postgres]\n",
                "",
                "Postgres starts without being asked for",
            ),
            (
                "profiles: [postgres]",
                "ports: [\"127.0.0.1:5432:5432\"]",
                "Postgres is published",
            ),
            (
                passed_on,
                "postgres://expense:expense@postgres/expense",
                url,
            ),
        ],
    );
}

/// The NetworkPolicy of a name; null if it does not exist.
fn policy<'a>(files: &'a Files, name: &str) -> &'a Value {
    object(files, "NetworkPolicy", name).unwrap_or(&Value::Null)
}

/// The rules of a NetworkPolicy for one direction that apply to Postgres's port.
fn rules<'a>(policy: &'a Value, direction: &str) -> Vec<&'a Value> {
    let applies = |rule: &&Value| {
        let mut ports = list(&rule["ports"]).iter();
        rule["ports"].is_null()
            || ports.any(|port| port["port"] == PORT && port["protocol"] == "TCP")
    };
    list(&policy["spec"][direction])
        .iter()
        .filter(applies)
        .collect()
}

fn check_network_policies(files: &Files) -> Vec<String> {
    let (of_agent, of_postgres) = (policy(files, AGENT), policy(files, IN_CLUSTER));
    // The workloads that a peer selects; none if it is an address or in another namespace.
    let selected_by = |peer: &Value| -> Vec<String> {
        let is_here = peer["podSelector"].is_object() && peer["namespaceSelector"].is_null();
        let pods = if is_here {
            selected(files, of_postgres, &peer["podSelector"])
        } else {
            Vec::new()
        };
        pods.into_iter().map(|pod| pod.owner).collect()
    };
    let mut errors = Vec::new();
    let postgres = format!("StatefulSet {IN_CLUSTER}");
    let mut called = rules(of_agent, "egress")
        .into_iter()
        .flat_map(|rule| list(&rule["to"]))
        .flat_map(selected_by);
    if !called.any(|owner| owner == postgres) {
        errors.push("the agent may not call Postgres".to_owned());
    }
    let agent = format!("Deployment {AGENT}");
    let into = rules(of_postgres, "ingress");
    let callers: Vec<_> = into
        .iter()
        .flat_map(|rule| list(&rule["from"]))
        .map(selected_by)
        .collect();
    if !callers.iter().any(|owners| owners.contains(&agent)) {
        errors.push("Postgres does not accept the agent".to_owned());
    }
    // A rule without peers allows all callers.
    if into.iter().any(|rule| rule["from"].is_null())
        || callers.iter().any(|owners| *owners != [agent.clone()])
    {
        errors.push("Postgres accepts others than the agent".to_owned());
    }
    let directions = list(&of_postgres["spec"]["policyTypes"]);
    if !["Ingress", "Egress"]
        .iter()
        .all(|direction| directions.iter().any(|given| given == direction))
    {
        errors.push("the policy of Postgres does not hold for both directions".to_owned());
    }
    if !list(&of_postgres["spec"]["egress"]).is_empty() {
        errors.push("Postgres may open connections".to_owned());
    }
    errors
}

#[test]
fn only_the_agent_can_reach_postgres() {
    let caller = "ingress:\n    - from:\n        - podSelector:\n            matchLabels:\n              \
                  app.kubernetes.io/name: expense-agent\n";
    let anyone = "ingress:\n    - from:\n        - podSelector: {}\n";
    let other = caller.replace("expense-agent", "jaeger");
    let to =
        "- podSelector:\n            matchLabels:\n              app.kubernetes.io/name: postgres";
    let elsewhere = to.replace("podSelector", "namespaceSelector");
    assert_check(
        check_network_policies,
        MANIFEST,
        &[
            (caller, anyone, "Postgres accepts others than the agent"),
            (
                caller,
                "ingress:\n    -\n",
                "Postgres accepts others than the agent",
            ),
            (caller, &other, "Postgres does not accept the agent"),
            (to, &elsewhere, "the agent may not call Postgres"),
            (
                "5432}\n---",
                "5432}\n  egress:\n    - {}\n---",
                "Postgres may open connections",
            ),
            (
                "app.kubernetes.io/name: postgres\n  policyTypes: [Ingress, Egress]",
                "app.kubernetes.io/name: postgres\n  policyTypes: [Ingress]",
                "the policy of Postgres does not hold for both directions",
            ),
        ],
    );
}

fn check_max_connections(files: &Files) -> Vec<String> {
    let source = fs::read_to_string(project_path("src/ledger/store.rs")).unwrap();
    let per_replica = Regex::new(r"const MAX_CONNECTIONS: u32 = (\d+);").unwrap();
    let per_replica: u64 = per_replica
        .captures(&source)
        .expect("src/ledger/store.rs defines MAX_CONNECTIONS")[1]
        .parse()
        .unwrap();
    let autoscaler = object(files, "HorizontalPodAutoscaler", AGENT)
        .map_or(&Value::Null, |object| &object["spec"]);
    let n_replicas = autoscaler["maxReplicas"]
        .as_u64()
        .expect("the autoscaler has a limit");
    let mut arguments = list(&container(files)["args"]).iter();
    let limit = arguments.find_map(|argument| text(argument).strip_prefix("max_connections="));
    // By default Postgres allows 100 connections, three of which it reserves for superusers.
    let limit: u64 = limit.map_or(100, |limit| limit.parse().unwrap());
    // A replica that is about to stop keeps its connections while its successor opens its own.
    let needed = 2 * n_replicas * per_replica + 3;
    if limit >= needed {
        Vec::new()
    } else {
        vec![format!(
            "Postgres has {limit} connections, but needs {needed}"
        )]
    }
}

#[test]
fn postgres_has_enough_connections_for_all_replicas() {
    assert_check(
        check_max_connections,
        MANIFEST,
        &[
            (
                "max_connections=200",
                "max_connections=150",
                "Postgres has 150 connections, but needs 195",
            ),
            (
                ", -c, max_connections=200",
                "",
                "Postgres has 100 connections, but needs 195",
            ),
            (
                "maxReplicas: 6",
                "maxReplicas: 7",
                "Postgres has 200 connections, but needs 227",
            ),
        ],
    );
}
