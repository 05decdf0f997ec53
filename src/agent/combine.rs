//! What the model advised and what the policy engine holds, put together: the outcome is never more
//! lenient than the engine's verdict. The rows below are those of the table in the README, in the
//! same order.

use crate::agent::ask::StepRun;
use crate::agent::classify::Classification;
use crate::agent::decide::Advice;
use crate::agent::lookup::Lookup;
use crate::domain::ruling::{Outcome, Ruling};

/// The outcome and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// What becomes of the expense.
    pub outcome: Outcome,
    /// One or two sentences for the employee.
    pub reason: String,
    /// Whether policy code overruled a more lenient model.
    pub is_override: bool,
}

/// Combines the results of the three steps.
pub fn combine(
    classification: &Classification,
    lookup: Option<&Lookup>,
    advice: Option<&Advice>,
) -> Combined {
    let runs = [
        Some(&classification.run),
        lookup.map(|lookup| &lookup.run),
        advice.map(|advice| &advice.run),
    ];
    let trouble = || first_trouble(runs.into_iter().flatten());
    // The category is not trusted: nothing that follows from it is.
    let Some(found) = lookup
        .and_then(|lookup| lookup.found.as_ref())
        .filter(|_| classification.is_trusted())
    else {
        return review(trouble());
    };
    let verdict = &found.verdict;
    let decided = |outcome: Outcome, reason: String| Combined {
        outcome,
        reason,
        is_override: false,
    };
    // No trusted advice: only a denial stands on the engine's word alone.
    let Some((ruling, reason)) = advice.and_then(Advice::trusted) else {
        return match verdict.ruling {
            Ruling::Denied => decided(Outcome::Denied, verdict.reason()),
            Ruling::Approved | Ruling::NeedsApproval => review(trouble()),
        };
    };
    // The advice is stricter than policy: the model saw something, or nothing; a person finds out.
    if *ruling > verdict.ruling {
        return review(trouble());
    }
    // The advice is more lenient than policy: policy stands.
    if *ruling < verdict.ruling {
        return Combined {
            is_override: true,
            ..decided(verdict.ruling.into(), verdict.reason())
        };
    }
    // The category rests on the model's word alone, and there is money in it.
    let limit = found.uncorroborated_limit;
    if verdict.ruling == Ruling::Approved
        && !classification.is_corroborated
        && found.amount() > limit
    {
        return review(format!(
            "nothing but the model's word speaks for its category, and it is above {limit}"
        ));
    }
    decided(verdict.ruling.into(), reason.clone())
}

fn review(trouble: String) -> Combined {
    let reason = format!("A person has to look at this expense: {trouble}.");
    Combined {
        outcome: Outcome::NeedsReview,
        reason,
        is_override: false,
    }
}

/// The first thing that went wrong: a check that failed for good, or a step that came to nothing.
fn first_trouble<'a>(runs: impl Iterator<Item = &'a StepRun>) -> String {
    let trouble = |run: &'a StepRun| {
        let failed = run
            .validations
            .iter()
            .find(|validation| validation.finally_failed());
        run.report
            .error
            .as_deref()
            .or(failed.map(|validation| validation.message.as_str()))
    };
    runs.into_iter()
        .find_map(trouble)
        .unwrap_or("the model's advice could not be used")
        .to_owned()
}
