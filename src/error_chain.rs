//! An error and its sources as one line of text, for log lines and span statuses.

use std::error::Error;
use std::iter::successors;

/// Joins the messages of an error and of all its sources with colons, the outermost first; the
/// innermost one usually names the actual cause. A source that the message before it already ends
/// with is left out, because some libraries repeat their source in their own text.
pub fn error_chain(error: &dyn Error) -> String {
    successors(error.source(), |source| (*source).source())
        .map(ToString::to_string)
        .fold(error.to_string(), |chain, source| {
            match chain.ends_with(&source) {
                true => chain,
                false => format!("{chain}: {source}"),
            }
        })
}
