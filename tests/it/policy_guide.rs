//! The examples of policies/README.md: the rules of each section are a policy, and its cases hold.

use std::path::Path;

use expense_agent::policy::rule::KindName;
use strum::VariantNames;

use crate::harness::policy_folder::PolicyFolder;
use crate::harness::project_path;
use crate::policy_tools::tested;

/// The head of the policy whose rules an example shows.
const HEAD: &str = "category = \"trips\"\nversion = \"1\"\neffective_from = \"2000-01-01\"\n\
                    currency = \"USD\"\nuncorroborated_limit = \"25.00\"\ntext = \"An example.\"\n\n";
/// The rule of a policy whose rules are all in common.toml.
const NO_RULE: &str =
    "[[rule]]\nid = \"nothing\"\nkind = \"future\"\ndays = 9999\ntext = \"Nothing.\"\n";

/// The blocks of TOML in a text.
fn blocks(text: &str) -> Vec<&str> {
    let after = text.split("```toml\n").skip(1);
    after
        .filter_map(|after| after.split("\n```").next())
        .collect()
}

/// The part of the document with examples: its head, and each section with its title.
fn examples(document: &str) -> (String, Vec<(&str, &str)>) {
    let (_, after) = document.split_once("\n## By example\n").unwrap();
    let (part, _) = after.split_once("\n## ").unwrap();
    let mut sections = part.split("\n### ");
    let head = blocks(sections.next().unwrap())[0].to_owned();
    let sections = sections.map(|section| section.split_once('\n').unwrap());
    (head, sections.collect())
}

fn write_example(folder: &PolicyFolder, head: &str, section: &str) {
    let (cases, rules): (Vec<_>, Vec<_>) = blocks(section)
        .into_iter()
        .partition(|block| block.contains("[[case]]"));
    folder.write(
        "trips.test.toml",
        &format!("{head}\n\n{}\n", cases.join("\n")),
    );
    let rules = rules.join("\n");
    if rules.contains("except = ") {
        folder.write("common.toml", &rules);
        folder.write("trips.toml", &format!("{HEAD}{NO_RULE}"));
    } else {
        folder.write("trips.toml", &format!("{HEAD}{rules}\n"));
    }
}

#[test]
fn every_example_of_the_guide_to_policies_is_true() {
    let document = std::fs::read_to_string(project_path("policies/README.md")).unwrap();
    let (head, sections) = examples(&document);
    for (title, section) in sections {
        let folder = PolicyFolder::shipped();
        write_example(&folder, &head, section);
        let said = tested(folder.path());
        assert!(said.ends_with(" cases hold\n"), "{title}:\n{said}");
        let verdicts = ["\"approved\"", "\"denied\"", "\"needs_approval\""];
        let n_shown = verdicts.iter().filter(|one| section.contains(**one));
        assert!(n_shown.count() > 1, "{title}: shows no boundary");
    }
}

#[test]
fn the_guide_to_policies_has_an_example_of_every_kind() {
    let document = std::fs::read_to_string(project_path("policies/README.md")).unwrap();
    let (_, sections) = examples(&document);
    for kind in KindName::VARIANTS {
        let line = format!("kind = \"{kind}\"\n");
        let is_shown = sections.iter().any(|(_, section)| section.contains(&line));
        assert!(
            is_shown,
            "policies/README.md shows no rule of the kind {kind}; add one with cases"
        );
    }
}

#[test]
fn a_guide_without_a_true_example_is_found() {
    let folder = PolicyFolder::shipped();
    let section = "```toml\n[[rule]]\nid = \"day\"\nkind = \"cap\"\nper = \"day\"\nmax = \"75.00\"\n\
                   text = \"It.\"\n```\n\n```toml\n[[case]]\nname = \"too much\"\n\
                   verdict = \"approved\"\n```\n";
    let head = "category = \"trips\"\ntoday = \"2026-03-14\"\n\
                expense = { transaction = \"Trip\", amount = \"100.00\" }";
    write_example(&folder, head, section);
    let said = tested(Path::new(folder.name()));
    assert!(said.contains("FAILED  too much"), "{said}");
}
