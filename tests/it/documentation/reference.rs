//! Hand-written reference tables explain everything that the service can answer, and nothing else.
//! The OpenAPI contract that the service publishes lists the possible answers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::TestApp;

use super::{document, found};

/// The text below a heading, up to the next heading.
fn section<'d>(document: &'d str, heading: &str) -> &'d str {
    let heading = format!("\n## {heading}\n");
    let (_, below) = document
        .split_once(&heading)
        .unwrap_or_else(|| panic!("there is no heading{heading}"));
    below.split("\n## ").next().unwrap()
}

/// The code in the first column of the tables of a section.
fn first_column<'d>(document: &'d str, heading: &str) -> BTreeSet<&'d str> {
    let rows = section(document, heading).lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(code).collect()
}

/// The words in backticks.
fn code(text: &str) -> BTreeSet<&str> {
    found(r"`([^`]+)`", text)
}

/// A schema of the contract.
fn schema<'c>(contract: &'c Value, name: &str) -> &'c Value {
    let schema = &contract["components"]["schemas"][name];
    assert!(schema.is_object(), "the contract has no schema {name}");
    schema
}

/// The values of an enum in the contract.
fn values<'c>(contract: &'c Value, name: &str) -> impl Iterator<Item = &'c str> {
    let values = schema(contract, name)["enum"].as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap())
}

/// The fields of an object in the contract, including those of flattened parts.
fn fields<'c>(contract: &'c Value, schema: &'c Value) -> BTreeSet<&'c str> {
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut fields: BTreeSet<_> = own.map(|(field, _)| field.as_str()).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = match part["$ref"].as_str() {
            Some(name) => self::schema(contract, name.rsplit('/').next().unwrap()),
            None => part,
        };
        fields.extend(self::fields(contract, part));
    }
    fields
}

#[tokio::test]
async fn every_outcome_and_every_check_is_explained() {
    let contract = TestApp::spawn().await.get("/openapi.json").await.body;
    let guide = document("docs/decisions.md");
    let outcomes = values(&contract, "Outcome").chain(values(&contract, "AgentOutcome"));
    let mut explained = first_column(&guide, "Outcomes");
    explained.remove("agent.outcome");
    assert_eq!(
        explained,
        outcomes.collect(),
        "docs/decisions.md explains the outcomes on the left, the code knows those on the right"
    );
    let mut explained = first_column(&guide, "The checks");
    explained.remove("validation.type");
    assert_eq!(
        explained,
        values(&contract, "ValidationType").collect(),
        "docs/decisions.md explains the checks on the left, the code knows those on the right"
    );
}

#[tokio::test]
async fn every_route_and_field_of_the_api_is_explained() {
    let contract = TestApp::spawn().await.get("/openapi.json").await.body;
    let guide = document("docs/api.md");
    let routes = first_column(&guide, "Routes");
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let route = format!("{} {path}", method.to_uppercase());
            assert!(
                routes.contains(route.as_str()),
                "docs/api.md does not explain {route}"
            );
        }
    }
    assert_eq!(
        first_column(&guide, "The request"),
        fields(&contract, schema(&contract, "Submission")),
        "docs/api.md explains the fields on the left, a request has those on the right"
    );
    let mut explained = code(section(&guide, "The answer"));
    explained.extend(first_column(&guide, "The request"));
    let of_answer = fields(&contract, schema(&contract, "DecisionBody"));
    assert!(!of_answer.is_empty());
    let missing: Vec<_> = of_answer.difference(&explained).collect();
    assert!(
        missing.is_empty(),
        "docs/api.md does not name these fields of an answer: {missing:?}"
    );
}
