//! A file as UTF-8 text: which encoding its bytes have, and whether they are text at all. The byte
//! order mark of UTF-16 or `--encoding` names the encoding; otherwise the bytes pass through as they
//! are, so that one cell that is not UTF-8 costs its own row only.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use anyhow::Context;
use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Where text comes from: a file or standard input.
pub(super) type Input = Box<dyn Read + Send>;

/// How many bytes at the start of a file are read to find out what kind of file it is.
const HEAD_BYTES: u64 = 1024;

/// How files that are not text begin, what else their first bytes contain, and what such a file is
/// called. The first match counts; a workbook is an archive as well, so it comes before archives.
const NOT_TEXT: [(&[u8], &[u8], &str); 18] = [
    (b"PK", b"[Content_Types].xml", "an Excel workbook (.xlsx)"),
    (b"PK", b"xl/", "an Excel workbook (.xlsx)"),
    (b"PK", b"opendocument.spreadsheet", "a workbook (.ods)"),
    (b"PK", b"Index/", "a Numbers workbook"),
    (b"PK\x03\x04", b"", "a zip archive"),
    (b"PK\x05\x06", b"", "a zip archive"),
    (
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        b"",
        "an Excel workbook (.xls)",
    ),
    (b"%PDF-", b"", "a PDF document"),
    (b"\x1F\x8B", b"", "compressed (.gz)"),
    (b"BZh", b"1AY&SY", "compressed (.bz2)"),
    (b"\xFD7zXZ\0", b"", "compressed (.xz)"),
    (b"\x28\xB5\x2F\xFD", b"", "compressed (.zst)"),
    (b"7z\xBC\xAF\x27\x1C", b"", "a 7z archive"),
    (b"Rar!\x1A\x07", b"", "a rar archive"),
    (b"SQLite format 3\0", b"", "a SQLite database"),
    (b"\x89PNG\r\n", b"", "a picture"),
    (b"\xFF\xD8\xFF", b"", "a picture"),
    (b"{\\rtf", b"", "a text document (.rtf)"),
];

/// How text that is neither a table nor JSON lines begins, what else it contains, both in lower
/// case, and what such a file is called. The first match counts.
const OTHER_TEXT: [(&str, &str, &str); 12] = [
    ("<", "camt.05", "a CAMT statement"),
    ("ofxheader", "", "an OFX statement"),
    ("<", "<ofx>", "an OFX statement"),
    // Some banks name a web page `.xls` or `.csv`.
    ("<!doctype html", "", "a web page or XML"),
    ("<html", "", "a web page or XML"),
    ("<table", "", "a web page or XML"),
    ("<?xml", "", "a web page or XML"),
    ("!type:", "", "a QIF statement"),
    ("!account", "", "a QIF statement"),
    (":20:", "", "an MT940 statement"),
    ("{1:f", "", "an MT940 statement"),
    ("from:", "\nsubject:", "an e-mail"),
];

/// The decoded text of a file, and the size of the file in bytes if progress can be shown against
/// it: `None` for standard input, and for a file that has to be decoded.
///
/// # Errors
/// When the file cannot be read, or is not text.
pub(super) fn open(
    path: &Path,
    encoding: Option<&'static Encoding>,
) -> anyhow::Result<(Input, Option<u64>)> {
    let encoding = encoding.filter(|encoding| *encoding != UTF_8);
    if path.as_os_str() == "-" {
        // Checked when it is read: a pipe may be empty so far.
        let checked = Checked::new(Box::new(io::stdin()), encoding);
        return Ok((decoded(checked, encoding), None));
    }
    let unreadable = || format!("{} cannot be read", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let n_bytes = file.metadata().with_context(unreadable)?.len();
    let mut checked = Checked::new(Box::new(file), encoding);
    checked.check().with_context(unreadable)?;
    let is_utf_8 = encoding.is_none() && !is_utf_16(checked.head.get_ref());
    Ok((decoded(checked, encoding), is_utf_8.then_some(n_bytes)))
}

/// The encoding that a label names, such as `windows-1252`.
///
/// # Errors
/// When no encoding has this label.
pub(super) fn encoding(label: &str) -> Result<&'static Encoding, &'static str> {
    // The standard knows `latin9` as `l9` only.
    let latin = label
        .to_ascii_lowercase()
        .replace("latin-", "l")
        .replace("latin", "l");
    let known = Encoding::for_label(label.as_bytes());
    known.or_else(|| Encoding::for_label(latin.as_bytes())).ok_or(
        "write the name of an encoding, such as windows-1252, iso-8859-15, utf-16le or shift_jis",
    )
}

fn decoded(checked: Checked, encoding: Option<&'static Encoding>) -> Input {
    let decoded = DecodeReaderBytesBuilder::new()
        .encoding(encoding)
        .bom_override(true)
        .strip_bom(true)
        .utf8_passthru(encoding.is_none())
        .build(checked);
    Box::new(decoded)
}

fn is_utf_16(head: &[u8]) -> bool {
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF")
}

/// Bytes that are checked before the first of them is handed on.
struct Checked {
    head: Cursor<Vec<u8>>,
    rest: Input,
    is_checked: bool,
    /// The encoding that the command line names.
    encoding: Option<&'static Encoding>,
}

impl Checked {
    fn new(rest: Input, encoding: Option<&'static Encoding>) -> Self {
        Self {
            head: Cursor::default(),
            rest,
            is_checked: false,
            encoding,
        }
    }

    /// Reads the first bytes.
    fn check(&mut self) -> io::Result<()> {
        if self.is_checked {
            return Ok(());
        }
        self.is_checked = true;
        let head = self.head.get_mut();
        self.rest.by_ref().take(HEAD_BYTES).read_to_end(head)?;
        let problem = not_text(head)
            .or_else(|| other_text(head, self.encoding))
            .or_else(|| other_encoding(head, self.encoding));
        match problem {
            Some(message) => Err(io::Error::new(io::ErrorKind::InvalidData, message)),
            None => Ok(()),
        }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            n_bytes => Ok(n_bytes),
        }
    }
}

