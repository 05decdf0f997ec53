//! The numbers that the texts of a policy state, and that a model's reason may therefore repeat.
//! They are found once, when the policy is loaded, because parsing its texts takes longer than the
//! rest of a verdict.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::amounts::Given;
use crate::policy::rule::Rule;

/// The numbers of one policy.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    /// The amounts in the text of the policy and in those of its rules.
    pub amounts: BTreeSet<Decimal>,
    /// What these texts and the ids of the rules allow a reason to repeat.
    pub given: Given,
}

impl Stated {
    /// Finds the numbers in a policy's text and in its rules.
    pub(super) fn of(text: &str, rules: &[Rule]) -> Self {
        let mut stated = Self::default();
        for text in std::iter::once(text).chain(rules.iter().map(|rule| rule.text.as_str())) {
            stated.amounts.extend(stated.given.add_text(text));
        }
        for rule in rules {
            stated.given.add_text(&rule.id);
        }
        stated
    }
}
