//! Texts compared word by word: the phrases that policy files list, and the words of what an
//! employee wrote. What a phrase is evidence for is in `evidence`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The words of a text in lower case, without punctuation. An apostrophe inside a word is dropped,
/// so "Joe's" is "joes".
///
/// A text is split once and then compared with any number of phrases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Splits a text; a text without letters and digits has no words.
    pub fn of(text: &str) -> Self {
        let text = text.to_lowercase().replace(['\'', '’'], "");
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        Self(words.map(str::to_owned).collect())
    }

    /// The words, in the order of the text.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// The words of a text with one blank between them, so that texts with the same words are equal;
/// `None` when the text has no words.
pub fn normalised(text: &str) -> Option<String> {
    Some(Words::of(text).0.join(" ")).filter(|words| !words.is_empty())
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
