//! Numbers that are plainly not amounts: dates, times, percentages, counts, and the names of rules,
//! sections and versions. The words and signs around a number decide, from closed lists; a number
//! that no function here recognises is an amount. So is every number with a currency beside it, see
//! `currency`.

use crate::amounts::dates::{
    clock, day_of_month, dotted_date, dotted_ordinal, is_between, is_year, joined_date, minutes,
    time_of_day, year,
};
use crate::amounts::number::Number;
use crate::amounts::sentence::Sentence;
use crate::amounts::words::counted::{
    COUNT_ADJECTIVES, COUNTED, COUNTERS, COUNTS_BEFORE, DASHES, GROUPS, LABELS, NUMBER_SIGNS,
    NUMBER_WORDS, PLURAL_LABELS, RANGE_WORDS, SHARE_WORDS, UNSPACED_LABELS,
};
use crate::amounts::words::money::CURRENCY_BEGINNINGS;

/// The forms that a plain number can have. Each looks at the number at a place of a sentence, and
/// says how many parts of the sentence it covers.
const FORMS: [fn(&Sentence, usize) -> Option<usize>; 16] = [
    joined_date,
    dotted_date,
    dotted_ordinal,
    day_of_month,
    year,
    clock,
    minutes,
    time_of_day,
    share,
    name,
    long_name,
    code,
    count,
    named_count,
    ordinal,
    list_item,
];

/// How many parts of the sentence are covered by the plain number that begins at a place; `None` if
/// the number there is an amount.
pub fn plain(sentence: &Sentence, at: usize) -> Option<usize> {
    sentence.number(at)?;
    FORMS.iter().find_map(|form| form(sentence, at))
}

/// `50 %`, `12.5 percent`, `%50`, and the first number of `10-20 %`.
fn share(sentence: &Sentence, at: usize) -> Option<usize> {
    let is_sign = |at: usize| matches!(sentence.sign(at), Some('%' | '‰' | '٪' | '﹪'));
    let is_share = |at: usize| is_sign(at + 1) || is_share_word(sentence, at + 1);
    let has_sign_before = at >= 1
        && is_sign(at - 1)
        && sentence.is_glued(at)
        && !(at >= 2 && sentence.number(at - 2).is_some());
    let is_range =
        sentence.is_dash(at + 1) && sentence.number(at + 2).is_some() && is_share(at + 2);
    sentence.number(at)?.readings().value?;
    (is_share(at) || has_sign_before || is_range).then_some(1)
}

/// Whether `percent` begins at a place, in one word or in two.
pub fn is_share_word(sentence: &Sentence, at: usize) -> bool {
    let is_hundredth = sentence.is_one_of(Some(at), &["per", "pour", "por"])
        && sentence.is_one_of(Some(at + 1), &["cent", "ciento", "cento"]);
    sentence.is_in(Some(at), &SHARE_WORDS) || is_hundredth
}

/// The number in `rule 4`, `rules 1, 2 and 3`, `§ 4.2`, `No. 7`, `#3` and `v1.2`.
fn name(sentence: &Sentence, at: usize) -> Option<usize> {
    let number = sentence.number(at)?;
    let before = at.checked_sub(1)?;
    let is_version = (sentence.is_glued(at) && sentence.is_one_of(Some(before), &["v"]))
        || sentence.is_one_of(Some(before), &["version"]);
    let is_short = number.digits().is_some_and(|digits| digits.len() <= 2);
    let is_section = number.dotted().is_some_and(|groups| {
        groups.len() <= 4
            && groups.iter().all(|group| group.len() <= 2)
            // Two digits after the point are the decimals of an amount.
            && (is_version || groups.len() > 2 || groups[1].len() == 1)
    });
    if !is_short && !is_section {
        return None;
    }
    let has_label = match sentence.sign(before) {
        Some('§') => true,
        _ => {
            is_version
                || sentence.is_in(Some(before), &LABELS)
                || follows_number_sign(sentence, at)
                || follows_unspaced_label(sentence, at)
        }
    };
    (has_label || continues_names(sentence, before)).then_some(1)
}

