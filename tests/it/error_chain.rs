//! Errors as one line: every source is named once.

use std::error::Error;
use std::fmt;

use expense_agent::error_chain::error_chain;

#[derive(Debug)]
struct Link(&'static str, Option<Box<Link>>);

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as &dyn Error)
    }
}

fn link(message: &'static str, source: Link) -> Link {
    Link(message, Some(Box::new(source)))
}

#[test]
fn an_error_is_followed_by_its_sources_the_innermost_last() {
    let error = link(
        "the exporter failed",
        link("connect error", Link("connection refused", None)),
    );
    assert_eq!(
        error_chain(&error),
        "the exporter failed: connect error: connection refused"
    );
    assert_eq!(error_chain(&Link("alone", None)), "alone");
}

#[test]
fn a_source_that_a_library_repeats_in_its_own_message_is_named_once() {
    let error = link(
        "cannot read the file: no such file",
        Link("no such file", None),
    );
    assert_eq!(error_chain(&error), "cannot read the file: no such file");
}
