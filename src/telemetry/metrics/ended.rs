//! A span at its end, as metrics see it: borrowed data, so that metrics know nothing of how spans
//! are made.

use std::time::Duration;

use opentelemetry::KeyValue;

/// A span that has ended.
pub(crate) struct Ended<'a> {
    /// From its beginning to its end.
    pub(crate) took: Duration,
    /// What was written on it at its end, and what it began with.
    pub(crate) attributes: [&'a [KeyValue]; 2],
    /// `error.type`, if it failed.
    pub(crate) error_type: Option<&'a str>,
    /// The tenant that it worked for.
    pub(crate) tenant: Option<&'a str>,
}

impl Ended<'_> {
    /// One of its attributes, except those that the processor stamps on every span.
    pub(crate) fn attribute(&self, key: &str) -> Option<&KeyValue> {
        let mut attributes = self.attributes.into_iter().flatten();
        attributes.find(|attribute| attribute.key.as_str() == key)
    }
}
