//! What speaks for a category apart from any model: merchant category codes, the merchant's name
//! and the words of the transaction. Three sources, each of them silent or naming one or more
//! categories; no source outvotes another.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// The evidence section of one policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Merchant category codes, ISO 18245.
    pub mcc: Vec<Codes>,
    /// Phrases of merchants' names.
    pub merchant: Vec<Phrase>,
    /// Phrases of transaction texts.
    pub transaction: Vec<Phrase>,
}

/// Merchant category codes, as a policy file writes them: one such as `"5812"`, or a range such as
/// `"3000-3999"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Codes(RangeInclusive<u16>);

impl Codes {
    /// Reads a code or a range; `None` when a part of it is not four digits, or the range is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = code(first)?..=code(last)?;
        (!range.is_empty()).then_some(Self(range))
    }

    /// Every code of the range, as four digits.
    pub fn iter(&self) -> impl Iterator<Item = String> + use<> {
        self.0.clone().map(|code| format!("{code:04}"))
    }

    /// Whether a code is among these.
    pub fn contains(&self, text: &str) -> bool {
        code(text).is_some_and(|code| self.0.contains(&code))
    }
}

/// The number of a merchant category code of four digits.
fn code(text: &str) -> Option<u16> {
    // A sign is no digit, although numbers are read with one.
    if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last {
            write!(f, "{first:04}")
        } else {
            write!(f, "{first:04}-{last:04}")
        }
    }
}

/// A text is neither codes nor a phrase.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot be read")]
pub struct Unreadable(String);

impl TryFrom<String> for Codes {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        Self::parse(&text).ok_or(Unreadable(text))
    }
}

impl From<Codes> for String {
    fn from(codes: Codes) -> Self {
        codes.to_string()
    }
}

/// Words in order, as a policy file writes them: `"uber eats"`, or `"flight*"` for every word that
/// begins so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phrase {
    words: Vec<String>,
    is_prefix: bool,
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.words.join(" "),
            if self.is_prefix { "*" } else { "" }
        )
    }
}

impl TryFrom<String> for Phrase {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        Self::parse(&text).ok_or(Unreadable(text))
    }
}

impl From<Phrase> for String {
    fn from(phrase: Phrase) -> Self {
        phrase.to_string()
    }
}

impl Phrase {
    /// Reads a phrase; `None` when it holds no word.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, is_prefix) = text
            .strip_suffix('*')
            .map_or((text, false), |stem| (stem, true));
        if text.contains('*') {
            return None;
        }
        let words = words(text);
        (!words.is_empty()).then_some(Self { words, is_prefix })
    }

    /// Whether a text has these words anywhere.
    pub fn stands_in(&self, text: &str) -> bool {
        let words = words(text);
        (0..words.len()).any(|start| self.matches(&words[start..]))
    }

    /// Whether a text begins with these words.
    fn matches(&self, text: &[String]) -> bool {
        let Some((last, first)) = self.words.split_last() else {
            return false;
        };
        text.len() >= self.words.len()
            && text.starts_with(first)
            && if self.is_prefix {
                text[first.len()].starts_with(last)
            } else {
                text[first.len()] == *last
            }
    }

    /// Which of two phrases that match at the same place says more.
    fn weight(&self) -> (usize, bool, usize) {
        (
            self.words.len(),
            !self.is_prefix,
            self.words.iter().map(String::len).sum(),
        )
    }
}

/// Lower-case words of a text: letters and digits, an apostrophe inside a word dropped.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['\'', '’'], "");
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words of a text in one spelling, for telling whether two texts say the same; `None` when it
/// holds no word.
pub fn normalised(text: &str) -> Option<String> {
    Some(words(text).join(" ")).filter(|words| !words.is_empty())
}

/// A place evidence can come from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The merchant category code.
    Mcc,
    /// The merchant's name.
    Merchant,
    /// The words of the transaction.
    Transaction,
}

impl Source {
    /// What people call it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Mcc => "merchant category code",
            Self::Merchant => "merchant",
            Self::Transaction => "text of the transaction",
        }
    }
}

/// What the sources that are not silent say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Categories in the order in which they are spoken of.
    sources: Vec<(Source, Vec<String>)>,
}

