//! What must not leave: personal data and secrets are found in any text and replaced by what they
//! are, such as `[CARD]`. Text in, text out; the sinks (spans, logs, problems, prompts) call
//! [`redact`] and know nothing else. How a text is read stands in `fold`, what is looked for in
//! `numbers` and `words`, and names for people who must stay searchable in [`pseudonym`].
//!
//! Every search is linear in the text, whatever the text is, and fails closed: what cannot be
//! searched is withheld.

mod fold;
mod numbers;
pub mod pseudonym;
mod words;

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use fold::{Escapes, Folded};

/// What stands in place of a text that could not be searched.
pub const WITHHELD: &str = "[WITHHELD]";
/// The longest text that is searched; no prompt or log line comes near it.
const MAX_BYTES: usize = 1 << 20;
/// How often a text is searched until nothing more is found. A replacement can lay open what stood
/// beside it, but hardly twice; a text that goes on like that is withheld.
const MAX_ROUNDS: usize = 8;
/// Texts that a thread remembers as clean, and how long they may be.
const N_KNOWN: usize = 128;
const MAX_KNOWN_BYTES: usize = 64;
/// The fewest digits that a card, an IBAN, a phone or a social-security number has.
const MIN_DIGITS: usize = 7;

/// What was found.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr)]
enum Kind {
    /// An e-mail address.
    #[strum(to_string = "[EMAIL]")]
    Email,
    /// The number of a payment card.
    #[strum(to_string = "[CARD]")]
    Card,
    /// An international bank account number.
    #[strum(to_string = "[IBAN]")]
    Iban,
    /// A telephone number.
    #[strum(to_string = "[PHONE]")]
    Phone,
    /// A social-security number of the United States.
    #[strum(to_string = "[SSN]")]
    Ssn,
    /// A key, a token or a password.
    #[strum(to_string = "[SECRET]")]
    Secret,
}

/// One thing that must not leave, and where it stands.
#[derive(Clone, Debug)]
struct Finding {
    kind: Kind,
    range: Range<usize>,
}

/// One way to find something: a pattern in linear time, and a look at what it found.
struct Rule {
    kind: Kind,
    /// The finding is the group `v` where there is one, else the whole match.
    pattern: &'static str,
    /// What of the finding is meant, if anything: sums and shapes that patterns cannot tell.
    accept: fn(&str, Range<usize>) -> Option<Range<usize>>,
}

static RULES: LazyLock<Vec<(Regex, &'static Rule)>> = LazyLock::new(|| {
    let compiled = |rule: &'static Rule| {
        (
            Regex::new(rule.pattern).expect("patterns are constants, and tests use them"),
            rule,
        )
    };
    numbers::RULES
        .iter()
        .chain(&words::RULES)
        .map(compiled)
        .collect()
});

/// All patterns at once: most texts that get this far hold none of them.
static ANY_RULE: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = RULES.iter().map(|(_, rule)| rule.pattern);
    RegexSet::new(patterns).expect("patterns are constants, and tests use them")
});

/// The text with everything that must not leave replaced by its kind, or [`WITHHELD`] when that
/// cannot be done. Borrowed when there was nothing to replace.
pub fn redact(text: &str) -> Cow<'_, str> {
    let is_short = text.len() <= MAX_BYTES;
    if is_short && (!may_hold_findings(text) || numbers::is_id(text) || is_known(text)) {
        return text.into();
    }
    // A search that panics withholds its text, like one that finds no end.
    let searched = if is_short {
        catch_unwind(|| search(text)).ok().flatten()
    } else {
        None
    };
    let redacted = searched.unwrap_or_else(|| WITHHELD.to_owned().into());
    if matches!(redacted, Cow::Borrowed(_)) {
        remember(text);
    }
    redacted
}

/// Short texts that were searched by this thread and held nothing, the last ones, each in the place
/// that its hash gives it.
type Known = [String; N_KNOWN];

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new([const { String::new() }; N_KNOWN]) };
}

fn place(text: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    usize::try_from(hasher.finish() % N_KNOWN as u64).unwrap_or(0)
}

