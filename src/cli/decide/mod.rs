//! `decide`: decides a file of expenses, and answers each row with a line, in order. `rows` reads
//! the file, `refunds` finds the purchases of credits, `batch_client` sends the rows to a service or
//! to this process, and `tally` counts the answers. The rows go through the batch route, so that a
//! file and a client get the same answers.

mod anew;
mod batch_client;
mod cells;
mod fact_columns;
mod header;
mod input;
mod layout;
mod options;
mod quotes;
mod refunds;
mod row;
mod row_keys;
mod rows;
mod table;
mod tally;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use reqwest::Url;
use tokio::sync::mpsc;

use crate::app::App;
use crate::cli::progress::progress_bar;
use crate::cli::serve::{stop_signal, with_telemetry};
use crate::cli::{pseudonym, runtime, service_url};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::http::{HttpConfig, MAX_RETENTION};
use crate::domain::tenant;
use crate::redact::pseudonym::Pseudonyms;
use batch_client::BatchClient;
use options::TableOptions;
use row::{Content, Row};
use rows::Rows;
use tally::Tally;

/// How many rows are sent in one request, and held in memory with their answers.
const N_TOGETHER: usize = 256;
/// The maximum length of a key prefix, which leaves room for the rest of the key.
const MAX_PREFIX_CHARS: usize = 128;

/// The arguments of `decide`.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Decide {
    /// The file to read; `-` reads standard input
    pub file: PathBuf,

    /// A running service, such as http://127.0.0.1:8000; without it, this process decides and records in the ledger of `--data`
    #[arg(value_parser = service_url)]
    pub url: Option<Url>,

    /// The format of the file [default: by its name, .csv, .ndjson or .jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// The file for the answers, a line of JSON for each row [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How a table is written
    #[command(flatten)]
    pub table: TableOptions,

    /// Refund the earlier purchase of the same employee, merchant and amount when a credit does not
    /// name one; if there is not exactly one, the row is left to a person
    #[arg(long)]
    pub match_refunds: bool,

    /// The tenant to decide for; a service with API keys uses the tenant of the key instead
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub tenant: Option<String>,

    /// File with the API key to send to the service
    #[arg(long, value_name = "FILE", requires = "url")]
    pub api_key_file: Option<PathBuf>,

    /// The prefix of the idempotency key of every row; change it to decide the same rows once more
    #[arg(long, value_name = "TEXT", default_value = "decide", value_parser = key_prefix)]
    pub key_prefix: String,
}

const AFTER_HELP: &str = "\
The first row of a table names its columns. A column with the name of a field is read as that field:
transaction, amount, currency, merchant, mcc, category_hint, date, trip_id, receipt, user_id, refunds,
supersedes. Empty cells at the end of a row may be missing or too many. An empty cell counts as absent,
except in a column for transaction, amount, currency, date or user_id: there it is an error of the row.
A table without a column for the currency needs --set currency=CODE. JSON lines have the format of
POST /v1/expenses/batch, and its defaults.

Rows of one employee are decided in the order of the file. A row whose amount is zero is answered with
status 200 and `skipped`, as there is nothing to decide.

A row is identified by its meaning, and among equal rows by their order. So the same command can be
run again, after an interruption or after some rows were corrected or added: a row that was decided
before gets the same answer, without a model call. Without a URL, a row is remembered for 90 days;
a service remembers it for its --key-retention.

When the model does not answer, a row is decided without its advice: it is denied if the rules deny
it, and needs a review otherwise. The same command run again has such rows decided anew.

Exit code 0: every row has a decision, or nothing to decide; 1: the command failed; 2: invalid command
line; 3: the command finished, but some rows have no decision, and their answers say why, or were
decided without the model.";

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table whose first row names the columns
    Csv,
    /// An expense as JSON on each line
    Ndjson,
}

/// The command line does not say what the file needs, or contradicts itself; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCommand(String);

/// All rows were answered, but some without a decision, or with one that was made without the
/// model's advice.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Undecided(Vec<String>);

impl Undecided {
    /// What is open after a run, if anything.
    fn after(tally: &Tally) -> Option<Self> {
        let Tally { n_rows, .. } = tally;
        let undecided = match tally.n_undecided() {
            0 => None,
            n => Some(format!(
                "{n} of {n_rows} rows have no decision; their answers say why"
            )),
        };
        let without_advice = match tally.n_without_advice() {
            0 => None,
            n => Some(format!(
                "{n} of {n_rows} rows were decided while the model did not answer; run the same command again"
            )),
        };
        let open: Vec<_> = undecided.into_iter().chain(without_advice).collect();
        (!open.is_empty()).then_some(Self(open))
    }
}

