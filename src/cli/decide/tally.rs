//! The answers to the rows of a file, counted for the person who sent them.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Deserialize;

use crate::cli::decide::anew;
use crate::domain::body::FieldError;
use crate::domain::ruling::Outcome;
use crate::domain::submission::UNNAMED_PURCHASE;
use crate::http::batch::LineAnswer;

/// How many different problems are listed. A file with more of them is probably not a file of
/// expenses.
const MAX_PROBLEMS: usize = 20;

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Rows that were answered.
    pub n_rows: usize,
    by_outcome: BTreeMap<String, usize>,
    n_skipped: usize,
    n_replayed: usize,
    /// How many rows were decided without the model's advice, and the number of the first one.
    without_advice: Option<(usize, usize)>,
    /// How many rows are credits that name no purchase.
    n_open_credits: usize,
    /// For each problem: how many rows have it, and the number of the first such row.
    by_problem: BTreeMap<String, (usize, usize)>,
}

/// The part of an answer that is counted.
#[derive(Deserialize)]
struct Counted {
    outcome: Option<Outcome>,
    skipped: Option<String>,
    review: Option<String>,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

impl Tally {
    /// Counts one answer.
    ///
    /// # Errors
    /// When it is neither a decision nor a problem.
    pub(super) fn add(&mut self, answer: &LineAnswer) -> serde_json::Result<()> {
        let counted: Counted = serde_json::from_str(answer.body.get())?;
        self.n_rows += 1;
        self.n_replayed += usize::from(answer.replayed);
        if anew::lacks_advice(answer) {
            self.without_advice.get_or_insert((0, answer.line)).0 += 1;
        }
        if let Some(outcome) = counted.outcome {
            *self.by_outcome.entry(outcome.to_string()).or_default() += 1;
            return Ok(());
        }
        if counted.skipped.is_some() {
            self.n_skipped += 1;
            return Ok(());
        }
        let lacks_purchase = |error: &FieldError| error.message == UNNAMED_PURCHASE;
        let is_credit = counted.review.is_some() || counted.errors.iter().any(lacks_purchase);
        self.n_open_credits += usize::from(is_credit);
        let problems = counted
            .errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message));
        let detail = counted
            .errors
            .is_empty()
            .then(|| counted.review.unwrap_or(counted.detail));
        for problem in problems.chain(detail) {
            self.by_problem.entry(problem).or_insert((0, answer.line)).0 += 1;
        }
        Ok(())
    }

    /// How many rows were not answered with a decision, although there was something to decide.
    pub(super) fn n_undecided(&self) -> usize {
        self.n_rows - self.n_skipped - self.by_outcome.values().sum::<usize>()
    }

    /// How many rows were decided while the model did not answer, and could be decided anew.
    pub(super) fn n_without_advice(&self) -> usize {
        self.without_advice.map_or(0, |(n, _)| n)
    }

    /// Whether most rows are credits that name no purchase. They are then probably purchases, in a
    /// file that writes purchases below zero.
    pub(super) fn are_mostly_credits(&self) -> bool {
        self.n_open_credits > self.n_rows / 2
    }

    /// Writes the counts, the most frequent problem first.
    ///
    /// # Errors
    /// When `notes` cannot be written.
    pub(super) fn sum_up(&self, notes: &mut dyn Write) -> std::io::Result<()> {
        let outcomes = self
            .by_outcome
            .iter()
            .map(|(outcome, n)| format!("{n} {outcome}"));
        let undecided =
            (self.n_undecided() > 0).then(|| format!("{} without a decision", self.n_undecided()));
        let without_advice = self
            .without_advice
            .map(|(n, _)| format!("{n} of them without the model's advice"));
        let skipped =
            (self.n_skipped > 0).then(|| format!("{} skipped (amount zero)", self.n_skipped));
        let more = [without_advice, skipped, undecided].into_iter().flatten();
        let counts: Vec<_> = outcomes.chain(more).collect();
        match counts[..] {
            [] => writeln!(notes, "{} rows", self.n_rows)?,
            _ => writeln!(notes, "{} rows: {}", self.n_rows, counts.join(", "))?,
        }
        if self.n_replayed > 0 {
            writeln!(notes, "{} of them had been decided before", self.n_replayed)?;
        }
        if let Some((n, first)) = self.without_advice {
            writeln!(
                notes,
                "{n} × the model did not answer (first in row {first}); run the same command again to have these rows \
                 decided anew"
            )?;
        }
        let mut problems: Vec<_> = self.by_problem.iter().collect();
        problems.sort_by_key(|(_, (n, first))| (std::cmp::Reverse(*n), *first));
        for (problem, (n, first)) in problems.iter().take(MAX_PROBLEMS) {
            writeln!(notes, "{n} × {problem} (first in row {first})")?;
        }
        match problems.len().saturating_sub(MAX_PROBLEMS) {
            0 => Ok(()),
            n_more => writeln!(notes, "and {n_more} other problems"),
        }
    }
}
