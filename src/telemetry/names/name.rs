//! What is said of a name: its type, where it stands, what it means, where it comes from and how
//! many values it takes.

use opentelemetry::{KeyValue, Value};

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Source {
    /// OpenTelemetry's core semantic conventions.
    #[strum(to_string = "semconv")]
    Core,
    /// OpenTelemetry's GenAI semantic conventions.
    #[strum(to_string = "GenAI")]
    GenAi,
    /// OpenInference, which Phoenix reads.
    #[strum(to_string = "OpenInference")]
    OpenInference,
    /// Langfuse.
    #[strum(to_string = "Langfuse")]
    Langfuse,
    /// This project.
    #[strum(to_string = "ours")]
    Ours,
}

/// How many different values a name takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Cardinality {
    /// A handful, known beforehand: fit for a metric.
    #[strum(to_string = "low")]
    Low,
    /// As many as there are requests or people: never on a metric.
    #[strum(to_string = "high")]
    High,
}

/// One attribute key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The key itself.
    pub key: &'static str,
    /// Type of the value, and its unit.
    pub value: &'static str,
    /// The spans or events it stands on.
    pub on: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// How many values it takes.
    pub cardinality: Cardinality,
}

impl Name {
    /// The attribute with a value.
    pub fn with(self, value: impl Into<Value>) -> KeyValue {
        KeyValue::new(self.key, value)
    }
}

/// A name with all that is said of it.
pub(super) const fn name(
    key: &'static str,
    value: &'static str,
    on: &'static str,
    meaning: &'static str,
    source: Source,
    cardinality: Cardinality,
) -> Name {
    Name {
        key,
        value,
        on,
        meaning,
        source,
        cardinality,
    }
}
