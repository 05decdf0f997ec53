//! What is declared of an attribute or an event, and the macros that declare them. The entries
//! themselves are in the other files of this folder.
//!
//! Declarations are the one place where this crate defines macros: `attributes!` and `events!` here,
//! `metrics!` in `instrument`. Without them a key is written four times, as a constant, as its doc
//! comment, as the meaning that the documents print and as an element of the list of all keys,
//! because Rust offers no list of a module's constants and only a macro can read a doc comment. The
//! macros are tables and nothing more: one entry is one attribute, event or metric.

use opentelemetry::{KeyValue, Value};

/// The convention that an attribute or a metric is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Source {
    /// OpenTelemetry's general semantic conventions.
    #[strum(to_string = "semconv")]
    Core,
    /// OpenTelemetry's GenAI semantic conventions.
    #[strum(to_string = "GenAI")]
    GenAi,
    /// [OpenInference](https://github.com/Arize-ai/openinference), which Phoenix reads.
    #[strum(to_string = "OpenInference")]
    OpenInference,
    /// [Langfuse](https://langfuse.com/integrations/native/opentelemetry).
    #[strum(to_string = "Langfuse")]
    Langfuse,
    /// This project.
    #[strum(to_string = "ours")]
    Ours,
}

/// How many different values an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Cardinality {
    /// A bounded set that does not grow with traffic: fit for a metric.
    Low,
    /// Grows with the number of requests or people: unfit for a metric.
    High,
}

/// The type of a value, and its unit where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ValueType {
    /// A text.
    String,
    /// A list of texts.
    #[strum(to_string = "string[]")]
    Strings,
    /// A JSON document as text.
    #[strum(to_string = "string, JSON")]
    Json,
    /// True or false.
    Boolean,
    /// A whole number without a unit.
    Int,
    /// A whole number of tokens.
    #[strum(to_string = "int, tokens")]
    Tokens,
    /// A floating-point number without a unit.
    Double,
    /// US dollars.
    #[strum(to_string = "double, USD")]
    UsDollars,
    /// Seconds.
    #[strum(to_string = "double, s")]
    Seconds,
}

/// What carries an attribute or an event: a span, an event, a log record or a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Place {
    /// Every span of a request.
    All,
    /// The span of the HTTP request.
    Server,
    /// The span of a run of the agent.
    InvokeAgent,
    /// The span of the first model step.
    Classify,
    /// The span of the policy lookup.
    ExecuteTool,
    /// The span of the second model step.
    Decide,
    /// The span of a model call.
    Chat,
    /// The span of a person's resolution.
    ResolveExpense,
    /// The span of what a person says of a decision.
    Feedback,
    /// The span of claiming an idempotency key.
    ClaimIdempotencyKey,
    /// The span of writing a decision to the ledger.
    RecordDecision,
    /// The span of writing a resolution to the ledger.
    RecordResolution,
    /// The span of writing feedback to the ledger.
    RecordFeedback,
    /// The span of an attempt to deliver a notification.
    Notify,
    /// The span of the service's start.
    #[strum(to_string = "`start`")]
    Start,
    /// The event of a transport retry.
    #[strum(to_string = "`retry`")]
    Retry,
    /// The events of checks.
    #[strum(to_string = "validation events")]
    Validations,
    /// The event of a failed check.
    #[strum(to_string = "`validation.failed`")]
    FailedValidation,
    /// The event of evidence that points to several categories.
    #[strum(to_string = "`evidence.ambiguous`")]
    AmbiguousEvidence,
    /// The event of a person's feedback.
    #[strum(to_string = "event `gen_ai.evaluation.result`")]
    FeedbackEvent,
    /// The log record of a check, or of a person's feedback.
    #[strum(to_string = "log record `gen_ai.evaluation.result`")]
    Evaluation,
    /// The log record of a failed dependency.
    #[strum(to_string = "log record `exception`")]
    Exception,
    /// The log record of a panic.
    #[strum(to_string = "log records of panics")]
    Panic,
    /// Metrics, and nothing else.
    Metrics,
}

/// A setting without which an attribute is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Condition {
    /// The capture of prompts and answers.
    #[strum(to_string = "with content")]
    Content,
    /// `--compatibility-keys`.
    #[strum(to_string = "with `--compatibility-keys`")]
    CompatibilityKeys,
}

/// What is declared of one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The key, as it is written.
    pub key: &'static str,
    /// The type of its values.
    pub value: ValueType,
    /// What carries it.
    pub on: &'static [Place],
    /// The settings it needs, none for most.
    pub conditions: &'static [Condition],
    /// Its meaning in one or two sentences.
    pub meaning: &'static str,
    /// The convention it is from.
    pub source: Source,
    /// How many different values it takes.
    pub cardinality: Cardinality,
}

impl Attribute {
    /// The attribute with a value, ready for a span or a metric.
    pub fn with(self, value: impl Into<Value>) -> KeyValue {
        KeyValue::new(self.key, value)
    }
}

/// What is declared of one event or named log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventName {
    /// The name, as it is written.
    pub name: &'static str,
    /// The spans it is on, or within which the log record is written.
    pub on: &'static [Place],
    /// Its meaning in one or two sentences.
    pub meaning: &'static str,
}

/// Declares attributes. Each entry becomes a constant with its doc comment, and an element of the
/// list that the block opens with; deploy/telemetry.md prints the doc comment as the meaning. The
/// caller has this module in scope as `attribute`.
macro_rules! attributes {
    (
        $(#[doc = $list_doc:literal])+
        pub const $list:ident;
        $(
            $(#[doc = $doc:literal])+
            $name:ident = $key:literal, $value:ident,
                on [$($place:ident),+] $(with $condition:ident)?, $source:ident, $cardinality:ident;
        )+
    ) => {
        $(
            $(#[doc = $doc])+
            pub const $name: attribute::Attribute =
                attribute::Attribute {
                    key: $key,
                    value: attribute::ValueType::$value,
                    on: &[$(attribute::Place::$place),+],
                    conditions: &[$(attribute::Condition::$condition)?],
                    // Every line of a doc comment begins with a blank, so they join as sentences.
                    meaning: concat!($($doc),+).trim_ascii_start(),
                    source: attribute::Source::$source,
                    cardinality: attribute::Cardinality::$cardinality,
                };
        )+

        $(#[doc = $list_doc])+
        pub const $list: &[attribute::Attribute] = &[$($name),+];
    };
}
pub(super) use attributes;

/// Declares events in the same way. The constant of an event is its name alone, which is all that
/// writing or matching an event takes.
macro_rules! events {
    (
        $(#[doc = $list_doc:literal])+
        pub const $list:ident;
        $(
            $(#[doc = $doc:literal])+
            $name:ident = $text:literal, on [$($place:ident),+];
        )+
    ) => {
        $(
            $(#[doc = $doc])+
            pub const $name: &str = $text;
        )+

        $(#[doc = $list_doc])+
        pub const $list: &[attribute::EventName] = &[$(
            attribute::EventName {
                name: $text,
                on: &[$(attribute::Place::$place),+],
                meaning: concat!($($doc),+).trim_ascii_start(),
            }
        ),+];
    };
}
pub(super) use events;
