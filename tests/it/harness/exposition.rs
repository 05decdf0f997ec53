//! A page of `/metrics` as Prometheus reads it: samples with their labels.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

/// One line that is not a comment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The name with its suffix: `_total`, `_count` and the like.
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A page, parsed and as text.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) samples: Vec<Sample>,
}

impl Page {
    /// Parses a page; panics at a line that is neither a comment nor a sample.
    pub(crate) fn parse(text: &str) -> Self {
        let line = Regex::new(r#"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$"#).unwrap();
        let label = Regex::new(r#"([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)",?"#).unwrap();
        let sample = |text: &str| {
            let parts = line
                .captures(text)
                .unwrap_or_else(|| panic!("not a line of a page: {text}"));
            let labels = parts.get(2).map_or("", |labels| labels.as_str());
            let pairs = label
                .captures_iter(labels)
                .map(|pair| (pair[1].to_owned(), pair[2].to_owned()));
            Sample {
                name: parts[1].to_owned(),
                labels: pairs.collect(),
                value: parts[3].parse().unwrap(),
            }
        };
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            text: text.to_owned(),
            samples: lines.map(sample).collect(),
        }
    }

    /// The sum of the samples of a name that have at least these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        };
        self.samples
            .iter()
            .filter(|sample| sample.name == name)
            .filter(has)
            .map(|sample| sample.value)
            .sum()
    }

    /// The labels that samples of a name have.
    pub(crate) fn labels(&self, name: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        samples
            .flat_map(|sample| sample.labels.keys().map(String::as_str))
            .collect()
    }

    /// The values of a label among the samples of a name.
    pub(crate) fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        samples
            .filter_map(|sample| sample.labels.get(label).map(String::as_str))
            .collect()
    }

    /// The page without values that differ between runs: times, ports and ids. The buckets of a
    /// histogram become one line.
    pub(crate) fn normalised(&self) -> String {
        let varying = Regex::new(
            r#"(server_port|service_instance_id|service_version|telemetry_sdk_version)="[^"]*""#,
        );
        let bucket = Regex::new(r#"^(\w+_bucket\{.*?,?)le="([^"]+)"\} \S+$"#).unwrap();
        let text = varying
            .unwrap()
            .replace_all(&self.text, r#"$1="<$1>""#)
            .into_owned();
        let mut lines: Vec<String> = Vec::new();
        let mut bounds = Vec::new();
        for line in text.lines() {
            if let Some(parts) = bucket.captures(line) {
                bounds.push(parts[2].to_owned());
                if &parts[2] == "+Inf" {
                    lines.push(format!("{}le=\"{}\"}} <n>", &parts[1], bounds.join(" ")));
                    bounds.clear();
                }
                continue;
            }
            let varies = [
                "_seconds_sum",
                "telemetry_spans",
                "telemetry_queue",
                "expense_connections",
                "_age_seconds",
            ]
            .iter()
            .any(|part| line.contains(part) && !line.starts_with('#'));
            lines.push(match line.rsplit_once(' ') {
                Some((series, _)) if varies => format!("{series} <n>"),
                _ => line.to_owned(),
            });
        }
        lines.join("\n") + "\n"
    }
}
