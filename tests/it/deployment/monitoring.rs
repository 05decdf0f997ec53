//! The Compose profile `metrics`: Prometheus scrapes the agent and loads the alerts, Grafana queries
//! Prometheus and loads the dashboard, and every mounted file exists.

use serde_json::Value;

use super::{
    AGENT, COMPOSE, DASHBOARDS, DATASOURCE, Files, PROMETHEUS, assert_check, compose, list, text,
};
use crate::harness::project_path;

/// The files of the project that a service mounts: path in the project, and path in the container.
pub(super) fn mounted<'a>(files: &'a Files, service: &str) -> Vec<(&'a str, &'a str)> {
    let volumes = list(&compose::service(files, service)["volumes"])
        .iter()
        .map(text);
    let parts = volumes.map(|volume| volume.splitn(3, ':').collect::<Vec<_>>());
    parts
        .filter_map(|parts| Some((parts.first()?.strip_prefix("./")?, *parts.get(1)?)))
        .collect()
}

fn check_mounts(files: &Files) -> Vec<String> {
    let services = files.compose["services"].as_object().into_iter().flatten();
    let mounted = services.flat_map(|(name, _)| {
        mounted(files, name)
            .into_iter()
            .map(move |(file, _)| (name, file))
    });
    let strays = mounted.filter(|(_, file)| !project_path(file).is_file());
    strays
        .map(|(name, file)| format!("{name} mounts {file}, which is not a file of the project"))
        .collect()
}

#[test]
fn every_mounted_file_exists() {
    let broken = ("./deploy/prometheus.yml", "./prometheus.yml");
    let error = "prometheus mounts prometheus.yml, which is not a file of the project";
    assert_check(check_mounts, COMPOSE, &[(broken.0, broken.1, error)]);
}

fn check_targets(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let ports = compose::published(files, AGENT);
    let targets = list(&files.prometheus["scrape_configs"])
        .iter()
        .flat_map(|job| list(&job["static_configs"]));
    let targets: Vec<_> = targets
        .flat_map(|config| list(&config["targets"]))
        .map(text)
        .collect();
    if !ports
        .iter()
        .any(|port| targets.contains(&format!("{AGENT}:{}", port.container_port).as_str()))
    {
        errors.push(format!("Prometheus scrapes {targets:?}, and not the agent"));
    }
    let alerts = mounted(files, "prometheus")
        .into_iter()
        .find(|(file, _)| *file == "deploy/alerts.yaml");
    let rules = list(&files.prometheus["rule_files"]);
    if !alerts.is_some_and(|(_, path)| rules.iter().any(|rule| rule == path)) {
        errors.push("Prometheus does not load the alerts".to_owned());
    }
    let is_prometheus = |url: &str| {
        let mut ports = compose::published(files, "prometheus").into_iter();
        ports.any(|port| url == format!("http://prometheus:{}", port.container_port))
    };
    if !list(&files.datasource["datasources"])
        .iter()
        .any(|source: &Value| is_prometheus(text(&source["url"])))
    {
        errors.push("Grafana does not query Prometheus".to_owned());
    }
    let board = mounted(files, "grafana")
        .into_iter()
        .find(|(file, _)| *file == "deploy/dashboard.json");
    let folder = board
        .and_then(|(_, path)| path.rsplit_once('/'))
        .map_or("", |(folder, _)| folder);
    if !list(&files.dashboards["providers"])
        .iter()
        .any(|provider| provider["options"]["path"] == *folder)
    {
        errors.push("Grafana does not load the dashboard".to_owned());
    }
    errors
}

#[test]
fn prometheus_and_grafana_find_their_targets() {
    let not_scraped = "Prometheus scrapes [\"expense-agent:80\"], and not the agent";
    let no_alerts = "Prometheus does not load the alerts";
    assert_check(
        check_targets,
        PROMETHEUS,
        &[
            ("expense-agent:8000", "expense-agent:80", not_scraped),
            ("alerts.yaml]", "rules.yaml]", no_alerts),
        ],
    );
    let no_dashboard = "Grafana does not load the dashboard";
    assert_check(
        check_targets,
        COMPOSE,
        &[
            (
                ":/etc/prometheus/alerts.yaml",
                ":/etc/prometheus/rules.yaml",
                no_alerts,
            ),
            (
                ":/etc/grafana/dashboards/dashboard.json",
                ":/dashboard.json",
                no_dashboard,
            ),
        ],
    );
    assert_check(
        check_targets,
        DATASOURCE,
        &[(":9090", ":9091", "Grafana does not query Prometheus")],
    );
    assert_check(
        check_targets,
        DASHBOARDS,
        &[("/etc/grafana/dashboards", "/dashboards", no_dashboard)],
    );
}
