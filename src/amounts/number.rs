//! A number as people write it: digits of any script, and marks between them. `sentence` decides
//! which text is a number; this file reads its value. If the marks fit no known way of writing
//! numbers, the number has no value, rather than the value of a part of it.

use rust_decimal::Decimal;

/// The mark between two digits that a character is, in the one spelling that [`Number`] knows; a
/// blank of any width is `' '`. `None` if the character is not a mark.
pub fn mark(c: char) -> Option<char> {
    match c {
        '.' | ',' | '_' | '\u{66b}' | '\u{66c}' => Some(c),
        '·' => Some('.'),
        '\u{60c}' => Some(','),
        '\'' | '`' | '´' | 'ʼ' | '‘' | '’' | '′' => Some('\''),
        ' ' | '\u{a0}' | '\u{202f}' | '\u{2000}'..='\u{200a}' => Some(' '),
        _ => None,
    }
}

/// A number of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// The runs of digits between the marks, as ASCII. The first is empty in `.50`.
    pub groups: Vec<String>,
    /// The marks, one fewer than the groups, each as [`mark`] spells it.
    pub marks: Vec<char>,
    /// Whether it contains a numeral that is not a decimal digit, such as `½`.
    pub has_other_numerals: bool,
}

/// What a number is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// The value; absent if the marks fit no way of writing numbers.
    pub value: Option<Decimal>,
    /// The value if its only point precedes a group of three digits instead of decimals, as in the
    /// German `1.000`; absent if the number cannot be read so.
    pub grouped: Option<Decimal>,
}

impl Number {
    /// The digits of a number without marks.
    pub fn digits(&self) -> Option<&str> {
        match self.groups.as_slice() {
            [digits] if !self.has_other_numerals => Some(digits),
            _ => None,
        }
    }

    /// The groups of a number whose marks are all points.
    pub fn dotted(&self) -> Option<&[String]> {
        let is_dotted = !self.marks.is_empty() && self.marks.iter().all(|mark| *mark == '.');
        (is_dotted && !self.has_other_numerals).then_some(self.groups.as_slice())
    }

    /// What the number is worth. The last mark precedes decimals, unless it separates groups. Three
    /// digits after a comma that is the only mark are a group, as in `1,000`; after a point they
    /// may be a group or decimals, so there are two readings.
    pub fn readings(&self) -> Readings {
        let exactly = |value| Readings {
            value,
            grouped: None,
        };
        if self.has_other_numerals {
            return Readings::default();
        }
        let (Some((last, earlier)), Some((decimals, whole))) =
            (self.marks.split_last(), self.groups.split_last())
        else {
            return exactly(self.digits().and_then(integer));
        };
        let precedes_decimals = matches!(last, '.' | ',' | '\u{66b}');
        match earlier {
            [] if *last == '.' => Readings {
                value: decimal(integer_text(&whole[0]), decimals),
                grouped: grouped(&self.groups, *last),
            },
            [] if precedes_decimals => exactly(
                grouped(&self.groups, *last).or_else(|| decimal(integer_text(&whole[0]), decimals)),
            ),
            [first, ..] if first == last => exactly(grouped(&self.groups, *last)),
            [] => exactly(grouped(&self.groups, *last)),
            [first, ..] if precedes_decimals && earlier.iter().all(|mark| mark == first) => {
                let whole = grouped(whole, *first).map(|whole| whole.to_string());
                exactly(decimal(whole.as_deref(), decimals))
            }
            _ => Readings::default(),
        }
    }
}

/// The digits of a whole number: `0`, or digits without a leading zero. Leading zeros occur in
/// codes, dates and times.
fn integer_text(digits: &str) -> Option<&str> {
    (digits.len() < 2 || !digits.starts_with('0')).then_some(digits)
}

fn integer(digits: &str) -> Option<Decimal> {
    integer_text(digits)?.parse().ok()
}

fn decimal(whole: Option<&str>, decimals: &str) -> Option<Decimal> {
    format!("0{}.{decimals}", whole?).parse().ok()
}

/// The value of groups of digits: three each after the first, or, as in India, three in the last
/// and two in those before it.
fn grouped(groups: &[String], mark: char) -> Option<Decimal> {
    let (head, rest) = groups.split_first()?;
    let (last, middle) = rest.split_last()?;
    let is_western = middle.iter().all(|group| group.len() == 3) && head.len() <= 3;
    let is_indian = matches!(mark, ',' | '\u{66c}')
        && middle.iter().all(|group| group.len() == 2)
        && head.len() <= 2;
    let is_grouped = mark != '\u{66b}'
        && last.len() == 3
        && (is_western || is_indian)
        && !head.is_empty()
        && !head.starts_with('0');
    is_grouped.then(|| groups.concat().parse().ok()).flatten()
}
