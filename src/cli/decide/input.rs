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

/// How many bytes are looked at to tell what a file is.
const HEAD_BYTES: u64 = 512;

/// How files begin that are not text. The first one that matches names the file; a workbook is an
/// archive as well, so it comes before archives.
const NOT_TEXT: [(&[u8], &[u8], &str); 10] = [
    (b"PK", b"[Content_Types].xml", "an Excel workbook (.xlsx)"),
    (b"PK", b"xl/", "an Excel workbook (.xlsx)"),
    (b"PK", b"opendocument.spreadsheet", "a workbook (.ods)"),
    (b"PK\x03\x04", b"", "a zip archive"),
    (b"PK\x05\x06", b"", "a zip archive"),
    (
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        b"",
        "an Excel workbook (.xls)",
    ),
    (b"%PDF-", b"", "a PDF document"),
    (b"\x1F\x8B", b"", "compressed (.gz)"),
    (b"7z\xBC\xAF\x27\x1C", b"", "a 7z archive"),
    (b"{\\rtf", b"", "a text document (.rtf)"),
];

/// How web pages begin: some banks name one `.xls` or `.csv`.
const MARKUP: [&str; 4] = ["<!doctype html", "<html", "<table", "<?xml"];

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
        // Checked when it is read: a pipe may have nothing to say yet.
        let checked = Checked::new(Box::new(io::stdin()), encoding.is_some());
        return Ok((decoded(checked, encoding), None));
    }
    let unreadable = || format!("{} cannot be read", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let n_bytes = file.metadata().with_context(unreadable)?.len();
    let mut checked = Checked::new(Box::new(file), encoding.is_some());
    checked.check().with_context(unreadable)?;
    let is_utf_8 = encoding.is_none() && !is_utf_16(checked.head.get_ref());
    Ok((decoded(checked, encoding), is_utf_8.then_some(n_bytes)))
}

/// The encoding that a label names, such as `windows-1252`.
///
/// # Errors
/// When no encoding has this label.
pub(super) fn encoding(label: &str) -> Result<&'static Encoding, &'static str> {
    Encoding::for_label(label.as_bytes()).ok_or(
        "write the name of an encoding, such as windows-1252, iso-8859-15, utf-16le or shift_jis",
    )
}

fn decoded(checked: Checked, encoding: Option<&'static Encoding>) -> Input {
    let decoded = DecodeReaderBytesBuilder::new()
        .encoding(encoding)
        .bom_override(true)
        .strip_bom(true)
        .utf8_passthru(true)
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
    /// Whether the encoding is known, so that zero bytes are no surprise.
    is_encoding_known: bool,
}

impl Checked {
    fn new(rest: Input, is_encoding_known: bool) -> Self {
        Self {
            head: Cursor::default(),
            rest,
            is_checked: false,
            is_encoding_known,
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
        match not_text(head, self.is_encoding_known) {
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

/// What a file is that begins with these bytes, and what to do with it; `None` for text.
fn not_text(head: &[u8], is_encoding_known: bool) -> Option<String> {
    let contains = |part: &[u8]| part.is_empty() || head.windows(part.len()).any(|at| at == part);
    let found = NOT_TEXT
        .iter()
        .find(|(start, part, _)| head.starts_with(start) && contains(part));
    if let Some((_, _, name)) = found {
        return Some(format!("the file is {name}; save the table as CSV UTF-8"));
    }
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if MARKUP.iter().any(|start| text.starts_with(start)) {
        return Some("the file is a web page or XML; save the table as CSV UTF-8".to_owned());
    }
    if head.starts_with(b"\xFF\xFE\0\0") || head.starts_with(b"\0\0\xFE\xFF") {
        return Some("the file is UTF-32; save it as CSV UTF-8".to_owned());
    }
    if is_encoding_known || is_utf_16(head) {
        return None;
    }
    // Every other byte of western text in UTF-16 is zero.
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
