//! The Kubernetes manifest's objects, and what they refer to: labels, names, keys and volumes.
//! Ports are in `network`, the agent's own settings in `agent`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Files, MANIFEST, assert_check, list, text};

/// A Secret that is made by hand, because its values do not belong into a file.
struct ByHand {
    name: &'static str,
    keys: &'static [&'static str],
    /// Whether a pod starts without it: there is an offline model and a passing key of pseudonyms,
    /// but nowhere a ledger.
    is_optional: bool,
}

const BY_HAND: [ByHand; 3] = [
    ByHand {
        name: "ai-agent-secrets",
        keys: &["openai-api-key"],
        is_optional: true,
    },
    ByHand {
        name: "expense-agent-postgres",
        keys: &["password", "database-url"],
        is_optional: false,
    },
    ByHand {
        name: "expense-agent-pseudonyms",
        keys: &["pseudonym-key"],
        is_optional: true,
    },
];

/// The pods of a workload.
pub(super) struct Pod<'a> {
    /// The workload, such as `Deployment expense-agent`.
    pub(super) owner: String,
    namespace: &'a Value,
    pub(super) labels: &'a Value,
    pub(super) spec: &'a Value,
    /// The claims that a StatefulSet makes for each of them.
    claims: &'a Value,
}

impl Pod<'_> {
    /// Every container, those that run before the others among them.
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

/// Kind and name.
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
    // A Service names labels outright, everything newer wraps them; an empty wrapping selects every
    // pod.
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

fn namespaces(files: &Files) -> Vec<String> {
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
        namespaces,
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

/// The selectors of an object that pick pods of its own namespace.
fn selectors(object: &Value) -> impl Iterator<Item = &Value> {
    let spec = &object["spec"];
    let rules = ["ingress", "egress"]
        .into_iter()
        .flat_map(|direction| list(&spec[direction]));
    let peers = rules.flat_map(|rule| list(&rule["from"]).iter().chain(list(&rule["to"])));
    // With a namespaceSelector beside it, a peer's podSelector picks pods of elsewhere.
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

fn unmatched_selectors(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &files.manifest {
        // The claim on a volume has a selector as well, but never one for pods.
        for selector in selectors(object).filter(|_| object["kind"] != "PersistentVolumeClaim") {
            let pods = selected(files, object, selector);
            let has_pods = match object["spec"]["template"].is_object() {
                true => pods.iter().any(|pod| pod.owner == title(object)),
                false => !pods.is_empty(),
            };
            if !has_pods {
                faults.push(format!(
                    "{}: no pod has the labels {selector}",
                    title(object)
                ));
            }
        }
    }
    faults
}

#[test]
fn every_selector_finds_a_pod() {
    assert_check(
        unmatched_selectors,
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

fn dangling_names(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for owner in &files.manifest {
        let spec = &owner["spec"];
        let target = &spec["scaleTargetRef"];
        let named = [
            (text(&target["kind"]), &target["name"]),
            ("Service", &spec["serviceName"]),
        ];
        for (kind, name) in named
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_str()?)))
        {
            if object(files, kind, name).is_none() {
                faults.push(format!("{}: there is no {kind} {name}", title(owner)));
            }
        }
    }
    faults
}

#[test]
fn every_autoscaler_has_a_target_and_every_stateful_set_a_service() {
    let target = "kind: Deployment\n    name: expense-agent\n";
    assert_check(
        dangling_names,
        MANIFEST,
        &[
            (
                target,
                "kind: Deployment\n    name: agent\n",
                "HorizontalPodAutoscaler expense-agent: there is no Deployment agent",
            ),
            (
                target,
                "kind: StatefulSet\n    name: expense-agent\n",
                "HorizontalPodAutoscaler expense-agent: there is no StatefulSet expense-agent",
            ),
            (
                "serviceName: expense-agent-postgres",
                "serviceName: postgres",
                "StatefulSet expense-agent-postgres: there is no Service postgres",
            ),
        ],
    );
}

/// Something that a pod needs to start.
struct Reference<'a> {
    kind: &'static str,
    name: &'a str,
    key: Option<&'a str>,
    is_optional: bool,
}

