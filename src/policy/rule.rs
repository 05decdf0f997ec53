//! The rules of a policy and their kinds, as policy files and prompts write them. How a rule is
//! applied is in `evaluate`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumString, VariantNames};
use utoipa::ToSchema;

use crate::domain::approvers::ApprovedBy;
use crate::domain::counter::{By, Counter};
use crate::domain::facts::FactName;
use crate::domain::ruling::{Role, Window};
use crate::policy::allowance::{Allowance, UnknownPlace};
use crate::policy::condition::Conditions;
use crate::policy::effect::{ChosenEffect, Effect};
use crate::policy::mcc::Codes;
use crate::policy::phrase::Phrase;
use crate::policy::subject::Subject;
use crate::policy::unit::PerUnit;

/// What allowances add up.
static OF_THE_DAY: Counter = Counter::per(Window::Day);

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Unique among the rules of all policies, except that a common rule belongs to several of them.
    /// The model cites it, and findings name it.
    pub id: String,
    /// The kind of the rule, with its parameters.
    #[serde(flatten)]
    pub kind: RuleKind,
    /// The rule in one sentence, for people.
    pub text: String,
    /// The role that may grant an exception from the rule for one expense; absent when exceptions
    /// are not possible. Only for rules that deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Role>,
    /// For which expenses the rule holds. A model is shown only rules that hold.
    #[serde(flatten, skip_deserializing)]
    #[schema(ignore)]
    pub conditions: Conditions,
}

impl Rule {
    /// What the rule adds up, if it limits a sum.
    pub fn counter(&self) -> Option<&Counter> {
        match &self.kind {
            RuleKind::Cap { counter, .. } => Some(counter),
            RuleKind::Allowance(_) => Some(&OF_THE_DAY),
            _ => None,
        }
    }

    /// The rule with what tables say about an expense.
    ///
    /// # Errors
    /// When a table does not say it.
    pub fn at(&self, subject: &Subject<'_>) -> Result<Cow<'_, Self>, UnknownPlace> {
        let RuleKind::Allowance(allowance) = &self.kind else {
            return Ok(Cow::Borrowed(self));
        };
        let allowance = allowance.at(subject.facts, subject.date)?;
        Ok(Cow::Owned(Self {
            kind: RuleKind::Allowance(allowance),
            ..self.clone()
        }))
    }

    /// How much more than its plan a purchase may cost, if this rule asks for a plan.
    pub fn tolerance(&self) -> Option<Decimal> {
        match self.kind {
            RuleKind::Preapproved { tolerance, .. } => Some(tolerance),
            _ => None,
        }
    }

    /// The rule for a purchase that was agreed on up to an amount: what is above it is judged as if it
    /// were alone, so thresholds for approvals are that much higher.
    pub fn settled_up_to(&self, settled: Decimal) -> Cow<'_, Self> {
        let kind = match &self.kind {
            RuleKind::Approval { above, by } => RuleKind::Approval {
                above: *above + settled,
                by: by.clone(),
            },
            RuleKind::ApprovalAlways { by } => RuleKind::Approval {
                above: settled,
                by: by.clone(),
            },
            RuleKind::Preapproved {
                above,
                tolerance,
                by,
            } => RuleKind::Preapproved {
                above: *above + settled,
                tolerance: *tolerance,
                by: by.clone(),
            },
            _ => return Cow::Borrowed(self),
        };
        Cow::Owned(Self {
            kind,
            ..self.clone()
        })
    }

    /// The id, the days and the limit of a rule on split purchases.
    pub fn split(&self) -> Option<(&str, u16, Decimal)> {
        match self.kind {
            RuleKind::Split { days, limit, .. } => Some((&self.id, days, limit)),
            _ => None,
        }
    }

    /// The amounts from which the rule computes the limit of an expense, and which are in no finding.
    pub fn amounts(&self) -> Vec<Decimal> {
        match &self.kind {
            RuleKind::Cap {
                max,
                per_unit: Some(_),
                ..
            } => vec![*max],
            RuleKind::Allowance(allowance) => allowance.amounts().collect(),
            _ => Vec::new(),
        }
    }

    /// The id, and the similarity of a rule on duplicates.
    pub fn duplicate(&self) -> Option<(&str, Decimal)> {
        match self.kind {
            RuleKind::Duplicate { score, .. } => Some((&self.id, score)),
            _ => None,
        }
    }

