//! The policy engine: what a policy is, how its files are read, which evidence speaks for a
//! category, and the verdict of a policy on an expense. Everything here is pure and independent of
//! the model. Exchange rates and prices are in `rulebook`.

pub mod duplicate;
pub mod evaluate;
pub mod evidence;
pub mod mcc;
pub mod parse;
pub mod phrase;
pub mod rule;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::money::Currency;
use crate::domain::ruling::{Role, Window};
use evidence::{Evidence, Lexicon};
use rule::{Rule, RuleKind};

/// One version of the policy of one category, as one file holds it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Policy {
    /// The category it governs.
    pub category: String,
    /// The version its author gave it.
    pub version: String,
    /// Beginning of the SHA-256 of the file, 16 hex digits.
    pub hash: String,
    /// First day it is in force.
    #[schema(value_type = String, format = Date)]
    pub effective_from: Date,
    /// Last day it is in force; open when absent.
    #[schema(value_type = Option<String>, format = Date)]
    pub effective_to: Option<Date>,
    /// The currency of its limits.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Above it, a category that rests on the model's word alone is not enough for an approval.
    pub uncorroborated_limit: Decimal,
    /// Whether its category takes what fits no other.
    pub catch_all: bool,
    /// What people read, and the model too.
    pub text: String,
    /// What code checks.
    pub rules: Vec<Rule>,
    /// What speaks for the category, apart from any model.
    #[serde(skip)]
    pub evidence: Evidence,
    /// The JSON Schema of an answer that decides under it.
    #[serde(skip)]
    pub decision_schema: Arc<RawValue>,
}

impl Policy {
    /// Its rules on split purchases: the id of each, the days that count together, and the limit.
    pub fn splits(&self) -> impl Iterator<Item = (&str, u16, Decimal)> {
        self.rules.iter().filter_map(|rule| match rule.kind {
            RuleKind::Split { days, limit, .. } => Some((rule.id.as_str(), days, limit)),
            _ => None,
        })
    }

    /// Its rules that may be set aside for one expense, and the role it takes.
    pub fn exceptions(&self) -> impl Iterator<Item = (String, Role)> {
        self.rules
            .iter()
            .filter_map(|rule| Some((rule.id.clone(), rule.exception?)))
    }

    /// Its caps: the window of each, and the most it may hold.
    pub fn caps(&self) -> impl Iterator<Item = (Window, Decimal)> {
        self.rules.iter().filter_map(|rule| match rule.kind {
            RuleKind::Cap { per, max } => Some((per, max)),
            _ => None,
        })
    }
}

/// All policies in force now or at another time, of all categories, as they hold for one tenant.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    by_category: BTreeMap<String, Vec<Policy>>,
    lexicon: Lexicon,
    classification_schema: Box<RawValue>,
}

impl Policies {
    /// Puts parsed policies together; `parse` has checked that they fit each other.
    fn build(mut policies: Vec<Policy>) -> Self {
        policies
            .sort_by(|a, b| (&a.category, a.effective_from).cmp(&(&b.category, b.effective_from)));
        let lexicon = Lexicon::build(&policies);
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
            lexicon,
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

    /// Every version of every policy, by category and date.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.by_category.values().flatten()
    }

    /// The policy of a category that is in force on a day: of those that have begun and not ended,
    /// the latest to begin.
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

    /// The category for what fits no other: the one marked so, else the last in the alphabet.
    pub fn catch_all(&self) -> Option<&str> {
        let marked = self
            .iter()
            .find(|policy| policy.catch_all)
            .map(|policy| policy.category.as_str());
        marked.or_else(|| self.categories().last())
    }

    /// What merchant category code, merchant and words say of an expense's category.
    pub fn evidence(
        &self,
        mcc: Option<&str>,
        merchant: Option<&str>,
        transaction: &str,
    ) -> evidence::Reading {
        self.lexicon.read(mcc, merchant, transaction)
    }
}
