//! Texts compared word by word: the phrases that policy files list, and the words of what an
//! employee wrote. What a phrase is evidence for is in `evidence`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::spelling;
use crate::spelling::look_alike::{look_alike_words, readings};

/// The words of a text, in the spelling in which words are compared ([`spelling::words`]).
///
/// A text is split once and then compared with any number of phrases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Splits a text; a text without letters and digits has no words.
    pub fn of(text: &str) -> Self {
        Self(spelling::words(text))
    }

    /// The words, in the order of the text.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// A merchant's name as the key by which its purchases are added up: its words, with look-alike
/// letters replaced and one blank between them; `None` when the name has no words.
pub fn merchant_key(name: &str) -> Option<String> {
    Some(look_alike_words(name).join(" ")).filter(|key| !key.is_empty())
}

/// Whether two texts have the same words, as they are written or with look-alike letters replaced. A
/// text of punctuation alone has no words to compare.
pub fn have_same_words(one: &str, other: &str) -> bool {
    let are_equal = |words: fn(&str) -> Vec<String>| {
        let one = words(one);
        !one.is_empty() && one == words(other)
    };
    one == other || are_equal(spelling::words) || are_equal(look_alike_words)
}

/// A text in which a name may be hidden behind look-alike letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readings(Vec<Words>);

impl Readings {
    /// All readings of a text.
    pub fn of(text: &str) -> Self {
        Self(readings(text).into_iter().map(Words).collect())
    }

    /// The first of some phrases that occurs in a reading. Where several phrases match at one place,
    /// the most specific takes its words; if it is one of `but`, nothing is found there.
    pub fn first_of<'a>(&self, phrases: &'a [Phrase], but: &'a [Phrase]) -> Option<&'a Phrase> {
        let Self(readings) = self;
        let spelled = |phrase: &'a Phrase| (phrase, phrase.look_alike());
        let (phrases, but): (Vec<_>, Vec<_>) = (
            phrases.iter().map(spelled).collect(),
            but.iter().map(spelled).collect(),
        );
        readings
            .iter()
            .find_map(|words| first_in(words.as_slice(), &phrases, &but))
    }
}

/// A phrase as it is listed, and with look-alike letters replaced.
type Spelled<'a> = (&'a Phrase, Phrase);

fn first_in<'a>(
    words: &[String],
    phrases: &[Spelled<'a>],
    but: &[Spelled<'a>],
) -> Option<&'a Phrase> {
    let mut rest = words;
    while !rest.is_empty() {
        let longest = |phrases: &[Spelled<'a>]| {
            let matching = phrases
                .iter()
                .filter(|(phrase, look_alike)| phrase.begins(rest) || look_alike.begins(rest));
            matching
                .map(|(phrase, _)| *phrase)
                .max_by_key(|phrase| phrase.specificity())
        };
        let allowed = longest(but);
        let blocked = longest(phrases).filter(|blocked| {
            allowed.is_none_or(|allowed| allowed.specificity() < blocked.specificity())
        });
        if blocked.is_some() {
            return blocked;
        }
        rest = &rest[allowed.map_or(1, Phrase::n_words)..];
    }
    None
}

/// Consecutive words, as a policy file writes them: `"uber eats"`, or `"flight*"` for every word
/// with that beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phrase {
    /// At least one word.
    words: Vec<String>,
    /// Whether the last word is only the beginning of a word.
    is_prefix: bool,
}

/// The text is not a phrase.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` has no words, or a `*` before its end")]
pub struct InvalidPhrase(String);

impl Phrase {
    /// Reads a phrase; `None` when the text has no words, or a `*` anywhere but at its end.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, is_prefix) = text
            .strip_suffix('*')
            .map_or((text, false), |stem| (stem, true));
        if text.contains('*') {
            return None;
        }
        let Words(words) = Words::of(text);
        (!words.is_empty()).then_some(Self { words, is_prefix })
    }

    /// How many words the phrase has.
    pub fn n_words(&self) -> usize {
        self.words.len()
    }

    /// The first letter of the phrase.
    pub fn initial(&self) -> Option<char> {
        self.words.first()?.chars().next()
    }

    /// Whether the phrase occurs anywhere in a text.
    pub fn occurs_in(&self, text: &Words) -> bool {
        let words = text.as_slice();
        (0..words.len()).any(|start| self.begins(&words[start..]))
    }

    /// Whether the phrase occurs in a reading of a text, in the letters of the policy file or in
    /// letters that look like them.
    pub fn is_hidden_in(&self, text: &Readings) -> bool {
        let look_alike = self.look_alike();
        let Readings(readings) = text;
        readings
            .iter()
            .any(|words| self.occurs_in(words) || look_alike.occurs_in(words))
    }

    /// The phrase with look-alike letters replaced.
    fn look_alike(&self) -> Self {
        Self {
            words: look_alike_words(&self.words.join(" ")),
            is_prefix: self.is_prefix,
        }
    }

    /// Whether these words begin with the phrase.
    pub fn begins(&self, words: &[String]) -> bool {
        let Some((last, first)) = self.words.split_last() else {
            return false;
        };
        words.len() >= self.words.len()
            && words.starts_with(first)
            && if self.is_prefix {
                words[first.len()].starts_with(last)
            } else {
                words[first.len()] == *last
            }
    }

    /// Orders phrases that match at the same place; the greatest is the most specific.
    pub fn specificity(&self) -> (usize, bool, usize) {
        (
            self.words.len(),
            !self.is_prefix,
            self.words.iter().map(String::len).sum(),
        )
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_prefix { "*" } else { "" };
        write!(f, "{}{star}", self.words.join(" "))
    }
}

impl TryFrom<String> for Phrase {
    type Error = InvalidPhrase;

    fn try_from(text: String) -> Result<Self, InvalidPhrase> {
        Self::parse(&text).ok_or(InvalidPhrase(text))
    }
}

impl From<Phrase> for String {
    fn from(phrase: Phrase) -> Self {
        phrase.to_string()
    }
}
