//! All of telemetry that the agent imports: `step` runs a step of the agent inside a span, and
//! `span_id` names that span, so that a record can. What is written on the span and measured comes from the step's result, through `StepResult`,
//! so that no code reports success or failure by hand and `?` cannot lose a failure. The
//! implementations of `StepResult` are in `projections::steps`.

use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::domain::feedback::FeedbackName;
use crate::domain::step::Step;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::ended::Ended;
use crate::telemetry::names;
use crate::telemetry::settings::Captures;
use crate::telemetry::spans::span::{LiveSpan, Projection};

/// The agent's name, on its own span and on those of its tools.
const AGENT: &str = "expense_agent";

/// The result of a step, which can be written on a span and measured.
pub(crate) trait StepResult {
    /// What to write on the span; prompts and answers only where they are captured.
    fn project(&self, captures: Captures) -> Projection;

    /// Adds the result to metrics; the duration of the step is measured by [`step`].
    fn measure(&self, metrics: &Metrics, ended: &Ended<'_>);
}

/// Runs a step inside a span of its own, and writes its result on the span. The work is boxed:
/// steps nest, and every enclosing future would otherwise embed and move this one.
pub(crate) fn step<F>(step: Step, work: F) -> impl Future<Output = F::Output> + Send
where
    F: Future + Send,
    F::Output: StepResult + Send,
{
    let work = Box::pin(work);
    async move {
        let span = LiveSpan::start(span_name(step), SpanKind::Internal, known_at_start(step));
        let output = work.with_context(span.context()).await;
        span.finish(
            |captures| output.project(captures),
            |metrics, ended| {
                metrics.step_ended(step, ended);
                output.measure(metrics, ended);
            },
        );
        output
    }
}

/// The id of the span of the step in progress, 16 hex digits; `None` outside a traced request.
pub(crate) fn span_id() -> Option<String> {
    let context = Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.span_id().to_string())
}

/// The name of a step's span.
pub(crate) fn span_name(step: Step) -> &'static str {
    match step {
        Step::Agent => "invoke_agent expense_agent",
        Step::Classify => "classify",
        Step::PolicyLookup => "execute_tool policy_lookup",
        Step::Decide => "decide",
        Step::Resolve => "resolve_expense",
        Step::Feedback(FeedbackName::Decision) => "feedback decision",
        Step::Feedback(FeedbackName::Category) => "feedback category",
        Step::Feedback(FeedbackName::Reason) => "feedback reason",
        Step::Feedback(FeedbackName::Note) => "feedback note",
        Step::ClaimIdempotencyKey
        | Step::RecordDecision
        | Step::RecordResolution
        | Step::RecordFeedback => step.into(),
    }
}

fn known_at_start(step: Step) -> Vec<KeyValue> {
    match step {
        Step::Agent => {
            vec![
                names::GEN_AI_OPERATION_NAME.with("invoke_agent"),
                names::GEN_AI_AGENT_NAME.with(AGENT),
            ]
        }
        Step::PolicyLookup => vec![
            names::GEN_AI_OPERATION_NAME.with("execute_tool"),
            names::GEN_AI_AGENT_NAME.with(AGENT),
            names::GEN_AI_TOOL_NAME.with("policy_lookup"),
            names::GEN_AI_TOOL_TYPE.with("datastore"),
            names::GEN_AI_TOOL_DESCRIPTION
                .with("The policy that applies to a category, and the usage of its caps"),
        ],
        // With any `gen_ai.*` key, some backends would show the step itself as a model call.
        Step::Classify
        | Step::Decide
        | Step::Resolve
        | Step::ClaimIdempotencyKey
        | Step::RecordDecision
        | Step::RecordResolution
        | Step::RecordFeedback => {
            vec![names::STEP_NAME.with(<&'static str>::from(step))]
        }
        Step::Feedback(name) => {
            vec![names::EXPENSE_FEEDBACK_NAME.with(<&'static str>::from(name))]
        }
    }
}
