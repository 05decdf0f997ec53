//! The results of the agent's steps as spans: implementations of `spans::step::StepResult`. They
//! compute nothing; every value was computed by the agent. The checks within a step are in `checks`.

use opentelemetry::KeyValue;
use serde_json::json;

use crate::agent::Recorded;
use crate::agent::ask::StepRun;
use crate::agent::classify::Classification;
use crate::agent::decide::Advice;
use crate::agent::lookup::Lookup;
use crate::agent::record::Recording;
use crate::agent::resolve::Resolved;
use crate::agent::resolve::refusal::{Refusal, ResolveError};
use crate::agent::supersede::RunError;
use crate::domain::decision::Decision;
use crate::domain::ruling::Ruling;
use crate::ledger::{LedgerError, RecordError};
use crate::llm::ModelError;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::projections::checks::{checked_step, status};
use crate::telemetry::projections::content;
use crate::telemetry::projections::values::{count, strings, usd};
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::log_event::LogEvent;
use crate::telemetry::spans::span::{Event, Failure, Projection, linked};
use crate::telemetry::spans::step::StepResult;

impl StepResult for Classification {
    fn project(&self, _: Captures) -> Projection {
        model_step(&self.run)
    }

    fn measure(&self, metrics: &Metrics, _: &Ended<'_>) {
        metrics.checked(&self.run);
    }
}

impl StepResult for Advice {
    fn project(&self, _: Captures) -> Projection {
        model_step(&self.run)
    }

    fn measure(&self, metrics: &Metrics, _: &Ended<'_>) {
        metrics.checked(&self.run);
    }
}

impl StepResult for Result<Lookup, LedgerError> {
    fn project(&self, captures: Captures) -> Projection {
        let lookup = match self {
            Ok(lookup) => lookup,
            Err(error) => return ledger_failure(error),
        };
        let mut projection = checked_step(&lookup.run);
        let Projection {
            attributes,
            content,
            events,
            ..
        } = &mut projection;
        attributes.push(names::EXPENSE_CATEGORY.with(lookup.category.clone()));
        events.extend(lookup.ambiguity.iter().map(|ambiguity| Event {
            name: names::EVENT_EVIDENCE_AMBIGUOUS,
            at: None,
            attributes: vec![
                names::EXPENSE_EVIDENCE_CATEGORIES
                    .with(strings(ambiguity.categories.iter().cloned())),
            ],
        }));
        if captures.on_spans {
            let arguments = json!({"category": lookup.category});
            content.push(names::GEN_AI_TOOL_CALL_ARGUMENTS.with(content::value(arguments)));
        }
        if let Some(found) = &lookup.found {
            let verdict = &found.verdict;
            let violated = verdict
                .findings
                .iter()
                .filter(|finding| finding.effect == Ruling::Denied);
            let violated = violated.map(|finding| finding.rule.clone());
            attributes.extend([
                names::EXPENSE_POLICY_ID.with(found.policy.id.clone()),
                names::EXPENSE_POLICY_VERSION.with(found.policy.version.clone()),
                names::EXPENSE_POLICY_HASH.with(found.policy.hash.clone()),
                names::EXPENSE_POLICY_RULES.with(strings(found.policy.rules.iter().cloned())),
                names::EXPENSE_POLICY_VERDICT.with(<&'static str>::from(verdict.ruling)),
                names::EXPENSE_VIOLATIONS.with(strings(violated)),
            ]);
            if captures.on_spans {
                content.push(
                    names::GEN_AI_TOOL_CALL_RESULT.with(content::value(json!(found.facts.policy))),
                );
            }
        }
        projection
    }

    fn measure(&self, metrics: &Metrics, _: &Ended<'_>) {
        if let Ok(lookup) = self {
            metrics.checked(&lookup.run);
        }
    }
}

impl StepResult for Result<Recorded, RunError> {
    fn project(&self, captures: Captures) -> Projection {
        let recorded = match self {
            Ok(recorded) => recorded,
            Err(RunError::Ledger(error)) => return ledger_failure(error),
            // Refused with a 4xx, which is no failure of the service.
            Err(RunError::NotSuperseded(_) | RunError::PlanUsed) => return Projection::default(),
            Err(error @ RunError::Overloaded) => {
                return failed(&ModelError::Overloaded.error_type(), error);
            }
        };
        let decision = &recorded.decision;
        let mut content = Vec::new();
        if captures.on_spans {
            let shown = format!("{}: {}", decision.outcome, decision.reason);
            content.push(names::INPUT_VALUE.with(content::text(&decision.expense.transaction)));
            content.push(names::OUTPUT_VALUE.with(content::text(&shown)));
        }
        Projection {
            attributes: agent_attributes(recorded),
            content,
            links: recorded
                .superseded
                .iter()
                .filter_map(|old| linked(&old.decision.trace_id, &old.decision.span_id))
                .collect(),
            ..Projection::default()
        }
    }

    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>) {
        if let Ok(recorded) = self {
            metrics.decided(recorded, ended);
        }
    }
}

