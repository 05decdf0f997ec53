//! Everything that an object of the Kubernetes manifest refers to exists: targets, config maps,
//! volumes and claims. Secrets that are made by hand are explained at the top of the manifest.

use std::collections::BTreeSet;

use serde_json::Value;

use super::manifest::{Pod, object, pods, title};
use super::{Files, MANIFEST, assert_check, list, text};

/// A Secret that the operator creates by hand, because secret values do not belong in a file.
struct HandmadeSecret {
    name: &'static str,
    keys: &'static [&'static str],
    /// Whether a pod starts without the Secret. Without the model's key it uses the offline model, and
    /// without a pseudonym key it makes its own; without a ledger it cannot work.
    is_optional: bool,
}

const HANDMADE_SECRETS: [HandmadeSecret; 3] = [
    HandmadeSecret {
        name: "ai-agent-secrets",
        keys: &["openai-api-key"],
        is_optional: true,
    },
    HandmadeSecret {
        name: "expense-agent-postgres",
        keys: &["password", "database-url"],
        is_optional: false,
    },
    HandmadeSecret {
        name: "expense-agent-pseudonyms",
        keys: &["pseudonym-key"],
        is_optional: true,
    },
];

fn check_targets(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
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
                errors.push(format!("{}: there is no {kind} {name}", title(owner)));
            }
        }
    }
    errors
}

#[test]
fn every_autoscaler_has_a_target_and_every_stateful_set_a_service() {
    let target = "kind: Deployment\n    name: expense-agent\n";
    assert_check(
        check_targets,
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
    /// The object that `field` refers to, if the pod has this field. `name` is the key under which the
    /// field has the object's name.
    fn read(kind: &'static str, field: &'a Value, name: &str) -> Option<Self> {
        let is_optional = field["optional"] == true;
        field.is_object().then(|| Self {
            kind,
            name: text(&field[name]),
            key: field["key"].as_str(),
            is_optional,
        })
    }

    fn exists(&self, files: &Files) -> bool {
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

fn check_references(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for pod in pods(files) {
        for reference in references(&pod)
            .iter()
            .filter(|reference| !reference.exists(files))
        {
            let Reference {
                kind,
                name,
                key,
                is_optional,
            } = reference;
            let handmade = HANDMADE_SECRETS
                .iter()
                .find(|secret| *kind == "Secret" && secret.name == *name);
            match handmade.filter(|secret| key.is_none_or(|key| secret.keys.contains(&key))) {
                None => {
                    let key = key
                        .map(|key| format!(" with the key {key}"))
                        .unwrap_or_default();
                    errors.push(format!("{}: there is no {kind} {name}{key}", pod.owner));
                }
                Some(secret) if secret.is_optional != *is_optional => {
                    let needed = if secret.is_optional {
                        "optional"
                    } else {
                        "required"
                    };
                    errors.push(format!("{}: Secret {name} has to be {needed}", pod.owner));
                }
                Some(_) => {}
            }
        }
    }
    errors
}

#[test]
fn everything_that_a_pod_refers_to_exists() {
    assert_check(
        check_references,
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

fn check_secrets(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for HandmadeSecret { name, keys, .. } in HANDMADE_SECRETS {
        let command = format!("create secret generic {name} ");
        let command = files
            .manifest_head
            .iter()
            .find(|line| line.contains(&command))
            .map_or("", String::as_str);
        let missing = keys
            .iter()
            .filter(|key| !command.contains(&format!(" --from-literal={key}=")));
        errors.extend(missing.map(|key| {
            format!("the head of the manifest does not explain how to make {key} of Secret {name}")
        }));
        if object(files, "Secret", name).is_some() {
            errors.push(format!("Secret {name} must not be in the file"));
        }
    }
    errors
}

#[test]
fn the_head_of_the_manifest_explains_how_to_make_every_secret() {
    assert_check(
        check_secrets,
        MANIFEST,
        &[
            (
                "--from-literal=password=",
                "--from-literal=pass=",
                "the head of the manifest does not explain how to make password of Secret expense-agent-postgres",
            ),
            (
                "generic ai-agent-secrets",
                "generic openai",
                "the head of the manifest does not explain how to make openai-api-key of Secret ai-agent-secrets",
            ),
            (
                "kind: ConfigMap\nmetadata:\n  name: jaeger-config\n",
                "kind: Secret\nmetadata:\n  name: ai-agent-secrets\n",
                "Secret ai-agent-secrets must not be in the file",
            ),
        ],
    );
}

fn check_mounts(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
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
        errors.extend(
            mounts
                .difference(&volumes)
                .map(|name| format!("{}: there is no volume {name}", pod.owner)),
        );
        errors.extend(
            volumes
                .difference(&mounts)
                .map(|name| format!("{}: nothing mounts {name}", pod.owner)),
        );
    }
    errors
}

#[test]
fn every_mount_has_its_volume_and_every_volume_its_mount() {
    let mount = "- name: policies\n              mountPath";
    let broken = |error| (mount, "- name: polices\n              mountPath", error);
    assert_check(
        check_mounts,
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
