//! The agent's Deployment: the agent reads every variable, has the agreed resources, shares one
//! ledger between all replicas, and has enough time to stop.

use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use super::manifest::object;
use super::{AGENT, Files, MANIFEST, assert_check, is_read, list, text, time_to_stop};

/// The agent's Deployment.
fn deployment(files: &Files) -> &Value {
    object(files, "Deployment", AGENT).expect("the agent is a Deployment")
}

/// The agent's container.
pub(super) fn container(files: &Files) -> &Value {
    let containers = list(&deployment(files)["spec"]["template"]["spec"]["containers"]);
    containers
        .iter()
        .find(|container| container["name"] == *AGENT)
        .expect("the agent's container is named after the agent")
}

/// The value of a variable of the agent's container.
pub(super) fn variable<'a>(files: &'a Files, name: &str) -> Option<&'a str> {
    list(&container(files)["env"])
        .iter()
        .find(|variable| variable["name"] == *name)?["value"]
        .as_str()
}

fn check_variables(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let variables = list(&container(files)["env"]);
    let reference = Regex::new(r"\$\(([^)]+)\)").unwrap();
    for (i, variable) in variables.iter().enumerate() {
        let (above, below) = (&variables[..i], &variables[i + 1..]);
        let name = text(&variable["name"]);
        let is_above = |name: &str| above.iter().any(|variable| variable["name"] == *name);
        let is_used = below
            .iter()
            .any(|variable| text(&variable["value"]).contains(&format!("$({name})")));
        if !is_read(name) && !is_used {
            errors.push(format!("{name} is not read by any program"));
        }
        if is_above(name) {
            errors.push(format!("{name} is set twice"));
        }
        let references = reference
            .captures_iter(text(&variable["value"]))
            .map(|found| found[1].to_owned());
        let unset = references.filter(|used| !is_above(used));
        errors.extend(unset.map(|used| format!("{name} uses {used}, which is not set above it")));
    }
    errors
}

#[test]
fn every_variable_of_the_agent_is_read() {
    assert_check(
        check_variables,
        MANIFEST,
        &[
            (
                "name: DATABASE_URL",
                "name: POSTGRES_URL",
                "POSTGRES_URL is not read by any program",
            ),
            (
                "name: OPENAI_API_KEY\n",
                "name: OPENAI_KEY\n",
                "OPENAI_KEY is not read by any program",
            ),
            (
                "name: OTEL_SERVICE_NAME",
                "name: OTEL_SERVICE",
                "OTEL_SERVICE is not read by any program",
            ),
            (
                "name: OTEL_SERVICE_NAME",
                "name: NODE_NAME",
                "NODE_NAME is set twice",
            ),
            (
                "k8s.node.name=$(NODE_NAME),",
                "",
                "NODE_NAME is not read by any program",
            ),
            (
                "name: POD_UID",
                "name: POD_ID",
                "OTEL_RESOURCE_ATTRIBUTES uses POD_UID, which is not set above it",
            ),
        ],
    );
}

