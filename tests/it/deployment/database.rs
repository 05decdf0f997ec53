//! Postgres: the URLs that the files show lead to the one that they run, only the agent reaches it,
//! and it has a connection for every one that the replicas may open.

use std::fs;

use regex::Regex;
use serde_json::Value;

use super::manifest::{Pod, object, pods, selected};
use super::{
    AGENT, COMPOSE, Files, MANIFEST, VARIABLES, assert_check, compose, list, of_project, text,
};

/// The name of the StatefulSet, its Service and its NetworkPolicy, and the name of the service in
/// Compose.
const IN_CLUSTER: &str = "expense-agent-postgres";
const IN_COMPOSE: &str = "postgres";

/// Postgres's own port, which a URL need not name.
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

/// What a URL has to name: host, user, database, and the password where the file has one.
fn coordinates(files: &Files, file: &str) -> [String; 4] {
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

fn urls(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for file in [MANIFEST, COMPOSE, VARIABLES] {
        if files.database_urls[file].is_empty() {
            faults.push(format!("{file} shows no URL of a Postgres"));
        }
        let [host, user, database, password] = coordinates(files, file);
        for shown in &files.database_urls[file] {
            let agreed = format!("postgres://{user}:{password}@{host}/{database}");
            if *shown != agreed {
                faults.push(format!("{file} shows {shown}, and Postgres is at {agreed}"));
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
        faults.push(format!(
            "the Service {IN_CLUSTER} does not lead to port {PORT} of Postgres"
        ));
    }
    faults
}

#[test]
fn every_url_that_is_shown_leads_to_postgres() {
    assert_check(
        urls,
        MANIFEST,
        &[
            (
                "@expense-agent-postgres/expense",
                "@postgres/expense",
                "k8s-manifest.yaml shows postgres://expense:$PASSWORD@postgres/expense, and Postgres is at \
                 postgres://expense:$PASSWORD@expense-agent-postgres/expense",
            ),
            (
                "name: POSTGRES_DB\n              value: expense",
                "name: POSTGRES_DB\n              value: ledger",
                "k8s-manifest.yaml shows postgres://expense:$PASSWORD@expense-agent-postgres/expense, and Postgres is \
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
    let shown = "docker-compose.yml shows postgres://expense:expense@postgres/expense, and Postgres is at \
                 postgres://expense:secret@postgres/expense";
    let user = "docker-compose.yml shows postgres://expense:expense@postgres/expense, and Postgres is at \
                postgres://agent:expense@postgres/expense";
    assert_check(
        urls,
        COMPOSE,
        &[
            ("PASSWORD:-expense", "PASSWORD:-secret", shown),
            ("POSTGRES_USER: expense", "POSTGRES_USER: agent", user),
        ],
    );
    let example = ".env.example shows postgres://expense@postgres/expense, and Postgres is at \
                   postgres://expense:expense@postgres/expense";
    let broken = [
        ("expense:expense@", "expense@", example),
        (
            "postgres://",
            "mysql://",
            ".env.example shows no URL of a Postgres",
        ),
    ];
    assert_check(urls, VARIABLES, &broken);
}

fn profile(files: &Files) -> Vec<String> {
    let postgres = compose::service(files, IN_COMPOSE);
    let mut faults = Vec::new();
    if list(&postgres["profiles"]).is_empty() {
        faults.push("Postgres starts without being asked for".to_owned());
    }
    if !postgres["ports"].is_null() {
        faults.push("Postgres is published".to_owned());
    }
    if compose::variable(files, "DATABASE_URL") != Some("${DATABASE_URL:-}") {
        faults.push(
            "the agent does not take DATABASE_URL from the shell, or takes one when none is given"
                .to_owned(),
        );
    }
    faults
}

#[test]
fn compose_starts_and_uses_postgres_when_it_is_asked_to() {
    let passed_on = "${DATABASE_URL:-}";
    let url =
        "the agent does not take DATABASE_URL from the shell, or takes one when none is given";
    assert_check(
        profile,
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

/// The rules of a NetworkPolicy in one direction that are about Postgres's port.
fn rules<'a>(policy: &'a Value, direction: &str) -> Vec<&'a Value> {
    let is_meant = |rule: &&Value| {
        let mut ports = list(&rule["ports"]).iter();
        rule["ports"].is_null()
            || ports.any(|port| port["port"] == PORT && port["protocol"] == "TCP")
    };
    list(&policy["spec"][direction])
        .iter()
        .filter(is_meant)
        .collect()
}

fn reach(files: &Files) -> Vec<String> {
    let (of_agent, of_postgres) = (policy(files, AGENT), policy(files, IN_CLUSTER));
    // The workloads that a peer picks; none for an address or for another namespace.
    let picked = |peer: &Value| -> Vec<String> {
        let is_here = peer["podSelector"].is_object() && peer["namespaceSelector"].is_null();
        let pods = if is_here {
            selected(files, of_postgres, &peer["podSelector"])
        } else {
            Vec::new()
        };
        pods.into_iter().map(|pod| pod.owner).collect()
    };
    let mut faults = Vec::new();
    let postgres = format!("StatefulSet {IN_CLUSTER}");
    let mut called = rules(of_agent, "egress")
        .into_iter()
        .flat_map(|rule| list(&rule["to"]))
        .flat_map(picked);
    if !called.any(|owner| owner == postgres) {
        faults.push("the agent may not call Postgres".to_owned());
    }
    let agent = format!("Deployment {AGENT}");
    let into = rules(of_postgres, "ingress");
    let callers: Vec<_> = into
        .iter()
        .flat_map(|rule| list(&rule["from"]))
        .map(picked)
        .collect();
    if !callers.iter().any(|picked| picked.contains(&agent)) {
        faults.push("Postgres does not listen to the agent".to_owned());
    }
    // A rule without peers lets everybody in.
    if into.iter().any(|rule| rule["from"].is_null())
        || callers.iter().any(|picked| *picked != [agent.clone()])
    {
        faults.push("Postgres listens to others than the agent".to_owned());
    }
    let directions = list(&of_postgres["spec"]["policyTypes"]);
    if !["Ingress", "Egress"]
        .iter()
        .all(|direction| directions.iter().any(|given| given == direction))
    {
        faults.push("the policy of Postgres does not hold for both directions".to_owned());
    }
    if !list(&of_postgres["spec"]["egress"]).is_empty() {
        faults.push("Postgres may open connections".to_owned());
    }
    faults
}

#[test]
fn the_agent_alone_reaches_postgres() {
    let caller = "ingress:\n    - from:\n        - podSelector:\n            matchLabels:\n              \
                  app.kubernetes.io/name: expense-agent\n";
    let anyone = "ingress:\n    - from:\n        - podSelector: {}\n";
    let other = caller.replace("expense-agent", "jaeger");
    let to =
        "- podSelector:\n            matchLabels:\n              app.kubernetes.io/name: postgres";
    let elsewhere = to.replace("podSelector", "namespaceSelector");
    assert_check(
        reach,
        MANIFEST,
        &[
            (caller, anyone, "Postgres listens to others than the agent"),
            (
                caller,
                "ingress:\n    -\n",
                "Postgres listens to others than the agent",
            ),
            (caller, &other, "Postgres does not listen to the agent"),
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

fn connections(files: &Files) -> Vec<String> {
    let source = fs::read_to_string(of_project("src/ledger/store.rs")).unwrap();
    let of_replica = Regex::new(r"const MAX_CONNECTIONS: u32 = (\d+);").unwrap();
    let of_replica: u64 = of_replica
        .captures(&source)
        .expect("the ledger says how many it opens")[1]
        .parse()
        .unwrap();
    let autoscaler = object(files, "HorizontalPodAutoscaler", AGENT)
        .map_or(&Value::Null, |object| &object["spec"]);
    let n_replicas = autoscaler["maxReplicas"]
        .as_u64()
        .expect("the autoscaler has a limit");
    let mut arguments = list(&container(files)["args"]).iter();
    let limit = arguments.find_map(|argument| text(argument).strip_prefix("max_connections="));
    // Postgres has a hundred when nothing else is said, and keeps three of them back.
    let limit: u64 = limit.map_or(100, |limit| limit.parse().unwrap());
    // A replica that is about to stop keeps its connections while its successor opens its own.
    let needed = 2 * n_replicas * of_replica + 3;
    if limit >= needed {
        Vec::new()
    } else {
        vec![format!(
            "Postgres has {limit} connections, and needs {needed}"
        )]
    }
}

#[test]
fn postgres_has_enough_connections_for_all_replicas() {
    assert_check(
        connections,
        MANIFEST,
        &[
            (
                "max_connections=200",
                "max_connections=150",
                "Postgres has 150 connections, and needs 195",
            ),
            (
                ", -c, max_connections=200",
                "",
                "Postgres has 100 connections, and needs 195",
            ),
            (
                "maxReplicas: 6",
                "maxReplicas: 7",
                "Postgres has 200 connections, and needs 227",
            ),
        ],
    );
}
