//! The prompts: they explain every kind of rule, their versions change with their texts, and the
//! schemas of their answers agree with the types that parse the answers. What a model's answer leads
//! to is tested in `traces` and `hostile`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use expense_agent::agent::prompts::answers::{CategoryAnswer, DecisionAnswer};
use expense_agent::agent::prompts::{CLASSIFY, DECIDE};
use expense_agent::llm::Prompt;
use expense_agent::policy::rule::KindName;
use expense_agent::rulebook::Rulebooks;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use strum::VariantNames;

use crate::harness::assert_golden;

/// Every prompt; those of the step decide explain the rules.
fn prompts() -> [&'static Prompt; 2] {
    [&CLASSIFY, &DECIDE]
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The kinds of rules that `text` does not name in backticks directly after `before`.
fn missing_kinds(text: &str, before: &str) -> Vec<&'static str> {
    let is_missing = |kind: &&&str| !text.contains(&format!("{before}`{kind}`"));
    KindName::VARIANTS
        .iter()
        .filter(is_missing)
        .copied()
        .collect()
}

#[test]
fn every_prompt_of_decide_explains_every_kind_of_rule() {
    let prompts = prompts();
    for prompt in prompts
        .iter()
        .filter(|prompt| prompt.name.starts_with("decide"))
    {
        assert_eq!(
            missing_kinds(prompt.text, "kind "),
            [""; 0],
            "explain these kinds in src/agent/prompts/{}.md, and raise its version in src/agent/prompts/mod.rs",
            prompt.name
        );
    }
}

#[test]
fn every_text_in_the_folder_of_prompts_is_tested_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agent/prompts");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".md")?.to_owned()));
    let tested: BTreeSet<_> = prompts().map(|prompt| prompt.name.to_owned()).into();
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        tested,
        "add the prompt to `prompts` in this file"
    );
}

#[test]
fn the_guide_to_policies_lists_every_kind_of_rule() {
    assert_eq!(
        missing_kinds(&file("policies/README.md"), "\n| "),
        [""; 0],
        "add these kinds to the table in policies/README.md"
    );
}

/// A prompt as `prompts.snap` holds it.
fn entry(prompt: &Prompt) -> String {
    format!("{} {} {}", prompt.name, prompt.version, prompt.hash)
}

/// The audit compares versions of a prompt, so two texts must not share one.
#[test]
fn a_prompt_whose_text_changed_has_a_new_version() {
    let recorded = file("tests/golden/prompts.snap");
    for prompt in prompts() {
        let version = format!("{} {} ", prompt.name, prompt.version);
        let text_changed = recorded
            .lines()
            .any(|line| line.starts_with(&version) && line != entry(prompt));
        assert!(
            !text_changed,
            "the text of the prompt `{}` changed, but its version is still \"{}\"; raise the version in \
             src/agent/prompts/mod.rs, and record it with `INSTA_UPDATE=always cargo test`",
            prompt.name, prompt.version
        );
    }
    assert_golden("prompts", &prompts().map(entry).join("\n"));
}

/// The properties of a schema, all of which it requires.
fn properties(schema: &RawValue) -> Map<String, Value> {
    let schema: Value = serde_json::from_str(schema.get()).unwrap();
    let properties = schema["properties"].as_object().unwrap().clone();
    let names: Vec<_> = properties.keys().collect();
    assert_eq!(schema["required"], json!(names));
    assert_eq!(schema["additionalProperties"], json!(false));
    properties
}

/// Asserts that `T` parses an answer with every property of the schema, and none that lacks one.
fn assert_parsed_as<T: DeserializeOwned>(answer: &Value, schema: &RawValue) {
    let names: Vec<String> = properties(schema).keys().cloned().collect();
    let answer = answer.as_object().unwrap();
    assert!(answer.keys().eq(&names), "{names:?}");
    assert!(serde_json::from_value::<T>(json!(answer)).is_ok());
    for name in names {
        let mut partial = answer.clone();
        partial.remove(&name);
        let parsed = serde_json::from_value::<T>(json!(partial));
        assert!(parsed.is_err(), "{name}");
    }
}

#[test]
fn the_schemas_of_the_answers_agree_with_the_types_that_parse_them() {
    let rulebooks =
        Rulebooks::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap();
    let policies = &rulebooks.shared.policies;

    let classification = policies.classification_schema();
    let answer = json!({"category": "travel", "confidence": 0.9, "rationale": "A ride."});
    assert_parsed_as::<CategoryAnswer>(&answer, classification);
    let categories: Vec<_> = policies.categories().collect();
    assert_eq!(
        properties(classification)["category"]["enum"],
        json!(categories)
    );

    for policy in policies.iter() {
        let answer = json!({"cited_rules": [], "decision": "approved", "reason": "Within policy."});
        assert_parsed_as::<DecisionAnswer>(&answer, &policy.decision_schema);
        let rules: Vec<_> = policy.rules.iter().map(|rule| &rule.id).collect();
        assert_eq!(
            properties(&policy.decision_schema)["cited_rules"]["items"]["enum"],
            json!(rules)
        );
    }
}
