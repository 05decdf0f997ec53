//! The parameters of the list: those of `GET /v1/expenses`, and the further conditions of a search. An
//! empty parameter is a field that was left alone. How a search is done is in `ledger::search`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::expense::calendar_date;
use crate::http::error::Problem;
use crate::http::listing::{self, Parameter};
use crate::ledger::PageRequest;
use crate::ledger::search::Search;

/// Characters of the words to search for.
const MAX_WORDS_CHARS: usize = 200;
/// What is accepted as one end of a period.
const MOMENT: &str = "write a date such as 2026-03-14, or a timestamp such as 2026-03-14T09:30:00Z";

/// Reads the parameters of a list: what to search for, and which page.
///
/// # Errors
/// A problem that names the parameter and what it may be.
pub(super) fn parse(parameters: &[(String, String)]) -> Result<(Search, PageRequest), Problem> {
    listing::refuse_repeated(parameters)?;
    let mut search = Search::default();
    let mut of_api = Vec::new();
    let (mut from, mut until) = (None, None);
    let filled_in = parameters.iter().filter(|(_, value)| !value.is_empty());
    for (name, value) in filled_in {
        let given = Parameter { name, value };
        let content = &mut search.content;
        match name.as_str() {
            "tenant" => {}
            "from" => from = Some(given.moment(false)?),
            "until" => until = Some(given.moment(true)?),
            "rule" => content.rule = Some(given.line()?),
            "agent_outcome" => content.agent_outcome = Some(given.variant()?),
            "override" => content.is_override = Some(given.boolean()?),
            "failed" => content.has_failed_check = Some(given.boolean()?),
            "resolved" => content.is_resolved = Some(given.boolean()?),
            "judged" => content.is_judged = Some(given.boolean()?),
            "overturned" => content.is_overturned = Some(given.boolean()?),
            "paid" => content.is_paid = Some(given.boolean()?),
            "priced" => content.is_priced = Some(given.boolean()?),
            "timed_step" => content.timed_step = Some(given.line()?),
            "model" => content.model = Some(given.line()?),
            "prompt" => content.prompt = Some(given.line()?),
            "prompt_version" => content.prompt_version = Some(given.line()?),
            "text" => content.text = Some(given.words()?),
            _ => of_api.push((name.clone(), value.clone())),
        }
    }
    let (filter, page) = listing::parse(&of_api)?;
    search.filter = filter;
    (search.filter.received_from, search.filter.received_until) = (from, until);
    Ok((search, page))
}

impl Parameter<'_> {
    fn boolean(&self) -> Result<bool, Problem> {
        let parsed = self.value.parse();
        parsed.map_err(|_| self.refused("write true or false"))
    }

    /// The first moment of a period, or the first moment after it. A day belongs to the period that
    /// it ends.
    fn moment(&self, is_end: bool) -> Result<Timestamp, Problem> {
        let day = calendar_date(self.value).and_then(|day| match is_end {
            true => day.tomorrow().ok(),
            false => Some(day),
        });
        let begin = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        begin
            .map(|begin| begin.timestamp())
            .or_else(|| self.value.parse().ok())
            .ok_or_else(|| self.refused(MOMENT))
    }

    fn words(&self) -> Result<String, Problem> {
        match self.value.chars().count() <= MAX_WORDS_CHARS {
            true => Ok(self.value.to_owned()),
            false => Err(self.refused(&format!("write at most {MAX_WORDS_CHARS} characters"))),
        }
    }
}
