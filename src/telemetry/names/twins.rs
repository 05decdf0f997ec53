//! Names beside those that every span has: of log records, and the keys that Phoenix reads
//! ([OpenInference](https://github.com/Arize-ai/openinference)) and Langfuse.

use super::name::Cardinality::{High, Low};
use super::name::Source::{Core, GenAi, Langfuse, OpenInference};
use super::name::{Name, name};

/// Evaluation name.
pub const GEN_AI_EVALUATION_NAME: Name = name(
    "gen_ai.evaluation.name",
    "string",
    EVALUATIONS,
    "what was checked, one of seven",
    GenAi,
    Low,
);
/// Evaluation score.
pub const GEN_AI_EVALUATION_SCORE_VALUE: Name = name(
    "gen_ai.evaluation.score.value",
    "double",
    EVALUATIONS,
    "1 when the check held, else 0",
    GenAi,
    Low,
);
/// Evaluation label.
pub const GEN_AI_EVALUATION_SCORE_LABEL: Name = name(
    "gen_ai.evaluation.score.label",
    "string",
    EVALUATIONS,
    "`pass` or `fail`",
    GenAi,
    Low,
);
/// Evaluation in words.
pub const GEN_AI_EVALUATION_EXPLANATION: Name = name(
    "gen_ai.evaluation.explanation",
    "string",
    EVALUATIONS,
    "the check in one sentence",
    GenAi,
    High,
);
/// Exception class.
pub const EXCEPTION_TYPE: Name = name(
    "exception.type",
    "string",
    "log record `exception`, panics",
    "class of the failure, as `error.type` has it, or `panic`",
    Core,
    Low,
);
/// Exception message.
pub const EXCEPTION_MESSAGE: Name = name(
    "exception.message",
    "string",
    "log records of errors",
    "the failure in words; of a panic its place, because its words may hold anything",
    Core,
    High,
);
const EVALUATIONS: &str = "log record `gen_ai.evaluation.result`";

/// Span kind for Phoenix.
pub const OPENINFERENCE_SPAN_KIND: Name = name(
    "openinference.span.kind",
    "string",
    "all but server, with `--compatibility-keys`",
    "`AGENT`, `CHAIN`, `LLM` or `TOOL`",
    OpenInference,
    Low,
);
/// Model for Phoenix.
pub const LLM_MODEL_NAME: Name = name(
    "llm.model_name",
    "string",
    COMPATIBLE_CHAT,
    "the model asked",
    OpenInference,
    Low,
);
/// Tokens read, for Phoenix.
pub const LLM_TOKEN_COUNT_PROMPT: Name = name(
    "llm.token_count.prompt",
    "int, tokens",
    COMPATIBLE_CHAT,
    "tokens read",
    OpenInference,
    High,
);
/// Tokens written, for Phoenix.
pub const LLM_TOKEN_COUNT_COMPLETION: Name = name(
    "llm.token_count.completion",
    "int, tokens",
    COMPATIBLE_CHAT,
    "tokens written",
    OpenInference,
    High,
);
/// Level for Langfuse.
pub const LANGFUSE_OBSERVATION_LEVEL: Name = name(
    "langfuse.observation.level",
    "string",
    "where a check finally failed, with `--compatibility-keys`",
    "`WARNING`",
    Langfuse,
    Low,
);
/// Prompt name for Langfuse.
pub const LANGFUSE_OBSERVATION_PROMPT_NAME: Name = name(
    "langfuse.observation.prompt.name",
    "string",
    COMPATIBLE_CHAT,
    INSTEAD_OF_PROMPT,
    Langfuse,
    Low,
);
/// Prompt version for Langfuse.
pub const LANGFUSE_OBSERVATION_PROMPT_VERSION: Name = name(
    "langfuse.observation.prompt.version",
    "string",
    COMPATIBLE_CHAT,
    INSTEAD_OF_PROMPT,
    Langfuse,
    Low,
);
const COMPATIBLE_CHAT: &str = "chat, with `--compatibility-keys`";
const INSTEAD_OF_PROMPT: &str = "instead of `gen_ai.prompt.*`, which Langfuse takes for the input";

/// Every key of this file.
pub const ATTRIBUTES: &[Name] = &[
    GEN_AI_EVALUATION_NAME,
    GEN_AI_EVALUATION_SCORE_VALUE,
    GEN_AI_EVALUATION_SCORE_LABEL,
    GEN_AI_EVALUATION_EXPLANATION,
    EXCEPTION_TYPE,
    EXCEPTION_MESSAGE,
    OPENINFERENCE_SPAN_KIND,
    LLM_MODEL_NAME,
    LLM_TOKEN_COUNT_PROMPT,
    LLM_TOKEN_COUNT_COMPLETION,
    LANGFUSE_OBSERVATION_LEVEL,
    LANGFUSE_OBSERVATION_PROMPT_NAME,
    LANGFUSE_OBSERVATION_PROMPT_VERSION,
];

/// Log record of a check, beside its event.
pub const EVENT_GEN_AI_EVALUATION_RESULT: &str = "gen_ai.evaluation.result";
/// Log record of a model call with its content.
pub const EVENT_GEN_AI_OPERATION_DETAILS: &str = "gen_ai.client.inference.operation.details";
/// Log record of a dependency that failed.
pub const EVENT_EXCEPTION: &str = "exception";

/// Every log record with a name, with where it is made and what it means.
pub const EVENTS: &[(&str, &str, &str)] = &[
    (
        EVENT_GEN_AI_EVALUATION_RESULT,
        "log record in classify, execute_tool, decide",
        "a check, held or failed",
    ),
    (
        EVENT_GEN_AI_OPERATION_DETAILS,
        "log record in chat",
        "prompt and answer, where content is captured in events",
    ),
    (
        EVENT_EXCEPTION,
        "log record in chat, execute_tool, invoke_agent, resolve_expense",
        "a dependency failed",
    ),
];
