//! The configuration of Jaeger's UI, which turns the id of a decision into a link to its page: Compose
//! and the manifest use the same one, and the link leads to the agent that Compose publishes.

use std::fs;

use expense_agent::telemetry::names::{EXPENSE_ID, TENANT_ID};
use serde_json::{Value, json};

use super::compose::{self, published};
use super::manifest::{object, pods};
use super::monitoring::mounted;
use super::{AGENT, COMPOSE, Files, MANIFEST, assert_check, list, text};
use crate::harness::project_path;

const FILE: &str = "deploy/jaeger-ui.json";
/// Jaeger's setting with the path of the file.
const SETTING: &str = "extensions.jaeger_query.ui.config_file";
/// The manifest's ConfigMap for Jaeger, and its keys.
const CONFIG_MAP: &str = "jaeger-config";
const CONFIG: &str = "jaeger.yaml";
const UI_CONFIG: &str = "ui.json";

fn shipped() -> Value {
    serde_json::from_str(&fs::read_to_string(project_path(FILE)).unwrap()).unwrap()
}

fn check_compose(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let arguments = list(&compose::service(files, "jaeger")["command"]);
    let flag = format!("--set={SETTING}=");
    let path = arguments
        .iter()
        .find_map(|argument| text(argument).strip_prefix(&flag));
    if !mounted(files, "jaeger")
        .iter()
        .any(|(file, mounted)| *file == FILE && Some(*mounted) == path)
    {
        errors.push(format!("{COMPOSE}: {FILE} is not mounted at {path:?}"));
    }
    let url = text(&shipped()["linkPatterns"][0]["url"]).to_owned();
    if !published(files, AGENT)
        .iter()
        .any(|port| url.starts_with(&format!("http://localhost:{}/ui/", port.port)))
    {
        errors.push(format!("{COMPOSE}: nothing is published at {url}"));
    }
    errors
}

#[test]
fn the_jaeger_of_compose_links_to_the_page() {
    let file = "./deploy/jaeger-ui.json:/etc/jaeger/ui.json:ro";
    let elsewhere = "./deploy/jaeger-ui.json:/ui.json:ro";
    let error =
        "docker-compose.yml: deploy/jaeger-ui.json is not mounted at Some(\"/etc/jaeger/ui.json\")";
    assert_check(check_compose, COMPOSE, &[(file, elsewhere, error)]);
}

fn check_manifest(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let data = &object(files, "ConfigMap", CONFIG_MAP).expect("a ConfigMap for Jaeger")["data"];
    let config: Value = yaml_serde::from_str(text(&data[CONFIG])).expect("YAML");
    let used = text(&config["extensions"]["jaeger_query"]["ui"]["config_file"]).to_owned();
    let jaeger = pods(files).find(|pod| pod.owner == "Deployment jaeger");
    let container = &list(&jaeger.expect("a Jaeger").spec["containers"])[0];
    let folder = list(&container["volumeMounts"])
        .iter()
        .find(|mount| mount["name"] == "config")
        .map_or("", |mount| text(&mount["mountPath"]));
    if used != format!("{folder}/{UI_CONFIG}") {
        errors.push(format!("{MANIFEST}: {used} is not mounted"));
    }
    let copied: Value = serde_json::from_str(text(&data[UI_CONFIG])).unwrap_or_default();
    if copied != shipped() {
        errors.push(format!("{MANIFEST}: {UI_CONFIG} differs from {FILE}"));
    }
    errors
}

#[test]
fn the_jaeger_of_the_manifest_links_to_the_page() {
    let setting = "config_file: /etc/jaeger/ui.json";
    let unmounted = "k8s-manifest.yaml: /ui.json is not mounted";
    let differs = "k8s-manifest.yaml: ui.json differs from deploy/jaeger-ui.json";
    assert_check(
        check_manifest,
        MANIFEST,
        &[
            (setting, "config_file: /ui.json", unmounted),
            ("\"type\": \"tags\"", "\"type\": \"logs\"", differs),
        ],
    );
}

/// The members are those of Jaeger UI's type `LinkPatternsConfig`, and the placeholders are attributes
/// that are on the same spans: a link whose placeholder finds no value is not shown.
#[test]
fn the_link_uses_attributes_of_the_spans_that_have_it() {
    let (id, tenant) = (EXPENSE_ID.key, TENANT_ID.key);
    let url = format!("http://localhost:8000/ui/decisions/#{{{id}}}?tenant=#{{{tenant}}}");
    let text = "The decision in the decision explorer";
    let pattern = json!({"type": "tags", "key": id, "url": url, "text": text});
    assert_eq!(shipped(), json!({"linkPatterns": [pattern]}));
}
