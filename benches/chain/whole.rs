//! The service beside the bare proxy: on each store, with and without telemetry, at saturation and
//! at fixed rates.

use super::Bench;
use super::load::{Pace, People};
use super::report::{Summary, Table, percentiles};
use super::subject::{Setup, Subject, Telemetry, take_turns};

/// Runs the scenario.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    let saturation = Pace::Saturation(bench.arguments.clients);
    let mut paces = vec![saturation];
    paces.extend(bench.arguments.rates.iter().map(|rate| Pace::Rate(*rate)));
    let mut subjects = vec![Subject::floor(bench).await?];
    for kind in bench.arguments.available_stores() {
        for telemetry in [Telemetry::Off, Telemetry::Everything] {
            for (n_build, program) in bench.arguments.services.iter().enumerate() {
                let build = if n_build == 0 {
                    String::new()
                } else {
                    format!(", build {}", n_build + 1)
                };
                let name = format!("{kind}, {telemetry}{build}");
                let setup = Setup {
                    kind,
                    telemetry,
                    people: People::default(),
                };
                subjects.push(Subject::service(bench, program, name, setup).await?);
            }
        }
    }
    take_turns(bench, &mut subjects, &paces).await?;
    paces
        .into_iter()
        .map(|pace| table(&subjects, pace))
        .collect()
}

fn table(subjects: &[Subject], pace: Pace) -> anyhow::Result<Table> {
    let title = match pace {
        Pace::Saturation(n_clients) => {
            format!("## {n_clients} clients, each with a request under way all the time")
        }
        Pace::Rate(rate) => {
            format!("## {rate} requests a second, latency from the moment each was due")
        }
    };
    let columns = [
        "",
        "decisions/s",
        "least to most",
        "× floor",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU µs each",
        "× floor",
        "start ms",
        "memory MiB",
        "growth bytes each",
        "failed",
        "spans lost",
    ];
    let floor = Summary::of(&subjects[0], pace)?;
    let rows = subjects.iter().map(|subject| {
        let summary = Summary::of(subject, pace)?;
        let [median, least, most] = summary.per_second;
        let mut row = vec![
            subject.name.clone(),
            format!("{median:.0}"),
            format!("{least:.0} to {most:.0}"),
            format!("{:.2}", median / floor.per_second[0]),
        ];
        row.extend(percentiles(&summary.answered));
        row.extend([
            summary.cpu.as_micros().to_string(),
            format!("{:.1}", summary.cpu.div_duration_f64(floor.cpu)),
            subject.start.as_millis().to_string(),
            (subject.peak_kib >> 10).to_string(),
            summary.grown_bytes.to_string(),
            summary.answered.n_failed.to_string(),
            subject
                .n_spans_lost
                .map_or_else(|| "–".to_owned(), |n_lost| n_lost.to_string()),
        ]);
        Ok(row)
    });
    let rows = rows.collect::<anyhow::Result<_>>()?;
    Ok(Table {
        title,
        columns: columns.map(str::to_owned).to_vec(),
        rows,
    })
}
