//! Reads decisions from the spans in an answer of Jaeger, which are OTLP JSON. Attribute names are
//! those of `telemetry::names`, under which the service wrote them.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::audit::run::Run;
use crate::domain::step::Step;
use crate::telemetry::names;
use crate::telemetry::names::attribute::Attribute;
use crate::telemetry::names::compat;
use crate::telemetry::spans::step::span_name;

/// An answer: spans in nested groups. The spans of one trace can be spread over several groups.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    result: Traces,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Traces {
    resource_spans: Vec<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    scope_spans: Vec<Scope>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scope {
    spans: Vec<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Span {
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    name: String,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    name: String,
    attributes: Vec<KeyValue>,
}

/// The value is nested under the name of its type, as in `{"stringValue": "meals"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    key: String,
    value: Value,
}

fn value<'a>(attributes: &'a [KeyValue], name: Attribute, value_type: &str) -> Option<&'a Value> {
    attributes
        .iter()
        .find(|attribute| attribute.key == name.key)?
        .value
        .get(value_type)
}

fn text(attributes: &[KeyValue], name: Attribute) -> Option<String> {
    value(attributes, name, "stringValue")?
        .as_str()
        .map(str::to_owned)
}

fn texts(attributes: &[KeyValue], name: Attribute) -> Vec<String> {
    let values = value(attributes, name, "arrayValue").and_then(|array| array["values"].as_array());
    values
        .into_iter()
        .flatten()
        .filter_map(|value| value["stringValue"].as_str().map(str::to_owned))
        .collect()
}

impl Answer {
    fn spans(&self) -> impl Iterator<Item = &Span> {
        let scopes = self
            .result
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans)
    }

    /// How many traces it holds.
    pub(super) fn n_traces(&self) -> usize {
        self.spans()
            .map(|span| &span.trace_id)
            .collect::<HashSet<_>>()
            .len()
    }

    /// The decisions in the answer. A run that ended without a decision, because the ledger failed,
    /// is left out.
    pub(super) fn runs(&self) -> Vec<Run> {
        let (mut tree, mut seen) = (Tree::default(), HashSet::new());
        // A span may have been delivered twice.
        for span in self
            .spans()
            .filter(|span| seen.insert((&span.trace_id, &span.span_id)))
        {
            tree.0
                .entry((&span.trace_id, &span.parent_span_id))
                .or_default()
                .push(span);
        }
        let agents = tree
            .0
            .values()
            .flatten()
            .copied()
            .filter(|span| span.name == span_name(Step::Agent));
        agents.filter_map(|agent| tree.run(agent)).collect()
    }
}

/// Spans by trace and parent.
#[derive(Default)]
struct Tree<'a>(HashMap<(&'a str, &'a str), Vec<&'a Span>>);

impl<'a> Tree<'a> {
    fn below(&self, span: &'a Span) -> impl Iterator<Item = &'a Span> + use<'_, 'a> {
        self.0
            .get(&(&*span.trace_id, &*span.span_id))
            .into_iter()
            .flatten()
            .copied()
    }

    fn run(&self, agent: &'a Span) -> Option<Run> {
        let own = &agent.attributes;
        let prompt_of = |step: &'a Span| self.below(step).find_map(|chat| prompt(&chat.attributes));
        let cost = value(own, names::EXPENSE_COST_USD_TOTAL, "doubleValue").and_then(Value::as_f64);
        Some(Run {
            id: text(own, names::EXPENSE_ID)?.parse().ok()?,
            trace_id: agent.trace_id.clone(),
            tenant_id: text(own, names::TENANT_ID)?,
            category: text(own, names::EXPENSE_CATEGORY),
            model: text(own, names::GEN_AI_REQUEST_MODEL),
            outcome: text(own, names::EXPENSE_OUTCOME)?,
            agent_outcome: text(own, names::AGENT_OUTCOME)?,
            is_override: value(own, names::EXPENSE_OVERRIDE, "boolValue")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            cost_usd: cost.and_then(Decimal::from_f64),
            failed_types: texts(own, names::VALIDATION_FAILED_TYPES),
            rules: Vec::new(),
            judgement: None,
            checks: self.below(agent).flat_map(checks).collect(),
            prompts: self
                .below(agent)
                .filter_map(|step| Some((prompt_of(step)?, has_failed(step))))
                .collect(),
        })
    }
}

/// Name and version of a prompt, from the attributes of the conventions or of Langfuse.
fn prompt(chat: &[KeyValue]) -> Option<String> {
    let name = text(chat, names::GEN_AI_PROMPT_NAME)
        .or_else(|| text(chat, compat::LANGFUSE_OBSERVATION_PROMPT_NAME));
    let version = text(chat, names::GEN_AI_PROMPT_VERSION);
    let version = version.or_else(|| text(chat, compat::LANGFUSE_OBSERVATION_PROMPT_VERSION));
    Some(format!("{} {}", name?, version?))
}

/// The checks of a step, and whether each of them failed for good: none of its type passed later.
fn checks(step: &Span) -> Vec<(String, bool)> {
    let made: Vec<_> = step.events.iter().filter_map(check).collect();
    let is_repaired = |at: usize, kind: &str| {
        made[at..]
            .iter()
            .any(|(later, passed)| later == kind && *passed)
    };
    let for_good = |(at, (kind, passed)): (usize, &(String, bool))| {
        (kind.clone(), !passed && !is_repaired(at, kind))
    };
    made.iter().enumerate().map(for_good).collect()
}

/// The type of a check, and whether it passed.
fn check(event: &Event) -> Option<(String, bool)> {
    let passed = match event.name.as_str() {
        names::EVENT_VALIDATION_PASSED => true,
        names::EVENT_VALIDATION_FAILED => false,
        _ => return None,
    };
    Some((text(&event.attributes, names::VALIDATION_TYPE)?, passed))
}

fn has_failed(step: &Span) -> bool {
    text(&step.attributes, names::VALIDATION_STATUS).is_some_and(|status| status == "failed")
}
