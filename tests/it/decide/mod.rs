//! `decide`: every row of a file is answered, by a decision or by the reason why there is none, and
//! no row is decided twice. `tables` tests how files are read, `shapes` and `cells` the many ways
//! in which tables are written, `order` credits, skipped rows and the order of rows, `superseding`
//! rows that were decided without the model's advice, `runs` how a run is interrupted, continued
//! and sent to a service.

mod cells;
mod order;
mod runs;
mod shapes;
mod superseding;
mod tables;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;

use crate::harness::binary::{command, run, text};
use crate::harness::expenses::id_of;

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

const NO_METRICS: (&str, &str) = ("OTEL_METRICS_EXPORTER", "none");

/// How long a file may take; real ones have thousands of rows.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The arguments that map the columns of `card.csv`.
const CARD_COLUMNS: [&str; 14] = [
    "--set",
    "currency=USD",
    "--column",
    "date=Posted",
    "--column",
    "user_id=Cardholder",
    "--column",
    "merchant=Supplier",
    "--column",
    "amount=Gross",
    "--column",
    "transaction=Purpose",
    "--date-format",
    "%d/%m/%Y",
];

/// The currency of a table without a column for it.
const USD: [&str; 2] = ["--set", "currency=USD"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A temporary folder with the files and the ledger of a test.
struct Workspace(TempDir);

impl Workspace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Decides a file, with the ledger of this folder.
    async fn decide(&self, file: &str, more: &[&str]) -> Decided {
        let data = self.path("data");
        let arguments = [&["decide", file, "--data", &data], more].concat();
        let mut program = command(&arguments, &[QUIET, NO_METRICS]);
        Decided::new(
            tokio::time::timeout(TIMEOUT, program.output())
                .await
                .expect("the program ends")
                .unwrap(),
        )
    }

    /// Starts to decide JSON lines that come from a pipe, with the ledger of this folder.
    fn decide_piped(&self) -> Child {
        let data = self.path("data");
        let arguments = ["decide", "-", "--format", "ndjson", "--data", &data];
        command(&arguments, &[QUIET, NO_METRICS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The decisions in the ledger.
    async fn recorded(&self) -> Vec<Value> {
        let data = self.path("data");
        let arguments = [
            "export",
            "--from",
            "2020-01-01",
            "--to",
            "2100-01-01",
            "--format",
            "ndjson",
            "--data",
            &data,
        ];
        let lines = text(run(&arguments, &[]).await.stdout);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The result of a run.
#[derive(Debug)]
struct Decided {
    code: Option<i32>,
    answers: Vec<Value>,
    notes: String,
}

impl Decided {
    fn new(output: Output) -> Self {
        let answers = text(output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        Self {
            code: output.status.code(),
            answers,
            notes: text(output.stderr),
        }
    }

    fn ids(&self) -> Vec<&str> {
        self.answers
            .iter()
            .map(|answer| id_of(&answer["body"]))
            .collect()
    }

    fn n_replayed(&self) -> usize {
        self.answers
            .iter()
            .filter(|answer| answer["replayed"] == true)
            .count()
    }
}

/// Decides a file of `tests/data/tables`.
async fn decide_table(name: &str, more: &[&str]) -> Decided {
    let file = data("tables").join(name);
    Workspace::new().decide(file.to_str().unwrap(), more).await
}

/// Decides a table in dollars.
async fn decide_bytes(bytes: &[u8], more: &[&str]) -> Decided {
    let workspace = Workspace::new();
    let file = workspace.path("table.csv");
    std::fs::write(&file, bytes).unwrap();
    workspace.decide(&file, &[&USD[..], more].concat()).await
}

/// One field of every answer, after its status.
fn shown(decided: &Decided, field: &str) -> Value {
    let rows = decided.answers.iter();
    rows.map(|answer| json!([answer["status"], answer["body"][field]]))
        .collect()
}

/// Field and message of the first error of each row; both are empty for a row without an error.
fn messages(decided: &Decided) -> Vec<String> {
    let rows = decided.answers.iter();
    rows.map(|answer| {
        let error = &answer["body"]["errors"][0];
        format!(
            "{}: {}",
            error["field"].as_str().unwrap_or_default(),
            error["message"].as_str().unwrap_or_default()
        )
    })
    .collect()
}
