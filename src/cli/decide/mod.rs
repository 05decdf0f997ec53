//! `decide`: a file of expenses, each row decided and answered by a line, in order. How a file
//! becomes rows stands in `rows`, who decides them in `agent`, and what came of them is counted in
//! `tally`. The rows go through the route for batches, so that a file and a client get the same
//! answers.

mod agent;
mod rows;
mod tally;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use tokio::sync::mpsc;

use crate::app::App;
use crate::cli::pseudonym;
use crate::cli::serve::{decide_here, stop_signal};
use crate::clock::Clock;
use crate::config::{Config, MAX_RETENTION};
use crate::domain::body::{MAX_ID_CHARS, is_line};
use crate::domain::submission::FIELDS;
use crate::redact::pseudonym::Pseudonyms;
use agent::Agent;
use rows::{Row, Rows};
use tally::Tally;

/// Rows that are sent in one request, and held in memory with their answers.
const N_TOGETHER: usize = 256;
/// Characters a prefix of keys may have, which leaves room for the rest of a key.
const MAX_PREFIX_CHARS: usize = 128;

/// What is to be decided, and by whom.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Decide {
    /// The file; `-` reads standard input
    pub file: PathBuf,

    /// A running service, such as http://127.0.0.1:8000; without one, this process decides, into the ledger of `--data`
    pub url: Option<Url>,

    /// How the file is written [default: as its name says, .csv, .ndjson or .jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Where the answers go, a line of JSON for each row [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Read a field from a column with another name, such as amount=Total; may be given several
    /// times
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = assignment)]
    pub column: Vec<Assignment>,

    /// What a field is in every row, such as currency=GBP; may be given several times
    #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment)]
    pub set: Vec<Assignment>,

    /// How the table writes dates, such as %d/%m/%Y for 31/01/2026 [default: %Y-%m-%d]
    #[arg(long, value_name = "FORMAT", value_parser = rows::date_format)]
    pub date_format: Option<String>,

    /// The tenant to decide for; a service with API keys goes by the key instead
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub tenant: Option<String>,

    /// File with the API key to show to the service
    #[arg(long, value_name = "FILE", requires = "url")]
    pub api_key_file: Option<PathBuf>,

    /// Begins the idempotency key of every row; name another one to decide the same rows once more
    #[arg(long, value_name = "TEXT", default_value = "decide", value_parser = key_prefix)]
    pub key_prefix: String,
}

const AFTER_HELP: &str = "\
The first row of a table names its columns. Those that are called like a field of an expense are read as that field:
transaction, amount, currency, merchant, mcc, date, trip_id, receipt, user_id, refunds. An empty cell counts as absent.
JSON lines are what POST /v1/expenses/batch takes.

A row is known by what it says, and among equal rows by its place. So the same command can be given again, after an
interruption or after some rows were put right or added: what was decided is answered again, without asking the model.
This process remembers a row for 90 days, a service for as long as its --key-retention.

Exit code 0: every row was answered with a decision; 1: not done; 2: not understood; 3: done, but some rows have no
decision, and their answers say why.";

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table whose first row names the columns
    Csv,
    /// An expense as JSON on each line
    Ndjson,
}

/// What a field is to be.
#[derive(Clone, Debug)]
pub struct Assignment {
    field: &'static str,
    value: String,
}

/// All rows were answered, and some of them not with a decision.
#[derive(Debug, thiserror::Error)]
#[error("{n_undecided} of {n_rows} rows have no decision; their answers say why")]
pub struct Undecided {
    n_undecided: usize,
    n_rows: usize,
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let named = text.split_once('=').and_then(|(name, value)| {
        let field = FIELDS.into_iter().find(|field| *field == name)?;
        Some(Assignment {
            field,
            value: value.trim().to_owned(),
        })
        .filter(|named| !named.value.is_empty())
    });
    named.ok_or_else(|| format!("write FIELD=…, where FIELD is one of {}", FIELDS.join(", ")))
}

fn tenant(text: &str) -> Result<String, String> {
    let tenant = is_line(text, MAX_ID_CHARS).then(|| text.to_owned());
    tenant
        .ok_or_else(|| format!("write 1 to {MAX_ID_CHARS} characters, and no blank at either end"))
}

fn key_prefix(text: &str) -> Result<String, String> {
    let is_prefix =
        text.len() <= MAX_PREFIX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_prefix
        .then(|| text.to_owned())
        .ok_or_else(|| format!("write up to {MAX_PREFIX_CHARS} visible ASCII characters"))
}

