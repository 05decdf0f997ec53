//! The forty transactions of the demo: the expenses of a small company in one month, among them some
//! that are denied or need an approval. They are posted by the subcommand `demo` and by a button of
//! the page.

use crate::domain::submission::Submission;

/// The transactions, one JSON body per line.
const TRANSACTIONS: &str = include_str!("demo.ndjson");

/// The transactions in order. `run` is added to the name of every employee, because employees of
/// earlier runs have used up their caps.
///
/// # Errors
/// Never in practice: a test reads every line.
pub fn transactions(run: Option<&str>) -> serde_json::Result<Vec<Submission>> {
    let with_run = |name: String| match run {
        Some(run) => format!("{name}-{run}"),
        None => name,
    };
    let mut submissions = Vec::new();
    for line in TRANSACTIONS.lines() {
        let mut submission: Submission = serde_json::from_str(line)?;
        submission.user_id = submission.user_id.map(with_run);
        submissions.push(submission);
    }
    Ok(submissions)
}
