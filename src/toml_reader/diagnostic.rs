//! What is wrong with a file that people write, in words that say how to repair it. How files are
//! read is in the parent module.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake in a file, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The path of the file, as it was given to the program.
    pub file: PathBuf,
    /// Line from 1; absent when the diagnostic concerns the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// All diagnostics of some files; `Display` writes one per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// A single diagnostic, for a file as a whole.
    pub(crate) fn of(file: &Path, message: String) -> Self {
        Self(vec![Diagnostic {
            file: file.to_owned(),
            line: None,
            message,
        }])
    }

    /// Succeeds when the list is empty.
    ///
    /// # Errors
    /// With the whole list otherwise, sorted by file and line. Within a line, diagnostics keep the
    /// order in which they were found.
    pub(crate) fn none_in(mut found: Vec<Diagnostic>) -> Result<(), Self> {
        found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        // What several tables or files share is read, and reported, with each of them.
        let all = std::mem::take(&mut found);
        for diagnostic in all {
            let line = |other: &Diagnostic| {
                (&other.file, other.line) == (&diagnostic.file, diagnostic.line)
            };
            let known = found.iter().rev().take_while(|other| line(other));
            if !known.into_iter().any(|other| *other == diagnostic) {
                found.push(diagnostic);
            }
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(Self(found))
        }
    }
}
