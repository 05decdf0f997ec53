//! Compatibility keys: what Phoenix ([OpenInference](https://github.com/Arize-ai/openinference)) and
//! Langfuse read instead of the GenAI conventions. They are written only with
//! `--compatibility-keys`, and repeat what other attributes of the span say.

use super::attribute::{self, attributes};

attributes! {
    /// Every compatibility key.
    pub const ATTRIBUTES;

    /// Kind of the span: `AGENT`, `CHAIN`, `EVALUATOR`, `LLM` or `TOOL`.
    OPENINFERENCE_SPAN_KIND = "openinference.span.kind", String,
        on [Server, InvokeAgent, Classify, ExecuteTool, Decide, Chat, ResolveExpense, Feedback,
            ClaimIdempotencyKey, RecordDecision, RecordResolution, RecordFeedback]
        with CompatibilityKeys, OpenInference, Low;
    /// The model that was asked.
    LLM_MODEL_NAME = "llm.model_name", String,
        on [Chat] with CompatibilityKeys, OpenInference, Low;
    /// Tokens that the model read.
    LLM_TOKEN_COUNT_PROMPT = "llm.token_count.prompt", Tokens,
        on [Chat] with CompatibilityKeys, OpenInference, High;
    /// Tokens that the model wrote.
    LLM_TOKEN_COUNT_COMPLETION = "llm.token_count.completion", Tokens,
        on [Chat] with CompatibilityKeys, OpenInference, High;
    /// `WARNING` if a check failed for good.
    LANGFUSE_OBSERVATION_LEVEL = "langfuse.observation.level", String,
        on [InvokeAgent, Classify, ExecuteTool, Decide] with CompatibilityKeys, Langfuse, Low;
    /// Replaces `gen_ai.prompt.name`, which Langfuse would take for the model's input.
    LANGFUSE_OBSERVATION_PROMPT_NAME = "langfuse.observation.prompt.name", String,
        on [Chat] with CompatibilityKeys, Langfuse, Low;
    /// Replaces `gen_ai.prompt.version` for the same reason.
    LANGFUSE_OBSERVATION_PROMPT_VERSION = "langfuse.observation.prompt.version", String,
        on [Chat] with CompatibilityKeys, Langfuse, Low;
    /// What the feedback is about.
    ANNOTATION_NAME = "annotations.0.annotation.name", String,
        on [Feedback] with CompatibilityKeys, OpenInference, Low;
    /// The label of the feedback.
    ANNOTATION_LABEL = "annotations.0.annotation.label", String,
        on [Feedback] with CompatibilityKeys, OpenInference, Low;
    /// 1 if the feedback speaks for the decision, 0 if it speaks against it.
    ANNOTATION_SCORE = "annotations.0.annotation.score", Double,
        on [Feedback] with CompatibilityKeys, OpenInference, Low;
    /// The comment, where content is captured.
    ANNOTATION_EXPLANATION = "annotations.0.annotation.explanation", String,
        on [Feedback] with CompatibilityKeys, OpenInference, High;
    /// Always `HUMAN`.
    ANNOTATION_ANNOTATOR_KIND = "annotations.0.annotation.annotator_kind", String,
        on [Feedback] with CompatibilityKeys, OpenInference, Low;
    /// The person who gave the feedback, so that a backend keeps one annotation of each.
    ANNOTATION_IDENTIFIER = "annotations.0.annotation.identifier", String,
        on [Feedback] with CompatibilityKeys, OpenInference, High;
}
