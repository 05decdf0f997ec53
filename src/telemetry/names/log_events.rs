//! Named log records and the attributes that only they have. The conventions call a named log record
//! an event, but it is no part of a span; it is written within one.

use super::attribute::{self, attributes, events};

attributes! {
    /// Every attribute that only log records have.
    pub const ATTRIBUTES;

    /// Type of the check, or what the feedback is about.
    GEN_AI_EVALUATION_NAME = "gen_ai.evaluation.name", String,
        on [Evaluation, FeedbackEvent], GenAi, Low;
    /// 1 if the check passed, or the feedback speaks for the decision, else 0. Absent if the feedback
    /// says neither.
    GEN_AI_EVALUATION_SCORE_VALUE = "gen_ai.evaluation.score.value", Double,
        on [Evaluation, FeedbackEvent], GenAi, Low;
    /// `pass` or `fail`; the label of feedback. Absent from a note.
    GEN_AI_EVALUATION_SCORE_LABEL = "gen_ai.evaluation.score.label", String,
        on [Evaluation, FeedbackEvent], GenAi, Low;
    /// Result of the check in one sentence; the comment of feedback, where content is captured.
    GEN_AI_EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation", String,
        on [Evaluation, FeedbackEvent], GenAi, High;
    /// Class of the failure, with the values of `error.type`; for a panic, `panic`.
    EXCEPTION_TYPE = "exception.type", String, on [Exception, Panic], Core, Low;
    /// Description of the failure. Of a panic it is the place in the code, because the panic's own
    /// message could contain anything.
    EXCEPTION_MESSAGE = "exception.message", String, on [Exception, Panic, Retry], Core, High;
}

events! {
    /// Every named log record.
    pub const EVENTS;

    /// A check passed or failed, or a person gave feedback. The record of feedback belongs to the trace
    /// and the span of the decision that it judges.
    EVENT_GEN_AI_EVALUATION_RESULT = "gen_ai.evaluation.result",
        on [Classify, ExecuteTool, Decide, Feedback];
    /// Prompt and answer of a model call, where content is captured in events.
    EVENT_GEN_AI_OPERATION_DETAILS = "gen_ai.client.inference.operation.details", on [Chat];
    /// A dependency failed.
    EVENT_EXCEPTION = "exception", on [Chat, ExecuteTool, InvokeAgent, ResolveExpense, Feedback];
}
