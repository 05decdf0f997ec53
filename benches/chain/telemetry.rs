//! The cost of telemetry per decision, signal by signal, and its cost while no backend accepts
//! spans. The ledger is in memory, so that the disk does not hide the difference. Redaction cannot
//! be turned off; `benches/parts` measures it alone.

use super::Bench;
use super::arguments::StoreKind;
use super::load::{Answered, Meals, Pace, People, drive};
use super::process::Process;
use super::report::{Summary, Table, percentiles};
use super::store::Store;
use super::subject::{SPANS_OF_A_DECISION, Setup, Subject, Telemetry, service, take_turns};

/// How many spans have ended when memory is measured: a common limit of queues that count spans.
const N_SPANS: u64 = 65_536;

/// Runs the scenario.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    Ok(vec![cpu(bench).await?, memory(bench).await?])
}

async fn cpu(bench: &Bench) -> anyhow::Result<Table> {
    let mut subjects = Vec::new();
    for telemetry in [
        Telemetry::Off,
        Telemetry::Traces,
        Telemetry::Everything,
        Telemetry::Sampled,
    ] {
        let setup = Setup {
            kind: StoreKind::Memory,
            telemetry,
            people: People::default(),
        };
        subjects.push(
            Subject::service(
                bench,
                &bench.arguments.services[0],
                telemetry.to_string(),
                setup,
            )
            .await?,
        );
    }
    let mut paces = vec![Pace::Saturation(bench.arguments.clients)];
    paces.extend(bench.arguments.rates.iter().map(|rate| Pace::Rate(*rate)));
    take_turns(bench, &mut subjects, &paces).await?;
    let mut columns = vec![String::new()];
    let mut rows: Vec<_> = subjects
        .iter()
        .map(|subject| vec![subject.name.clone()])
        .collect();
    for pace in paces {
        let of = match pace {
            Pace::Saturation(n_clients) => format!("{n_clients} clients"),
            Pace::Rate(rate) => format!("{rate}/s"),
        };
        columns.extend(
            ["decisions/s", "p50 ms", "p99 ms", "CPU µs each", "added"]
                .map(|figure| format!("{of}: {figure}")),
        );
        let without = Summary::of(&subjects[0], pace)?.cpu;
        for (row, subject) in rows.iter_mut().zip(&subjects) {
            let summary = Summary::of(subject, pace)?;
            row.extend(summary.figures());
            row.push(
                (summary.cpu.as_micros().cast_signed() - without.as_micros().cast_signed())
                    .to_string(),
            );
        }
    }
    Ok(Table {
        title: "## What telemetry adds".to_owned(),
        columns,
        rows,
    })
}

/// The counts of spans that a service shows.
async fn spans_of(process: &Process) -> anyhow::Result<serde_json::Value> {
    let shown = reqwest::get(format!("{}/readyz?verbose", process.url)).await?;
    let mut shown: serde_json::Value = shown.json().await?;
    Ok(shown["spans"].take())
}

/// Latency and memory without a backend, until [`N_SPANS`] spans have ended: with the default limit
/// of the queue, and with room for all spans.
async fn memory(bench: &Bench) -> anyhow::Result<Table> {
    let mut rows = Vec::new();
    for (name, telemetry, queue_bytes) in [
        ("telemetry off", Telemetry::Off, None),
        ("no backend, room for 16 MiB", Telemetry::Traces, None),
        (
            "no backend, room for all",
            Telemetry::Traces,
            Some("268435456"),
        ),
    ] {
        let store = Store::make(StoreKind::Memory, &bench.arguments).await?;
        let mut command = service(&bench.arguments.services[0], &bench.model.base_url, &store);
        // Nothing listens on port 9, the port of the discard protocol.
        telemetry.configure(&mut command, "http://127.0.0.1:9");
        command.envs(queue_bytes.map(|bytes| ("EXPENSE_AGENT_TELEMETRY_QUEUE_BYTES", bytes)));
        command.env("RUST_LOG", "error");
        let process = Process::start(command).await?;
        let meals = Meals::new(&process.url, People::default())?;
        let mut answered = Answered::none()?;
        while answered.n_decisions() * SPANS_OF_A_DECISION < N_SPANS {
            let pace = Pace::Saturation(bench.arguments.clients);
            answered.add(&drive(&meals, pace, bench.arguments.duration / 4).await?)?;
        }
        let [median, _, p99, _] = percentiles(&answered);
        let usage = process.usage()?;
        let spans = spans_of(&process).await?;
        rows.push(vec![
            name.to_owned(),
            answered.n_decisions().to_string(),
            median,
            p99,
            spans["in_flight"].to_string(),
            spans["dropped"].to_string(),
            (usage.resident_kib >> 10).to_string(),
            (usage.peak_kib >> 10).to_string(),
        ]);
        process.stop().await?;
        store.remove().await?;
    }
    let columns = [
        "",
        "decisions",
        "p50 ms",
        "p99 ms",
        "spans waiting",
        "spans lost",
        "memory MiB",
        "peak MiB",
    ]
    .map(str::to_owned)
    .to_vec();
    Ok(Table {
        title: "## Without a backend".to_owned(),
        columns,
        rows,
    })
}
