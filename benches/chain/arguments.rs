//! The command line, which follows `cargo bench --features jemalloc --bench chain --`, and the
//! values that it selects.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures the service under load
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The scenarios to run, one after the other
    #[arg(value_enum, default_value = "whole")]
    pub(crate) scenarios: Vec<Scenario>,

    /// How long each load lasts in each round
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,

    /// The number of rounds; in each round, every subject is measured once
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,

    /// The number of clients at saturation, in `whole` and `telemetry`
    #[arg(long, default_value_t = 64)]
    pub(crate) clients: usize,

    /// Requests per second, in `whole` and `telemetry`; sent at this rate even if the service is slow
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200])]
    pub(crate) rates: Vec<u32>,

    /// How long the model takes to answer
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) model_latency: Duration,

    /// How many decisions the ledger holds, in `growth`
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    pub(crate) rows: Vec<u64>,

    /// The stores to measure on
    #[arg(
        long, value_enum, value_delimiter = ',', default_values_t = StoreKind::ALL
    )]
    pub(crate) stores: Vec<StoreKind>,

    /// The folder of SQLite ledgers on a disk
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) disk: PathBuf,

    /// The folder of SQLite ledgers in memory, on a tmpfs
    #[arg(long, default_value = "/dev/shm")]
    pub(crate) memory: PathBuf,

    /// A Postgres in which databases can be created; without it, Postgres is not measured
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) postgres: Option<String>,

    /// The binary of the service; may be given several times to compare builds
    #[arg(long = "service", default_value = env!("CARGO_BIN_EXE_expense-agent"))]
    pub(crate) services: Vec<PathBuf>,

    /// Also write the tables to this file
    #[arg(long)]
    pub(crate) write: Option<PathBuf>,

    /// Run as the bare proxy in front of a model at this URL
    #[arg(long, hide = true)]
    pub(crate) floor: Option<String>,

    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where the ledger of a measured service is stored.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, strum::Display)]
pub(crate) enum StoreKind {
    /// SQLite on a tmpfs: its files need no disk.
    #[strum(to_string = "SQLite in memory")]
    Memory,
    /// SQLite on a disk.
    #[strum(to_string = "SQLite")]
    Sqlite,
    /// A Postgres.
    #[strum(to_string = "Postgres")]
    Postgres,
}

impl StoreKind {
    const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Postgres];
}

impl Arguments {
    /// The stores to measure on, without Postgres if no server is given.
    pub(crate) fn available_stores(&self) -> impl Iterator<Item = StoreKind> + use<'_> {
        let has_postgres = self.postgres.is_some();
        self.stores
            .iter()
            .copied()
            .filter(move |kind| *kind != StoreKind::Postgres || has_postgres)
    }
}

/// The scenarios.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Scenario {
    /// The service beside a bare proxy, with and without telemetry, on each store
    Whole,
    /// Decisions on each store with few and many clients, also when all of them write the same rows
    Ledger,
    /// Disk syncs per decision; needs strace for SQLite, and a Postgres without other clients
    Syncs,
    /// The latency of requests with few and many decisions in the ledger
    Growth,
    /// The cost of telemetry per decision, signal by signal, and the memory of queued spans
    Telemetry,
}
