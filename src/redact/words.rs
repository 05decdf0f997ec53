//! Detectors of e-mail addresses, keys, tokens and passwords. A key is recognised by the prefix of
//! its issuer, or by the words before it. A random word without either cannot be distinguished from
//! an id, and is left as it is.

use std::ops::Range;

use super::{Detector, Kind};

/// The shortest word without digits that can be a secret.
pub(super) const MIN_WORD: usize = 20;
/// The shortest word with a digit that can be a secret.
pub(super) const MIN_MIXED_WORD: usize = 8;

/// Detectors of keys, tokens and passwords; [`emails`] detects e-mail addresses.
pub(super) static DETECTORS: [Detector; 5] = [
    Detector {
        kind: Kind::Secret,
        pattern: MARKED,
        accept: |_, range| Some(range),
    },
    Detector {
        kind: Kind::Secret,
        pattern: BEARER,
        accept: secret,
    },
    Detector {
        kind: Kind::Secret,
        pattern: ASSIGNED,
        accept: secret,
    },
    Detector {
        kind: Kind::Secret,
        pattern: PASSWORD_OF_URL,
        accept: |_, range| Some(range),
    },
    Detector {
        kind: Kind::Secret,
        pattern: PRIVATE_KEY,
        accept: |_, range| Some(range),
    },
];

/// Keys with the prefix of their issuer, this service's own keys included, and JSON Web Tokens.
const MARKED: &str = r"(?x)(?-u:\b)(?:
      ea_[0-9a-f]{16,}
    | (?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}
    | gh[opusr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | gl[a-z]{2,5}-[A-Za-z0-9_-]{20,}
    | xox[a-z]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,}
    | (?:AKIA|ASIA)[A-Z0-9]{16} | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_-]{20,} | GOCSPX-[A-Za-z0-9_-]{20,}
    | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{20,} | pypi-[A-Za-z0-9_-]{20,} | dop_v1_[0-9a-f]{32,}
    | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
)";
const BEARER: &str = r"(?i)bearer[\s:=]+(?P<v>[A-Za-z0-9._~+/=-]{8,})";
const ASSIGNED: &str = r#"(?ix)
    (?:api[\ _-]?key|access[\ _-]?key|private[\ _-]?key|secret|token|passw(?:or)?d|passphrase|pwd|credentials?|authorization)
    ["'\\]* \s* (?: [:=] | is\s ) \s* ["'\\]* (?:(?:bearer|basic|digest|token)\s+)?
    (?P<v>[^\s"'\\,;&<>]{8,})"#;
const PASSWORD_OF_URL: &str = r#"://[^\s/@:"']*:(?P<v>[^\s/@"'\[][^\s/@"']*)@"#;
const PRIVATE_KEY: &str = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[A-Za-z0-9+/=\s:,\\-]*";

/// Accepts a word that may be random. After `token:` or `secret is`, people also write ordinary
/// words.
fn secret(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let word = &text[range.clone()];
    (word.len() >= MIN_WORD || word.contains(|c: char| c.is_ascii_digit())).then_some(range)
}

/// Finds e-mail addresses, by extending each at sign to both sides. That is linear in the text,
/// because neither side extends past another at sign.
pub(super) fn emails(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('@')
        .filter_map(|(at, _)| {
            let is_local = |c: char| c.is_alphanumeric() || "._%+&'*!#~$^-".contains(c);
            let local = text[..at]
                .rfind(|c| !is_local(c))
                .map_or(0, |before| text.ceil_char_boundary(before + 1));
            // Punctuation before the first letter is not part of the address.
            let local = at
                - text[local..at]
                    .trim_start_matches(|c: char| !c.is_alphanumeric())
                    .len();
            let is_domain = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
            let domain = &text[at + 1..];
            let domain = &domain[..domain.find(|c| !is_domain(c)).unwrap_or(domain.len())];
            (local < at).then(|| local..at + 1 + host(domain))
        })
        .filter(|range| !text[range.clone()].ends_with('@'))
}

/// The length of the host name at the start of a domain: up to the last label, not the first, that
/// begins with two letters. `12@5.99` has no host name.
fn host(domain: &str) -> usize {
    let is_name = |label: &str| label.chars().take(2).filter(|c| c.is_alphabetic()).count() == 2;
    let mut end = 0;
    let mut start = 0;
    for label in domain.split('.') {
        if start > 0 && is_name(label) {
            end = start + label.len();
        }
        start += label.len() + 1;
    }
    end
}
