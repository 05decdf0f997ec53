//! The checks of a step: their attributes and events on its span, and a log event for each.

use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;

use crate::agent::ask::StepRun;
use crate::domain::validation::{Validation, failed_types};
use crate::telemetry::names;
use crate::telemetry::names::log_events;
use crate::telemetry::projections::values::strings;
use crate::telemetry::spans::log_event::LogEvent;
use crate::telemetry::spans::span::{Event, Failure, Projection};

/// The checks of a step, with an event for each. The span is an error if a check failed for good, or
/// if the model gave no answer.
pub(super) fn checked_step(run: &StepRun) -> Projection {
    let no_answer = run.report.calls.last().and_then(|call| call.error.clone());
    let failed = run
        .validations
        .iter()
        .find(|validation| validation.failed_for_good());
    let failure = match (no_answer, failed) {
        (Some(kind), _) => Some(Failure {
            kind,
            message: run.report.error.clone().unwrap_or_default(),
        }),
        (None, Some(failed)) => Some(Failure {
            kind: "validation_failed".to_owned(),
            message: failed.message.clone(),
        }),
        (None, None) => None,
    };
    let attributes = status(&run.validations).into_iter().collect();
    let events = run.validations.iter().map(validation_event).collect();
    let log_events = run.validations.iter().map(evaluation).collect();
    Projection {
        attributes,
        events,
        log_events,
        failure,
        ..Projection::default()
    }
}

pub(super) fn status(validations: &[Validation]) -> Option<KeyValue> {
    let has_failed = !failed_types(validations).is_empty();
    (!validations.is_empty())
        .then(|| names::VALIDATION_STATUS.with(if has_failed { "failed" } else { "passed" }))
}

fn validation_event(validation: &Validation) -> Event {
    let kind = <&'static str>::from(validation.kind);
    let mut attributes = vec![
        names::VALIDATION_TYPE.with(kind),
        names::VALIDATION_EXPECTED.with(strings(validation.expected.iter().cloned())),
        names::VALIDATION_MESSAGE.with(validation.message.clone()),
        names::VALIDATION_ATTEMPT.with(i64::from(validation.attempt)),
    ];
    attributes.extend(
        validation
            .input
            .clone()
            .map(|input| names::VALIDATION_INPUT.with(input)),
    );
    attributes.extend(
        validation
            .response_id
            .clone()
            .map(|id| names::GEN_AI_RESPONSE_ID.with(id)),
    );
    if !validation.passed {
        attributes.push(names::VALIDATION_FAILED_TYPE.with(kind));
    }
    let name = if validation.passed {
        names::EVENT_VALIDATION_PASSED
    } else {
        names::EVENT_VALIDATION_FAILED
    };
    Event {
        name,
        at: None,
        attributes,
    }
}

/// A check as an evaluation event of the GenAI conventions, for backends that show evaluations.
fn evaluation(validation: &Validation) -> LogEvent {
    let (score, label, severity) = match validation.passed {
        true => (1.0, "pass", Severity::Info),
        false => (0.0, "fail", Severity::Warn),
    };
    let mut attributes = vec![
        log_events::GEN_AI_EVALUATION_NAME.with(<&'static str>::from(validation.kind)),
        log_events::GEN_AI_EVALUATION_SCORE_VALUE.with(score),
        log_events::GEN_AI_EVALUATION_SCORE_LABEL.with(label),
        log_events::GEN_AI_EVALUATION_EXPLANATION.with(validation.message.clone()),
    ];
    attributes.extend(
        validation
            .response_id
            .clone()
            .map(|id| names::GEN_AI_RESPONSE_ID.with(id)),
    );
    LogEvent {
        name: log_events::EVENT_GEN_AI_EVALUATION_RESULT,
        severity,
        attributes,
        about: None,
    }
}
