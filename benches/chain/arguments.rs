//! What can be said on the command line, after `cargo bench --features jemalloc --bench chain --`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::store::Kind;

/// Measures the service as a whole; without a scenario, `whole`
#[derive(Parser)]
pub(crate) struct Arguments {
    /// What to measure, one after the other
    #[arg(value_enum, default_value = "whole")]
    pub(crate) scenarios: Vec<Scenario>,

    /// How long each load lasts, each time
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,

    /// How often all that is compared takes its turn
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,

    /// Clients at saturation, in `whole` and `telemetry`
    #[arg(long, default_value_t = 64)]
    pub(crate) clients: usize,

    /// Requests a second, in `whole` and `telemetry`; a slower service does not slow them down
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200])]
    pub(crate) rates: Vec<u32>,

    /// How long the model takes to answer
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) model_latency: Duration,

    /// Decisions in the ledger, in `growth`
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    pub(crate) rows: Vec<u64>,

    /// Stores to measure on
    #[arg(
        long, value_enum, value_delimiter = ',', default_values_t = [Kind::Memory, Kind::Sqlite, Kind::Postgres]
    )]
    pub(crate) stores: Vec<Kind>,

    /// Where SQLite ledgers on a disk are made
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) disk: PathBuf,

    /// Where SQLite ledgers in memory are made: a tmpfs
    #[arg(long, default_value = "/dev/shm")]
    pub(crate) memory: PathBuf,

    /// A Postgres in which databases can be made; without one, nothing is measured on Postgres
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) postgres: Option<String>,

    /// The service; given several times, builds of it that are compared
    #[arg(long = "service", default_value = env!("CARGO_BIN_EXE_expense-agent"))]
    pub(crate) services: Vec<PathBuf>,

    /// Writes the tables into this file as well
    #[arg(long)]
    pub(crate) write: Option<PathBuf>,

    /// Runs as the bare proxy before a model at this URL
    #[arg(long, hide = true)]
    pub(crate) floor: Option<String>,

    /// Cargo says it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Scenario {
    /// The service beside a bare proxy, with and without telemetry, on each store
    Whole,
    /// Decisions on each store with few and many clients, and where all want the same rows
    Ledger,
    /// Syncs of the disk for each decision; needs strace for SQLite, and a Postgres that nobody
    /// else uses
    Syncs,
    /// What requests take with few and many decisions in the ledger
    Growth,
    /// What telemetry adds to a decision, signal by signal, and the memory that waiting spans take
    Telemetry,
}
