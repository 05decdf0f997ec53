//! How many disk syncs a decision costs. strace counts those of SQLite, and slows down only these
//! calls; Postgres counts its own, for all its clients together. Speed is not measured here.

use anyhow::ensure;
use tokio::process::Command;

use super::Bench;
use super::arguments::StoreKind;
use super::ledger::N_CLIENTS;
use super::load::{Meals, Pace, People, drive};
use super::process::Process;
use super::report::Table;
use super::store::{Store, connect, execute};
use super::subject::service;

/// Measures, and returns the table.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    let mut rows = Vec::new();
    for kind in bench
        .arguments
        .available_stores()
        .filter(|kind| *kind != StoreKind::Memory)
    {
        let mut row = vec![kind.to_string()];
        for n_clients in N_CLIENTS {
            let (n_syncs, n_decisions) = count(bench, kind, n_clients).await?;
            row.push(format!("{:.3}", n_syncs as f64 / n_decisions as f64));
        }
        rows.push(row);
    }
    let mut columns = vec![String::new()];
    columns.extend(N_CLIENTS.map(|n_clients| format!("{n_clients} clients")));
    Ok(vec![Table {
        title: "## Disk syncs per decision".to_owned(),
        columns,
        rows,
    }])
}

/// Syncs and decisions of one load.
async fn count(bench: &Bench, kind: StoreKind, n_clients: usize) -> anyhow::Result<(u64, u64)> {
    let store = Store::make(kind, &bench.arguments).await?;
    let plain = service(&bench.arguments.services[0], &bench.model.base_url, &store);
    let trace = tempfile::NamedTempFile::new()?;
    let command = if kind == StoreKind::Sqlite {
        traced(&plain, trace.path())
    } else {
        plain
    };
    let process = Process::start(command).await?;
    let meals = Meals::new(&process.url, People::default())?;
    // The first decision inserts rows that later ones update.
    meals.next().send().await?;
    let n_before = n_syncs(kind, &store, trace.path()).await?;
    let answered = drive(
        &meals,
        Pace::Saturation(n_clients),
        bench.arguments.duration,
    )
    .await?;
    if kind == StoreKind::Postgres {
        // Postgres connections report their statistics when they close.
        process.stop().await?;
    }
    let n_after = n_syncs(kind, &store, trace.path()).await?;
    store.remove().await?;
    Ok((n_after - n_before, answered.n_decisions()))
}

/// The same service under strace, which runs as a grandchild (`-D`), so that the process that was
/// started is the service.
fn traced(plain: &Command, trace: &std::path::Path) -> Command {
    let plain = plain.as_std();
    let mut command = Command::new("strace");
    command
        .args([
            "-D",
            "-f",
            "--seccomp-bpf",
            "-e",
            "trace=fsync,fdatasync",
            "-o",
        ])
        .arg(trace);
    command
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear();
    command.envs(
        plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn n_syncs(kind: StoreKind, store: &Store, trace: &std::path::Path) -> anyhow::Result<u64> {
    if kind == StoreKind::Sqlite {
        let trace = std::fs::read_to_string(trace)?;
        return Ok(trace.lines().filter(|line| line.contains("sync(")).count() as u64);
    }
    execute(&store.url, "SELECT pg_stat_force_next_flush()".to_owned()).await?;
    let pool = connect(&store.url).await?;
    let n_syncs: i64 = sqlx::query_scalar("SELECT wal_sync FROM pg_stat_wal")
        .fetch_one(&pool)
        .await?;
    pool.close().await;
    ensure!(n_syncs >= 0, "a count is not negative");
    Ok(u64::try_from(n_syncs)?)
}
