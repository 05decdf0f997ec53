//! Compatibility keys: what Phoenix ([OpenInference](https://github.com/Arize-ai/openinference)) and
//! Langfuse read instead of the GenAI conventions. They are written only with
//! `--compatibility-keys`, and repeat what other attributes of the span say.

use super::attribute::{self, attributes};

attributes! {
    /// Every compatibility key.
    pub const ATTRIBUTES;

    /// Kind of the span: `AGENT`, `CHAIN`, `LLM` or `TOOL`.
    OPENINFERENCE_SPAN_KIND = "openinference.span.kind", String,
        on [InvokeAgent, Classify, ExecuteTool, Decide, Chat, ResolveExpense]
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
}
