//! Mends text that is almost JSON: what some programs and models write although the grammar forbids
//! it is replaced by what they mean. Nothing is guessed; any other error is left in the text.

use std::borrow::Cow;

/// The numbers that JSON lacks. Python's encoder writes them unless `allow_nan` is false.
const MISSING_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The text with `null` in place of numbers that JSON lacks. Inside strings, control characters are
/// escaped, and U+FFFD replaces half a surrogate pair.
pub fn mended(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended = String::new();
    let (mut n_copied, mut at, mut in_string) = (0, 0, false);
    let next = |at| bytes.get(at..)?.iter().position(may_matter);
    while let Some(n_plain) = next(at) {
        at += n_plain;
        let byte = bytes[at];
        let (n_bytes, replacement) = match (in_string, byte) {
            (_, b'"') => {
                in_string = !in_string;
                (1, None)
            }
            (true, b'\\') => match (code_unit(bytes, at), code_unit(bytes, at + 6)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
                (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd".to_owned())),
                _ => (2, None),
            },
            (true, 0..0x20) => (1, Some(format!("\\u{byte:04x}"))),
            (false, b'N' | b'I' | b'-') => {
                let rest = &bytes[at..];
                let number = MISSING_NUMBERS
                    .iter()
                    .find(|missing| rest.starts_with(missing.as_bytes()));
                number.map_or((1, None), |missing| {
                    (missing.len(), Some("null".to_owned()))
                })
            }
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            mended.push_str(&text[n_copied..at]);
            mended.push_str(&replacement);
            n_copied = at + n_bytes;
        }
        at += n_bytes;
    }
    if n_copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[n_copied..]);
    Cow::Owned(mended)
}

/// Whether a byte may begin what is mended, or a string; every other byte is passed over.
fn may_matter(byte: &u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\' | b'N' | b'I' | b'-')
}

/// The code unit of UTF-16 in an escape such as `\u00e9`.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}
