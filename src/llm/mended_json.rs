//! JSON that almost is JSON: what programs and models write although the grammar forbids it, replaced
//! by what they mean. Nothing is guessed; a text with any other fault stays as it is.

use std::borrow::Cow;

/// The numbers that JSON lacks; the encoder of Python writes them unless it is told not to.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The text with `null` in place of numbers that JSON lacks, and in strings with escaped control
/// characters and with U+FFFD in place of half a surrogate pair.
pub fn mended(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended = String::new();
    let (mut n_copied, mut at, mut in_string) = (0, 0, false);
    while let Some(byte) = bytes.get(at) {
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
                let number = NO_NUMBERS.iter().find(|no| rest.starts_with(no.as_bytes()));
                number.map_or((1, None), |no| (no.len(), Some("null".to_owned())))
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

/// The code unit of UTF-16 that an escape such as `\u00e9` stands for.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}