/// The resources of a container that asks for this much CPU.
fn resources(cpu: &str) -> Value {
    json!({
        "requests": {"cpu": cpu, "memory": "256Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    })
}

fn check_resources(files: &Files) -> Vec<String> {
    let agreed = resources("250m");
    let given = &container(files)["resources"];
    if *given == agreed {
        Vec::new()
    } else {
        vec![format!("the resources are {given}, and not {agreed}")]
    }
}

#[test]
fn the_agent_has_the_agreed_resources() {
    let (given, agreed) = (resources("1"), resources("250m"));
    let error = format!("the resources are {given}, and not {agreed}");
    assert_check(
        check_resources,
        MANIFEST,
        &[(
            "{cpu: 250m, memory: 256Mi}",
            "{cpu: \"1\", memory: 256Mi}",
            &error,
        )],
    );
}

fn check_replicas(files: &Files) -> Vec<String> {
    let spec = &deployment(files)["spec"];
    let autoscaler = object(files, "HorizontalPodAutoscaler", AGENT)
        .map_or(&Value::Null, |object| &object["spec"]);
    let mut errors = Vec::new();
    // During a rolling update, even a single replica runs beside its successor.
    let is_single =
        spec["replicas"] == 1 && autoscaler.is_null() && spec["strategy"]["type"] == "Recreate";
    if !is_single {
        for volume in list(&spec["template"]["spec"]["volumes"]) {
            let name = text(&volume["persistentVolumeClaim"]["claimName"]);
            let claim = object(files, "PersistentVolumeClaim", name)
                .map_or(&Value::Null, |claim| &claim["spec"]);
            let is_shared = list(&claim["accessModes"])
                .iter()
                .any(|mode| *mode == "ReadWriteMany");
            if volume["persistentVolumeClaim"].is_object() && !is_shared {
                errors.push(format!(
                    "each replica would need its own volume {}",
                    text(&volume["name"])
                ));
            }
        }
        let mut variables = list(&container(files)["env"]).iter();
        if !variables.any(|variable| variable["name"] == "DATABASE_URL") {
            errors.push("without DATABASE_URL, each replica would have its own ledger".to_owned());
        }
    }
    if !autoscaler.is_null() && autoscaler["minReplicas"] != spec["replicas"] {
        let (given, least) = (&spec["replicas"], &autoscaler["minReplicas"]);
        errors.push(format!(
            "the file asks for {given} replicas, but the autoscaler keeps at least {least}"
        ));
    }
    errors
}

#[test]
fn all_replicas_share_one_ledger() {
    let policies = "configMap:\n            name: expense-agent-policies\n";
    let claim = "persistentVolumeClaim:\n            claimName: policies\n";
    assert_check(
        check_replicas,
        MANIFEST,
        &[
            (
                policies,
                claim,
                "each replica would need its own volume policies",
            ),
            (
                "name: DATABASE_URL",
                "name: OPENAI_BASE_URL",
                "without DATABASE_URL, each replica would have its own ledger",
            ),
            (
                "minReplicas: 2",
                "minReplicas: 3",
                "the file asks for 2 replicas, but the autoscaler keeps at least 3",
            ),
        ],
    );
}

/// The strategy that replaces pods while this many may be missing.
fn rollout(n_unavailable: u32) -> Value {
    let rolling = json!({"maxUnavailable": n_unavailable, "maxSurge": 1});
    json!({"type": "RollingUpdate", "rollingUpdate": rolling})
}

fn check_rollout(files: &Files) -> Vec<String> {
    let strategy = &deployment(files)["spec"]["strategy"];
    let agreed = rollout(0);
    if *strategy == agreed {
        Vec::new()
    } else {
        vec![format!(
            "pods are replaced by {strategy}, and not by {agreed}"
        )]
    }
}

#[test]
fn no_replica_stops_before_its_successor_is_ready() {
    let (given, agreed) = (rollout(1), rollout(0));
    let error = format!("pods are replaced by {given}, and not by {agreed}");
    assert_check(
        check_rollout,
        MANIFEST,
        &[("maxUnavailable: 0", "maxUnavailable: 1", &error)],
    );
}

fn check_grace_period(files: &Files) -> Vec<String> {
    let before = &container(files)["lifecycle"]["preStop"]["sleep"]["seconds"];
    let before = Duration::from_secs(before.as_u64().unwrap_or_default());
    let needed = before + time_to_stop(|name| variable(files, name));
    // By default Kubernetes kills a pod after 30 seconds.
    let given = &deployment(files)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    let given = Duration::from_secs(given.as_u64().unwrap_or(30));
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
    let grace_period = "terminationGracePeriodSeconds: 45";
    assert_check(
        check_grace_period,
        MANIFEST,
        &[
            (
                grace_period,
                "terminationGracePeriodSeconds: 40",
                "stopping takes up to 42s, but the grace period is 40s",
            ),
            (
                grace_period,
                "restartPolicy: Always",
                "stopping takes up to 42s, but the grace period is 30s",
            ),
            (
                "volumeMounts:\n            - name: policies\n",
                "lifecycle: {preStop: {sleep: {seconds: 10}}}\n          volumeMounts:\n            - name: policies\n",
                "stopping takes up to 52s, but the grace period is 45s",
            ),
            (
                "LINGER\n              value: 5s",
                "LINGER\n              value: 15s",
                "stopping takes up to 52s, but the grace period is 45s",
            ),
            (
                "TIMEOUT\n              value: 30s",
                "TIMEOUT\n              value: 1m",
                "stopping takes up to 72s, but the grace period is 45s",
            ),
        ],
    );
}
