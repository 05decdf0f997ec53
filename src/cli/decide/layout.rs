//! How the text of a table is laid out: lines before the header, and the delimiter between cells.
//! What the cells hold is read in `table`.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::cli::decide::input::Input;

/// The delimiters that are detected without a flag. Of two that fit equally well, the first is
/// used.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How much text is read to find the delimiter.
const SAMPLE_BYTES: u64 = 16 * 1024;
/// How many rows of that text are compared.
const N_SAMPLE_ROWS: usize = 20;

/// A table from its header on.
pub(super) struct Layout {
    /// The text, from the first byte of the header.
    pub input: Input,
    /// The byte between two cells.
    pub delimiter: u8,
}

/// Skips the first `n_skipped` lines, and finds the delimiter: `given` by a flag, named by a line
/// such as `sep=;`, or the one under which the first rows look most like a table with columns of
/// these `names`. A line `sep=;` is not counted, because spreadsheets do not show it.
///
/// # Errors
/// When the text cannot be read.
pub(super) fn find(
    input: Input,
    n_skipped: usize,
    given: Option<u8>,
    names: &[&str],
) -> io::Result<Layout> {
    let mut input = BufReader::new(input);
    let mut named = None;
    let mut line = next_line(&mut input)?;
    if let Some(delimiter) = named_by(&line) {
        named = Some(delimiter);
        line = next_line(&mut input)?;
    }
    for _ in 0..n_skipped {
        line = next_line(&mut input)?;
    }
    if named.is_none() && named_by(&line).is_some() {
        named = named_by(&line);
        line.clear();
    }
    let mut sample = line;
    let delimiter = match given.or(named) {
        Some(delimiter) => delimiter,
        None => {
            input.by_ref().take(SAMPLE_BYTES).read_to_end(&mut sample)?;
            most_likely(&sample, names)
        }
    };
    Ok(Layout {
        input: Box::new(Cursor::new(sample).chain(input)),
        delimiter,
    })
}

/// The next line with its end, which is `\n`, `\r\n` or `\r`; empty at the end of the text.
fn next_line(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let n_bytes = end.map_or(bytes.len(), |end| end + 1);
        line.extend_from_slice(&bytes[..n_bytes]);
        input.consume(n_bytes);
        if end.is_some() || n_bytes == 0 {
            break;
        }
    }
    if line.ends_with(b"\r") && input.fill_buf()?.first() == Some(&b'\n') {
        input.consume(1);
        line.push(b'\n');
    }
    Ok(line)
}

/// The delimiter that a line `sep=;` names. A spreadsheet that saves the line again adds delimiters to
/// make it as long as the other rows.
fn named_by(line: &[u8]) -> Option<u8> {
    let line = line.trim_ascii_end();
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    match line {
        [s, e, p, b'=', named @ ..] if [s, e, p].map(u8::to_ascii_lowercase) == *b"sep" => {
            // A tab was trimmed.
            let delimiter = *named.first().unwrap_or(&b'\t');
            let is_named = is_delimiter(delimiter) && named.iter().all(|byte| *byte == delimiter);
            is_named.then_some(delimiter)
        }
        _ => None,
    }
}

/// Whether a byte can be between cells: it occurs neither in a number nor in a name, and ends no line.
pub(super) fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r')
}

/// The delimiter under which the header has most of the wanted columns. Of several such delimiters,
/// the one under which most rows are as long as the header.
fn most_likely(sample: &[u8], names: &[&str]) -> u8 {
    let mut best = (DELIMITERS[0], (0, 0, 1));
    for delimiter in DELIMITERS {
        let fit = fit(sample, delimiter, names);
        let (_, _, n_columns) = fit;
        if n_columns > 1 && fit > best.1 {
            best = (delimiter, fit);
        }
    }
    best.0
}

/// How well a delimiter fits: the numbers of wanted columns in the header, of rows that have as
/// many cells as the header, and of columns.
fn fit(sample: &[u8], delimiter: u8, names: &[&str]) -> (usize, usize, usize) {
    let mut rows = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(sample)
        .into_byte_records()
        .map_while(Result::ok)
        .take(N_SAMPLE_ROWS);
    let header = rows.next().unwrap_or_default();
    let n_columns = n_filled(&header);
    let n_wanted = names
        .iter()
        .filter(|name| header.iter().any(|column| column == name.as_bytes()))
        .count();
    let n_alike = rows.filter(|row| n_filled(row) <= n_columns && row.len() >= n_columns);
    (n_wanted, n_alike.count(), n_columns)
}

/// The number of cells of a row without the empty ones at its end.
pub(super) fn n_filled(row: &ByteRecord) -> usize {
    row.iter()
        .rposition(|cell| !cell.is_empty())
        .map_or(0, |place| place + 1)
}
