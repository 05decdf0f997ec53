//! A client of the batch route, of a service at a URL or of the same routes in this process. Rows
//! that are answered with a 5xx are sent again. A connection that breaks ends the run; the same
//! command can then be run again.

use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt, TryStreamExt};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;
use tower::ServiceExt;

use crate::base_url;
use crate::cli::decide::Decide;
use crate::cli::decide::anew;
use crate::cli::decide::row::{Content, Row};
use crate::http::batch::{LineAnswer, NDJSON, PATH};

/// How often a row is sent again, and the first wait; each later wait is twice as long.
/// The waits add up to 63 s, longer than the lease of an idempotency key: with the default
/// `--deadline`, the keys of a process that was killed are free after a minute.
const N_RETRIES: usize = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How many bytes of an error response are shown.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The path of the list of decisions.
const LIST_PATH: &str = "/v1/expenses";
/// How many bytes a page of decisions may have: 200 of them, each far below 100 KiB.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;

/// A client that sends rows and reads their answers.
pub(super) struct BatchClient {
    target: Target,
    headers: HeaderMap,
}

enum Target {
    InProcess(Router),
    Service {
        client: Client,
        url: Url,
        /// Where rows are posted, without secrets, for messages.
        shown: String,
    },
}

impl BatchClient {
    /// A client of the routes in this process.
    pub(super) fn in_process(router: Router, wanted: &Decide) -> anyhow::Result<Self> {
        Ok(Self {
            target: Target::InProcess(router),
            headers: headers(wanted)?,
        })
    }

    /// A client of the service at a URL.
    pub(super) fn of_service(url: &Url, wanted: &Decide) -> anyhow::Result<Self> {
        let target = Target::Service {
            client: Client::new(),
            shown: base_url::shown(&base_url::extended(url, PATH)),
            url: url.clone(),
        };
        Ok(Self {
            target,
            headers: headers(wanted)?,
        })
    }

    /// Sends rows, and returns their answers in the same order. Rows that an earlier run decided
    /// without the model are decided anew. `answered` is called for each row as soon as it has an
    /// answer.
    ///
    /// # Errors
    /// When the service cannot be reached, or does not answer every row.
    pub(super) async fn decide(
        &self,
        rows: &[Row],
        answered: impl FnMut(&Row),
    ) -> anyhow::Result<Vec<LineAnswer>> {
        let mut answers = self.answers(rows, answered).await?;
        let mut places: Vec<usize> = (0..rows.len()).collect();
        // Repeated, because an earlier run may have decided a superseding row without the model,
        // too.
        loop {
            let superseding = |place| anew::superseding(&rows[place], &answers[place]);
            let (old_places, new_rows): (Vec<_>, Vec<_>) = places
                .into_iter()
                .filter_map(|place| Some((place, superseding(place)?)))
                .unzip();
            if new_rows.is_empty() {
                return Ok(answers);
            }
            let newer = self.answers(&new_rows, |_| {}).await?;
            // A row that is refused keeps its decision: a person resolved it meanwhile, another request
            // superseded it, or the service runs an earlier version.
            let is_decided =
                |(_, answer): &(usize, LineAnswer)| answer.status == StatusCode::CREATED;
            places = Vec::new();
            for (place, answer) in old_places.into_iter().zip(newer).filter(is_decided) {
                answers[place] = answer;
                places.push(place);
            }
        }
    }

