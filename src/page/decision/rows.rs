//! The spans of a decision's trace as rows: read from the record, in the order in which they began. A
//! row holds what the record says and nothing else; how it is drawn is in `tree`.

use crate::domain::decision::Decision;
use crate::domain::milliseconds::Milliseconds;
use crate::domain::step::{ModelCall, PromptRef, Step, StepReport};
use crate::domain::validation::Validation;
use crate::telemetry::spans::step::span_name;

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
    /// What else the record says about it: a name and a value.
    pub(super) facts: Vec<(&'static str, String)>,
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
        rows.extend(report.calls.iter().enumerate().map(|(index, call)| {
            let attempt = index + 1;
            chat(decision, report.prompt.as_ref(), call, attempt)
        }));
    }
    rows.push(Row {
        depth: 2,
        kind: "internal",
        gist: cap_moved(decision),
        ..named("record_decision")
    });
    rows
}

/// A row without anything but its name.
fn named<'a>(name: impl Into<String>) -> Row<'a> {
    Row {
        depth: 0,
        name: name.into(),
        kind: "internal",
        timing: None,
        error: None,
        checks: Vec::new(),
        facts: Vec::new(),
        gist: Vec::new(),
    }
}

fn server(decision: &Decision) -> Row<'_> {
    let expense = &decision.expense;
    let by = decision.submitted_by.as_ref();
    Row {
        kind: "server",
        timing: Timing::around(decision, true),
        facts: facts([
            ("tenant.id", Some(decision.tenant_id.clone())),
            ("user.id", Some(expense.user_id.clone())),
            ("api key", by.map(|by| by.api_key.clone())),
            ("expense.id", Some(decision.id.to_string())),
            ("trace id", Some(decision.trace_id.clone())),
            (
                "span id",
                Some(decision.span_id.clone()).filter(|id| !id.is_empty()),
            ),
        ]),
        ..named("POST /v1/expenses")
    }
}

fn agent(decision: &Decision) -> Row<'_> {
    Row {
        depth: 1,
        timing: Timing::around(decision, false),
        gist: vec![tokens(
            Some(decision.input_tokens),
            Some(decision.output_tokens),
        )],
        facts: facts([
            ("agent.outcome", Some(decision.agent_outcome.to_string())),
            ("expense.outcome", Some(decision.outcome.to_string())),
            ("expense.category", decision.category.clone()),
            (
                "expense.policy_verdict",
                decision.policy_verdict.map(|ruling| ruling.to_string()),
            ),
            (
                "expense.model_decision",
                decision.model_decision.map(|ruling| ruling.to_string()),
            ),
            ("expense.override", Some(decision.is_override.to_string())),
            (
                "expense.category_corroborated",
                Some(decision.category_corroborated.to_string()),
            ),
            (
                "expense.supersedes",
                decision.supersedes.map(|id| id.to_string()),
            ),
            ("cost", decision.cost_usd.map(|cost| format!("{cost} USD"))),
        ]),
        ..named(span_name(Step::Agent))
    }
}

fn step<'a>(decision: &'a Decision, report: &'a StepReport) -> Row<'a> {
    let policy = decision
        .policy
        .as_ref()
        .filter(|_| report.step == Step::PolicyLookup);
    let checks: Vec<&Validation> = decision
        .validations
        .iter()
        .filter(|check| check.step == report.step)
        .collect();
    Row {
        depth: 2,
        timing: Timing::of(report.started_ms, report.duration_ms),
        error: report.error.as_deref(),
        gist: report
            .result
            .iter()
            .map(|result| format!("→ {result}"))
            .collect(),
        facts: facts([
            ("step.attempts", Some(report.attempts.to_string())),
            ("step.result", report.result.clone()),
            ("error", report.error.clone()),
            ("prompt", report.prompt.as_ref().map(prompt_words)),
            ("expense.policy.id", policy.map(|policy| policy.id.clone())),
            (
                "expense.policy.version",
                policy.map(|policy| policy.version.clone()),
            ),
            (
                "expense.policy.hash",
                policy.map(|policy| policy.hash.clone()),
            ),
            (
                "expense.policy.rules",
                policy.map(|policy| policy.rules.join(", ")),
            ),
        ]),
        checks,
        ..named(span_name(report.step))
    }
}

fn chat<'a>(
    decision: &'a Decision,
    prompt: Option<&PromptRef>,
    call: &'a ModelCall,
    attempt: usize,
) -> Row<'a> {
    let cost = call.cost.as_ref();
    let mut gist = vec![tokens(call.input_tokens, call.output_tokens)];
    gist.extend(cost.map(|cost| format!("{} USD", cost.total)));
    gist.extend(prompt.map(prompt_words));
    gist.extend(call.finish_reason.clone());
    gist.extend(match call.retries {
        0 => None,
        1 => Some("1 retry".to_owned()),
        n => Some(format!("{n} retries")),
    });
    Row {
        depth: 3,
        kind: "client",
        timing: Timing::of(call.started_ms, call.duration_ms),
        error: call.error.as_deref(),
        gist,
        facts: facts([
            ("attempt", Some(attempt.to_string())),
            ("gen_ai.response.model", Some(call.model.clone())),
            ("gen_ai.response.id", call.response_id.clone()),
            ("finish reason", call.finish_reason.clone()),
            ("prompt", prompt.map(prompt_words)),
            ("input tokens", call.input_tokens.map(|n| n.to_string())),
            ("output tokens", call.output_tokens.map(|n| n.to_string())),
            (
                "cost",
                cost.map(|cost| {
                    let (prompt, completion) = (cost.prompt, cost.completion);
                    format!("{} USD: {prompt} in, {completion} out", cost.total)
                }),
            ),
            ("price", cost.map(|cost| cost.source.clone())),
            ("retries", Some(call.retries.to_string())),
            ("error", call.error.clone()),
        ]),
        ..named(format!("chat {}", decision.model))
    }
}

fn cap_moved(decision: &Decision) -> Vec<String> {
    let moved = "a cap was taken meanwhile, so the policy was evaluated again";
    Vec::from_iter(decision.cap_moved.then(|| moved.to_owned()))
}

/// The facts that the record holds.
fn facts<const N: usize>(
    facts: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    let known = facts.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn prompt_words(prompt: &PromptRef) -> String {
    format!("prompt {} version {}", prompt.name, prompt.version)
}

fn tokens(input: Option<u64>, output: Option<u64>) -> String {
    let count = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    format!("{} → {} tokens", count(input), count(output))
}