fn tenant(text: &str) -> Result<String, String> {
    tenant::parse_tenant(text).ok_or_else(|| format!("write {}", tenant::TENANT))
}

fn key_prefix(text: &str) -> Result<String, String> {
    let is_prefix =
        text.len() <= MAX_PREFIX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_prefix
        .then(|| text.to_owned())
        .ok_or_else(|| format!("write up to {MAX_PREFIX_CHARS} visible ASCII characters"))
}

/// Decides the rows of a file. Answers are written to `out`, or to the file that `--output` names;
/// remarks for the person at the terminal are written to `notes`.
///
/// # Errors
/// When the file cannot be read, the service does not answer, or the answers cannot be written;
/// [`Undecided`] when some rows were not answered with a decision, or were decided without the
/// model.
pub fn run(
    config: &Config,
    wanted: &Decide,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    let rows = Rows::open(wanted, notes)?;
    let is_table = rows.is_table();
    let bar = progress_bar(rows.n_bytes)?;
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
            let client = BatchClient::of_service(url, wanted)?;
            runtime()?.block_on(run.until_stopped(rows, client))
        }
        None => {
            let pseudonyms =
                pseudonym::load(config)?.map_or_else(Pseudonyms::with_random_key, Ok)?;
            // A person who can write to the ledger needs no API key; and a file may be sent again
            // weeks later, so keys are retained as long as possible.
            let config = Config {
                http: HttpConfig {
                    api_keys: None,
                    key_retention: MAX_RETENTION,
                    ..config.http.clone()
                },
                ..config.clone()
            };
            with_telemetry(&config, pseudonyms, async |config, instruments| {
                let app = App::build(&config, Clock::system(), instruments).await?;
                let client = |router| BatchClient::in_process(router, wanted);
                app.without_listener(async |router| run.until_stopped(rows, client(router)?).await)
                    .await
            })
        }
    }?;
    run.tally.sum_up(notes)?;
    if is_table && !wanted.table.negate_amounts && run.tally.are_mostly_credits() {
        writeln!(
            notes,
            "most amounts are below zero; if the table writes purchases below zero, add --negate-amounts"
        )?;
    }
    match Undecided::after(&run.tally) {
        None => Ok(()),
        Some(undecided) => Err(undecided.into()),
    }
}

fn create(path: &Path, input: &Path) -> anyhow::Result<BufWriter<File>> {
    if path
        .canonicalize()
        .is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path))
    {
        bail!(
            "--output {} is the input file; name another one",
            path.display()
        );
    }
    let file =
        File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(BufWriter::new(file))
}

/// The state while a file is decided.
struct Run<'a> {
    out: &'a mut dyn Write,
    tally: Tally,
    bar: ProgressBar,
}

impl Run<'_> {
    async fn until_stopped(&mut self, rows: Rows, client: BatchClient) -> anyhow::Result<()> {
        let stopped =
            stop_signal().context("the handlers of the stop signals cannot be installed")?;
        let done = tokio::select! {
            done = self.decide(rows, &client) => done,
            () = stopped => Err(anyhow!("interrupted; run the same command again to continue")),
        };
        self.bar.finish_and_clear();
        done
    }

    async fn decide(&mut self, rows: Rows, client: &BatchClient) -> anyhow::Result<()> {
        let mut parts = read_ahead(rows);
        while let Some(part) = parts.recv().await {
            let mut part = part?;
            if let Some(first) = part.first_mut() {
                refunds::find_purchase(first, client).await?;
            }
            let answers = client.decide(&part, |row| {
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

/// Reads the rows in parts, on a separate thread: reading a pipe may block, and Ctrl-C has to work
/// meanwhile. A credit whose purchase has to be found begins a part, because the purchase may be one
/// of the rows before it, which have to be decided first.
fn read_ahead(mut rows: Rows) -> mpsc::Receiver<anyhow::Result<Vec<Row>>> {
    let (send, parts) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut next = None;
        loop {
            let mut part: Vec<Row> = next.take().into_iter().collect();
            let mut failed = None;
            while part.len() < N_TOGETHER {
                match rows.next() {
                    Some(Ok(row))
                        if matches!(row.content, Content::Credit(_)) && !part.is_empty() =>
                    {
                        next = Some(row);
                        break;
                    }
                    Some(Ok(row)) => part.push(row),
                    Some(Err(error)) => {
                        failed = Some(error);
                        break;
                    }
                    None => break,
                }
            }
            // Reading ends with an empty part, or with an error.
            let is_last = failed.is_some() || part.is_empty();
            if send.blocking_send(failed.map_or(Ok(part), Err)).is_err() || is_last {
                return;
            }
        }
    });
    parts
}
