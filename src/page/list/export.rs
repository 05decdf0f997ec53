//! The list as a file: every page of it, as a table for spreadsheets or as JSON lines. The file is read
//! page by page, no faster than the browser takes it.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use maud::{Markup, html};
use uuid::Uuid;

use super::Parameters;
use crate::export::{Format, Lines};
use crate::http::batch::NDJSON;
use crate::keys::identity::Identity;
use crate::ledger::search::Search;
use crate::ledger::{Ledger, LedgerError, PageRequest};
use crate::page::failure::Failure;
use crate::page::viewer::Viewer;
use crate::page::{PageState, search};

/// Decisions that are read at a time.
const PAGE: u32 = 200;
/// The paths of the files.
pub(in crate::page) const CSV_PATH: &str = "/ui/decisions.csv";
pub(in crate::page) const NDJSON_PATH: &str = "/ui/decisions.ndjson";

/// Links to the files with exactly this list.
pub(super) fn links(viewer: &Viewer, parameters: &Parameters) -> Markup {
    let filters = parameters.filters();
    html! {
        p {
            span.muted { "Export this list: " }
            a href=(viewer.href(CSV_PATH, &filters)) download { "CSV" } " "
            a href=(viewer.href(NDJSON_PATH, &filters)) download { "NDJSON" }
        }
    }
}

/// `GET /ui/decisions.csv`
pub(in crate::page) async fn csv(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    file(&page, &viewer, &parameters, Format::Csv).await
}

/// `GET /ui/decisions.ndjson`
pub(in crate::page) async fn ndjson(
    State(page): State<PageState>,
    viewer: Viewer,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    file(&page, &viewer, &parameters, Format::Ndjson).await
}

async fn file(
    page: &PageState,
    viewer: &Viewer,
    parameters: &[(String, String)],
    format: Format,
) -> Result<Response, Failure> {
    let (wanted, _) = search::parse(parameters)?;
    let reading = Reading {
        ledger: page.app.agent.ledger.clone(),
        identity: viewer.identity.clone(),
        wanted,
        format,
        place: Place::Beginning,
    };
    // The first page is read before the response begins, so that a ledger that cannot be read is
    // answered with a document.
    let (first, reading) = reading.next().await?;
    let first = stream::once(async { Ok(first) });
    let body = Body::from_stream(stream::StreamExt::chain(first, reading.rest()));
    let (content_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "decisions.csv"),
        Format::Ndjson => (NDJSON, "decisions.ndjson"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let head = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
    ];
    Ok((head, body).into_response())
}

/// How far an export has come.
enum Place {
    Beginning,
    After(Uuid),
    End,
}

/// An export in progress.
struct Reading {
    ledger: Ledger,
    identity: Identity,
    wanted: Search,
    format: Format,
    place: Place,
}

impl Reading {
    /// The lines of the next page.
    async fn next(mut self) -> Result<(Bytes, Self), LedgerError> {
        let after = match self.place {
            Place::After(id) => Some(id),
            Place::Beginning | Place::End => None,
        };
        let range = PageRequest { after, limit: PAGE };
        let found = self
            .ledger
            .search(
                &self.identity.tenant_id,
                self.identity.own_only(),
                &self.wanted,
                range,
            )
            .await?;
        let page = self.ledger.with_records(found.decisions).await?;
        let mut text = Vec::new();
        let is_beginning = matches!(self.place, Place::Beginning);
        let written = (|| {
            let mut lines = match is_beginning {
                true => Lines::begin(self.format, &mut text)?,
                false => Lines::resume(self.format, &mut text),
            };
            page.iter().try_for_each(|exported| lines.write(exported))?;
            lines.flush()
        })();
        written.expect("a buffer in memory takes every line");
        self.place = found.next.map_or(Place::End, Place::After);
        Ok((text.into(), self))
    }

    /// The lines of all further pages.
    fn rest(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, async |reading| {
            if matches!(reading.place, Place::End) {
                return Ok(None);
            }
            reading.next().await.map(Some).map_err(io::Error::other)
        })
    }
}
