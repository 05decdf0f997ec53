//! The targets of links exist, and so do the tests and files that a document names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{document, found, rust_below};
use crate::harness::project_path;

/// The path of every Markdown document in the project. Prompts are left out, because they are text
/// for the model.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    for folder in ["", "deploy", "docs", "policies", "tests"] {
        let entries = fs::read_dir(project_path(folder)).unwrap();
        let paths = entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
        documents.extend(paths.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    documents
}

/// The links of a document that lead to other files or headings of the project.
fn links(document: &str) -> BTreeSet<&str> {
    let mut targets = found(r"\]\(([^)\s]+)\)", document);
    targets.retain(|target| !target.contains("://"));
    targets
}

/// The anchors that Markdown renderers give to the headings of a document.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#'));
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let anchor = |heading: &str| {
        heading
            .trim()
            .to_lowercase()
            .replace(' ', "-")
            .chars()
            .filter(|c| kept(*c))
            .collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_has_a_target() {
    let documents = documents();
    for expected in ["README.md", "deploy/telemetry.md", "docs/api.md"] {
        assert!(
            documents.contains(&PathBuf::from(expected)),
            "{expected} is not among {documents:?}"
        );
    }
    for name in documents {
        let text = document(name.to_str().unwrap());
        let name = name.display();
        let folder = project_path(&name.to_string());
        let folder = folder.parent().unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                project_path(&name.to_string())
            } else {
                folder.join(path)
            };
            assert!(
                target.exists(),
                "{name} links to {link}, which does not exist"
            );
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(
                    anchors.contains(anchor),
                    "{name} links to {link}, and no heading has this anchor"
                );
            }
        }
    }
}

/// The code of a test module, which is a file or a folder.
fn test_module(module: &str) -> String {
    let folder = format!("tests/it/{module}");
    if project_path(&folder).is_dir() {
        rust_below(&folder)
    } else {
        document(&format!("{folder}.rs"))
    }
}

/// If the guide named a test that no longer exists, it would claim that an invariant is checked
/// although it is not.
#[test]
fn every_test_that_the_guide_names_exists() {
    let guide = document("tests/README.md");
    let named = Regex::new(r"`(\w+)::(\w+)`").unwrap();
    let named: Vec<_> = named
        .captures_iter(&guide)
        .map(|found| found.extract::<2>().1)
        .collect();
    assert!(!named.is_empty(), "tests/README.md names no test");
    for [module, test] in named {
        assert!(
            test_module(module).contains(&format!("fn {test}(")),
            "tests/README.md names {module}::{test}, which does not exist"
        );
    }
}

/// The recipes name the files to change. Files of their example, `appeal`, do not exist.
#[test]
fn every_file_that_a_recipe_names_exists() {
    let guide = document("CONTRIBUTING.md");
    let named = found(r"`((?:src|tests|docs|policies|deploy)/[\w./]+)`", &guide);
    assert!(named.len() > 20, "CONTRIBUTING.md names only {named:?}");
    let missing: Vec<_> = named
        .iter()
        .filter(|path| !path.contains("appeal") && !project_path(path).exists())
        .collect();
    assert!(
        missing.is_empty(),
        "CONTRIBUTING.md names files that do not exist: {missing:?}"
    );
}
