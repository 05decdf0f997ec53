//! The facts of an expense besides its text, amount and date: how many people ate, how far somebody
//! drove, for which project. All of them are optional. They are what the client says, so a rule that
//! widens a limit by a fact trusts the key that sends it.
//!
//! Each fact is declared once, in [`FactName::declaration`]. Request bodies, columns of files, the
//! record, exports, prompts, policy files and the page read that declaration, so that a new fact
//! needs a variant and its declaration, and nothing else.

pub mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr, VariantNames};
use utoipa::ToSchema;

use crate::redact::redact;
pub use form::Form;

/// A fact by its name: the field of a request, the column of a file, the key of a policy file.
#[derive(Serialize, Deserialize, ToSchema, Display, EnumIter, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[derive(VariantNames, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactName {
    /// How many people took part.
    Attendees,
    /// How many nights were spent.
    Nights,
    /// How far somebody drove.
    Distance,
    /// The unit of the distance.
    DistanceUnit,
    /// The place of the stay or the purchase.
    Place,
    /// The country of the stay or the purchase.
    Country,
    /// The class of a ticket.
    Class,
    /// Which meal it was.
    Meal,
    /// Whose money paid.
    PaidBy,
    /// How often the purchase repeats.
    Recurring,
    /// The group of employees that the employee belongs to.
    EmployeeGroup,
    /// What the expense was for.
    Purpose,
    /// The project that bears the cost.
    Project,
    /// The cost centre that bears the cost.
    CostCenter,
    /// The department that bears the cost.
    Department,
    /// Who received a gift.
    Recipient,
    /// The day on which the journey begins.
    TravelDate,
    /// The meals that others paid for on a day away.
    MealsProvided,
    /// Whether an employee was away for all of a day.
    Day,
    /// Where a reviewer finds the receipt.
    ReceiptUrl,
}

/// What a fact is.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// What its values look like.
    pub form: Form,
    /// Whether it is free text, which may hold personal data: it enters the hash chain by a salted
    /// hash, can be erased, and is not put on spans.
    pub personal: bool,
    /// What it means, for people.
    pub meaning: &'static str,
}

/// Characters that a name may have: of a place, a project, a department.
const MAX_NAME_CHARS: u16 = 64;
/// Characters that the name of a recipient may have.
const MAX_RECIPIENT_CHARS: u16 = 200;

impl FactName {
    /// What the fact is. A new fact needs a form and a meaning below, and is then known everywhere.
    pub const fn declaration(self) -> Declaration {
        Declaration {
            form: self.form(),
            personal: self.is_personal(),
            meaning: self.meaning(),
        }
    }

    const fn form(self) -> Form {
        match self {
            Self::Attendees => Form::Count { max: 999 },
            Self::Nights => Form::Count { max: 99 },
            Self::Distance => Form::Distance,
            Self::DistanceUnit => Form::Choice(&["km", "mile"]),
            Self::Country => Form::Country,
            Self::Class => Form::Choice(&["economy", "premium", "business", "first"]),
            Self::Meal => Form::Choice(&["breakfast", "lunch", "dinner", "refreshments"]),
            Self::PaidBy => Form::Choice(&["card", "own", "invoice"]),
            Self::Recurring => Form::Choice(&["once", "monthly", "yearly"]),
            Self::Place
            | Self::EmployeeGroup
            | Self::Project
            | Self::CostCenter
            | Self::Department => Form::line(MAX_NAME_CHARS),
            Self::Recipient => Form::line(MAX_RECIPIENT_CHARS),
            Self::Purpose => Form::Text { min: 3, max: 500 },
            Self::TravelDate => Form::Date,
            Self::MealsProvided => Form::Choices(&["breakfast", "lunch", "dinner"]),
            Self::Day => Form::Choice(&["full", "part"]),
            Self::ReceiptUrl => Form::Url,
        }
    }

    /// Whatever people write freely may name somebody.
    const fn is_personal(self) -> bool {
        matches!(
            self.form(),
            Form::Line { .. } | Form::Text { .. } | Form::Url
        )
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Attendees => "How many people took part, the employee included.",
            Self::Nights => "How many nights the stay had.",
            Self::Distance => "How far the employee drove, in the unit of `distance_unit`.",
            Self::DistanceUnit => "The unit of `distance`.",
            Self::Place => "The place of the stay or the purchase, such as a city.",
            Self::Country => "The country of the stay or the purchase.",
            Self::Class => "The class of a ticket; the second class of a train is `economy`.",
            Self::Meal => "Which meal it was.",
            Self::PaidBy => {
                "Whether a company card paid, the employee's own money, or the company by invoice."
            }
            Self::Recurring => "How often the purchase repeats.",
            Self::EmployeeGroup => {
                "The group of employees that the employee belongs to, such as `sales`."
            }
            Self::Purpose => "What the expense was for.",
            Self::Project => "The project that bears the cost.",
            Self::CostCenter => "The cost centre that bears the cost.",
            Self::Department => "The department that bears the cost.",
            Self::Recipient => "Who received a gift. No model is shown the name.",
            Self::TravelDate => "The day on which the journey begins.",
            Self::MealsProvided => "The meals of a day away that others paid for.",
            Self::Day => "Whether the employee was away for all of a day, or for a part of it.",
            Self::ReceiptUrl => "Where a reviewer finds the receipt. The service never fetches it.",
        }
    }
}