/// The number in `#1042`, `Nr. 1042` and `invoice number 1042`.
fn long_name(sentence: &Sentence, at: usize) -> Option<usize> {
    sentence.number(at)?.digits()?;
    let is_named = sentence.is_one_of(at.checked_sub(1), NUMBER_WORDS);
    (is_named || follows_number_sign(sentence, at)).then_some(1)
}

/// Whether `#`, `No.`, `n°` or `n.º` precedes a number.
fn follows_number_sign(sentence: &Sentence, at: usize) -> bool {
    let is_point = |at: &usize| {
        matches!(sentence.sign(*at), Some('.' | '°')) || sentence.is_one_of(Some(*at), &["º", "o"])
    };
    let Some(before) = at.checked_sub(1) else {
        return false;
    };
    match sentence.sign(before) {
        // In HTML, `&#48;` is the digit 0.
        Some('#') => !(sentence.is_glued(before) && sentence.sign(before - 1) == Some('&')),
        Some('№') => true,
        _ => {
            let first = (0..before).rev().find(|at| !is_point(at));
            is_point(&before) && sentence.is_one_of(first, NUMBER_SIGNS)
        }
    }
}

/// Whether the word before a number ends in a label, in a script without blanks: `第2条`.
pub fn follows_unspaced_label(sentence: &Sentence, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| sentence.word(before));
    before.is_some_and(|word| UNSPACED_LABELS.iter().any(|label| word.ends_with(label)))
}

/// The number in `attendees: 4` and `a team of 12`.
fn named_count(sentence: &Sentence, at: usize) -> Option<usize> {
    sentence.digits(at, 2)?;
    let (before, first) = (at.checked_sub(1)?, at.checked_sub(2)?);
    let is_listed =
        sentence.sign(before) == Some(':') && sentence.is_one_of(Some(first), COUNTS_BEFORE);
    let is_group =
        sentence.is_one_of(Some(before), &["of"]) && sentence.is_one_of(Some(first), GROUPS);
    (is_listed || is_group).then_some(1)
}

/// Whether the part at this place continues a list of names, as the comma in `rules 1, 2` does.
fn continues_names(sentence: &Sentence, joint: usize) -> bool {
    let is_joint = |at: usize| {
        matches!(sentence.sign(at), Some(',' | '&'))
            || sentence.is_dash(at)
            || sentence.is_one_of(
                Some(at),
                &["and", "or", "und", "oder", "et", "ou", "y", "e", "en"],
            )
    };
    // No list is longer than a policy's rules.
    let mut at = joint;
    for _ in 0..32 {
        let (true, Some(number)) = (is_joint(at), at.checked_sub(1)) else {
            return false;
        };
        if sentence
            .digits(number, 2)
            .is_none_or(|digits| digits.len() > 2)
        {
            return false;
        }
        match number.checked_sub(1) {
            Some(label) if sentence.is_one_of(Some(label), PLURAL_LABELS) => return true,
            Some(before) => at = before,
            None => return false,
        }
    }
    false
}

/// Words before a merchant category code or a range of them.
const CODE_WORDS: &[&str] = &[
    "mcc", "mccs", "code", "codes", "category", "range", "ranges",
];

/// The number in `MCC 5812`, `MCC 3000-3999`, `Q3` and `FY26`.
fn code(sentence: &Sentence, at: usize) -> Option<usize> {
    let digits = sentence.digits(at, 4)?;
    let before = at.checked_sub(1)?;
    let is_mcc = |at: usize| {
        let at = match sentence.sign(at) {
            Some(':' | '(') => at.checked_sub(1),
            _ => Some(at),
        };
        sentence.is_one_of(at, CODE_WORDS)
    };
    let is_range_of_codes = sentence.is_dash(before)
        && before >= 2
        && sentence
            .digits(before - 1, 4)
            .is_some_and(|first| first.len() == 4)
        && is_mcc(before - 2);
    let is_code = digits.len() == 4 && (is_mcc(before) || is_range_of_codes);
    let is_part_of_year = match sentence.word(before).filter(|_| sentence.is_glued(at)) {
        Some("q") => digits.len() == 1 && is_between(digits, 1, 4),
        Some("h") => digits.len() == 1 && is_between(digits, 1, 2),
        Some("fy") => digits.len() == 2 || is_year(digits),
        _ => false,
    };
    (is_code || is_part_of_year).then_some(1)
}

