//! The objects of the Kubernetes manifest, their namespace, and the labels that select pods. The
//! module `references` checks what the objects refer to, `network` the ports, and `agent` the agent's
//! own settings.

use serde_json::Value;

use super::{Files, MANIFEST, assert_check, list, text};

/// The pods of a workload.
pub(super) struct Pod<'a> {
    /// The workload, such as `Deployment expense-agent`.
    pub(super) owner: String,
    namespace: &'a Value,
    pub(super) labels: &'a Value,
    pub(super) spec: &'a Value,
    /// The volume claims that a StatefulSet makes for each pod.
    pub(super) claims: &'a Value,
}

impl Pod<'_> {
    /// Every container, including init containers.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Value> {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| list(&self.spec[key]))
    }

    /// Whether a port of a container has this number or name.
    pub(super) fn has_port(&self, port: &Value) -> bool {
        let mut ports = self
            .containers()
            .flat_map(|container| list(&container["ports"]));
        ports.any(|open| open["containerPort"] == *port || open["name"] == *port)
    }
}

/// Kind and name of an object, such as `Service expense-agent`.
pub(super) fn title(object: &Value) -> String {
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// The object of a kind and name.
pub(super) fn object<'a>(files: &'a Files, kind: &str, name: &str) -> Option<&'a Value> {
    files
        .manifest
        .iter()
        .find(|object| object["kind"] == *kind && object["metadata"]["name"] == *name)
}

/// The pods of every workload.
pub(super) fn pods(files: &Files) -> impl Iterator<Item = Pod<'_>> {
    let workloads = files
        .manifest
        .iter()
        .filter(|object| object["spec"]["template"].is_object());
    workloads.map(|object| {
        let template = &object["spec"]["template"];
        Pod {
            owner: title(object),
            namespace: &object["metadata"]["namespace"],
            labels: &template["metadata"]["labels"],
            spec: &template["spec"],
            claims: &object["spec"]["volumeClaimTemplates"],
        }
    })
}

/// The pods in an object's namespace that have the labels of one of its selectors.
pub(super) fn selected<'a>(files: &'a Files, object: &Value, selector: &Value) -> Vec<Pod<'a>> {
    // A Service's selector lists labels directly; other selectors wrap them in `matchLabels`. An
    // empty selector selects every pod.
    let labels = if selector["matchLabels"].is_object() {
        &selector["matchLabels"]
    } else {
        selector
    };
    let labels = labels.as_object();
    let namespace = &object["metadata"]["namespace"];
    pods(files)
        .filter(|pod| pod.namespace == namespace)
        .filter(|pod| {
            labels.is_some_and(|labels| labels.iter().all(|(key, value)| pod.labels[key] == *value))
        })
        .collect()
}

fn check_namespaces(files: &Files) -> Vec<String> {
    let namespace = files
        .manifest
        .iter()
        .find(|object| object["kind"] == "Namespace");
    let namespace = namespace.map_or("", |object| text(&object["metadata"]["name"]));
    let objects = files
        .manifest
        .iter()
        .filter(|object| object["kind"] != "Namespace");
    let strays = objects.filter(|object| object["metadata"]["namespace"] != *namespace);
    strays
        .map(|object| format!("{} is not in the namespace {namespace}", title(object)))
        .collect()
}

#[test]
fn every_object_is_in_the_one_namespace() {
    assert_check(
        check_namespaces,
        MANIFEST,
        &[
            (
                "name: jaeger-config\n  namespace: expense-agent",
                "name: jaeger-config\n  namespace: tracing",
                "ConfigMap jaeger-config is not in the namespace expense-agent",
            ),
            (
                "name: jaeger-query\n  namespace: expense-agent",
                "name: jaeger-query",
                "Service jaeger-query is not in the namespace expense-agent",
            ),
        ],
    );
}

/// The selectors of an object for pods of its own namespace.
fn selectors(object: &Value) -> impl Iterator<Item = &Value> {
    let spec = &object["spec"];
    let rules = ["ingress", "egress"]
        .into_iter()
        .flat_map(|direction| list(&spec[direction]));
    let peers = rules.flat_map(|rule| list(&rule["from"]).iter().chain(list(&rule["to"])));
    // Together with a namespaceSelector, a peer's podSelector selects pods of other namespaces.
    let peers = peers
        .filter(|peer| peer["namespaceSelector"].is_null())
        .map(|peer| &peer["podSelector"]);
    let spreads = list(&spec["template"]["spec"]["topologySpreadConstraints"]);
    let spreads = spreads.iter().map(|spread| &spread["labelSelector"]);
    let own = [&spec["selector"], &spec["podSelector"]];
    own.into_iter()
        .chain(peers)
        .chain(spreads)
        .filter(|selector| selector.is_object())
}

fn check_selectors(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for object in &files.manifest {
        // A PersistentVolumeClaim has a selector as well, but it selects volumes.
        for selector in selectors(object).filter(|_| object["kind"] != "PersistentVolumeClaim") {
            let pods = selected(files, object, selector);
            let has_pods = match object["spec"]["template"].is_object() {
                true => pods.iter().any(|pod| pod.owner == title(object)),
                false => !pods.is_empty(),
            };
            if !has_pods {
                errors.push(format!(
                    "{}: no pod has the labels {selector}",
                    title(object)
                ));
            }
        }
    }
    errors
}

#[test]
fn every_selector_finds_a_pod() {
    assert_check(
        check_selectors,
        MANIFEST,
        &[
            (
                "spec:\n  selector:\n    app.kubernetes.io/name: expense-agent",
                "spec:\n  selector:\n    app: agent",
                r#"Service expense-agent: no pod has the labels {"app":"agent"}"#,
            ),
            (
                "AlwaysAllow\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: expense-agent",
                "AlwaysAllow\n  selector:\n    matchLabels:\n      app: agent",
                r#"PodDisruptionBudget expense-agent: no pod has the labels {"matchLabels":{"app":"agent"}}"#,
            ),
            (
                "podSelector:\n    matchLabels:\n      app.kubernetes.io/name: expense-agent",
                "podSelector:\n    matchLabels:\n      app: agent",
                r#"NetworkPolicy expense-agent: no pod has the labels {"matchLabels":{"app":"agent"}}"#,
            ),
            (
                "- podSelector:\n            matchLabels:\n              app.kubernetes.io/name: jaeger",
                "- podSelector:\n            matchLabels:\n              app: traces",
                r#"NetworkPolicy expense-agent: no pod has the labels {"matchLabels":{"app":"traces"}}"#,
            ),
            (
                "- podSelector:\n            matchLabels:\n              app.kubernetes.io/name: postgres",
                "- podSelector:\n            matchLabels:\n              app: database",
                r#"NetworkPolicy expense-agent: no pod has the labels {"matchLabels":{"app":"database"}}"#,
            ),
            (
                "labelSelector: &agent-pods\n            matchLabels:\n              app.kubernetes.io/name: expense-agent",
                "labelSelector: &agent-pods\n            matchLabels:\n              app: agent",
                r#"Deployment expense-agent: no pod has the labels {"matchLabels":{"app":"agent"}}"#,
            ),
            (
                "  selector:\n    matchLabels:\n      app.kubernetes.io/name: jaeger\n  template:",
                "  selector:\n    matchLabels:\n      app.kubernetes.io/name: expense-agent\n  template:",
                "Deployment jaeger: no pod has the labels \
                 {\"matchLabels\":{\"app.kubernetes.io/name\":\"expense-agent\"}}",
            ),
        ],
    );
}
