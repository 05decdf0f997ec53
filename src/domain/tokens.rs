//! The tokens of a model call, as a provider counts them. What they cost is in `rulebook::prices`.

/// The tokens of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache; part of `input_tokens`.
    pub cached_tokens: Option<u64>,
    /// Tokens spent on reasoning; part of `output_tokens`.
    pub reasoning_tokens: Option<u64>,
}