/// The number in `2 nights`, `30-day`, `3 business days`, `1.5 hours`, and both in `2 to 3 nights`
/// and `2 of 3 receipts`.
fn count(sentence: &Sentence, at: usize) -> Option<usize> {
    sentence.number(at)?.readings().value?;
    let is_range = sentence.is_dash(at + 1) || sentence.is_one_of(Some(at + 1), RANGE_WORDS);
    let rises = || {
        let (first, second) = (sentence.integer(at), sentence.integer(at + 2));
        first
            .zip(second)
            .is_some_and(|(first, second)| first <= second)
    };
    let is_count = counts(sentence, at) || (is_range && rises() && counts(sentence, at + 2));
    is_count.then_some(1)
}

/// Whether something that can be counted follows a number. A number with two decimals is no count.
fn counts(sentence: &Sentence, at: usize) -> bool {
    let has_two_decimals = |number: &Number| {
        let decimals = number.groups.last().map_or(0, String::len);
        number
            .marks
            .last()
            .is_some_and(|mark| matches!(mark, '.' | ','))
            && decimals == 2
    };
    if sentence.number(at).is_none_or(has_two_decimals) {
        return false;
    }
    let next = match sentence.sign(at + 1) {
        Some(sign) if DASHES.contains(&sign) && sentence.is_glued(at + 1) => at + 2,
        _ => at + 1,
    };
    is_counted(sentence, next)
}

/// Whether something that can be counted begins at a place.
pub fn is_counted(sentence: &Sentence, at: usize) -> bool {
    let at = match sentence.is_in(Some(at), &COUNT_ADJECTIVES) {
        true => at + 1,
        false => at,
    };
    // Romanian and Spanish put `de` between: `30 de zile`.
    let at = match sentence.is_one_of(Some(at), &["de"]) {
        true => at + 1,
        false => at,
    };
    // `miles de` is Spanish for thousands of.
    let is_multiple =
        sentence.is_one_of(Some(at), &["miles"]) && sentence.is_one_of(Some(at + 1), &["de"]);
    // `2 x coffee`, but not `2 x 25.00`.
    let is_times = sentence.is_one_of(Some(at), &["x"]) && sentence.word(at + 1).is_some();
    let is_counted = |word: &str| {
        let begins = |names: &[&str]| names.iter().any(|name| word.starts_with(name));
        COUNTED.contains(word) || (begins(COUNTERS) && !begins(CURRENCY_BEGINNINGS))
    };
    is_times || (!is_multiple && sentence.word(at).is_some_and(is_counted))
}

/// The number in `3rd`.
fn ordinal(sentence: &Sentence, at: usize) -> Option<usize> {
    let is_short = sentence.digits(at, 3).is_some();
    let endings = ["st", "nd", "rd", "th", "e", "ème", "er", "ère", "º", "ª"];
    let has_ending = sentence.is_glued(at + 1) && sentence.is_one_of(Some(at + 1), &endings);
    (is_short && has_ending).then_some(1)
}

/// The number in `(1) …; (2) …` and `1) …`, of one digit.
fn list_item(sentence: &Sentence, at: usize) -> Option<usize> {
    let is_short = sentence.digits(at, 1).is_some();
    let is_closed = sentence.is_glued(at + 1) && sentence.sign(at + 1) == Some(')');
    let is_open = at >= 1 && sentence.sign(at - 1) == Some('(') && sentence.is_glued(at);
    let before = if is_open { at - 1 } else { at };
    let is_first = before == 0
        || sentence
            .sign(before - 1)
            .is_some_and(|sign| ".,;:".contains(sign));
    // The text of the item follows.
    let goes_on = at + 2 < sentence.n_tokens() && sentence.sign(at + 2) != Some('.');
    (is_short && is_closed && is_first && goes_on).then_some(1)
}
