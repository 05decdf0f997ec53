//! The progress bar of commands that take a while. It is drawn on standard error, and only if standard
//! error is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of this length, or a spinner if the length is not known, as for a pipe.
///
/// # Errors
/// When the template is wrong.
pub(super) fn progress_bar(length: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:40} {percent:>3} %, {msg}, {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {msg}"),
    };
    Ok(bar.with_style(ProgressStyle::with_template(template)?))
}