impl Reading {
    /// Whether anything speaks for any category at all.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The first source that speaks, but not for this category, with the categories it speaks for.
    pub fn objection(&self, category: &str) -> Option<(Source, &[String])> {
        let objecting = self
            .sources
            .iter()
            .find(|(_, says)| !says.iter().any(|said| said == category));
        objecting.map(|(source, says)| (*source, says.as_slice()))
    }

    /// Every category some source speaks for, the strongest source first; one that several speak
    /// for comes several times.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.sources
            .iter()
            .flat_map(|(_, says)| says)
            .map(String::as_str)
    }

    /// The category most sources agree on; among equals the one of the strongest source, which it
    /// speaks of first.
    pub fn best(&self) -> Option<&str> {
        let votes = |category: &str| self.categories().filter(|said| *said == category).count();
        let mut best: Option<(&str, usize)> = None;
        for category in self.categories() {
            let n_votes = votes(category);
            if best.is_none_or(|(_, most)| n_votes > most) {
                best = Some((category, n_votes));
            }
        }
        best.map(|(category, _)| category)
    }
}

/// The evidence of all policies, arranged for looking up.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    mcc: Vec<(Codes, String)>,
    merchant: Phrases,
    text: Phrases,
}

impl Lexicon {
    /// Gathers the evidence of every policy.
    pub fn build(policies: &[Policy]) -> Self {
        let mut lexicon = Self::default();
        for Policy {
            category, evidence, ..
        } in policies
        {
            lexicon.mcc.extend(
                evidence
                    .mcc
                    .iter()
                    .map(|codes| (codes.clone(), category.clone())),
            );
            lexicon.merchant.extend(&evidence.merchant, category);
            // A transaction text often names the merchant, so names count there too.
            lexicon.text.extend(&evidence.merchant, category);
            lexicon.text.extend(&evidence.transaction, category);
        }
        lexicon
    }

    /// What each source says.
    pub fn read(&self, mcc: Option<&str>, merchant: Option<&str>, transaction: &str) -> Reading {
        let by_code = self
            .mcc
            .iter()
            .filter(|(codes, _)| mcc.is_some_and(|code| codes.contains(code)));
        let said = [
            (
                Source::Mcc,
                by_code
                    .map(|(_, category)| category.clone())
                    .take(1)
                    .collect(),
            ),
            (
                Source::Merchant,
                merchant
                    .map(|name| self.merchant.find(name))
                    .unwrap_or_default(),
            ),
            (Source::Transaction, self.text.find(transaction)),
        ];
        Reading {
            sources: said
                .into_iter()
                .filter(|(_, says): &(_, Vec<_>)| !says.is_empty())
                .collect(),
        }
    }
}

/// Phrases by the first letters of their first word, so that a text is read in one pass.
#[derive(Clone, Debug, Default)]
struct Phrases {
    by_initial: HashMap<char, Vec<(Phrase, String)>>,
}

impl Phrases {
    fn extend(&mut self, phrases: &[Phrase], category: &str) {
        for phrase in phrases {
            let Some(initial) = phrase.words[0].chars().next() else {
                continue;
            };
            let entry = (phrase.clone(), category.to_owned());
            let bucket = self.by_initial.entry(initial).or_default();
            if !bucket.contains(&entry) {
                bucket.push(entry);
            }
        }
    }

    /// The categories whose phrases stand in a text, in the order of the text. At each word the
    /// phrase that says most wins and takes its words away, so that "uber eats" is a meal
    /// although "uber" is a ride.
    fn find(&self, text: &str) -> Vec<String> {
        let words = words(text);
        let mut found = Vec::new();
        let mut rest = words.as_slice();
        while let Some(initial) = rest.first().and_then(|word| word.chars().next()) {
            let candidates = self
                .by_initial
                .get(&initial)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let matching = candidates.iter().filter(|(phrase, _)| phrase.matches(rest));
            let n_taken = match matching.max_by_key(|(phrase, _)| phrase.weight()) {
                Some((phrase, category)) => {
                    if !found.contains(category) {
                        found.push(category.clone());
                    }
                    phrase.words.len()
                }
                None => 1,
            };
            rest = &rest[n_taken..];
        }
        found
    }
}
