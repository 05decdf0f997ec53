//! The policy engine: what a policy is, how its files are read, which evidence points to a
//! category, and the verdict of a policy on an expense. Everything here is pure and independent of
//! the model. Exchange rates and prices are in `rulebook`.

pub mod allowance;
pub mod condition;
pub mod duplicate;
pub mod effect;
pub mod evaluate;
pub mod evidence;
pub mod lint;
pub mod mcc;
pub mod parse;
pub mod phrase;
pub mod places;
pub mod rule;
mod schema;
pub mod stated;
pub mod subject;
mod terms;
pub mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::counter::Counter;
use crate::domain::facts::FactName;
use crate::domain::money::Currency;
use evidence::{Evidence, EvidenceIndex, FoundEvidence, Pointer};
use rule::Rule;
use stated::Stated;
use subject::Subject;

/// One version of the policy of one category, from one file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Policy {
    /// The category that the policy is for.
    pub category: String,
    /// The version, as written by the author.
    pub version: String,
    /// The short hash of the file, followed by `common.toml` if its rules hold: 16 hex digits.
    pub hash: String,
    /// The first day on which it is in force.
    #[schema(value_type = String, format = Date)]
    pub effective_from: Date,
    /// The last day on which it is in force; without end when absent.
    #[schema(value_type = Option<String>, format = Date)]
    pub effective_to: Option<Date>,
    /// The currency of its amounts.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// The largest expense that can be approved when the category is uncorroborated.
    pub uncorroborated_limit: Decimal,
    /// Whether its category is for expenses that fit no other category.
    pub catch_all: bool,
    /// The policy in words, for people and for the model.
    pub text: String,
    /// The policy in rules, for code.
    pub rules: Vec<Rule>,
    /// The evidence for the category, independent of the model.
    #[serde(skip)]
    pub evidence: Evidence,
    /// The JSON Schema of an answer that decides under it.
    #[serde(skip)]
    pub decision_schema: Arc<RawValue>,
    /// The facts that its rules look at. A model is shown no others.
    #[serde(skip)]
    pub facts: Arc<BTreeSet<FactName>>,
    /// The numbers that its texts state.
    #[serde(skip)]
    pub stated: Arc<Stated>,
}

impl Policy {
    /// Renews what is derived from the rules.
    fn rules_changed(&mut self) {
        self.decision_schema = schema::decision(&self.rules).into();
        self.facts = self
            .rules
            .iter()
            .flat_map(Rule::facts)
            .collect::<BTreeSet<_>>()
            .into();
        self.stated = Stated::of(&self.text, &self.rules).into();
    }

    /// The id, the days and the limit of each rule on split purchases.
    pub fn splits(&self) -> impl Iterator<Item = (&str, u16, Decimal)> {
        self.rules.iter().filter_map(Rule::split)
    }

    /// The id of each rule that limits a sum, and what it adds up.
    pub fn caps(&self) -> impl Iterator<Item = (&str, &Counter)> {
        let caps = self.rules.iter();
        caps.filter_map(|rule| Some((rule.id.as_str(), rule.counter()?)))
    }

    /// The rules that hold for an expense.
    pub fn rules_for(&self, subject: &Subject<'_>) -> Vec<&Rule> {
        let holds = |rule: &&Rule| rule.conditions.hold(subject);
        self.rules.iter().filter(holds).collect()
    }
}

/// All versions of the policies of all categories, for one tenant.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    by_category: BTreeMap<String, Vec<Policy>>,
    evidence_index: EvidenceIndex,
    classification_schema: Box<RawValue>,
}

impl Policies {
    /// Combines parsed policies; `parse` has checked that they do not contradict each other.
    fn build(mut policies: Vec<Policy>) -> Self {
        policies
            .sort_by(|a, b| (&a.category, a.effective_from).cmp(&(&b.category, b.effective_from)));
        let evidence_index = EvidenceIndex::build(&policies);
        let mut by_category: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
        for policy in policies {
            by_category
                .entry(policy.category.clone())
                .or_default()
                .push(policy);
        }
        let categories: Vec<&str> = by_category.keys().map(String::as_str).collect();
        Self {
            classification_schema: schema::classification(&categories),
            by_category,
            evidence_index,
        }
    }

    /// The JSON Schema of an answer that names one of the categories.
    pub fn classification_schema(&self) -> &RawValue {
        &self.classification_schema
    }

    /// The categories, in alphabetical order.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.by_category.keys().map(String::as_str)
    }

    /// Every version of every policy, sorted by category and first day.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.by_category.values().flatten()
    }

    /// The policy of a category that is in force on a day. When several are, the one that began
    /// last.
    pub fn in_force(&self, category: &str, date: Date) -> Option<&Policy> {
        let is_in_force = |policy: &&Policy| {
            policy.effective_from <= date && policy.effective_to.is_none_or(|last| date <= last)
        };
        self.by_category
            .get(category)?
            .iter()
            .rev()
            .find(is_in_force)
    }

    /// The category for expenses that fit no other: the one with `catch_all`, otherwise the last in
    /// alphabetical order.
    pub fn catch_all(&self) -> Option<&str> {
        let marked = self
            .iter()
            .find(|policy| policy.catch_all)
            .map(|policy| policy.category.as_str());
        marked.or_else(|| self.categories().last())
    }

    /// The evidence for the category of an expense.
    pub fn evidence(
        &self,
        mcc: Option<&str>,
        merchant: Option<&str>,
        transaction: &str,
        category_hint: Option<&str>,
    ) -> FoundEvidence {
        self.evidence_index
            .find(mcc, merchant, transaction, category_hint)
    }

    /// Where the evidence for the category of an expense stands in it.
    pub fn pointers(
        &self,
        mcc: Option<&str>,
        merchant: Option<&str>,
        transaction: &str,
        category_hint: Option<&str>,
    ) -> Vec<Pointer> {
        self.evidence_index
            .pointers(mcc, merchant, transaction, category_hint)
    }
}