impl<T> StepResult for Recording<T> {
    fn project(&self, _: Captures) -> Projection {
        let moved = |_| Event {
            name: names::EVENT_CAP_MOVED,
            at: None,
            attributes: Vec::new(),
        };
        // The span around this one shows the failure too, and emits its log record.
        let failure = match &self.result {
            Err(RecordError::Ledger(error)) => Some(failure("ledger", error)),
            // A refusal: the verdict is computed again, or the caller is told with a 4xx.
            Ok(_)
            | Err(
                RecordError::CapMoved
                | RecordError::AlreadyResolved
                | RecordError::AlreadySuperseded
                | RecordError::PlanUsed,
            ) => None,
        };
        Projection {
            attributes: vec![names::DB_SYSTEM_NAME.with(<&'static str>::from(self.database))],
            events: (0..self.n_caps_moved).map(moved).collect(),
            failure,
            ..Projection::default()
        }
    }

    fn measure(&self, _: &Metrics, _: &Ended<'_>) {}
}

impl StepResult for Result<Resolved, ResolveError> {
    fn project(&self, _: Captures) -> Projection {
        let resolved = match self {
            Ok(resolved) => resolved,
            Err(ResolveError::Ledger(error)) => return ledger_failure(error),
            Err(ResolveError::Refused { refusal, .. }) => return refused(*refusal),
            Err(ResolveError::Field { .. }) => return refused(Refusal::InvalidResolution),
        };
        let Resolved {
            stored,
            resolution,
            record_hash,
        } = resolved;
        let decision = &stored.decision;
        let mut attributes = vec![
            names::EXPENSE_ID.with(decision.id.to_string()),
            names::EXPENSE_RESOLUTION_ACTION.with(<&'static str>::from(resolution.action)),
        ];
        let role = resolution.role;
        attributes.extend(role.map(|role| names::EXPENSE_RESOLUTION_ROLE.with(role.to_string())));
        if !resolution.exceptions.is_empty() {
            attributes.push(
                names::EXPENSE_RESOLUTION_EXCEPTIONS
                    .with(strings(resolution.exceptions.iter().cloned())),
            );
        }
        if !resolution.is_final() {
            let awaits = resolution.awaits.iter().map(ToString::to_string);
            attributes.push(names::EXPENSE_RESOLUTION_AWAITS.with(strings(awaits)));
        }
        attributes.extend(
            record_hash
                .clone()
                .map(|hash| names::EXPENSE_RECORD_HASH.with(hash)),
        );
        Projection {
            attributes,
            links: linked(&decision.trace_id, &decision.span_id)
                .into_iter()
                .collect(),
            ..Projection::default()
        }
    }

    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>) {
        if let Ok(resolved) = self {
            metrics.resolved(resolved, ended);
        }
    }
}

fn refused(refusal: Refusal) -> Projection {
    Projection {
        attributes: vec![names::EXPENSE_RESOLUTION_REFUSED.with(<&'static str>::from(refusal))],
        ..Projection::default()
    }
}

/// The attributes of the agent span.
fn agent_attributes(recorded: &Recorded) -> Vec<KeyValue> {
    let decision = &recorded.decision;
    let mut attributes = outcome_attributes(decision);
    attributes.extend([
        names::GEN_AI_USAGE_INPUT_TOKENS.with(count(decision.input_tokens)),
        names::GEN_AI_USAGE_OUTPUT_TOKENS.with(count(decision.output_tokens)),
        names::EXPENSE_AMOUNT.with(decision.expense.amount.to_string()),
        names::EXPENSE_CURRENCY.with(decision.expense.currency.code()),
        names::EXPENSE_CATEGORY_CORROBORATED.with(decision.category_corroborated),
        names::EXPENSE_OVERRIDE.with(decision.is_override),
        names::EXPENSE_RECORD_DURATION.with(recorded.record_duration.as_secs_f64()),
        names::EXPENSE_RECORD_HASH.with(recorded.record_hash.clone()),
    ]);
    attributes.extend(
        decision
            .asked_model()
            .map(|model| names::GEN_AI_REQUEST_MODEL.with(model.to_owned())),
    );
    attributes.extend(
        decision
            .category
            .clone()
            .map(|category| names::EXPENSE_CATEGORY.with(category)),
    );
    let supersedes = decision.supersedes.map(|id| id.to_string());
    attributes.extend(supersedes.map(|id| names::EXPENSE_SUPERSEDES.with(id)));
    let verdict = decision.policy_verdict.map(<&'static str>::from);
    attributes.extend(verdict.map(|verdict| names::EXPENSE_POLICY_VERDICT.with(verdict)));
    let advice = decision.model_decision.map(<&'static str>::from);
    attributes.extend(advice.map(|advice| names::EXPENSE_MODEL_DECISION.with(advice)));
    attributes.extend(
        decision
            .cost_usd
            .map(|cost| names::EXPENSE_COST_USD_TOTAL.with(usd(cost))),
    );
    attributes.extend(status(&decision.validations));
    let failed = decision.failed_types();
    if !failed.is_empty() {
        attributes.push(
            names::VALIDATION_FAILED_TYPES.with(strings(failed.iter().map(ToString::to_string))),
        );
    }
    attributes
}

/// The attributes of a decision that are both on the server span and on the agent span.
pub(super) fn outcome_attributes(decision: &Decision) -> Vec<KeyValue> {
    vec![
        names::EXPENSE_ID.with(decision.id.to_string()),
        names::EXPENSE_OUTCOME.with(<&'static str>::from(decision.outcome)),
        names::AGENT_OUTCOME.with(<&'static str>::from(decision.agent_outcome)),
    ]
}

fn model_step(run: &StepRun) -> Projection {
    let mut projection = checked_step(run);
    projection
        .attributes
        .push(names::STEP_ATTEMPTS.with(i64::from(run.report.attempts)));
    projection.attributes.extend(
        run.report
            .result
            .clone()
            .map(|result| names::STEP_RESULT.with(result)),
    );
    projection
}

pub(super) fn ledger_failure(error: &LedgerError) -> Projection {
    failed("ledger", error)
}

fn failure(kind: &str, error: &impl ToString) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: error.to_string(),
    }
}

fn failed(kind: &str, error: &impl ToString) -> Projection {
    let failure = failure(kind, error);
    let log_events = vec![LogEvent::exception(&failure.kind, &failure.message)];
    Projection {
        failure: Some(failure),
        log_events,
        ..Projection::default()
    }
}
