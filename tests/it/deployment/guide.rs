//! The operator's guide, `deploy/README.md`, explains every alert and names every variable that
//! Compose passes to the service. The rehearsal script that the guide describes can be started.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::harness::project_path;
use crate::harness::skip::skip;

use super::{AGENT, COMPOSE, list, text};

const GUIDE: &str = "deploy/README.md";

/// The alerts that have a heading with a paragraph below it.
fn explained(guide: &str) -> BTreeSet<&str> {
    let paragraph = Regex::new(r"(?m)^### (ExpenseAgent\w+)\n\n\w").unwrap();
    paragraph
        .captures_iter(guide)
        .map(|found| found.get(1).unwrap().as_str())
        .collect()
}

#[test]
fn every_alert_has_its_paragraph() {
    let guide = fs::read_to_string(project_path(GUIDE)).unwrap();
    let alerts: Value =
        yaml_serde::from_str(&fs::read_to_string(project_path("deploy/alerts.yaml")).unwrap())
            .unwrap();
    let rules = list(&alerts["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]));
    let alerts: BTreeSet<_> = rules.map(|rule| text(&rule["alert"])).collect();
    assert!(!alerts.is_empty());
    assert_eq!(
        explained(&guide),
        alerts,
        "{GUIDE} explains those on the left, deploy/alerts.yaml has those on the right"
    );
}

#[test]
fn a_heading_alone_explains_no_alert() {
    let guide =
        "### ExpenseAgentOne\n\nIt means this.\n\n### ExpenseAgentTwo\n\n### ExpenseAgentThree\n";
    assert_eq!(explained(guide), BTreeSet::from(["ExpenseAgentOne"]));
}

/// No server listens at the address in the kubeconfig, so the script fails at its first request.
#[test]
fn the_rehearsal_can_be_started_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = r#"{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}"#;
    let context = r#"{"name": "c", "context": {"cluster": "c", "user": "u"}}"#;
    let config =
        format!(r#"{{"clusters": [{cluster}], "contexts": [{context}], "current-context": "c"}}"#);
    fs::write(folder.path().join("config"), config).unwrap();
    std::os::unix::fs::symlink(project_path(""), folder.path().join("project")).unwrap();
    let script = |arguments: &[&str]| {
        let mut bash = Command::new("bash");
        bash.arg("project/deploy/rehearse.sh")
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap()
    };
    let usage = script(&[]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(
        String::from_utf8(usage.stdout)
            .unwrap()
            .contains("rehearse.sh KUBECONFIG IMAGE")
    );
    if Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .is_err()
    {
        skip("no kubectl");
        return;
    }
    let stderr = String::from_utf8(script(&["config", "image"]).stderr).unwrap();
    assert!(
        stderr.contains("127.0.0.1:9"),
        "the script did not use this kubeconfig: {stderr}"
    );
}

#[test]
fn the_guide_names_every_variable_that_compose_passes_on() {
    let compose: Value =
        yaml_serde::from_str(&fs::read_to_string(project_path(COMPOSE)).unwrap()).unwrap();
    let given = compose["services"][AGENT]["environment"]
        .as_object()
        .unwrap()
        .iter();
    let from_outside = |(name, value): &(&String, &Value)| {
        value
            .as_str()
            .is_none_or(|value| value.starts_with(&format!("${{{name}:")))
    };
    let passed: BTreeSet<_> = given
        .filter(from_outside)
        .map(|(name, _)| name.as_str())
        .collect();
    let guide = fs::read_to_string(project_path(GUIDE)).unwrap();
    let (_, list) = guide
        .split_once("<!-- begin: variables of compose -->")
        .expect("the guide marks where the list begins");
    let (list, _) = list
        .split_once("<!-- end: variables of compose -->")
        .expect("the guide marks where the list ends");
    let named = Regex::new(r"`([A-Z_]+)`").unwrap();
    let named: BTreeSet<_> = named
        .captures_iter(list)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert_eq!(
        named, passed,
        "{GUIDE} names those on the left, {COMPOSE} passes those on the right"
    );
}