    /// Sends rows until each has an answer that is not a 5xx, or the retries are used up.
    async fn answers(
        &self,
        rows: &[Row],
        mut answered: impl FnMut(&Row),
    ) -> anyhow::Result<Vec<LineAnswer>> {
        let answers: serde_json::Result<Vec<_>> = rows.iter().map(Row::answer).collect();
        let mut answers = answers?;
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT)
            .with_max_times(N_RETRIES)
            .build();
        loop {
            let is_open = |answer: &Option<LineAnswer>| {
                answer.as_ref().is_none_or(|answer| answer.status >= 500)
            };
            let open = answers
                .iter()
                .enumerate()
                .filter(|(_, answer)| is_open(answer))
                .map(|(place, _)| place);
            let open: Vec<usize> = open.collect();
            if !open.is_empty() {
                self.send(rows, &open, &mut answers, &mut answered).await?;
            }
            match open
                .iter()
                .any(|place| is_open(&answers[*place]))
                .then(|| waits.next())
                .flatten()
            {
                Some(wait) => tokio::time::sleep(wait).await,
                None => {
                    return answers
                        .into_iter()
                        .collect::<Option<_>>()
                        .context("a row was not answered");
                }
            }
        }
    }

    /// Sends the rows at the places `open`, and stores their answers.
    async fn send(
        &self,
        rows: &[Row],
        open: &[usize],
        answers: &mut [Option<LineAnswer>],
        answered: &mut impl FnMut(&Row),
    ) -> anyhow::Result<()> {
        let lines = open.iter().filter_map(|place| match &rows[*place].content {
            Content::Line(line) => Some(line.as_str()),
            _ => None,
        });
        let response = self
            .post(lines.flat_map(|line| [line, "\n"]).collect())
            .await?;
        let status = response.status();
        if status != StatusCode::OK {
            let body = to_bytes(response.into_body(), MAX_ERROR_BYTES)
                .await
                .unwrap_or_default();
            return Err(self.refused(status, &body));
        }
        self.receive(response.into_body(), rows, open, answers, answered)
            .await
    }

    /// Reads the answers as they come, and stores each at the place of its row.
    async fn receive(
        &self,
        body: Body,
        rows: &[Row],
        open: &[usize],
        answers: &mut [Option<LineAnswer>],
        answered: &mut impl FnMut(&Row),
    ) -> anyhow::Result<()> {
        let bytes = body.into_data_stream().map_err(io::Error::other);
        let lines = FramedRead::new(StreamReader::new(bytes), LinesCodec::new());
        let mut pairs = lines.zip(futures_util::stream::iter(open));
        let mut n_answered = 0;
        let broke_off = || {
            format!(
                "the answer of {} ended early; run the same command again to continue",
                self.name()
            )
        };
        while let Some((line, place)) = pairs.next().await {
            let row = &rows[*place];
            let answer: LineAnswer = serde_json::from_str(&line.with_context(broke_off)?)
                .with_context(|| {
                    format!(
                        "{} returned a line that is not an answer of the batch route",
                        self.name()
                    )
                })?;
            if answers[*place].is_none() {
                answered(row);
            }
            answers[*place] = Some(LineAnswer {
                line: row.number,
                ..answer
            });
            n_answered += 1;
        }
        if n_answered < open.len() {
            bail!(broke_off());
        }
        Ok(())
    }

    /// Posts lines to the batch route.
    async fn post(&self, body: String) -> anyhow::Result<Response<Body>> {
        self.request(Method::POST, PATH, &[], body).await
    }

    /// Gets a page of the decisions of an employee.
    ///
    /// # Errors
    /// When the service cannot be reached, or does not answer with JSON of this form.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let response = self
            .request(Method::GET, LIST_PATH, query, String::new())
            .await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_PAGE_BYTES).await?;
        if status != StatusCode::OK {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} returned a page that cannot be read", self.name()))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Response<Body>> {
        match &self.target {
            Target::InProcess(router) => {
                // A router looks only at the path and the query, so any host will do.
                let url = address(&"http://localhost".parse()?, path, query);
                let mut request = Request::builder()
                    .method(method)
                    .uri(url.as_str())
                    .body(Body::from(body))?;
                *request.headers_mut() = self.headers.clone();
                Ok(router.clone().oneshot(request).await?)
            }
            Target::Service { client, url, shown } => {
                let sent = client
                    .request(method, address(url, path, query))
                    .headers(self.headers.clone())
                    .body(body)
                    .send()
                    .await;
                let sent = sent.map_err(reqwest::Error::without_url);
                let response = sent.with_context(|| {
                    format!("no answer from {shown}; is the service running there?")
                })?;
                Ok(Response::<reqwest::Body>::from(response).map(Body::new))
            }
        }
    }

    /// The error of a request that was answered with a status other than 200.
    fn refused(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        anyhow!(
            "{} returned {status}: {}",
            self.name(),
            String::from_utf8_lossy(body)
        )
    }

    fn name(&self) -> &str {
        match &self.target {
            Target::InProcess(_) => "this process",
            Target::Service { shown, .. } => shown,
        }
    }
}

/// The URL of a path of a service.
fn address(service: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base_url::extended(service, path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

fn headers(wanted: &Decide) -> anyhow::Result<HeaderMap> {
    let mut headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))]);
    if let Some(tenant) = &wanted.tenant {
        let member = format!(
            "tenant.id={}",
            utf8_percent_encode(tenant, NON_ALPHANUMERIC)
        );
        headers.insert(HeaderName::from_static("baggage"), member.parse()?);
    }
    if let Some(path) = &wanted.api_key_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let bearer = format!("Bearer {}", text.trim()).parse::<HeaderValue>();
        let mut bearer =
            bearer.with_context(|| format!("{} does not contain an API key", path.display()))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
    Ok(headers)
}
