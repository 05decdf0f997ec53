//! Combines the model's advice with the policy code's verdict. The outcome is never more lenient
//! than the verdict. The cases below are the rows of the table in the README, in the same order.

use crate::agent::ask::StepRun;
use crate::agent::classify::Classification;
use crate::agent::decide::Advice;
use crate::agent::lookup::{Ambiguity, Found, Lookup};
use crate::domain::ruling::{Outcome, Ruling};

/// The results of the three steps; a step that was not reached is absent.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// Step 1.
    pub classification: &'a Classification,
    /// Step 2.
    pub lookup: Option<&'a Lookup>,
    /// Step 3.
    pub advice: Option<&'a Advice>,
}

impl<'a> Steps<'a> {
    /// The policy, if one was found that can judge the expense.
    pub fn found(&self) -> Option<&'a Found> {
        self.lookup?.found.as_ref()
    }

    /// What the evidence leaves open about the category.
    pub fn ambiguity(&self) -> Option<&'a Ambiguity> {
        self.lookup?.ambiguity.as_ref()
    }

    /// What the steps that were reached did, in order.
    pub fn runs(&self) -> impl Iterator<Item = &'a StepRun> {
        let first = Some(&self.classification.run);
        let second = self.lookup.map(|lookup| &lookup.run);
        let third = self.advice.map(|advice| &advice.run);
        [first, second, third].into_iter().flatten()
    }
}

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
pub fn combine(steps: &Steps<'_>) -> Combined {
    let classification = steps.classification;
    // The category is not trusted, so nothing that follows from it is.
    let Some(found) = steps.found().filter(|_| classification.is_trusted()) else {
        return review(first_trouble(steps));
    };
    let verdict = &found.verdict;
    let decided = |outcome: Outcome, reason: String| Combined {
        outcome,
        reason,
        is_override: false,
    };
    // No advice can be trusted, so only a denial follows from the verdict alone.
    let Some((ruling, reason)) = steps.advice.and_then(Advice::trusted) else {
        return match verdict.ruling {
            Ruling::Denied => decided(Outcome::Denied, verdict.reason()),
            Ruling::Approved | Ruling::NeedsApproval => review(first_trouble(steps)),
        };
    };
    // The advice is stricter than the verdict: the model may have seen something that no rule
    // covers, or it may be wrong. A person finds out.
    if *ruling > verdict.ruling {
        return review(first_trouble(steps));
    }
    // Another category is stricter, and the evidence points to it just as well.
    if let Some(Ambiguity { categories, .. }) = steps.ambiguity() {
        return review(format!(
            "the evidence points to {}, and the verdict depends on which of them it is",
            categories.join(" and ")
        ));
    }
    // The advice is more lenient than the verdict, which overrides it.
    if *ruling < verdict.ruling {
        return Combined {
            is_override: true,
            ..decided(verdict.ruling.into(), verdict.reason())
        };
    }
    // The category is uncorroborated, and the amount is too high to trust the model alone.
    let limit = found.uncorroborated_limit;
    if verdict.ruling == Ruling::Approved
        && !classification.is_corroborated
        && found.amount() > limit
    {
        return review(format!(
            "only the model's word supports its category, and its amount is above {limit}"
        ));
    }
    decided(verdict.ruling.into(), reason.clone())
}

fn review(trouble: String) -> Combined {
    let reason = format!("A person has to review this expense: {trouble}.");
    Combined {
        outcome: Outcome::NeedsReview,
        reason,
        is_override: false,
    }
}

/// The first thing that went wrong: the error of a step, or a check that failed for good.
fn first_trouble(steps: &Steps<'_>) -> String {
    let trouble = |run: &StepRun| {
        let failed = run
            .validations
            .iter()
            .find(|validation| validation.failed_for_good());
        let error = run.no_answer.clone().or_else(|| run.report.error.clone());
        error.or_else(|| failed.map(|validation| validation.message.clone()))
    };
    steps
        .runs()
        .find_map(trouble)
        .unwrap_or_else(|| "the model's advice could not be used".to_owned())
}