    /// The facts that the rule looks at.
    pub fn facts(&self) -> BTreeSet<FactName> {
        let mut facts: BTreeSet<FactName> = self.conditions.facts().collect();
        match &self.kind {
            RuleKind::Required {
                facts: required, ..
            } => facts.extend(required),
            RuleKind::Advance { .. } => {
                facts.insert(FactName::TravelDate);
            }
            RuleKind::Cap {
                per_unit: Some(per_unit),
                ..
            } => {
                facts.extend([per_unit.unit.fact()]);
                if per_unit.unit.fact() == FactName::Distance {
                    facts.insert(FactName::DistanceUnit);
                }
            }
            RuleKind::Cap { counter, .. } => facts.extend(counter.by.map(By::fact)),
            RuleKind::Allowance(allowance) => facts.extend(allowance.facts()),
            RuleKind::Approval { .. }
            | RuleKind::ApprovalAlways { .. }
            | RuleKind::Preapproved { .. }
            | RuleKind::Receipt { .. }
            | RuleKind::Split { .. }
            | RuleKind::Duplicate { .. }
            | RuleKind::MaxAge { .. }
            | RuleKind::Future { .. }
            | RuleKind::BlockedMcc { .. }
            | RuleKind::BlockedMerchant { .. }
            | RuleKind::BlockedWords { .. }
            | RuleKind::AllowedMcc { .. }
            | RuleKind::AllowedMerchant { .. } => {}
        }
        facts
    }
}

/// Which receipts a rule accepts.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    EnumString,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReceiptForm {
    /// Any receipt.
    #[default]
    Any,
    /// One that lists every item.
    Itemized,
}

