//! An audit of a Jaeger, by its stable query API `/api/v3`. A search there has no pages: it gives
//! at most so many traces and does not say whether there were more. So the period is walked in
//! slices, and an answer that is full counts as cut. What the spans of an answer mean stands in
//! `spans`.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::Client;
use reqwest::{StatusCode, Url};

use crate::cli::audit::report::made_at;
use crate::cli::audit::spans::Answer;
use crate::cli::audit::{Audit, Progress};
use crate::config::Config;
use crate::domain::step::Step;
use crate::ledger::Period;
use crate::telemetry::spans::step::span_name;

/// Traces that are asked for at once. It is also what releases give that do not know the parameter.
const DEPTH: usize = 100;
/// A search of a big store takes its time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Takes in what a Jaeger holds of a period.
///
/// # Errors
/// When it does not answer, or cannot be asked finely enough to see everything.
pub(super) fn read(
    config: &Config,
    period: Period,
    wanted: &Audit,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let client = Client::builder().timeout(TIMEOUT).build()?;
    let service = config.telemetry.service_name();
    let is_wanted = |tenant_id: &str| {
        wanted
            .tenant
            .as_deref()
            .is_none_or(|tenant| tenant == tenant_id)
    };
    // A period is about when ids were made; the span that is searched for begins within the
    // request's time after that.
    let last = period
        .until
        .checked_add(config.deadline)
        .unwrap_or(period.until);
    let mut waiting = vec![Period {
        until: last,
        ..period
    }];
    let mut taken = HashSet::new();
    while let Some(slice) = waiting.pop() {
        let answer = search(&client, &wanted.jaeger, &service, slice)?;
        if answer.n_traces() >= DEPTH {
            waiting.extend(halves(slice)?);
            continue;
        }
        for run in answer.runs() {
            let is_inside =
                made_at(run.id).is_some_and(|at| period.from <= at && at < period.until);
            // A trace that a caller began can hold several decisions, and then it is found in
            // several slices.
            if is_inside && is_wanted(&run.tenant_id) && taken.insert(run.id) {
                progress.add(run);
            }
        }
        progress.reached(slice.until);
    }
    Ok(())
}

/// The later half first, as the next one is taken from the end.
fn halves(slice: Period) -> anyhow::Result<[Period; 2]> {
    let length = slice.until.duration_since(slice.from);
    let middle = slice.from.checked_add(length / 2)?;
    if middle == slice.from {
        bail!(
            "{DEPTH} traces or more begin at {middle}, which is more than Jaeger can be asked for; audit the ledger"
        );
    }
    Ok([
        Period {
            from: middle,
            ..slice
        },
        Period {
            until: middle,
            ..slice
        },
    ])
}

/// The traces with a decision that began in a slice of time, both ends included.
fn search(client: &Client, jaeger: &Url, service: &str, slice: Period) -> anyhow::Result<Answer> {
    // Names in snake case, because every release of Jaeger 2 reads those.
    let mut url: Url =
        format!("{}/api/v3/traces", jaeger.as_str().trim_end_matches('/')).parse()?;
    url.query_pairs_mut().extend_pairs([
        ("query.service_name", service),
        ("query.operation_name", span_name(Step::Agent)),
        ("query.start_time_min", &slice.from.to_string()),
        ("query.start_time_max", &slice.until.to_string()),
        ("query.num_traces", &DEPTH.to_string()),
    ]);
    let unreachable = || format!("no answer from {jaeger}; name a Jaeger 2 with --jaeger");
    let response = client
        .get(url)
        .send()
        .map_err(reqwest::Error::without_url)
        .with_context(unreachable)?;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(Answer::default()),
        StatusCode::OK => {
            let body = response.bytes().with_context(unreachable)?;
            serde_json::from_slice(&body)
                .with_context(|| format!("{jaeger} answered no traces; is it a Jaeger 2?"))
        }
        status => bail!(
            "{jaeger} answered {status}: {}",
            response.text().unwrap_or_default()
        ),
    }
}
