//! For which expenses a rule holds: its `when` and `unless`. A rule that does not hold for an expense
//! is not applied to it, reserves nothing for it, and is not shown to the model.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Weekday;
use serde::Serialize;
use strum::VariantNames;

use crate::domain::facts::{FactName, Form};
use crate::policy::phrase::{Phrase, Words};
use crate::policy::subject::Subject;

/// What a condition looks at: a fact, or the day of the week on which the purchase was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Aspect {
    /// A fact of the expense.
    Fact(FactName),
    /// The day of the week of its date.
    Weekday(WeekdayKey),
}

/// The key of a policy file for the day of the week. An enum of one variant, because an untagged
/// [`Aspect`] is then written as the word `weekday`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeekdayKey {
    /// The day of the week.
    Weekday,
}

/// The days of the week, as policy files write them, Monday first.
pub const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

fn weekday_name(day: Weekday) -> &'static str {
    let n_days = day.to_monday_zero_offset();
    WEEKDAYS[usize::try_from(n_days).expect("a day is not before Monday")]
}

/// The values that a condition lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listed {
    /// Words that the fact has to be equal to.
    Words(Vec<String>),
    /// Phrases of which one has to occur in the fact, as in evidence.
    Phrases(Vec<Phrase>),
}

impl Listed {
    fn contains(&self, text: &str) -> bool {
        match self {
            Self::Words(words) => words.iter().any(|word| word == text),
            Self::Phrases(phrases) => {
                let text = Words::of(text);
                phrases.iter().any(|phrase| phrase.occurs_in(&text))
            }
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(&words.join(" or ")),
            Self::Phrases(phrases) => {
                let phrases: Vec<String> = phrases.iter().map(ToString::to_string).collect();
                f.write_str(&phrases.join(" or "))
            }
        }
    }
}

/// Aspects with their lists, all of which have to match.
pub type Lists = BTreeMap<Aspect, Listed>;

/// For which expenses a rule holds; without any list, for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    /// The rule holds only if every aspect is in its list.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub when: Lists,
    /// The rule does not hold if every aspect is in its list.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unless: Lists,
}

impl Conditions {
    /// Whether there are none, so that the rule holds for every expense.
    pub fn is_empty(&self) -> bool {
        self.when.is_empty() && self.unless.is_empty()
    }

    /// Whether the rule holds for an expense. A fact that is not known is in no list, so `unless` is
    /// the strict form: the rule then holds.
    pub fn hold(&self, subject: &Subject<'_>) -> bool {
        let all_in = |lists: &Lists| {
            lists
                .iter()
                .all(|(aspect, listed)| aspect.is_in(listed, subject))
        };
        all_in(&self.when) && (self.unless.is_empty() || !all_in(&self.unless))
    }

    /// The facts that the conditions look at.
    pub fn facts(&self) -> impl Iterator<Item = FactName> {
        let aspects = self.when.keys().chain(self.unless.keys());
        aspects.filter_map(|aspect| match aspect {
            Aspect::Fact(name) => Some(*name),
            Aspect::Weekday(_) => None,
        })
    }
}

/// In words that follow those of a rule.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = [("only if", &self.when), ("not if", &self.unless)];
        let given = both.iter().filter(|(_, lists)| !lists.is_empty());
        let in_words = given.map(|(begin, lists)| {
            let lists = lists
                .iter()
                .map(|(aspect, listed)| format!("{aspect} is {listed}"));
            format!("{begin} {}", lists.collect::<Vec<_>>().join(" and "))
        });
        f.write_str(&in_words.collect::<Vec<_>>().join("; "))
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(name) => name.fmt(f),
            Self::Weekday(_) => f.write_str("weekday"),
        }
    }
}

impl Aspect {
    /// The aspect that a key of a policy file names.
    pub fn parse(key: &str) -> Option<Self> {
        if key == "weekday" {
            return Some(Self::Weekday(WeekdayKey::Weekday));
        }
        let name: FactName = key.parse().ok()?;
        name.is_comparable().then_some(Self::Fact(name))
    }

    /// The keys that a policy file can write.
    pub fn keys() -> Vec<&'static str> {
        let mut keys: Vec<_> = FactName::VARIANTS
            .iter()
            .copied()
            .filter(|key| Self::parse(key).is_some())
            .collect();
        keys.push("weekday");
        keys
    }

    /// What a list of the aspect may contain, if only certain words are possible.
    pub fn words(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Weekday(_) => Some(&WEEKDAYS),
            Self::Fact(name) => match name.declaration().form {
                Form::Choice(words) => Some(words),
                _ => None,
            },
        }
    }

    fn is_in(self, listed: &Listed, subject: &Subject<'_>) -> bool {
        match self {
            Self::Weekday(_) => listed.contains(weekday_name(subject.date.weekday())),
            Self::Fact(name) => subject
                .facts
                .text(name)
                .is_some_and(|text| listed.contains(text)),
        }
    }
}