impl ReceiptForm {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// What a rule demands. Amounts are in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumDiscriminants)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum_discriminants(name(KindName), vis(pub), derive(EnumString, VariantNames))]
#[strum_discriminants(
    strum(serialize_all = "snake_case"),
    doc = "The kinds by name, as policy files write them."
)]
pub enum RuleKind {
    /// No more than `max` in a window; `max` itself is allowed.
    Cap {
        /// What it adds up.
        #[serde(flatten)]
        counter: Counter,
        /// The most that is allowed.
        max: Decimal,
        /// What `max` is multiplied by; absent if by nothing. Only for a cap on one expense.
        #[serde(flatten)]
        #[schema(value_type = Object)]
        per_unit: Option<PerUnit>,
    },
    /// No more for a day away than the day allows, limit included. What is used counts per day.
    Allowance(Allowance),
    /// A role must approve an expense above an amount; the amount itself needs no approval.
    Approval {
        /// The most that needs no approval.
        above: Decimal,
        /// The role that approves, or several in a row.
        #[serde(flatten)]
        by: ApprovedBy,
    },
    /// A role must approve every expense.
    ApprovalAlways {
        /// The role that approves, or several in a row.
        #[serde(flatten)]
        by: ApprovedBy,
    },
    /// A role must approve an expense above an amount before it is made: as a plan. A plan that a person
    /// approved settles what the rules ask for up to its amount and the tolerance.
    Preapproved {
        /// The most that needs no plan.
        above: Decimal,
        /// How much more than its plan a purchase may cost.
        tolerance: Decimal,
        /// The role that approves, or several in a row.
        #[serde(flatten)]
        by: ApprovedBy,
    },
    /// An expense above an amount needs a receipt; without one, a manager must approve.
    Receipt {
        /// The most that needs no receipt.
        above: Decimal,
        /// Which receipts are accepted.
        #[serde(default, skip_serializing_if = "ReceiptForm::is_any")]
        form: ReceiptForm,
        /// What an expense without such a receipt leads to.
        #[serde(flatten)]
        effect: ChosenEffect,
    },
    /// An expense above an amount must state some facts; without them, a manager must approve.
    Required {
        /// The facts.
        facts: Vec<FactName>,
        /// The most that needs none of them.
        above: Decimal,
        /// What an expense without one of them leads to.
        #[serde(flatten)]
        effect: ChosenEffect,
    },
    /// A role must approve a purchase that exceeds a limit together with other purchases at the same
    /// merchant, none of which exceeded the limit on its own. Does not apply to an expense that
    /// names no merchant.
    Split {
        /// The most days between two purchases that are added up.
        days: u16,
        /// The most that the purchases may cost together without an approval.
        limit: Decimal,
        /// The role that approves.
        role: Role,
    },
    /// A role must approve an expense that is like an earlier one of the same employee: it may be the
    /// same purchase, handed in twice.
    Duplicate {
        /// From which similarity on, from 0 to 1.
        score: Decimal,
        /// What such an expense leads to.
        #[serde(flatten)]
        effect: ChosenEffect,
    },
    /// An expense must not be older than a number of days.
    MaxAge {
        /// The most days from the purchase to the day on which the expense is received, UTC.
        days: u16,
        /// What an older expense leads to.
        #[serde(flatten)]
        effect: ChosenEffect,
    },
    /// An expense must not be dated in the future.
    Future {
        /// Days of tolerance: "today" is the day in UTC, and east of it tomorrow has already begun.
        days: u16,
    },
    /// Purchases in some merchant categories are denied. Does not apply to an expense without a
    /// merchant category code.
    BlockedMcc {
        /// The codes, ISO 18245.
        #[schema(value_type = Vec<String>, example = json!(["7995", "7800-7802"]))]
        mcc: Vec<Codes>,
    },
    /// Purchases at some merchants are denied. When the expense names no merchant, the rule looks for
    /// one in the text of the transaction.
    BlockedMerchant {
        /// Phrases that occur in their names.
        #[schema(value_type = Vec<String>, example = json!(["casino*"]))]
        merchant: Vec<Phrase>,
    },
    /// Expenses with some words in the merchant's name or in the text of the transaction are denied.
    BlockedWords {
        /// The phrases. Where several match at one place, only the longest counts.
        #[schema(value_type = Vec<String>, example = json!(["gift card*"]))]
        words: Vec<Phrase>,
        /// Phrases that are allowed although shorter ones in them are not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(value_type = Vec<String>, example = json!(["gift card holder*"]))]
        but: Vec<Phrase>,
        /// What an expense with such words leads to.
        #[serde(flatten)]
        effect: ChosenEffect,
    },
    /// Only purchases in some merchant categories are allowed. A manager must approve an expense
    /// without a merchant category code.
    AllowedMcc {
        /// The codes, ISO 18245.
        #[schema(value_type = Vec<String>, example = json!(["3000-3350"]))]
        mcc: Vec<Codes>,
    },
    /// Only purchases at some merchants are allowed. A manager must approve an expense that names no
    /// merchant.
    AllowedMerchant {
        /// Phrases that occur in their names.
        #[schema(value_type = Vec<String>, example = json!(["navan*"]))]
        merchant: Vec<Phrase>,
    },
    /// A role must approve a journey that is booked less than a number of days ahead.
    Advance {
        /// The fewest days from the purchase to the day of the journey.
        days: u16,
        /// The role that approves.
        role: Role,
    },
}

impl RuleKind {
    /// What a violation leads to. Rules that ask for an approval when a fact is not known, and deny
    /// when it is wrong, have the effect of the latter.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Receipt { effect, .. }
            | Self::Required { effect, .. }
            | Self::Duplicate { effect, .. } => effect.or(Self::LACKING),
            Self::MaxAge { effect, .. } | Self::BlockedWords { effect, .. } => {
                effect.or(Effect::Denied)
            }
            Self::Cap { .. }
            | Self::Allowance(_)
            | Self::Future { .. }
            | Self::BlockedMcc { .. }
            | Self::BlockedMerchant { .. }
            | Self::AllowedMcc { .. }
            | Self::AllowedMerchant { .. } => Effect::Denied,
            Self::Approval { by, .. }
            | Self::ApprovalAlways { by }
            | Self::Preapproved { by, .. } => Effect::Asks(by.clone()),
            Self::Split { role, .. } | Self::Advance { role, .. } => {
                Effect::Asks(ApprovedBy::Role(*role))
            }
        }
    }

    /// Whether it judges plans too. A plan has no receipt yet, and its day may be in the future.
    pub fn holds_for_plans(&self) -> bool {
        !matches!(self, Self::Receipt { .. } | Self::Future { .. })
    }

    /// The effect on an expense that does not state what a rule needs, unless the rule names another
    /// effect.
    pub const LACKING: Effect = Effect::Asks(ApprovedBy::Role(Role::Manager));
}
