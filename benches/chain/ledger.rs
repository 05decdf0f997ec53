//! The stores compared, without telemetry: with few and many clients, and with expenses of many
//! tenants, of one tenant, and of one employee, whose requests all write the same rows.

use super::Bench;
use super::load::{Pace, People};
use super::report::{Summary, Table};
use super::subject::{Setup, Subject, Telemetry, take_turns};

/// Numbers of clients, each of which waits for its answer.
pub(crate) const N_CLIENTS: [usize; 3] = [1, 16, 256];

/// Measures, and returns the table.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    let crowds = [
        ("16 tenants", People::default()),
        (
            "one tenant",
            People {
                n_tenants: 1,
                ..People::default()
            },
        ),
        (
            "one employee",
            People {
                n_tenants: 1,
                n_users: 1,
            },
        ),
    ];
    let mut subjects = Vec::new();
    for kind in bench.arguments.available_stores() {
        for (crowd, people) in crowds {
            let setup = Setup {
                kind,
                telemetry: Telemetry::Off,
                people,
            };
            let name = format!("{kind}, {crowd}");
            subjects
                .push(Subject::service(bench, &bench.arguments.services[0], name, setup).await?);
        }
    }
    let paces = N_CLIENTS.map(Pace::Saturation);
    take_turns(bench, &mut subjects, &paces).await?;
    let mut columns = vec![String::new()];
    columns.extend(N_CLIENTS.iter().flat_map(|n_clients| {
        ["decisions/s", "p50 ms", "p99 ms", "CPU µs each"]
            .map(|figure| format!("{n_clients}: {figure}"))
    }));
    let rows = subjects.iter().map(|subject| {
        let mut row = vec![subject.name.clone()];
        for pace in paces {
            row.extend(Summary::of(subject, pace)?.figures());
        }
        Ok(row)
    });
    let title = "## Stores, without telemetry, by the number of clients".to_owned();
    Ok(vec![Table {
        title,
        columns,
        rows: rows.collect::<anyhow::Result<_>>()?,
    }])
}