impl<'a> Reference<'a> {
    /// What a field refers to, if the pod has it; `name` is the field's own field for the name.
    fn read(kind: &'static str, field: &'a Value, name: &str) -> Option<Self> {
        let is_optional = field["optional"] == true;
        field.is_object().then(|| Self {
            kind,
            name: text(&field[name]),
            key: field["key"].as_str(),
            is_optional,
        })
    }

    fn is_there(&self, files: &Files) -> bool {
        let data = ["data", "stringData", "binaryData"];
        object(files, self.kind, self.name).is_some_and(|object| {
            self.key
                .is_none_or(|key| data.iter().any(|data| !object[*data][key].is_null()))
        })
    }
}

fn references<'a>(pod: &'a Pod) -> Vec<Reference<'a>> {
    let mut references = Vec::new();
    references.extend(Reference::read(
        "ServiceAccount",
        pod.spec,
        "serviceAccountName",
    ));
    for volume in list(&pod.spec["volumes"]) {
        references.extend(Reference::read(
            "PersistentVolumeClaim",
            &volume["persistentVolumeClaim"],
            "claimName",
        ));
        for (kind, source, name) in [
            ("ConfigMap", "configMap", "name"),
            ("Secret", "secret", "secretName"),
        ] {
            let source = &volume[source];
            references.extend(Reference::read(kind, source, name));
            let keys = list(&source["items"])
                .iter()
                .map(|item| item["key"].as_str());
            references.extend(keys.filter_map(|key| {
                Some(Reference {
                    key,
                    ..Reference::read(kind, source, name)?
                })
            }));
        }
    }
    for container in pod.containers() {
        let from = list(&container["env"])
            .iter()
            .map(|variable| &variable["valueFrom"]);
        for source in from.chain(list(&container["envFrom"])) {
            for field in ["configMapKeyRef", "configMapRef"] {
                references.extend(Reference::read("ConfigMap", &source[field], "name"));
            }
            for field in ["secretKeyRef", "secretRef"] {
                references.extend(Reference::read("Secret", &source[field], "name"));
            }
        }
    }
    references
}

