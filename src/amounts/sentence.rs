//! A sentence as numbers, words and signs, read once from left to right. `plain` and `currency`
//! decide what a number means.

use unicode_normalization::char::is_combining_mark;

use crate::amounts::number::{Number, mark};
use crate::amounts::numerals::is_han_numeral;
use crate::amounts::shown::shown;
use crate::amounts::words::Words;
use crate::amounts::words::calendar::MONTHS;
use crate::amounts::words::counted::{DASHES, LABELS};
use crate::spelling::digit::digit;

/// A part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Digits of any script, with marks between them.
    Number(Number),
    /// Letters of one script, in lower case.
    Word(String),
    /// Any other visible character.
    Sign(char),
}

/// A part of a sentence, and its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The index of its first character.
    pub start: usize,
    /// The index after its last character.
    pub end: usize,
}

/// A sentence and its parts.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// The characters that a reader sees, see [`shown`].
    chars: Vec<char>,
    tokens: Vec<Token>,
}

/// The most characters of a word that is compared as a whole.
const MAX_WORD_CHARS: usize = 64;

/// Tells words apart that no blank separates, as in `花费18.40欧元九十`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// Numerals of Chinese, Japanese and Korean that are not decimal digits.
    HanNumeral,
    /// Letters of scripts that put no blank, or not always one, between words.
    Unspaced,
    /// All other letters.
    Spaced,
}

impl Script {
    /// The script of a letter; `None` for other characters.
    fn of(c: char) -> Option<Self> {
        match c {
            c if is_han_numeral(c) => Some(Self::HanNumeral),
            c if !c.is_alphabetic() || digit(c).is_some() => None,
            c if is_unspaced(c) => Some(Self::Unspaced),
            _ => Some(Self::Spaced),
        }
    }
}

/// Whether a letter is of a script that does not always put blanks between words: Thai, Lao,
/// Burmese, Khmer, Chinese, Japanese or Korean.
pub fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1100}'..='\u{11ff}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{2e80}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7ff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

