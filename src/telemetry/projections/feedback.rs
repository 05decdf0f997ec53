//! Feedback on a span of its own, which links to the decision that it judges: an event, and a log
//! record that belongs to the decision's span, so that backends show it beside the checks. A comment
//! is content.

use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;

use crate::agent::feedback::Given;
use crate::domain::feedback::Feedback;
use crate::ledger::LedgerError;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::names::log_events;
use crate::telemetry::projections::content;
use crate::telemetry::projections::steps::ledger_failure;
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::log_event::LogEvent;
use crate::telemetry::spans::span::{Event, Projection, linked};
use crate::telemetry::spans::step::StepResult;

impl StepResult for Given {
    fn project(&self, captures: Captures) -> Projection {
        let Self {
            decision,
            feedback,
            record_hash,
            is_new,
        } = self;
        let mut attributes = vec![
            names::EXPENSE_ID.with(decision.id.to_string()),
            names::EXPENSE_FEEDBACK_SOURCE.with(<&'static str>::from(feedback.source)),
        ];
        let label = feedback.label.clone();
        attributes.extend(label.map(|label| names::EXPENSE_FEEDBACK_LABEL.with(label)));
        attributes.extend(
            feedback
                .taken_back
                .then(|| names::EXPENSE_FEEDBACK_TAKEN_BACK.with(true)),
        );
        let hash = record_hash.clone();
        attributes.extend(hash.map(|hash| names::EXPENSE_RECORD_HASH.with(hash)));
        // Earlier versions recorded only the span of the request.
        let agent_span_id = decision.agent_span_id.as_ref();
        let judged = linked(
            &decision.trace_id,
            agent_span_id.unwrap_or(&decision.span_id),
        );
        // Saying the same again is no new evaluation.
        let is_evaluation = *is_new && !feedback.taken_back;
        let events = is_evaluation.then(|| Event {
            name: names::EVENT_EVALUATION_RESULT,
            at: None,
            attributes: evaluation(feedback, captures.on_spans),
        });
        let log_events = is_evaluation.then(|| LogEvent {
            name: log_events::EVENT_GEN_AI_EVALUATION_RESULT,
            severity: Severity::Info,
            attributes: evaluation(feedback, captures.in_events),
            about: judged.clone(),
        });
        Projection {
            attributes,
            events: events.into_iter().collect(),
            log_events: log_events.into_iter().collect(),
            links: judged.into_iter().collect(),
            ..Projection::default()
        }
    }

    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>) {
        metrics.feedback_given(self, ended);
    }
}

impl StepResult for Result<Given, LedgerError> {
    fn project(&self, captures: Captures) -> Projection {
        match self {
            Ok(given) => given.project(captures),
            Err(error) => ledger_failure(error),
        }
    }

    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>) {
        if let Ok(given) = self {
            given.measure(metrics, ended);
        }
    }
}

/// Feedback as an evaluation of the GenAI conventions.
fn evaluation(feedback: &Feedback, has_content: bool) -> Vec<KeyValue> {
    let mut attributes = vec![
        log_events::GEN_AI_EVALUATION_NAME.with(<&'static str>::from(feedback.name)),
        names::EXPENSE_FEEDBACK_SOURCE.with(<&'static str>::from(feedback.source)),
    ];
    let score = feedback.score().map(f64::from);
    attributes.extend(score.map(|score| log_events::GEN_AI_EVALUATION_SCORE_VALUE.with(score)));
    let label = feedback.label.clone();
    attributes.extend(label.map(|label| log_events::GEN_AI_EVALUATION_SCORE_LABEL.with(label)));
    let comment = feedback.comment.as_deref().filter(|_| has_content);
    attributes.extend(
        comment
            .map(|comment| log_events::GEN_AI_EVALUATION_EXPLANATION.with(content::text(comment))),
    );
    attributes
}