/// Says what kind of file begins with these bytes, and what to do with it; `None` for text.
fn not_text(head: &[u8]) -> Option<String> {
    let contains = |part: &[u8]| part.is_empty() || head.windows(part.len()).any(|at| at == part);
    let found = NOT_TEXT
        .iter()
        .find(|(start, part, _)| head.starts_with(start) && contains(part));
    found.map(|(_, _, name)| format!("the file is {name}; save the table as CSV UTF-8"))
}

/// Says the same of text that is neither a table nor JSON lines; `None` for any other text.
fn other_text(head: &[u8], encoding: Option<&'static Encoding>) -> Option<String> {
    let (text, ..) = encoding.unwrap_or(UTF_8).decode(head);
    let text = text.to_ascii_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let found = OTHER_TEXT
        .iter()
        .find(|(start, part, _)| text.starts_with(start) && text.contains(part));
    if let Some((_, _, name)) = found {
        return Some(format!("the file is {name}; save the table as CSV UTF-8"));
    }
    let is_array = text
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_start().starts_with(['{', ']']));
    let spans_lines = text.strip_prefix('{').is_some_and(|rest| {
        rest.trim_start_matches([' ', '\t'])
            .starts_with(['\n', '\r'])
    });
    (is_array || spans_lines).then(|| {
        "the file is JSON; write each expense as an object on a line of its own, and use no array"
            .to_owned()
    })
}

/// Says that a file does not have the expected encoding, and what to do about it.
fn other_encoding(head: &[u8], encoding: Option<&'static Encoding>) -> Option<String> {
    if head.starts_with(b"\xFF\xFE\0\0") || head.starts_with(b"\0\0\xFE\xFF") {
        return Some("the file is UTF-32; save it as CSV UTF-8".to_owned());
    }
    if is_utf_16(head) {
        return None;
    }
    if let Some(encoding) = encoding {
        return is_utf_8(head, encoding).then(|| {
            let name = encoding.name();
            format!("the file is UTF-8, not {name}; leave out --encoding")
        });
    }
    // Every second byte of western text in UTF-16 is zero.
    let is_zero = |place: usize| {
        head.iter()
            .skip(place)
            .step_by(2)
            .take(8)
            .all(|byte| *byte == 0)
    };
    let name = match (head.len() >= 4 && is_zero(0), head.len() >= 4 && is_zero(1)) {
        (false, true) => "utf-16le",
        (true, false) => "utf-16be",
        _ => return None,
    };
    Some(format!(
        "the file looks like UTF-16 without a byte order mark; save it as CSV UTF-8, or add \
         --encoding {name}"
    ))
}

/// Whether bytes are UTF-8 although the command line names another encoding. Accented letters in an
/// encoding of one byte per letter are hardly ever valid UTF-8 by chance.
fn is_utf_8(head: &[u8], encoding: &'static Encoding) -> bool {
    // A byte order mark takes precedence over the flag, so nothing is misread.
    if head.starts_with(b"\xEF\xBB\xBF") {
        return false;
    }
    let (is_valid, n_valid) = match std::str::from_utf8(head) {
        Ok(text) => (true, text.len()),
        // The last character may be cut off.
        Err(error) => (error.error_len().is_none(), error.valid_up_to()),
    };
    let is_ascii = head[..n_valid].is_ascii();
    is_valid
        && match encoding.is_single_byte() {
            true => !is_ascii,
            false => {
                encoding.name().starts_with("UTF-16") && !head.contains(&0) && !head.is_empty()
            }
        }
}