impl FactName {
    /// Whether a condition of a policy can compare it with a list. The name of a person cannot: rules
    /// are about kinds of expenses.
    pub fn is_comparable(self) -> bool {
        let is_text = matches!(
            self.declaration().form,
            Form::Choice(_) | Form::Country | Form::Line { .. }
        );
        is_text && self != Self::Recipient
    }
}

/// The value of a fact. Its form is that of the fact's declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FactValue {
    /// A number of people or nights.
    Count(u16),
    /// A distance, with one decimal.
    Decimal(Decimal),
    /// A word of a list, or a text.
    Text(String),
    /// Several words of a list, each once, in the order of the list.
    Words(Vec<&'static str>),
    /// A calendar date.
    Date(Date),
}

impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Decimal(decimal) => write!(f, "{decimal}"),
            Self::Text(text) => f.write_str(text),
            Self::Words(words) => f.write_str(&words.join(", ")),
            Self::Date(date) => write!(f, "{date}"),
        }
    }
}

/// The facts that are known of one expense. In JSON they are members of the object that they belong
/// to; a fact that is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<FactName, FactValue>);

/// No fact at all.
pub static NO_FACTS: Facts = Facts(BTreeMap::new());

impl Facts {
    /// Sets a fact.
    pub fn set(&mut self, name: FactName, value: FactValue) {
        self.0.insert(name, value);
    }

    /// Removes a fact and returns it.
    pub fn remove(&mut self, name: FactName) -> Option<FactValue> {
        self.0.remove(&name)
    }

    /// The value of a fact.
    pub fn get(&self, name: FactName) -> Option<&FactValue> {
        self.0.get(&name)
    }

    /// Whether a fact is known.
    pub fn has(&self, name: FactName) -> bool {
        self.0.contains_key(&name)
    }

    /// Every fact that is known, in the order of the declarations.
    pub fn iter(&self) -> impl Iterator<Item = (FactName, &FactValue)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The facts without the personal data and secrets in their free texts.
    pub fn redacted(mut self) -> Self {
        for (name, value) in &mut self.0 {
            if let (true, FactValue::Text(text)) = (name.declaration().personal, value) {
                *text = redact(text).into_owned();
            }
        }
        self
    }

    /// The facts of these names alone.
    pub fn only(mut self, names: &BTreeSet<FactName>) -> Self {
        self.0.retain(|name, _| names.contains(name));
        self
    }

    /// A number of people or nights.
    pub fn count(&self, name: FactName) -> Option<u16> {
        match self.get(name)? {
            FactValue::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// A distance.
    pub fn decimal(&self, name: FactName) -> Option<Decimal> {
        match self.get(name)? {
            FactValue::Decimal(decimal) => Some(*decimal),
            _ => None,
        }
    }

    /// A word of a list, or a text.
    pub fn text(&self, name: FactName) -> Option<&str> {
        match self.get(name)? {
            FactValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Several words of a list; none if the fact is not known.
    pub fn words(&self, name: FactName) -> &[&'static str] {
        match self.get(name) {
            Some(FactValue::Words(words)) => words,
            _ => &[],
        }
    }

    /// A calendar date.
    pub fn date(&self, name: FactName) -> Option<Date> {
        match self.get(name)? {
            FactValue::Date(date) => Some(*date),
            _ => None,
        }
    }
}

impl FromIterator<(FactName, FactValue)> for Facts {
    fn from_iter<T: IntoIterator<Item = (FactName, FactValue)>>(facts: T) -> Self {
        Self(facts.into_iter().collect())
    }
}

/// Takes the members that are facts from a stored object that has others too. What a request states is
/// read by `submission`, which checks the form of every fact.
impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Facts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with facts of an expense")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Facts, M::Error> {
                let mut facts = Facts::default();
                while let Some(name) = map.next_key::<String>()? {
                    let Ok(name) = name.parse::<FactName>() else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value: serde_json::Value = map.next_value()?;
                    if value.is_null() {
                        continue;
                    }
                    let Declaration { form, personal, .. } = name.declaration();
                    let value = match value {
                        // A text that was redacted or erased may have another form.
                        serde_json::Value::String(text) if personal => FactValue::Text(text),
                        value => form.of_json(&value).ok_or_else(|| {
                            serde::de::Error::custom(format!("`{name}` has another form"))
                        })?,
                    };
                    facts.set(name, value);
                }
                Ok(facts)
            }
        }
        deserializer.deserialize_map(Members)
    }
}
