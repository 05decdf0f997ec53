//! How amounts and dates are written in the cells of a table. Nothing is guessed: a cell that is
//! not in the format given on the command line is an error of its row.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use regex::Regex;

/// The format of dates without `--date-format`.
const ISO_DATE: &str = "%Y-%m-%d";
/// The first year with four digits. An earlier year was written with two digits.
const MIN_YEAR: i16 = 1000;
/// The moment in examples, whose day, month and year cannot be mistaken for each other.
const EXAMPLE: DateTime = DateTime::constant(2026, 3, 14, 15, 9, 26, 0);

/// What may follow a date that is read: a time with or without its zone, or a zone. The day is used
/// as it is written, and not converted to another zone.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) ^ (
            ( T | ,?\s+ ) ( [01]?\d | 2[0-4] ) [:.][0-5]\d ( [:.][0-5]\d ( [.,]\d{1,9} )? )? ( \s?[AaPp]\.?[Mm]\.? )?
            ( \s? ( Z | [A-Z]{3,5} | [+-]\d{2}(:?\d{2})? ) )? ( \[[\w/+-]+\] )?
            | Z | [+-]\d{2}:\d{2}
        )? $",
    )
    .expect("the pattern is constant")
});
/// What may follow a time that is read.
static ZONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s?(Z|[A-Z]{3,5}|[+-]\d{2}(:?\d{2})?)(\[[\w/+-]+\])?$")
        .expect("the pattern is constant")
});

/// The minus sign of keyboards, and the typographic one that Nordic banks write.
const MINUS: [char; 2] = ['-', '\u{2212}'];
/// The blanks that separate thousands.
const BLANKS: [char; 4] = [' ', '\u{a0}', '\u{2009}', '\u{202f}'];

/// How amounts are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct AmountFormat {
    /// The separator before the decimals.
    pub decimal: char,
    /// The separator between groups of digits, if there is one.
    pub thousands: Option<char>,
    /// Whether purchases are below zero and credits above.
    pub is_negated: bool,
}

impl AmountFormat {
    /// An amount as the API accepts it, with a point before its decimals.
    ///
    /// # Errors
    /// When the amount is not written in this format; the error says what would be accepted.
    pub(super) fn plain(self, cell: &str) -> Result<String, String> {
        self.read(cell).ok_or_else(|| self.diagnostic(cell))
    }

    /// What is wrong with an amount that is not written in this format, and what to write instead.
    fn diagnostic(self, cell: &str) -> String {
        let is_sign = |c: char| MINUS.contains(&c) || matches!(c, '+' | '(' | ')');
        let is_separator = |c: char| ".,_'".chars().chain(BLANKS).any(|known| is_alike(known, c));
        if cell.contains(|c: char| !c.is_ascii_digit() && !is_sign(c) && !is_separator(c)) {
            return "write the amount in the digits 0 to 9, without a currency or other text; the \
                    currency belongs in a column of its own, or in --set currency=CODE"
                .to_owned();
        }
        if cell.strip_prefix(MINUS).unwrap_or(cell).contains(is_sign) {
            return "write an amount without a sign, or with a minus before its digits".to_owned();
        }
        let Self {
            decimal, thousands, ..
        } = self;
        let thousands = thousands.map_or_else(
            || "no separator between thousands".to_owned(),
            |separator| format!("`{separator}` between thousands"),
        );
        format!(
            "write digits with `{decimal}` before the decimals, {thousands} and a minus for \
             amounts below zero; if the file writes amounts in another way, name its separators with \
             --decimal and --thousands"
        )
    }

    fn read(self, cell: &str) -> Option<String> {
        let (is_below_zero, digits) = match cell.strip_prefix(MINUS) {
            Some(digits) => (true, digits),
            // Where purchases have a minus, a plus marks a credit; elsewhere it may mark one as well,
            // beside purchases without a sign.
            None if self.is_negated => (false, cell.strip_prefix('+').unwrap_or(cell)),
            None => (false, cell),
        };
        let sign = if is_below_zero == self.is_negated {
            ""
        } else {
            "-"
        };
        let (whole, decimals) = match digits.split_once(self.decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (digits, None),
        };
        let is_separator = |c: char| {
            self.thousands
                .is_some_and(|separator| is_alike(separator, c))
        };
        let groups: Vec<&str> = whole.split(is_separator).collect();
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !groups.iter().all(|group| is_number(group)) || !are_thousands(&groups) {
            return None;
        }
        let whole = groups.concat();
        match decimals {
            Some(decimals) => is_number(decimals).then(|| format!("{sign}{whole}.{decimals}")),
            None => Some(format!("{sign}{whole}")),
        }
    }
}

/// Whether an amount in plain digits is zero.
pub(super) fn is_zero(amount: &str) -> bool {
    amount.contains('0') && !amount.contains(|c| !matches!(c, '-' | '.' | '0'))
}

/// Whether the groups of a number are written as thousands: of three digits each, or as in India of
/// two digits before the last three. In any other groups, the separator may be that of decimals.
fn are_thousands(groups: &[&str]) -> bool {
    let [first, inner @ .., last] = groups else {
        return true;
    };
    let n_digits = if inner.iter().all(|group| group.len() == 2) && !inner.is_empty() {
        2
    } else {
        3
    };
    !first.starts_with('0')
        && first.len() <= n_digits
        && inner.iter().all(|group| group.len() == n_digits)
        && last.len() == 3
}

