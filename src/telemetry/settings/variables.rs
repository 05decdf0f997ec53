//! Reading single variables. The specification asks to ignore an invalid value, with a warning; a
//! value that cannot be ignored safely is a problem, which prevents the start. `parse` and `exporter`
//! name the variables.

use std::time::Duration;

use crate::telemetry::settings::{Variables, variable};

/// Reads variables, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a Variables,
    /// What prevents the start.
    pub(super) problems: &'a mut Vec<String>,
    /// What is ignored with a warning.
    pub(super) ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The text of a variable, if it is set.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        variable(self.variables, name)
    }

    /// Reads `true` or `false`, ignoring case; the specification knows no other spelling.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.one_of(name, &["true", "false"])
            .map(|text| text == "true")
    }

    /// Reads one of the accepted texts, ignoring case.
    pub(super) fn one_of(&mut self, name: &str, accepted: &[&'static str]) -> Option<&'static str> {
        let given = self.text(name)?;
        let known = accepted
            .iter()
            .find(|value| value.eq_ignore_ascii_case(given))
            .copied();
        if known.is_none() {
            self.ignore(name, given, &format!("one of {}", accepted.join(", ")));
        }
        known
    }

    /// Reads a whole number.
    pub(super) fn number(&mut self, name: &str) -> Option<u32> {
        let given = self.text(name)?;
        let number = given.parse().ok();
        if number.is_none() {
            self.ignore(name, given, "a whole number");
        }
        number
    }

    /// Reads a number above zero. Zero is a problem: the SDK would accept it, and then not work.
    pub(super) fn above_zero(&mut self, name: &str) -> Option<u32> {
        let number = self.number(name)?;
        if number == 0 {
            self.report(name, "0", "a number above zero");
        }
        Some(number)
    }

    /// Reports a value that prevents the start.
    pub(super) fn report(&mut self, name: &str, given: &str, accepted: &str) {
        note(
            self.problems,
            format!("{name} is \"{given}\"; write {accepted}"),
        );
    }

    /// Warns of a value that is ignored.
    pub(super) fn ignore(&mut self, name: &str, given: &str, accepted: &str) {
        note(
            &mut self.ignored,
            format!("{name} is \"{given}\", which is ignored; write {accepted}"),
        );
    }
}

/// Adds a line, but only once: a variable for all signals is read once for each.
pub(super) fn note(lines: &mut Vec<String>, line: String) {
    if !lines.contains(&line) {
        lines.push(line);
    }
}

/// A number of milliseconds.
pub(super) fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

/// A number as a size in memory.
pub(super) fn size(n: u32) -> usize {
    n.try_into().unwrap_or(usize::MAX)
}
