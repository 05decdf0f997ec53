//! The spans of a decision's trace as rows: read from the record, in the order in which they began. A
//! row holds what the record says and nothing else; how it is drawn is in `tree`.

use crate::domain::decision::Decision;
use crate::domain::milliseconds::Milliseconds;
use crate::domain::step::{ModelCall, PromptRef, Step, StepReport};
use crate::domain::validation::Validation;
use crate::offline;
use crate::telemetry::names;
use crate::telemetry::names::attribute::Attribute;
use crate::telemetry::spans::step::span_name;

/// The kind of a span within this process, as OpenTelemetry names it.
const INTERNAL: &str = "INTERNAL";

/// One span.
pub(super) struct Row<'a> {
    /// How many spans are around it.
    pub(super) depth: u8,
    /// The name that the trace has.
    pub(super) name: String,
    /// The kind of span.
    pub(super) kind: &'static str,
    /// When it began and how long it took; absent in records of earlier versions.
    pub(super) timing: Option<Timing>,
    /// What went wrong for good.
    pub(super) error: Option<&'a str>,
    /// The checks that were made in it, in order.
    pub(super) checks: Vec<&'a Validation>,
    /// The attributes that the record holds, by their keys.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// What is shown of it before it is opened.
    pub(super) gist: Vec<String>,
}

/// A part of the time since the request came in, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// When it began.
    pub(super) started: u64,
    /// How long it took.
    pub(super) duration: u64,
    /// Whether it took longer: it ended after the record was sealed.
    pub(super) is_open: bool,
}

impl Timing {
    /// The time of a step or a call; `None` in records of earlier versions.
    fn of(started: Option<Milliseconds>, duration: Option<Milliseconds>) -> Option<Self> {
        Some(Self {
            started: started?.micros(),
            duration: duration?.micros(),
            is_open: false,
        })
    }

    /// The time from the request's arrival, or from the begin of the first step, to the end of the last
    /// step.
    fn around(decision: &Decision, from_arrival: bool) -> Option<Self> {
        let steps = decision.steps.iter();
        let steps: Vec<Self> = steps
            .filter_map(|step| Self::of(step.started_ms, step.duration_ms))
            .collect();
        let ended = steps.iter().copied().map(Self::ended).max()?;
        let started = match from_arrival {
            true => 0,
            false => steps.iter().map(|timing| timing.started).min()?,
        };
        Some(Self {
            started,
            duration: ended - started,
            is_open: true,
        })
    }

    /// When it ended.
    pub(super) fn ended(self) -> u64 {
        self.started.saturating_add(self.duration)
    }
}

impl Row<'_> {
    /// Whether it failed: a check failed for good, or there is no result.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some() || self.checks.iter().any(|check| check.failed_for_good())
    }
}

/// The rows of a decision.
pub(super) fn rows(decision: &Decision) -> Vec<Row<'_>> {
    let mut rows = vec![server(decision), agent(decision)];
    for report in &decision.steps {
        let row = step(decision, report);
        rows.push(row);
        let prompt = report.prompt.as_ref();
        rows.extend(report.calls.iter().map(|call| chat(decision, prompt, call)));
    }
    rows.push(Row {
        depth: 2,
        kind: INTERNAL,
        gist: cap_moved(decision),
        ..named(span_name(Step::RecordDecision))
    });
    rows
}

/// A row without anything but its name.
fn named<'a>(name: impl Into<String>) -> Row<'a> {
    Row {
        depth: 0,
        name: name.into(),
        kind: INTERNAL,
        timing: None,
        error: None,
        checks: Vec::new(),
        attributes: Vec::new(),
        gist: Vec::new(),
    }
}

fn server(decision: &Decision) -> Row<'_> {
    let by = decision.submitted_by.as_ref();
    Row {
        kind: "SERVER",
        timing: Timing::around(decision, true),
        attributes: known([
            (names::EXPENSE_ID, Some(decision.id.to_string())),
            (names::TENANT_ID, Some(decision.tenant_id.clone())),
            (names::USER_ID, Some(decision.expense.user_id.clone())),
            (names::TENANT_API_KEY_ID, by.map(|by| by.api_key.clone())),
        ]),
        ..named("POST /v1/expenses")
    }
}

fn agent(decision: &Decision) -> Row<'_> {
    let Decision {
        input_tokens,
        output_tokens,
        ..
    } = *decision;
    let corroborated = decision.category_corroborated.to_string();
    let policy_verdict = decision.policy_verdict.map(|ruling| ruling.to_string());
    let model_decision = decision.model_decision.map(|ruling| ruling.to_string());
    let supersedes = decision.supersedes.map(|id| id.to_string());
    let cost = decision.cost_usd.map(|cost| cost.to_string());
    Row {
        depth: 1,
        timing: Timing::around(decision, false),
        gist: vec![tokens(Some(input_tokens), Some(output_tokens))],
        attributes: known([
            (
                names::AGENT_OUTCOME,
                Some(decision.agent_outcome.to_string()),
            ),
            (names::EXPENSE_OUTCOME, Some(decision.outcome.to_string())),
            (names::EXPENSE_CATEGORY, decision.category.clone()),
            (names::EXPENSE_CATEGORY_CORROBORATED, Some(corroborated)),
            (names::EXPENSE_POLICY_VERDICT, policy_verdict),
            (names::EXPENSE_MODEL_DECISION, model_decision),
            (
                names::EXPENSE_OVERRIDE,
                Some(decision.is_override.to_string()),
            ),
            (names::EXPENSE_SUPERSEDES, supersedes),
            (names::EXPENSE_COST_USD_TOTAL, cost),
        ]),
        ..named(span_name(Step::Agent))
    }
}