fn dangling_references(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in pods(files) {
        for reference in references(&pod)
            .iter()
            .filter(|reference| !reference.is_there(files))
        {
            let Reference {
                kind,
                name,
                key,
                is_optional,
            } = reference;
            let by_hand = BY_HAND
                .iter()
                .find(|secret| *kind == "Secret" && secret.name == *name);
            match by_hand.filter(|secret| key.is_none_or(|key| secret.keys.contains(&key))) {
                None => {
                    let key = key
                        .map(|key| format!(" with the key {key}"))
                        .unwrap_or_default();
                    faults.push(format!("{}: there is no {kind} {name}{key}", pod.owner));
                }
                Some(secret) if secret.is_optional != *is_optional => {
                    let needed = if secret.is_optional {
                        "optional"
                    } else {
                        "required"
                    };
                    faults.push(format!("{}: Secret {name} has to be {needed}", pod.owner));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

#[test]
fn everything_that_a_pod_refers_to_is_there() {
    assert_check(
        dangling_references,
        MANIFEST,
        &[
            (
                "serviceAccountName: jaeger",
                "serviceAccountName: traces",
                "Deployment jaeger: there is no ServiceAccount traces",
            ),
            (
                "configMap:\n            name: expense-agent-policies",
                "persistentVolumeClaim:\n            claimName: ledger",
                "Deployment expense-agent: there is no PersistentVolumeClaim ledger",
            ),
            (
                "configMap:\n            name: jaeger-config",
                "configMap:\n            name: jaeger",
                "Deployment jaeger: there is no ConfigMap jaeger",
            ),
            (
                "{key: meals.toml,",
                "{key: meal.toml,",
                "Deployment expense-agent: there is no ConfigMap expense-agent-policies with the key meal.toml",
            ),
            (
                "key: openai-api-key\n",
                "key: api-key\n",
                "Deployment expense-agent: there is no Secret ai-agent-secrets with the key api-key",
            ),
            (
                "key: openai-api-key\n                  optional: true",
                "key: openai-api-key\n                  optional: false",
                "Deployment expense-agent: Secret ai-agent-secrets has to be optional",
            ),
            (
                "key: database-url\n",
                "key: url\n",
                "Deployment expense-agent: there is no Secret expense-agent-postgres with the key url",
            ),
            (
                "key: database-url\n",
                "key: database-url\n                  optional: true\n",
                "Deployment expense-agent: Secret expense-agent-postgres has to be required",
            ),
            (
                "secretName: expense-agent-postgres\n",
                "secretName: postgres\n",
                "StatefulSet expense-agent-postgres: there is no Secret postgres",
            ),
            (
                "{key: password,",
                "{key: pass,",
                "StatefulSet expense-agent-postgres: there is no Secret expense-agent-postgres with the key pass",
            ),
        ],
    );
}

fn unexplained_secrets(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for ByHand { name, keys, .. } in BY_HAND {
        let command = format!("create secret generic {name} ");
        let command = files
            .manifest_head
            .iter()
            .find(|line| line.contains(&command))
            .map_or("", String::as_str);
        let lost = keys
            .iter()
            .filter(|key| !command.contains(&format!(" --from-literal={key}=")));
        faults.extend(
            lost.map(|key| format!("nothing at the top says how to make {key} of Secret {name}")),
        );
        if object(files, "Secret", name).is_some() {
            faults.push(format!(
                "Secret {name} is in the file, and its values with it"
            ));
        }
    }
    faults
}

#[test]
fn the_top_says_how_to_make_every_secret() {
    assert_check(
        unexplained_secrets,
        MANIFEST,
        &[
            (
                "--from-literal=password=",
                "--from-literal=pass=",
                "nothing at the top says how to make password of Secret expense-agent-postgres",
            ),
            (
                "generic ai-agent-secrets",
                "generic openai",
                "nothing at the top says how to make openai-api-key of Secret ai-agent-secrets",
            ),
            (
                "kind: ConfigMap\nmetadata:\n  name: jaeger-config\n",
                "kind: Secret\nmetadata:\n  name: ai-agent-secrets\n",
                "Secret ai-agent-secrets is in the file, and its values with it",
            ),
        ],
    );
}

fn unmatched_mounts(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in pods(files) {
        let names = |values: &[Value]| {
            values
                .iter()
                .map(|value| text(&value["name"]).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let mut volumes = names(list(&pod.spec["volumes"]));
        volumes.extend(
            list(pod.claims)
                .iter()
                .map(|claim| text(&claim["metadata"]["name"]).to_owned()),
        );
        let mounts: BTreeSet<_> = pod
            .containers()
            .flat_map(|container| names(list(&container["volumeMounts"])))
            .collect();
        faults.extend(
            mounts
                .difference(&volumes)
                .map(|name| format!("{}: there is no volume {name}", pod.owner)),
        );
        faults.extend(
            volumes
                .difference(&mounts)
                .map(|name| format!("{}: nothing mounts {name}", pod.owner)),
        );
    }
    faults
}

#[test]
fn every_mount_has_its_volume_and_every_volume_its_mount() {
    let mount = "- name: policies\n              mountPath";
    let broken = |fault| (mount, "- name: polices\n              mountPath", fault);
    assert_check(
        unmatched_mounts,
        MANIFEST,
        &[
            broken("Deployment expense-agent: there is no volume polices"),
            broken("Deployment expense-agent: nothing mounts policies"),
            (
                "- metadata:\n        name: data\n",
                "- metadata:\n        name: ledger\n",
                "StatefulSet expense-agent-postgres: there is no volume data",
            ),
        ],
    );
}
