//! Those who watch in the Compose profile `metrics`: Prometheus asks the agent and knows the
//! alerts, Grafana asks Prometheus and finds the dashboard, and every file that is mounted is
//! there.

use serde_json::Value;

use super::{
    AGENT, COMPOSE, DASHBOARDS, DATASOURCE, Files, PROMETHEUS, assert_check, compose, list,
    of_project, text,
};

/// What a service mounts from the project: the file here, and where the service has it.
fn mounted<'a>(files: &'a Files, service: &str) -> Vec<(&'a str, &'a str)> {
    let volumes = list(&compose::service(files, service)["volumes"])
        .iter()
        .map(text);
    let parts = volumes.map(|volume| volume.splitn(3, ':').collect::<Vec<_>>());
    parts
        .filter_map(|parts| Some((parts.first()?.strip_prefix("./")?, *parts.get(1)?)))
        .collect()
}

fn mounts(files: &Files) -> Vec<String> {
    let services = files.compose["services"].as_object().into_iter().flatten();
    let mounted = services.flat_map(|(name, _)| {
        mounted(files, name)
            .into_iter()
            .map(move |(file, _)| (name, file))
    });
    let strays = mounted.filter(|(_, file)| !of_project(file).is_file());
    strays
        .map(|(name, file)| format!("{name} mounts {file}, which is not a file of the project"))
        .collect()
}

#[test]
fn every_file_that_is_mounted_is_there() {
    let broken = ("./deploy/prometheus.yml", "./prometheus.yml");
    let fault = "prometheus mounts prometheus.yml, which is not a file of the project";
    assert_check(mounts, COMPOSE, &[(broken.0, broken.1, fault)]);
}

fn references(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
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
        faults.push(format!("Prometheus asks {targets:?}, and not the agent"));
    }
    let alerts = mounted(files, "prometheus")
        .into_iter()
        .find(|(file, _)| *file == "deploy/alerts.yaml");
    let rules = list(&files.prometheus["rule_files"]);
    if !alerts.is_some_and(|(_, path)| rules.iter().any(|rule| rule == path)) {
        faults.push("Prometheus does not know the alerts".to_owned());
    }
    let is_prometheus = |url: &str| {
        let mut ports = compose::published(files, "prometheus").into_iter();
        ports.any(|port| url == format!("http://prometheus:{}", port.container_port))
    };
    if !list(&files.datasource["datasources"])
        .iter()
        .any(|source: &Value| is_prometheus(text(&source["url"])))
    {
        faults.push("Grafana does not ask Prometheus".to_owned());
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
        faults.push("Grafana does not find the dashboard".to_owned());
    }
    faults
}

#[test]
fn every_watched_target_exists() {
    let unasked = "Prometheus asks [\"expense-agent:80\"], and not the agent";
    let unknown = "Prometheus does not know the alerts";
    assert_check(
        references,
        PROMETHEUS,
        &[
            ("expense-agent:8000", "expense-agent:80", unasked),
            ("alerts.yaml]", "rules.yaml]", unknown),
        ],
    );
    let unfound = "Grafana does not find the dashboard";
    assert_check(
        references,
        COMPOSE,
        &[
            (
                ":/etc/prometheus/alerts.yaml",
                ":/etc/prometheus/rules.yaml",
                unknown,
            ),
            (
                ":/etc/grafana/dashboards/dashboard.json",
                ":/dashboard.json",
                unfound,
            ),
        ],
    );
    assert_check(
        references,
        DATASOURCE,
        &[(":9090", ":9091", "Grafana does not ask Prometheus")],
    );
    assert_check(
        references,
        DASHBOARDS,
        &[("/etc/grafana/dashboards", "/dashboards", unfound)],
    );
}