impl Sentence {
    /// Splits a sentence.
    pub fn of(text: &str) -> Self {
        let chars = shown(text);
        let mut tokens: Vec<Token> = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            let c = chars[at];
            let (kind, end) = if begins_number(&chars, at) {
                number(&chars, at, may_be_grouped_by_blanks(&tokens))
            } else if let Some(script) = Script::of(c) {
                let continues = |c: &char| Script::of(*c) == Some(script) || is_combining_mark(*c);
                let rest = &chars[at + 1..];
                let n_letters = 1 + rest
                    .iter()
                    .position(|c| !continues(c))
                    .unwrap_or(rest.len());
                let letters = &chars[at..at + n_letters];
                let word = letters.iter().flat_map(|c| c.to_lowercase()).collect();
                (Kind::Word(word), at + n_letters)
            } else {
                (Kind::Sign(c), at + 1)
            };
            if !c.is_whitespace() {
                let start = at;
                tokens.push(Token { kind, start, end });
            }
            at = end;
        }
        Self { chars, tokens }
    }

    /// How many parts the sentence has.
    pub fn n_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// One part.
    pub fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    /// The part at a place, if it is a number.
    pub fn number(&self, at: usize) -> Option<&Number> {
        match &self.token(at)?.kind {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The part at a place, if it is a word; in lower case.
    pub fn word(&self, at: usize) -> Option<&str> {
        match &self.token(at)?.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The part at a place, if it is a sign.
    pub fn sign(&self, at: usize) -> Option<char> {
        match self.token(at)?.kind {
            Kind::Sign(sign) => Some(sign),
            _ => None,
        }
    }

    /// Whether a part is one of these words.
    pub fn is_one_of(&self, at: Option<usize>, words: &[&str]) -> bool {
        at.and_then(|at| self.word(at))
            .is_some_and(|word| words.contains(&word))
    }

    /// Whether a part is a word of a list.
    pub fn is_in(&self, at: Option<usize>, words: &Words) -> bool {
        at.and_then(|at| self.word(at))
            .is_some_and(|word| words.contains(word))
    }

    /// Whether a part is a hyphen or a dash.
    pub fn is_dash(&self, at: usize) -> bool {
        self.sign(at).is_some_and(|sign| DASHES.contains(&sign))
    }

    /// The digits of a number without marks that has at most `max` digits.
    pub fn digits(&self, at: usize, max: usize) -> Option<&str> {
        self.number(at)?
            .digits()
            .filter(|digits| digits.len() <= max)
    }

    /// A whole number of at most nine digits.
    pub fn integer(&self, at: usize) -> Option<u32> {
        self.digits(at, 9)?.parse().ok()
    }

    /// Whether nothing is between a part and the one before it.
    pub fn is_glued(&self, at: usize) -> bool {
        at > 0
            && self
                .token(at)
                .is_some_and(|token| self.tokens[at - 1].end == token.start)
    }

    /// Whether a part is a word in lower case as it was written.
    pub fn is_lower(&self, at: usize) -> bool {
        self.word(at).is_some() && self.chars[self.tokens[at].start].is_lowercase()
    }

    /// The parts from `first` to `last` as written.
    pub fn text(&self, first: usize, last: usize) -> String {
        match (self.token(first), self.token(last)) {
            (Some(first), Some(last)) => self.chars[first.start..last.end].iter().collect(),
            _ => String::new(),
        }
    }

    /// The word between blanks that contains the parts from `first` to `last`, without punctuation
    /// around it; `None` if they are in several words, or the word is long.
    pub fn blank_word(&self, first: usize, last: usize) -> Option<String> {
        let (start, end) = (self.token(first)?.start, self.token(last)?.end);
        if self.chars[start..end].iter().any(|c| c.is_whitespace()) {
            return None;
        }
        let before = self.chars[..start].iter().rev();
        let start = start
            - before
                .take_while(|c| !c.is_whitespace())
                .take(MAX_WORD_CHARS)
                .count();
        let after = self.chars[end..].iter();
        let end = end
            + after
                .take_while(|c| !c.is_whitespace())
                .take(MAX_WORD_CHARS)
                .count();
        let word: String = self.chars[start..end].iter().collect();
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        (word.chars().count() <= MAX_WORD_CHARS).then(|| word.to_lowercase())
    }

    /// The words between blanks that contain digits, without those that are only a number.
    pub fn words_with_digits(&self) -> impl Iterator<Item = String> {
        (0..self.n_tokens()).filter_map(|at| {
            let number = self.number(at)?;
            let word = self.blank_word(at, at)?;
            let text = self.text(at, at);
            let is_number = word == text.trim_matches(|c: char| !c.is_alphanumeric())
                && number.readings().value.is_some();
            (!is_number).then_some(word)
        })
    }
}

/// Whether a number begins here: at a numeral, or at a mark before decimals, as in `.50`. The
/// raised numeral of a unit such as `m²` begins none.
fn begins_number(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| chars[before]);
    let is_digit = |at: usize| chars.get(at).is_some_and(|c| digit(*c).is_some());
    match chars[at] {
        c if digit(c).is_some() => true,
        c if is_han_numeral(c) => false,
        '²' | '³' => !before.is_some_and(char::is_alphabetic),
        '.' | ',' | '\u{66b}' => {
            is_digit(at + 1) && !before.is_some_and(|c| c.is_alphanumeric() || c == '.')
        }
        c => c.is_numeric(),
    }
}

/// Whether blanks may separate the groups of a number that begins after these tokens. They do not
/// in `March 3 100.00` and `rule 3 100.00`.
fn may_be_grouped_by_blanks(before: &[Token]) -> bool {
    !matches!(before.last(), Some(Token { kind: Kind::Word(word), .. })
        if MONTHS.contains(word.as_str()) || LABELS.contains(word.as_str()))
}

/// The number that begins at a place, and the place after it.
fn number(chars: &[char], start: usize, may_be_grouped_by_blanks: bool) -> (Kind, usize) {
    let mut number = Number::default();
    let mut at = start;
    if digit(chars[at]).is_none() && mark(chars[at]).is_some() {
        number.groups.push(String::new());
        number.marks.extend(mark(chars[at]));
        at += 1;
    }
    loop {
        let mut group = String::new();
        while let Some(c) = chars.get(at) {
            match digit(*c) {
                Some(digit) => group.push(digit),
                None if c.is_numeric() => number.has_other_numerals = true,
                None => break,
            }
            at += 1;
        }
        number.groups.push(group);
        let next = &chars[at..];
        let n_digits = next
            .iter()
            .skip(1)
            .take(4)
            .take_while(|c| digit(**c).is_some())
            .count();
        let joining = next
            .first()
            .copied()
            .and_then(mark)
            .filter(|mark| match mark {
                ' ' => may_be_grouped_by_blanks && n_digits == 3 && is_grouped_by_blanks(&number),
                _ => n_digits > 0,
            });
        let Some(mark) = joining else {
            return (Kind::Number(number), at);
        };
        number.marks.push(mark);
        at += 1;
    }
}

/// Whether the digits so far could be groups with blanks between them.
fn is_grouped_by_blanks(number: &Number) -> bool {
    let Some((first, others)) = number.groups.split_first() else {
        return false;
    };
    (1..=3).contains(&first.len())
        && others.iter().all(|group| group.len() == 3)
        && number.marks.iter().all(|mark| *mark == ' ')
}
