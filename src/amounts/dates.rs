//! Numbers that are parts of dates and times. An amount can look like one, so unless a form is
//! unmistakable, a word beside it has to show that it is a date or a time.

use crate::amounts::sentence::Sentence;
use crate::amounts::words::calendar::{CAPITAL_MONTHS, MONTHS, THAI_MONTHS, WEEKDAYS};
use crate::amounts::words::counted::{DASHES, RANGE_WORDS};

/// German words before a date. The English `on` proves less, because an amount can follow it as
/// well; the functions below compare it separately.
const GERMAN_DATE_WORDS: &[&str] = &["am", "vom", "zum", "den"];
/// Words before a time, if they begin a sentence or a part of one.
const AT_WORDS: &[&str] = &["at", "um", "gegen", "à", "alle", "around"];
/// Words that only a time follows; some are written with a point.
const CLOCK_WORDS: &[&str] = &["kl", "klo", "pukul", "klokken", "klokka", "klockan"];
/// Words after a time.
const HOUR_WORDS: &[&str] = &[
    "uhr",
    "h",
    "hrs",
    "am",
    "pm",
    "uur",
    "heures",
    "horas",
    "час",
    "часов",
];
/// German and Czech nouns after an ordinal, which is written with a point: `1. Klasse`.
const ORDINAL_NOUNS: &[&str] = &[
    "klasse", "quartal", "halbjahr", "tag", "nacht", "mahlzeit", "etage", "stock", "třídy",
];
/// Words between two days of one month.
const ANDS: &[&str] = &["and", "und", "et", "y", "e", "en", "och", "og", "i", "и"];
/// Words before a year.
const YEAR_WORDS: &[&str] = &[
    "in", "year", "since", "during", "until", "fy", "calendar", "jahr", "seit", "en", "im",
    "année", "anno", "año", "em", "năm", "the", "this",
];