/// Whether two characters are the same separator to a reader: blanks and apostrophes have several
/// forms that look alike.
fn is_alike(one: char, other: char) -> bool {
    const APOSTROPHES: [char; 2] = ['\'', '\u{2019}'];
    one == other
        || [&BLANKS[..], &APOSTROPHES]
            .iter()
            .any(|forms| forms.contains(&one) && forms.contains(&other))
}

/// How dates are written.
#[derive(Clone, Debug)]
pub(super) struct DateFormat {
    /// The directives of `strftime`, without a time zone at the end.
    directives: String,
}

impl Default for DateFormat {
    fn default() -> Self {
        Self {
            directives: ISO_DATE.to_owned(),
        }
    }
}

impl DateFormat {
    /// Checks a format given on the command line.
    ///
    /// # Errors
    /// When a date that is written in the format cannot be read back.
    pub(super) fn parse(format: &str) -> Result<Self, &'static str> {
        // A time zone is left to `TIME`, which accepts more ways to write one.
        let zone = ["%:::z", "%::z", "%:z", "%z", "%Z", "%:Q", "%Q"];
        let directives = zone
            .iter()
            .find_map(|zone| format.strip_suffix(zone))
            .unwrap_or(format)
            .trim_end();
        let format = Self {
            directives: directives.to_owned(),
        };
        let written = format.example(directives);
        let is_read = written.is_some_and(|written| {
            format.day(&written).as_deref() == Ok(EXAMPLE.date().to_string().as_str())
        });
        is_read.then_some(format).ok_or(
            "write a format with day, month and year, such as %d/%m/%Y, or with a time as well, \
             such as \"%Y-%m-%d %H:%M:%S\"",
        )
    }

    /// The day of a date as the API accepts it. A time after the date is left out.
    ///
    /// # Errors
    /// When the date is not written in this format; the error says what would be accepted.
    pub(super) fn day(&self, cell: &str) -> Result<String, String> {
        let read = BrokenDownTime::parse_prefix(&self.directives, cell).ok();
        let dated = read.and_then(|(time, n_bytes)| Some((time.to_date().ok()?, time, n_bytes)));
        let Some((date, time, n_bytes)) = dated else {
            return Err(self.expected());
        };
        let is_time_read = time.hour().is_some();
        let is_time = |rest: &str| TIME.is_match(rest) || (is_time_read && ZONE.is_match(rest));
        if !cell.get(n_bytes..).is_some_and(is_time) {
            return Err(format!(
                "the text after the date is not a time; {}",
                self.expected()
            ));
        }
        if date.year() < MIN_YEAR {
            return Err(self.short_year());
        }
        self.is_in_full(time, cell)
            .then(|| date.to_string())
            .ok_or_else(|| self.expected())
    }

    /// What would be accepted.
    fn expected(&self) -> String {
        const NAMES: [&str; 5] = ["%a", "%A", "%b", "%B", "%h"];
        let has_names = NAMES.iter().any(|name| self.directives.contains(name));
        format!(
            "write a calendar date in the format {}, such as {}{}",
            self.directives,
            self.example(&self.directives).unwrap_or_default(),
            if has_names {
                ", with names in English"
            } else {
                ""
            }
        )
    }

    /// Whether the numbers of a date are written in full. The leading zero of a day or a month may
    /// be missing or superfluous, but only if something separates it from the next number:
    /// `2026111` could be the 1st of November or the 11th of January.
    fn is_in_full(&self, mut time: BrokenDownTime, cell: &str) -> bool {
        let directives = without_fraction(&self.directives);
        let written = time.to_string(directives);
        // The same date in another year: the number that differs is the year.
        let another = time
            .set_year(Some(2111))
            .and_then(|()| time.to_string(directives));
        let (Ok(written), Ok(another)) = (written, another) else {
            return false;
        };
        let mut found = numbers(cell);
        numbers(&written)
            .zip(numbers(&another))
            .all(|(written, another)| {
                let number = found.next();
                let is_year = written != another;
                let is_alike =
                    |number: &str| digit(number).is_some_and(|one| digit(written) == Some(one));
                number == Some(written) || (!is_year && number.is_some_and(is_alike))
            })
    }

    fn short_year(&self) -> String {
        let short = self
            .directives
            .replace("%Y", "%y")
            .replace("%F", "%y-%m-%d");
        format!(
            "the year does not have the four digits of {}; for years of two digits such as {}, \
             write --date-format {short:?}",
            self.directives,
            self.example(&short).unwrap_or_default()
        )
    }

    fn example(&self, directives: &str) -> Option<String> {
        BrokenDownTime::from(EXAMPLE).to_string(directives).ok()
    }
}

/// The part of a format before fractions of a second, which can be written with any number of digits.
fn without_fraction(directives: &str) -> &str {
    let fraction = ["%.", "%f", "%N", "%1", "%3", "%6", "%9"];
    let end = fraction
        .iter()
        .filter_map(|part| directives.find(part))
        .min();
    &directives[..end.unwrap_or(directives.len())]
}

/// The numbers in a text.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty())
}

/// The digit that a number consists of, without a zero before it.
fn digit(number: &str) -> Option<&str> {
    Some(number.strip_prefix('0').unwrap_or(number)).filter(|digit| digit.len() == 1)
}
