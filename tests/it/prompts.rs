//! The prompts: they explain every kind of rule, their versions change with their texts, and the
//! schemas of their answers agree with the types that parse the answers. What a model's answer leads
//! to is tested in `traces` and `hostile`.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fmt, fs};

use expense_agent::agent::prompts::answers::{CategoryAnswer, DecisionAnswer};
use expense_agent::agent::prompts::{CLASSIFY, DECIDE};
use expense_agent::llm::Prompt;
use expense_agent::policy::parse::parse;
use expense_agent::policy::rule::KindName;
use expense_agent::rulebook::Rulebooks;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use strum::VariantNames;

use crate::harness::expenses::ride;
use crate::harness::fake_openai::FakeOpenAi;
use crate::harness::replies::approved_trip;
use crate::harness::{TestApp, assert_golden, shipped_policies};

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

/// Parses JSON as lists of pairs, in the order in which its keys are written.
fn keys_in_order(json: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Keys(Vec::new()))
        }
    }
    impl<'de> Visitor<'de> for Keys {
        type Value = Self;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
            while let Some((key, IgnoredAny)) = map.next_entry()? {
                self.0.push(key);
            }
            Ok(self)
        }
    }
    let Keys(keys) = serde_json::from_str(json).unwrap();
    keys
}

/// The properties of a schema in their order, all of which it requires.
fn properties(schema: &RawValue) -> (Vec<String>, Value) {
    #[derive(Deserialize)]
    struct Schema<'a> {
        #[serde(borrow)]
        properties: &'a RawValue,
    }
    let Schema { properties } = serde_json::from_str(schema.get()).unwrap();
    let names = keys_in_order(properties.get());
    let schema: Value = serde_json::from_str(schema.get()).unwrap();
    assert_eq!(schema["required"], json!(names));
    assert_eq!(schema["additionalProperties"], json!(false));
    (names, schema["properties"].clone())
}

/// Asserts that `T` parses an answer with every property of the schema and others, but none that
/// lacks one.
fn assert_parsed_as<T: DeserializeOwned>(answer: &Value, schema: &RawValue) {
    let (names, _) = properties(schema);
    let mut answer = answer.as_object().unwrap().clone();
    assert_eq!(
        answer.keys().collect::<BTreeSet<_>>(),
        names.iter().collect()
    );
    for name in &names {
        let mut partial = answer.clone();
        partial.remove(name);
        let parsed = serde_json::from_value::<T>(json!(partial));
        assert!(parsed.is_err(), "{name}");
    }
    answer.extend([
        ("confidence".to_owned(), json!(95)),
        ("notes".to_owned(), json!([{"a": null}])),
    ]);
    assert!(serde_json::from_value::<T>(json!(answer)).is_ok());
}

fn shipped() -> Rulebooks {
    Rulebooks::load(&shipped_policies()).unwrap()
}

#[test]
fn the_schemas_of_the_answers_agree_with_the_types_that_parse_them() {
    let rulebooks = shipped();
    let policies = &rulebooks.shared.policies;

    let classification = policies.classification_schema();
    let answer = json!({"category": "travel", "rationale": "A ride."});
    assert_parsed_as::<CategoryAnswer>(&answer, classification);
    let categories: Vec<_> = policies.categories().collect();
    let (_, schema) = properties(classification);
    assert_eq!(schema["category"]["enum"], json!(categories));

    for policy in policies.iter() {
        let answer = json!({"cited_rules": [], "decision": "approved", "reason": "Within policy."});
        assert_parsed_as::<DecisionAnswer>(&answer, &policy.decision_schema);
        let rules: Vec<_> = policy.rules.iter().map(|rule| &rule.id).collect();
        let (_, schema) = properties(&policy.decision_schema);
        assert_eq!(schema["cited_rules"]["items"]["enum"], json!(rules));
    }
}

/// Calls `visit` with every schema inside a schema, itself included. A keyword that holds another
/// schema and is not listed here fails the test below anyway.
fn walk(schema: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    let schema = schema.as_object().expect("a schema is an object");
    visit(schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    let inner = properties.into_iter().flat_map(Map::values);
    for schema in inner.chain(schema.get("items")) {
        walk(schema, visit);
    }
}

#[test]
fn the_schemas_use_only_keywords_that_every_provider_enforces() {
    const COMMON: [&str; 6] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "enum",
        "items",
    ];
    let rulebooks = shipped();
    let policies = &rulebooks.shared.policies;
    let decisions = policies.iter().map(|policy| &*policy.decision_schema);
    for schema in decisions.chain([policies.classification_schema()]) {
        let schema: Value = serde_json::from_str(schema.get()).unwrap();
        walk(&schema, &mut |part| {
            let unknown = part.keys().find(|keyword| !COMMON.contains(&&***keyword));
            assert_eq!(unknown, None, "{schema:#}");
            // A list of types is not enforced everywhere either.
            assert!(part["type"].is_string(), "{schema:#}");
        });
    }
}

