//! The note that a test prints when it is skipped because its backend, program or right is missing.

use std::io::Write as _;

/// Writes to standard error why a test is skipped. The test framework captures `eprintln!` of a test
/// that passes, but not this.
pub(crate) fn skip(reason: &str) {
    writeln!(std::io::stderr(), "skipped: {reason}").expect("standard error can be written to");
}
