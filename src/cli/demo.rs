//! `demo`: posts forty transactions, shows each decision as a small tree, and reports how
//! often the reasoning went wrong under an HTTP 201. The requests always go over HTTP, so the demo
//! shows what a client sees.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, bail};
use clap::builder::styling::{AnsiColor, Style};
use reqwest::{Client, Url};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::app::App;
use crate::base_url;
use crate::cli::audit::report::Rate;
use crate::cli::runtime;
use crate::cli::serve::with_telemetry;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::http::HttpConfig;
use crate::config::model::ModelConfig;
use crate::demo::transactions;
use crate::domain::decision::Decision;
use crate::domain::ruling::{Outcome, Ruling};
use crate::domain::step::Step;
use crate::domain::submission::Submission;
use crate::ledger::Store;
use crate::notify::NotifyConfig;
use crate::redact::pseudonym::Pseudonyms;
use crate::telemetry::Instruments;

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Runs the demo against the service at `url`, or without one against a temporary service in this
/// process.
///
/// # Errors
/// When the service does not answer, or answers with anything but decisions.
pub fn run(config: &Config, url: Option<Url>, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(url) = url {
        if matches!(&config.model, ModelConfig::Offline { faults, .. } if !faults.is_empty()) {
            bail!(
                "--model-fault applies to this process only; start the service at {} with it, \
                 or omit the URL",
                base_url::shown(&url)
            );
        }
        // New employees for every run, because the employees of earlier runs have used up their
        // caps.
        let run_id = Uuid::new_v4().simple().to_string();
        return runtime()?.block_on(post_all(&Client::new(), &url, Some(&run_id[..8]), out));
    }
    with_telemetry(
        config,
        Pseudonyms::with_random_key()?,
        async |config, instruments| serve(config, instruments, out).await,
    )
}

/// Runs the demo against a service in this process, on a free port and with a ledger in a temporary
/// folder.
async fn serve(
    config: Config,
    instruments: Instruments,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // Only the demo sends requests to this service, and it has no key. Nobody waits for its decisions, so
    // no receiver is notified of them.
    let config = Config {
        store: Store::Sqlite(folder.path().to_owned()),
        http: HttpConfig {
            api_keys: None,
            ..config.http
        },
        notify: NotifyConfig::default(),
        ..config
    };
    let app = App::build(&config, Clock::system(), instruments).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(app.serve(listener, async {
        // Dropping the sender ends the service.
        let _dropped = stopped.await;
    }));
    // The service is in this process, which a proxy cannot reach.
    let client = Client::builder().no_proxy().build()?;
    let shown = post_all(&client, &url, None, out).await;
    drop(stop);
    serving.await?;
    shown
}

async fn post_all(
    client: &Client,
    url: &Url,
    run_id: Option<&str>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut decisions = Vec::new();
    for submission in transactions(run_id).context("the demo's data")? {
        let (decision, trace_url) = post(client, url, &submission).await?;
        show(&decision, trace_url.as_deref(), out)?;
        decisions.push(decision);
    }
    sum_up(&decisions, out)?;
    Ok(())
}

async fn post(
    client: &Client,
    url: &Url,
    submission: &Submission,
) -> anyhow::Result<(Decision, Option<String>)> {
    let target = base_url::extended(url, "/v1/expenses");
    let response = client.post(target.clone()).json(submission).send().await;
    let target = base_url::shown(&target);
    let response = response
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no answer from {target}; is the service running there?"))?;
    let status = response.status();
    let body: serde_json::Value = response
        .json()
        .await
        .with_context(|| format!("{target} returned a response that is not JSON"))?;
    if !status.is_success() {
        bail!("{target} returned {status}: {body}");
    }
    let trace_url = body["trace_url"].as_str().map(str::to_owned);
    Ok((
        serde_json::from_value(body)
            .with_context(|| format!("{target} returned a response that is not a decision"))?,
        trace_url,
    ))
}

/// One decision as a tree: the result of each step, and in red the checks that failed.
fn show(decision: &Decision, trace_url: Option<&str>, out: &mut dyn Write) -> std::io::Result<()> {
    let style = match decision.outcome {
        Outcome::Approved => GREEN,
        Outcome::NeedsApproval => YELLOW,
        Outcome::Denied | Outcome::NeedsReview => RED,
    };
    let expense = &decision.expense;
    let outcome = decision.outcome.to_string();
    writeln!(
        out,
        "{style}{outcome:<14}{style:#} {:>9} {}  {} ({})",
        expense.amount, expense.currency, expense.transaction, expense.user_id
    )?;
    for step in &decision.steps {
        let result = step
            .result
            .as_deref()
            .or(step.error.as_deref())
            .unwrap_or("nothing");
        writeln!(
            out,
            "├─ {:<13} {result}{}",
            step.step.to_string(),
            policy_note(decision, step.step)
        )?;
        for failed in decision
            .validations
            .iter()
            .filter(|check| check.step == step.step && !check.passed)
        {
            let repaired = if failed.repaired { " (repaired)" } else { "" };
            writeln!(
                out,
                "│  {RED}✗ {}{RED:#}: {}{repaired}",
                failed.kind, failed.message
            )?;
        }
    }
    if decision.is_override {
        writeln!(
            out,
            "├─ {YELLOW}override{YELLOW:#}      policy code overruled the model"
        )?;
    }
    writeln!(
        out,
        "└─ trace         {}\n",
        trace_url.unwrap_or(&decision.trace_id)
    )
}

/// The verdict of policy code, shown on the line of the policy lookup; empty for other steps.
fn policy_note(decision: &Decision, step: Step) -> String {
    let Some(verdict) = decision
        .policy_verdict
        .filter(|_| step == Step::PolicyLookup)
    else {
        return String::new();
    };
    match decision.findings.first() {
        Some(finding) if finding.effect == Ruling::Denied => format!(
            " policy: {verdict} by {} (limit {}, used {}, exceeded {})",
            finding.rule, finding.limit, finding.used, finding.exceeded
        ),
        Some(finding) => format!(" policy: {verdict} by {}", finding.rule),
        None => format!(" policy: {verdict}"),
    }
}

fn sum_up(decisions: &[Decision], out: &mut dyn Write) -> std::io::Result<()> {
    let mut by_outcome: BTreeMap<String, usize> = BTreeMap::new();
    for decision in decisions {
        *by_outcome.entry(decision.outcome.to_string()).or_default() += 1;
    }
    let outcomes: Vec<String> = by_outcome
        .iter()
        .map(|(outcome, n)| format!("{n} {outcome}"))
        .collect();
    let mut errors = Rate::default();
    decisions
        .iter()
        .for_each(|decision| errors.count(!decision.failed_types().is_empty()));
    let n_overridden = decisions
        .iter()
        .filter(|decision| decision.is_override)
        .count();
    writeln!(
        out,
        "{} decisions: {}",
        decisions.len(),
        outcomes.join(", ")
    )?;
    writeln!(out, "overrides: {n_overridden}")?;
    let Rate { failed, of } = errors;
    let meaning = "decisions with a check that failed for good, each an HTTP 201";
    writeln!(
        out,
        "semantic error rate: {errors} ({failed} of {of} {meaning})"
    )
}