/// Whether a text was searched just now: names of models, rules and prompts come with every
/// decision.
fn is_known(text: &str) -> bool {
    let is_known = |known: &RefCell<Known>| known.borrow()[place(text)] == text;
    // A thread that ends remembers nothing.
    text.len() <= MAX_KNOWN_BYTES && KNOWN.try_with(is_known).unwrap_or(false)
}

fn remember(text: &str) {
    if text.len() <= MAX_KNOWN_BYTES {
        let _ = KNOWN.try_with(|known| text.clone_into(&mut known.borrow_mut()[place(text)]));
    }
}

/// A look at the bytes, because most texts are short words and numbers in which nothing can be
/// found. It may say yes too often, never no.
fn may_hold_findings(text: &str) -> bool {
    let (mut n_digits, mut n_unbroken, mut has_digit) = (0, 0, false);
    text.bytes().any(|byte| {
        match byte {
            b'0'..=b'9' => {
                n_digits += 1;
                n_unbroken += 1;
                has_digit = true;
            }
            b'\t' | b'\n' | b'\r' | b' ' => (n_unbroken, has_digit) = (0, false),
            // An address, an escape of any kind, or a look-alike.
            b'@' | b'%' | b'\\' | 0x1b | 0x80.. => return true,
            _ => n_unbroken += 1,
        }
        n_digits >= MIN_DIGITS
            || n_unbroken >= words::MIN_WORD
            || (has_digit && n_unbroken >= words::MIN_MIXED_WORD)
    })
}

/// Searches until nothing is left to find, so that what leaves would pass a second search
/// unchanged.
fn search(text: &str) -> Option<Cow<'_, str>> {
    let mut current = Cow::Borrowed(text);
    for _ in 0..MAX_ROUNDS {
        let findings = findings(&current);
        if findings.is_empty() {
            return Some(current);
        }
        current = replaced(&current, findings).into();
    }
    None
}

/// Everything found in a text, as it is and with its escapes undone: either reading alone can be
/// fooled by the other.
fn findings(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let escapes: &[Escapes] = match Escapes::are_in(text) {
        true => &[Escapes::Kept, Escapes::Undone],
        false => &[Escapes::Kept],
    };
    for escapes in escapes {
        let folded = Folded::new(text, *escapes);
        found.extend(found_in(&folded.text).into_iter().map(|finding| {
            let range = folded.range_of(finding.range);
            Finding { range, ..finding }
        }));
    }
    found
}

fn found_in(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = words::emails(text)
        .map(|range| Finding {
            kind: Kind::Email,
            range,
        })
        .collect();
    // Asking first whether any rule matches costs a third of asking which.
    let matches = if ANY_RULE.is_match(text) {
        Some(ANY_RULE.matches(text))
    } else {
        None
    };
    for matched in matches.iter().flatten() {
        let (pattern, rule) = &RULES[matched];
        let mut at = 0;
        while let Some(captures) = pattern.captures_at(text, at) {
            let whole = captures.get_match();
            let range = captures.name("v").unwrap_or(whole).range();
            let accepted = (rule.accept)(text, range);
            at = accepted
                .as_ref()
                .map_or_else(|| after_first_word(text, whole.start()), |range| range.end);
            found.extend(accepted.map(|range| Finding {
                kind: rule.kind,
                range,
            }));
        }
    }
    found
}

/// Where to look on after a match that came to nothing: something else may begin inside it, at
/// another word.
fn after_first_word(text: &str, start: usize) -> usize {
    let word = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    text.ceil_char_boundary(start + word.max(1))
}

/// The text with its findings replaced; of those that overlap, the first and longest gives its name
/// to all.
fn replaced(text: &str, mut findings: Vec<Finding>) -> String {
    findings.sort_by_key(|finding| (finding.range.start, usize::MAX - finding.range.end));
    let mut redacted = String::with_capacity(text.len());
    let mut end = 0;
    for Finding { kind, range } in findings {
        if range.start >= end {
            redacted.push_str(&text[end..range.start]);
            redacted.push_str(kind.into());
        }
        end = end.max(range.end);
    }
    redacted.push_str(&text[end..]);
    redacted
}