/// Whether digits are a year that an expense can be about.
pub fn is_year(digits: &str) -> bool {
    digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Whether one or two digits are a number in a range.
pub fn is_between(digits: &str, min: u32, max: u32) -> bool {
    digits.len() <= 2 && digits.parse().is_ok_and(|n| (min..=max).contains(&n))
}

/// Whether three runs of digits are a date in any of the three usual orders.
fn is_date(parts: [&str; 3]) -> bool {
    let is_day_and_month =
        |day: &str, month: &str| is_between(day, 1, 31) && is_between(month, 1, 12);
    let is_short_year = |year: &str| year.len() == 2 && is_between(year, 15, 45);
    let [first, second, third] = parts;
    (is_year(first) && is_day_and_month(third, second))
        || ((is_year(third) || is_short_year(third))
            && (is_day_and_month(first, second) || is_day_and_month(second, first)))
}

/// The numbers in `2026-03-14`, `14/03/2026` and `2026-03`, and in `14/03` after a word that
/// precedes dates.
pub fn joined_date(sentence: &Sentence, at: usize) -> Option<usize> {
    let joint = sentence
        .sign(at + 1)
        .filter(|sign| *sign == '/' || DASHES.contains(sign))?;
    let part = |n: usize| {
        let at = at + 2 * n;
        let is_joined = n == 0
            || (sentence.sign(at - 1) == Some(joint)
                && sentence.is_glued(at - 1)
                && sentence.is_glued(at));
        sentence.digits(at, 4).filter(|_| is_joined)
    };
    let (first, second) = (part(0)?, part(1)?);
    if let Some(third) = part(2) {
        return is_date([first, second, third]).then_some(5);
    }
    let before = at.checked_sub(1);
    let is_day_and_month = joint == '/'
        && (sentence.is_one_of(before, &["on", "dated"])
            || sentence.is_one_of(before, GERMAN_DATE_WORDS)
            || sentence.is_in(before, &WEEKDAYS))
        && ((is_between(first, 1, 31) && is_between(second, 1, 12))
            || (is_between(first, 1, 12) && is_between(second, 1, 31)));
    let is_month_of_year = (is_year(first) && second.len() == 2 && is_between(second, 1, 12))
        || (joint == '/' && is_year(second) && is_between(first, 1, 12));
    // `24/7` is no date, but no amount either.
    let is_always = (first, second) == ("24", "7");
    (is_day_and_month || is_month_of_year || is_always).then_some(3)
}

/// The number in `14.03.2026`, and in `03.02.` if that is a date. An amount can end a sentence, as
/// in `It leaves 12.10.`, so a date without a year needs a word before it, or a day that begins
/// with a zero and more of the sentence after it.
pub fn dotted_date(sentence: &Sentence, at: usize) -> Option<usize> {
    match sentence.number(at)?.dotted()? {
        [first, second, third] => is_date([first, second, third]).then_some(1),
        [day, month] if is_between(day, 1, 31) && is_between(month, 1, 12) => {
            let before = at.checked_sub(1);
            let has_point = sentence.sign(at + 1) == Some('.') && sentence.is_glued(at + 1);
            let goes_on = sentence.is_lower(at + 2)
                || matches!(sentence.sign(at + 2), Some(',' | '('))
                || (sentence.is_dash(at + 2) && sentence.number(at + 3).is_some());
            let has_zero = day.starts_with('0');
            let is_german = sentence.is_one_of(before, GERMAN_DATE_WORDS);
            let is_on =
                sentence.is_one_of(before, &["on", "dated"]) || sentence.is_in(before, &WEEKDAYS);
            let is_date = (has_point && is_german)
                || (has_point && goes_on && (is_on || has_zero))
                || (has_zero && month.len() == 2 && (is_on || is_german));
            is_date.then_some(1)
        }
        _ => None,
    }
}

fn is_month(sentence: &Sentence, at: usize) -> bool {
    sentence.word(at).is_some_and(|word| {
        (MONTHS.contains(word) && !(CAPITAL_MONTHS.contains(&word) && sentence.is_lower(at)))
            || THAI_MONTHS.iter().any(|month| word.starts_with(month))
    })
}

/// Whether a month is at a place, alone or after an `of`, as after the day in `veinte de febrero`.
pub fn month_after(sentence: &Sentence, at: usize) -> bool {
    let has_of = sentence.is_one_of(Some(at), &["of", "de", "di"]);
    is_month(sentence, at + usize::from(has_of))
}

/// Whether the word at a place marks the number before it as an hour, as in `9 Uhr`. An `am` before
/// a capital letter is German: `am Tag`.
pub fn is_hour_word(sentence: &Sentence, at: usize) -> bool {
    let is_german = sentence.is_one_of(Some(at), &["am"])
        && sentence.word(at + 1).is_some()
        && !sentence.is_lower(at + 1);
    sentence.is_one_of(Some(at), HOUR_WORDS) && !is_german
}

fn is_ordinal_ending(sentence: &Sentence, at: usize) -> bool {
    let endings = [
        "st", "nd", "rd", "th", "er", "ère", "e", "re", "º", "ª", "de", "i",
    ];
    sentence.is_glued(at) && sentence.is_one_of(Some(at), &endings)
}

/// The number in `1. Klasse`.
pub fn dotted_ordinal(sentence: &Sentence, at: usize) -> Option<usize> {
    let is_short = sentence.digits(at, 2).is_some();
    let has_point = sentence.is_glued(at + 1) && sentence.sign(at + 1) == Some('.');
    (is_short && has_point && sentence.is_one_of(Some(at + 2), ORDINAL_NOUNS)).then_some(1)
}

/// The day in `3 Feb`, `3rd of February`, `3. Februar`, `Feb 3`, `3-5 February` and `Feb 3-5`.
pub fn day_of_month(sentence: &Sentence, at: usize) -> Option<usize> {
    let is_day = |at: usize| {
        let day = sentence.digits(at, 2);
        day.is_some_and(|day| is_between(day, 1, 31))
    };
    let precedes_month = |at: usize| {
        let has_ending = is_ordinal_ending(sentence, at + 1)
            || (sentence.sign(at + 1) == Some('.') && sentence.is_glued(at + 1));
        // `03-Feb-2026`
        let next = at + 1 + usize::from(has_ending || sentence.is_dash(at + 1));
        is_day(at) && month_after(sentence, next)
    };
    let follows_month = |at: usize| {
        let before = at
            .checked_sub(1)
            .filter(|at| sentence.sign(*at) == Some('.'));
        let month = before.unwrap_or(at).checked_sub(1);
        is_day(at) && month.is_some_and(|month| is_month(sentence, month))
    };
    let has_end = sentence.is_dash(at + 1)
        || sentence.is_one_of(Some(at + 1), RANGE_WORDS)
        || sentence.is_one_of(Some(at + 1), ANDS);
    let follows_day = at >= 2 && sentence.is_dash(at - 1) && follows_month(at - 2);
    let is_day_of_month = precedes_month(at)
        || follows_month(at)
        || (is_day(at) && has_end && precedes_month(at + 2))
        || (is_day(at) && follows_day);
    is_day_of_month.then_some(1)
}

/// The year in `February 2026`, `Feb 3, 2026`, `in 2026` and `the 2026 policy`.
pub fn year(sentence: &Sentence, at: usize) -> Option<usize> {
    sentence.digits(at, 4).filter(|digits| is_year(digits))?;
    let before = at.checked_sub(1)?;
    let before = match sentence.sign(before) {
        Some(',' | '.' | '-') => before.checked_sub(1)?,
        _ => before,
    };
    let before =
        match is_ordinal_ending(sentence, before) || sentence.is_one_of(Some(before), &["de"]) {
            true => before.checked_sub(1)?,
            false => before,
        };
    let follows_month = is_month(sentence, before)
        || (sentence.number(before).is_some() && day_of_month(sentence, before).is_some());
    let is_named = sentence.is_one_of(Some(before), YEAR_WORDS)
        && (!sentence.is_one_of(Some(before), &["the", "this"]) || sentence.is_lower(at + 1));
    (follows_month || is_named).then_some(1)
}

/// The minutes in `14時35分`.
pub fn minutes(sentence: &Sentence, at: usize) -> Option<usize> {
    let begins = |at: Option<usize>, letters: &[char]| {
        let word = at.and_then(|at| sentence.word(at));
        word.is_some_and(|word| word.starts_with(letters))
    };
    let follows_hour = begins(at.checked_sub(1), &['時', '时', '点', '點', '시']);
    let is_minute = begins(Some(at + 1), &['分', '분']);
    let digits = sentence.digits(at, 2)?;
    (follows_hour && is_minute && is_between(digits, 0, 59)).then_some(1)
}

/// The numbers in `12:30`, `12:30:15` and `12h30`.
pub fn clock(sentence: &Sentence, at: usize) -> Option<usize> {
    let joint = at + 1;
    let is_joint = sentence.is_glued(joint)
        && (sentence.sign(joint) == Some(':') || sentence.word(joint) == Some("h"));
    let is_sixtieth = |at: usize| {
        let digits = sentence.digits(at, 2).filter(|digits| digits.len() == 2);
        sentence.is_glued(at) && digits.is_some_and(|digits| is_between(digits, 0, 59))
    };
    let is_hour = sentence
        .digits(at, 2)
        .is_some_and(|hour| is_between(hour, 0, 24));
    if !is_hour || !is_joint || !is_sixtieth(at + 2) {
        return None;
    }
    let has_seconds =
        sentence.is_glued(at + 3) && sentence.sign(at + 3) == Some(':') && is_sixtieth(at + 4);
    Some(if has_seconds { 5 } else { 3 })
}

/// The number in `9 pm` and `12.30 Uhr`, and in `At 12.30` at the beginning of a sentence.
/// Elsewhere `at` can precede an amount: `a cap at 12.30`.
pub fn time_of_day(sentence: &Sentence, at: usize) -> Option<usize> {
    let number = sentence.number(at)?;
    let (hour, minute) = match (number.digits(), number.dotted()) {
        (Some(hour), _) => (hour, None),
        (_, Some([hour, minute])) => (hour.as_str(), Some(minute.as_str())),
        _ => return None,
    };
    let is_time = is_between(hour, 0, 24)
        && minute.is_none_or(|minute| minute.len() == 2 && is_between(minute, 0, 59));
    let has_hour_word = match sentence.word(at + 1) {
        // `a.m.`, `p.m.` and `o'clock`
        Some("a" | "p") => sentence.is_one_of(Some(at + 3), &["m"]),
        Some("o") => sentence.is_one_of(Some(at + 3), &["clock"]),
        _ => is_hour_word(sentence, at + 1),
    };
    let begins_clause = at.checked_sub(1).is_some_and(|before| {
        let is_first = before == 0
            || sentence
                .sign(before - 1)
                .is_some_and(|sign| ".,;:!?(".contains(sign));
        is_first && sentence.is_one_of(Some(before), AT_WORDS)
    });
    let point = usize::from(at >= 1 && sentence.sign(at - 1) == Some('.'));
    let follows_clock_word = sentence.is_one_of(at.checked_sub(1 + point), CLOCK_WORDS);
    let is_clock = (begins_clause || follows_clock_word) && minute.is_some();
    (is_time && (has_hour_word || is_clock)).then_some(1)
}
