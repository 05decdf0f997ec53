//! The ConfigMap of the policies, at the end of the manifest, repeats the policy files byte for byte,
//! and the pod mounts each file at the path it has in the folder `policies`. `INSTA_UPDATE=always`
//! rewrites the ConfigMap.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use expense_agent::rulebook::files::CASES;

use super::manifest::{object, pods};
use super::{Files, MANIFEST, SHIPPED, assert_check, list, text};
use crate::harness::project_path;

const CONFIG_MAP: &str = "expense-agent-policies";

/// The texts of the TOML files below a folder, by their paths inside the folder. The service reads
/// only TOML files, so the folder's README is left out, and so are cases and examples.
fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "examples" || name.ends_with(CASES) {
            continue;
        }
        if path.is_dir() {
            files.extend(
                files_below(&path)
                    .into_iter()
                    .map(|(below, text)| (format!("{name}/{below}"), text)),
            );
        } else if path.extension().is_some_and(|kind| kind == "toml") {
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    files
}

/// The ConfigMap's keys and the paths at which the pod mounts them, in the order of the manifest.
fn mounted(files: &Files) -> Vec<(&str, &str)> {
    let volumes = pods(files).flat_map(|pod| list(&pod.spec["volumes"]));
    let sources = volumes
        .map(|volume| &volume["configMap"])
        .filter(|source| source["name"] == *CONFIG_MAP);
    sources
        .flat_map(|source| list(&source["items"]))
        .map(|item| (text(&item["key"]), text(&item["path"])))
        .collect()
}

fn check_config_map(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let data = object(files, "ConfigMap", CONFIG_MAP).and_then(|object| object["data"].as_object());
    let data = data.expect("the manifest has a ConfigMap of the policies");
    let mounted = mounted(files);
    let policies = files_below(&project_path("policies"));
    for (path, policy) in &policies {
        match mounted.iter().find(|(_, mounted)| mounted == path) {
            None => errors.push(format!(
                "policies/{path} is not mounted; add it to the volume's items"
            )),
            Some((key, _)) if data.get(*key).and_then(|value| value.as_str()) != Some(policy) => {
                errors.push(format!("the key {key} differs from policies/{path}"));
            }
            Some(_) => {}
        }
    }
    let missing = mounted
        .iter()
        .filter(|(_, path)| !policies.contains_key(*path));
    errors
        .extend(missing.map(|(_, path)| format!("policies/{path} is mounted but does not exist")));
    let unmounted = data
        .keys()
        .filter(|key| !mounted.iter().any(|(mounted, _)| mounted == key));
    errors.extend(unmounted.map(|key| format!("the key {key} is mounted nowhere")));
    errors
}

/// The manifest with the policies of the folder. The ConfigMap has to be its last document, and the
/// data the last part of the ConfigMap.
fn with_policies(manifest: &str, files: &Files) -> String {
    let (head, _) = manifest
        .rsplit_once("\ndata:\n")
        .expect("the manifest ends with a ConfigMap");
    let is_last = head
        .rsplit("\n---\n")
        .next()
        .is_some_and(|document| document.contains(&format!("name: {CONFIG_MAP}\n")));
    assert!(
        is_last,
        "the last document of {MANIFEST} is not the ConfigMap {CONFIG_MAP}"
    );
    let policies = files_below(&project_path("policies"));
    let mut manifest = format!("{head}\ndata:\n");
    for (key, policy) in mounted(files)
        .into_iter()
        .filter_map(|(key, path)| Some((key, policies.get(path)?)))
    {
        manifest.push_str(&format!("  {key}: |\n"));
        for line in policy.lines() {
            let indent = if line.is_empty() { "" } else { "    " };
            manifest.push_str(&format!("{indent}{line}\n"));
        }
    }
    manifest
}

#[test]
fn the_manifest_repeats_the_policies_that_ship() {
    let shipped = &SHIPPED[MANIFEST];
    let manifest = with_policies(shipped, &Files::parse(&SHIPPED));
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(project_path(MANIFEST), &manifest).unwrap();
        let mut texts = SHIPPED.clone();
        texts.insert(MANIFEST, manifest);
        assert_eq!(
            check_config_map(&Files::parse(&texts)),
            Vec::<String>::new()
        );
        return;
    }
    assert!(
        manifest == *shipped,
        "the end of {MANIFEST} differs from the folder policies; INSTA_UPDATE=always cargo test deployment:: \
         rewrites it:\n{}",
        check_config_map(&Files::parse(&SHIPPED)).join("\n")
    );
    assert_check(
        check_config_map,
        MANIFEST,
        &[
            (
                "    [[rule]]\n    id = \"meals-day-cap\"",
                "    [[rule]]\n    id = \"meals-cap\"",
                "the key meals.toml differs from policies/meals.toml",
            ),
            (
                "- {key: other.toml, path: other.toml}",
                "",
                "policies/other.toml is not mounted; add it to the volume's items",
            ),
            (
                "- {key: other.toml, path: other.toml}",
                "",
                "the key other.toml is mounted nowhere",
            ),
            (
                "path: tables/prices.toml",
                "path: prices.toml",
                "policies/prices.toml is mounted but does not exist",
            ),
        ],
    );
}
