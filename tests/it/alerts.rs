//! The alerts and the dashboard: their queries use only metrics and labels that `/metrics` has, and
//! promtool accepts the alerts (where it is installed).

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::exposition::Page;
use crate::harness::full_page::full_page;
use crate::harness::project_path;
use crate::harness::skip::skip;

/// Keywords of PromQL, which are not names of metrics.
const KEYWORDS: [&str; 9] = [
    "and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset",
];
/// Labels that Prometheus adds to every sample that it scrapes.
const SCRAPE_LABELS: [&str; 2] = ["instance", "job"];

fn deploy_file(name: &str) -> String {
    std::fs::read_to_string(project_path("deploy").join(name)).unwrap()
}

/// The alerts of all groups.
fn alert_rules() -> Vec<Value> {
    let file: Value = yaml_serde::from_str(&deploy_file("alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap())
        .cloned()
        .collect()
}

/// The expressions of all alerts, and the queries that their descriptions suggest.
fn alert_queries() -> Vec<String> {
    let advised = Regex::new(r"(?:sum|max|min) by \([^)]*\) \((?:[^()]|\([^()]*\))*\)").unwrap();
    let rules = alert_rules();
    let queries = rules.iter().flat_map(|rule| {
        let text = rule["annotations"]["description"].as_str().unwrap();
        let advised = advised
            .find_iter(text)
            .map(|query| query.as_str().to_owned());
        std::iter::once(rule["expr"].as_str().unwrap().to_owned())
            .chain(advised)
            .collect::<Vec<_>>()
    });
    queries.collect()
}

/// The queries of all panels.
fn dashboard_queries() -> Vec<String> {
    let board: Value = serde_json::from_str(&deploy_file("dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The metrics and labels in a query that the page does not have.
fn unknown_names(query: &str, page: &Page) -> Vec<String> {
    let texts = Regex::new(r#""(?:\\.|[^"\\])*""#).unwrap();
    let ranges = Regex::new(r"\[[^\]]*\]").unwrap();
    let grouping = Regex::new(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)").unwrap();
    let selector = Regex::new(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?\s*(\()?").unwrap();
    let word = Regex::new(r"[a-zA-Z_][a-zA-Z0-9_]*").unwrap();

    let query = texts.replace_all(query, "_");
    let query = ranges.replace_all(&query, "");
    let mut by: BTreeSet<&str> = BTreeSet::new();
    for group in grouping.captures_iter(&query) {
        by.extend(
            word.find_iter(group.get(1).unwrap().as_str())
                .map(|label| label.as_str()),
        );
    }
    let plain = grouping.replace_all(&query, "");
    let (mut found, mut shown, mut n_metrics) = (Vec::new(), BTreeSet::new(), 0);
    for part in selector.captures_iter(&plain) {
        let name = part.get(1).unwrap().as_str();
        if part.get(3).is_some() || KEYWORDS.contains(&name) {
            continue;
        }
        n_metrics += 1;
        let labels = page.labels(name);
        if !page.samples.iter().any(|sample| sample.name == name) {
            found.push(format!("metric {name}"));
        }
        let matchers = part
            .get(2)
            .map_or("", |matchers| matchers.as_str())
            .split(',');
        let matched = matchers
            .filter_map(|matcher| word.find(matcher))
            .map(|label| label.as_str());
        found.extend(
            matched
                .filter(|label| !labels.contains(label))
                .map(|label| format!("label {label} of {name}")),
        );
        shown.extend(labels);
    }
    if n_metrics == 0 {
        found.push("a metric".to_owned());
    }
    let unknown = by
        .into_iter()
        .filter(|label| !shown.contains(label) && !SCRAPE_LABELS.contains(label));
    found.extend(unknown.map(|label| format!("label {label}")));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_uses_metrics_and_labels_that_exist() {
    let page = full_page().await;
    let (alerts, panels) = (alert_queries(), dashboard_queries());
    assert!(
        alerts.len() >= 11 && panels.len() >= 20,
        "{} and {} queries were found",
        alerts.len(),
        panels.len()
    );
    for query in alerts.iter().chain(&panels) {
        let unknown = unknown_names(query, &page);
        assert!(
            unknown.is_empty(),
            "{query}\nuses names that /metrics does not have: {}",
            unknown.join(", ")
        );
    }
    // Conversely, an alert or a panel uses every metric.
    let queries = [alerts, panels].concat().concat();
    for sample in page
        .samples
        .iter()
        .filter(|sample| !sample.name.starts_with("gen_ai_client_operation"))
    {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| sample.name.strip_suffix(part));
        let name = name.unwrap_or(&sample.name);
        let is_used =
            queries.contains(name) || name == "target_info" || name == "gen_ai_client_token_usage";
        assert!(is_used, "neither an alert nor the dashboard uses {name}");
    }
}

#[test]
fn an_unknown_name_in_a_query_is_found() {
    let page = Page::parse("a_total{x=\"1\",y=\"2\"} 1\nb_bucket{le=\"1\"} 1\nc 1\n");
    for (query, expected) in [
        (
            r#"sum by (x) (rate(a_total{y="q"}[5m])) / sum(a_total) > 0.5 and c >= 1"#,
            "",
        ),
        (
            r#"histogram_quantile(0.95, sum by (le, instance) (rate(b_bucket[$__rate_interval])))"#,
            "",
        ),
        (
            r#"sum(rate(d_total{y="q"}[5m]))"#,
            "metric d_total, label y of d_total",
        ),
        (
            r#"sum by (z) (a_total{w!="", x=~"q{}"})"#,
            "label w of a_total, label z",
        ),
        (r#"max(c) or d offset 1h"#, "metric d"),
        ("vector(1)", "a metric"),
    ] {
        assert_eq!(unknown_names(query, &page).join(", "), expected, "{query}");
    }
}

#[test]
fn no_two_panels_share_an_id_a_title_or_a_place() {
    let board: Value = serde_json::from_str(&deploy_file("dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let all_of = |key: &str| {
        panels
            .iter()
            .map(|panel| panel[key].to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (
            all_of("id").len(),
            all_of("gridPos").len(),
            all_of("title").len()
        ),
        (panels.len(), panels.len(), panels.len())
    );
}

/// Without a current sample, a panel shows the last one it finds, which may be a day old.
#[test]
fn a_panel_shows_zero_when_nothing_happened() {
    let healthy = [
        r#"expense_decisions_total{validation_status="passed", expense_override="false"}"#,
        r#"expense_decision_cost_total{validation_status="passed"}"#,
    ];
    let series = healthy.map(|series| json!({"series": series, "values": "0+1x120"}));
    let queries = dashboard_queries()
        .into_iter()
        .filter(|query| query.contains("vector(0)"));
    let cases: Vec<_> = queries
        .map(|query| {
            json!({
                "expr": query,
                "eval_time": "2h",
                "exp_samples": [{"labels": "{}", "value": 0}],
            })
        })
        .collect();
    assert_eq!(cases.len(), 3, "errors, overrides and what failures cost");
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let tests =
        json!({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]});
    std::fs::write(file.path(), tests.to_string()).unwrap();
    let Ok(output) = Command::new("promtool")
        .args(["test", "rules"])
        .arg(file.path())
        .output()
    else {
        skip("no promtool; Debian has it in the package `prometheus`");
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests() {
    let promtool = |arguments: [&str; 3]| {
        Command::new("promtool")
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
    };
    for arguments in [
        ["check", "rules", "deploy/alerts.yaml"],
        ["test", "rules", "deploy/alerts.test.yaml"],
    ] {
        let Ok(output) = promtool(arguments) else {
            skip("no promtool; Debian has it in the package `prometheus`");
            return;
        };
        let printed = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat();
        assert!(
            output.status.success(),
            "promtool {}:\n{printed}",
            arguments.join(" ")
        );
    }
}

#[test]
fn every_alert_has_a_test_that_raises_it_and_one_that_does_not() {
    let tests: Value = yaml_serde::from_str(&deploy_file("alerts.test.yaml")).unwrap();
    let cases = tests["tests"].as_array().unwrap().iter();
    let cases: Vec<&Value> = cases
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .collect();
    for rule in alert_rules() {
        let alert = &rule["alert"];
        let of_alert = cases.iter().filter(|case| case["alertname"] == *alert);
        let (raised, quiet): (Vec<&Value>, Vec<&Value>) =
            of_alert.partition(|case| !case["exp_alerts"].as_array().unwrap().is_empty());
        assert!(!raised.is_empty(), "no test raises {alert}");
        assert!(!quiet.is_empty(), "no test leaves {alert} unraised");
    }
}