#[test]
fn an_answer_gives_its_reason_before_its_conclusion() {
    let rulebooks = shipped();
    let policies = &rulebooks.shared.policies;
    let (names, _) = properties(policies.classification_schema());
    assert_eq!(names, ["rationale", "category"]);
    for policy in policies.iter() {
        let (names, _) = properties(&policy.decision_schema);
        assert_eq!(names, ["cited_rules", "reason", "decision"]);
    }
    // The prompts list the keys in the same order.
    for (prompt, names) in [
        (&CLASSIFY, ["rationale", "category"].as_slice()),
        (&DECIDE, ["cited_rules", "reason", "decision"].as_slice()),
    ] {
        let (_, answer) = prompt
            .text
            .split_once("Answer with one JSON object")
            .unwrap();
        let places = names
            .iter()
            .map(|name| answer.find(&format!("- `{name}`:")));
        assert!(places.clone().all(|place| place.is_some()), "{answer}");
        assert!(places.is_sorted(), "{answer}");
    }
}

/// What providers cache is the beginning of a prompt, so what an expense changes comes last.
#[tokio::test]
async fn the_facts_begin_with_the_parts_that_many_expenses_share() {
    let fake = FakeOpenAi::spawn().await;
    fake.script(approved_trip());
    let app = TestApp::with_openai(&fake).await;
    app.decide(ride()).await;
    for (request, shared, own) in [(0, "categories", "expense"), (1, "policy", "expense")] {
        let body = &fake.requests()[request].body;
        let keys = keys_in_order(body["messages"][1]["content"].as_str().unwrap());
        let place = |name| keys.iter().position(|key| key == name).unwrap();
        assert!(place(shared) < place(own), "{keys:?}");
        assert_eq!(keys.last().map(String::as_str), Some("expense"));
    }
}

/// A policy with this many rules, whose ids have this many characters.
fn policy_with_rules(n_rules: usize, n_chars: usize) -> String {
    let head = "category = \"meals\"\nversion = \"1\"\neffective_from = \"2026-01-01\"\n\
                currency = \"USD\"\nuncorroborated_limit = \"10.00\"\ntext = \"Meals.\"\n";
    let rule = |n: usize| {
        format!(
            "[[rule]]\nid = \"{n:0>n_chars$}\"\nkind = \"approval_always\"\nrole = \"manager\"\n\
             text = \"Ask.\"\n"
        )
    };
    std::iter::once(head.to_owned())
        .chain((0..n_rules).map(rule))
        .collect()
}

#[test]
fn policies_that_would_make_too_large_a_schema_are_refused() {
    let parsed = |texts: &[String]| {
        let names: Vec<_> = (0..texts.len()).map(|n| format!("p/{n}.toml")).collect();
        let files = names
            .iter()
            .map(Path::new)
            .zip(texts.iter().map(String::as_str));
        let parsed = parse(Path::new("p"), &files.collect::<Vec<_>>());
        parsed.map(|_| ()).map_err(|found| found.to_string())
    };
    // Strict mode allows 1,000 values in all enums of a schema, three of which are the decisions,
    // and 15,000 characters in an enum of more than 250 values.
    for (n_rules, n_chars, expected) in [
        (997, 5, None),
        (998, 5, Some("at most 997, and here are 998")),
        (250, 64, None),
        (251, 59, None),
        (251, 60, Some("15060")),
    ] {
        let found = parsed(&[policy_with_rules(n_rules, n_chars)]).err();
        match (found, expected) {
            (None, None) => {}
            (Some(found), Some(part)) => {
                assert!(found.starts_with("p/0.toml:"), "{found}");
                assert!(found.contains(part), "{found}");
            }
            (found, _) => panic!("{n_rules} rules of {n_chars} characters: {found:?}"),
        }
    }
    let categories = |n: usize| -> Vec<String> {
        let policy = policy_with_rules(1, 1);
        (0..n)
            .map(|n| {
                policy
                    .replace("\"meals\"", &format!("\"meals-{n}\""))
                    .replace("\"0\"", &format!("\"rule-{n}\""))
            })
            .collect()
    };
    assert_eq!(parsed(&categories(1_000)), Ok(()));
    let found = parsed(&categories(1_001)).unwrap_err();
    assert!(found.contains("at most 1000, and here are 1001"), "{found}");
}