/// Decides the rows of a file. Answers go to `out` unless a file is named, remarks for the person
/// to `notes`.
///
/// # Errors
/// When the file cannot be read, nobody decides, or the answers cannot be written; [`Undecided`]
/// when some rows were answered with something else than a decision.
pub fn run(
    config: &Config,
    wanted: &Decide,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let rows = Rows::open(wanted, notes)?;
    let bar = bar(rows.n_bytes)?;
    let mut file = wanted
        .output
        .as_deref()
        .map(|path| create(path, &wanted.file))
        .transpose()?;
    let out = file.as_mut().map_or(out, |file| file);
    let mut run = Run {
        out,
        tally: Tally::default(),
        bar,
    };
    match &wanted.url {
        Some(url) => {
            let agent = Agent::at(url, wanted)?;
            let runtime =
                tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
            runtime.block_on(run.until_stopped(rows, agent))
        }
        None => {
            let pseudonyms =
                pseudonym::load(config)?.map_or_else(Pseudonyms::with_random_key, Ok)?;
            // Whoever may write to the ledger needs no key for it; and a file may be sent again
            // weeks later.
            let config = Config {
                api_keys: None,
                key_retention: MAX_RETENTION,
                ..config.clone()
            };
            decide_here(&config, pseudonyms, async |config, instruments| {
                let app = App::build(&config, Clock::system(), instruments).await?;
                let agent = |router| Agent::here(router, wanted);
                app.without_listener(async |router| run.until_stopped(rows, agent(router)?).await)
                    .await
            })
        }
    }?;
    run.tally.sum_up(notes)?;
    match run.tally.n_undecided() {
        0 => Ok(()),
        n_undecided => Err(Undecided {
            n_undecided,
            n_rows: run.tally.n_rows,
        }
        .into()),
    }
}

fn create(path: &Path, input: &Path) -> anyhow::Result<BufWriter<File>> {
    if path
        .canonicalize()
        .is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path))
    {
        bail!(
            "--output {} is the file to be read; name another one",
            path.display()
        );
    }
    let file =
        File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(BufWriter::new(file))
}

/// On a terminal's standard error, and nowhere else. How long a pipe is, nobody knows.
fn bar(n_bytes: Option<u64>) -> anyhow::Result<ProgressBar> {
    Ok(match n_bytes {
        Some(n_bytes) => {
            let style = ProgressStyle::with_template("{bar:40} {percent:>3} %, {msg}, {eta} left")?;
            ProgressBar::new(n_bytes).with_style(style)
        }
        None => {
            ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {msg}")?)
        }
    })
}

/// One file on its way.
struct Run<'a> {
    out: &'a mut dyn Write,
    tally: Tally,
    bar: ProgressBar,
}

impl Run<'_> {
    async fn until_stopped(&mut self, rows: Rows, agent: Agent) -> anyhow::Result<()> {
        let stopped = stop_signal().context("the signals to stop cannot be listened for")?;
        let done = tokio::select! {
            done = self.decide(rows, &agent) => done,
            () = stopped => Err(anyhow::anyhow!("interrupted; give the same command again to go on from here")),
        };
        self.bar.finish_and_clear();
        done
    }

    async fn decide(&mut self, rows: Rows, agent: &Agent) -> anyhow::Result<()> {
        let mut parts = read_ahead(rows);
        while let Some(part) = parts.recv().await {
            let part = part?;
            let answers = agent.decide(&part, |row| {
                self.bar.set_message(format!("row {}", row.number));
                self.bar.set_position(row.end);
            });
            for answer in answers.await? {
                serde_json::to_writer(&mut *self.out, &answer)?;
                self.out.write_all(b"\n")?;
                self.tally.add(&answer)?;
            }
            self.out.flush()?;
        }
        Ok(())
    }
}

/// Rows by the part. A thread of its own reads them: a pipe may make it wait, and then Ctrl-C has
/// to be heard all the same.
fn read_ahead(mut rows: Rows) -> mpsc::Receiver<anyhow::Result<Vec<Row>>> {
    let (send, parts) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let part: anyhow::Result<Vec<Row>> = rows.by_ref().take(N_TOGETHER).collect();
            // The last one is empty, or a fault.
            let is_last = part.as_ref().map_or(true, Vec::is_empty);
            if send.blocking_send(part).is_err() || is_last {
                return;
            }
        }
    });
    parts
}
