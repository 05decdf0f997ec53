//! The text of a table on its way to the CSV reader, which accepts misplaced quotes. A quote that
//! is never closed, or that is closed in the middle of a cell, can merge several rows into one,
//! whose amount is then that of the last of them. To find a quote that is never closed, a row is
//! appended to the text; places where a cell goes on after its closing quote are noted while the
//! text is read.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::ops::Range;

use crate::cli::decide::input::Input;

/// The row that is appended to every table: a quote that is never closed opens a cell that ends with
/// it.
pub(super) const END: &str = "\u{0}end\u{0}";
/// What is wrong with a row that contains [`END`].
pub(super) const UNCLOSED: &str = "opens a quote that is never closed, so the rest of the file is read as one \
                        cell; close the quote";
/// What is wrong with a row in which a cell goes on after its closing quote.
pub(super) const STRAY: &str = "has a cell that goes on after its closing quote, so where the row ends is uncertain; \
                     write each quote inside a cell twice";

/// A text with [`END`] after it.
pub(super) struct QuotedText {
    text: Input,
    delimiter: u8,
    place: Place,
    n_read: u64,
    is_read: bool,
    /// The offsets at which a cell goes on after its closing quote.
    strays: VecDeque<u64>,
    end: Cursor<String>,
}

/// Where a byte of a table is.
#[derive(Clone, Copy)]
enum Place {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes around it.
    Bare,
    /// Between quotes.
    Quoted,
    /// After a quote that closes the cell, unless it is the first of two.
    Closed,
    /// After blanks that follow the closing quote.
    Padded,
}

impl QuotedText {
    /// A text with this delimiter between its cells.
    pub(super) fn new(text: Input, delimiter: u8) -> Self {
        Self {
            text,
            delimiter,
            place: Place::Start,
            n_read: 0,
            is_read: false,
            strays: VecDeque::new(),
            end: Cursor::new(format!("\n{END}\n")),
        }
    }

    /// Whether the whole text was read, and ends before this offset.
    pub(super) fn ends_before(&self, offset: u64) -> bool {
        self.is_read && offset > self.n_read
    }

    /// Whether a cell between these offsets goes on after its closing quote. Earlier offsets are
    /// forgotten.
    pub(super) fn has_stray(&mut self, row: &Range<u64>) -> bool {
        while self.strays.front().is_some_and(|stray| *stray < row.start) {
            self.strays.pop_front();
        }
        self.strays.front().is_some_and(|stray| *stray < row.end)
    }

    /// Moves on by one byte, and notes a cell that goes on after its closing quote.
    fn follow(&mut self, byte: u8) {
        let is_end = byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        self.place = match (self.place, byte) {
            (Place::Start | Place::Closed, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) => Place::Quoted,
            _ if is_end => Place::Start,
            (Place::Closed | Place::Padded, b' ' | b'\t') => Place::Padded,
            (Place::Closed | Place::Padded, _) => {
                self.strays.push_back(self.n_read);
                Place::Bare
            }
            (Place::Start | Place::Bare, _) => Place::Bare,
        };
        self.n_read += 1;
    }
}

impl Read for QuotedText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.text.read(buffer)?;
        if n_bytes > 0 || buffer.is_empty() {
            buffer[..n_bytes].iter().for_each(|byte| self.follow(*byte));
            return Ok(n_bytes);
        }
        self.is_read = true;
        self.end.read(buffer)
    }
}