fn step<'a>(decision: &'a Decision, report: &'a StepReport) -> Row<'a> {
    let is_lookup = report.step == Step::PolicyLookup;
    let policy = decision.policy.as_ref().filter(|_| is_lookup);
    let checks = decision.validations.iter();
    let result = report.result.iter();
    Row {
        depth: 2,
        timing: Timing::of(report.started_ms, report.duration_ms),
        error: report.error.as_deref(),
        gist: result.map(|result| format!("→ {result}")).collect(),
        attributes: known([
            (names::STEP_ATTEMPTS, Some(report.attempts.to_string())),
            (names::STEP_RESULT, report.result.clone()),
            (
                names::EXPENSE_POLICY_ID,
                policy.map(|policy| policy.id.clone()),
            ),
            (
                names::EXPENSE_POLICY_VERSION,
                policy.map(|policy| policy.version.clone()),
            ),
            (
                names::EXPENSE_POLICY_HASH,
                policy.map(|policy| policy.hash.clone()),
            ),
            (
                names::EXPENSE_POLICY_RULES,
                policy.map(|policy| policy.rules.join(", ")),
            ),
        ]),
        checks: checks.filter(|check| check.step == report.step).collect(),
        ..named(span_name(report.step))
    }
}

fn chat<'a>(decision: &'a Decision, prompt: Option<&PromptRef>, call: &'a ModelCall) -> Row<'a> {
    let cost = call.cost.as_ref();
    let mut gist = vec![tokens(call.input_tokens, call.output_tokens)];
    gist.extend(cost.map(|cost| format!("{} USD", cost.total)));
    gist.extend(prompt.map(|prompt| format!("prompt {} version {}", prompt.name, prompt.version)));
    gist.extend(call.finish_reason.clone());
    gist.extend(match call.retries {
        0 => None,
        1 => Some("1 retry".to_owned()),
        n => Some(format!("{n} retries")),
    });
    Row {
        depth: 3,
        // The offline model runs in this process.
        kind: if decision.model == offline::MODEL {
            INTERNAL
        } else {
            "CLIENT"
        },
        timing: Timing::of(call.started_ms, call.duration_ms),
        error: call.error.as_deref(),
        gist,
        attributes: chat_attributes(prompt, call),
        ..named(format!("chat {}", decision.model))
    }
}

fn chat_attributes(prompt: Option<&PromptRef>, call: &ModelCall) -> Vec<(&'static str, String)> {
    let cost = call.cost.as_ref();
    known([
        (names::GEN_AI_RESPONSE_MODEL, Some(call.model.clone())),
        (names::GEN_AI_RESPONSE_ID, call.response_id.clone()),
        (
            names::GEN_AI_RESPONSE_FINISH_REASONS,
            call.finish_reason.clone(),
        ),
        (
            names::GEN_AI_PROMPT_NAME,
            prompt.map(|prompt| prompt.name.clone()),
        ),
        (
            names::GEN_AI_PROMPT_VERSION,
            prompt.map(|prompt| prompt.version.clone()),
        ),
        (
            names::GEN_AI_USAGE_INPUT_TOKENS,
            call.input_tokens.map(|n| n.to_string()),
        ),
        (
            names::GEN_AI_USAGE_OUTPUT_TOKENS,
            call.output_tokens.map(|n| n.to_string()),
        ),
        (
            names::LLM_COST_TOTAL,
            cost.map(|cost| cost.total.to_string()),
        ),
        (
            names::LLM_COST_PROMPT,
            cost.map(|cost| cost.prompt.to_string()),
        ),
        (
            names::LLM_COST_COMPLETION,
            cost.map(|cost| cost.completion.to_string()),
        ),
        (
            names::EXPENSE_COST_SOURCE,
            cost.map(|cost| cost.source.clone()),
        ),
        (names::LLM_RETRY_COUNT, Some(call.retries.to_string())),
    ])
}

fn cap_moved(decision: &Decision) -> Vec<String> {
    let moved = "a cap was taken meanwhile, so the policy was evaluated again";
    Vec::from_iter(decision.cap_moved.then(|| moved.to_owned()))
}

/// The attributes of which the record holds a value.
fn known<const N: usize>(
    attributes: [(Attribute, Option<String>); N],
) -> Vec<(&'static str, String)> {
    attributes
        .into_iter()
        .filter_map(|(attribute, value)| Some((attribute.key, value?)))
        .collect()
}

fn tokens(input: Option<u64>, output: Option<u64>) -> String {
    let count = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    format!("{} → {} tokens", count(input), count(output))
}
