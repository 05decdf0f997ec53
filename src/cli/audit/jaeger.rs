//! Reads decisions from a Jaeger, through its stable query API `/api/v3`. A search has no pages: it
//! returns at most a given number of traces, and does not say whether there are more. So the period
//! is read in slices, and a slice that returns the maximum is halved and read again. `spans` reads
//! the spans of an answer.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::Client;
use reqwest::{StatusCode, Url};

use crate::base_url;
use crate::cli::audit::report::made_at;
use crate::cli::audit::spans::Answer;
use crate::cli::audit::{Audit, Progress};
use crate::config::Config;
use crate::domain::step::Step;
use crate::ledger::Period;
use crate::spelling;
use crate::telemetry::spans::step::span_name;

/// The maximum number of traces of one search. It is also the default of Jaeger releases that
/// ignore the parameter.
const MAX_TRACES: usize = 100;
/// Long, because searching a large store is slow.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Adds the decisions of a period that a Jaeger holds.
///
/// # Errors
/// When Jaeger does not answer, or more traces begin at one moment than a search returns.
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
            .is_none_or(|tenant| spelling::tenant(tenant) == spelling::tenant(tenant_id))
    };
    // The period applies to the times at which ids were made. The span that is searched for begins
    // later, but within the deadline of the request.
    let last = period
        .until
        .checked_add(config.http.deadline)
        .unwrap_or(period.until);
    let mut waiting = vec![Period {
        until: last,
        ..period
    }];
    let mut seen = HashSet::new();
    while let Some(slice) = waiting.pop() {
        let answer = search(&client, &wanted.jaeger, &service, slice)?;
        if answer.n_traces() >= MAX_TRACES {
            waiting.extend(halves(slice)?);
            continue;
        }
        for run in answer.runs() {
            let is_inside =
                made_at(run.id).is_some_and(|at| period.from <= at && at < period.until);
            // A trace that a caller began can hold several decisions, so it can be found in several
            // slices.
            if is_inside && is_wanted(&run.tenant_id) && seen.insert(run.id) {
                progress.add(run);
            }
        }
        progress.reached(slice.until);
    }
    Ok(())
}

/// Both halves of a slice, the later one first: the next slice is popped from the end of the list.
fn halves(slice: Period) -> anyhow::Result<[Period; 2]> {
    let length = slice.until.duration_since(slice.from);
    let middle = slice.from.checked_add(length / 2)?;
    if middle == slice.from {
        bail!(
            "{MAX_TRACES} traces or more begin at {middle}, which is more than one search of Jaeger \
             returns; audit the ledger instead"
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

/// The traces with a decision that began in a slice of time. Both ends are included.
fn search(client: &Client, jaeger: &Url, service: &str, slice: Period) -> anyhow::Result<Answer> {
    // Parameters in snake case, because every release of Jaeger 2 accepts those.
    let mut url = base_url::extended(jaeger, "/api/v3/traces");
    url.query_pairs_mut().extend_pairs([
        ("query.service_name", service),
        ("query.operation_name", span_name(Step::Agent)),
        ("query.start_time_min", &slice.from.to_string()),
        ("query.start_time_max", &slice.until.to_string()),
        ("query.num_traces", &MAX_TRACES.to_string()),
    ]);
    let jaeger = base_url::shown(jaeger);
    let unreachable = || format!("no answer from {jaeger}; set --jaeger to the URL of a Jaeger 2");
    let response = client
        .get(url)
        .send()
        .map_err(reqwest::Error::without_url)
        .with_context(unreachable)?;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(Answer::default()),
        StatusCode::OK => {
            let body = response.bytes().with_context(unreachable)?;
            serde_json::from_slice(&body).with_context(|| {
                format!(
                    "{jaeger} returned a response that is not a list of traces; is it a Jaeger 2?"
                )
            })
        }
        status => bail!(
            "{jaeger} returned {status}: {}",
            response.text().unwrap_or_default()
        ),
    }
}
