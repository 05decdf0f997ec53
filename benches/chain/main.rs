//! The whole service under load. Load, model endpoint and trace backend run in this process, the
//! service is a separate process, and its cost is read from `/proc`. The speed of a machine varies, so
//! everything that is compared takes turns within one run: trust the ratios, not the figures. Each
//! scenario is in the file of the same name.

#![expect(
    clippy::float_arithmetic,
    reason = "times and ratios; no amount of money is computed here"
)]

mod arguments;
mod fake_openai;
mod floor;
mod growth;
mod ledger;
mod load;
mod otlp_sink;
mod process;
mod report;
mod server;
mod store;
mod subject;
mod syncs;
mod telemetry;
mod whole;

use std::io::Write;

use anyhow::Context;
use clap::Parser;

use arguments::{Arguments, Scenario};
use fake_openai::FakeOpenAi;
use report::Report;

/// The same allocator as the service, because the bare proxy is this program and is compared with the
/// service.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What every scenario needs.
struct Bench {
    arguments: Arguments,
    model: FakeOpenAi,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(upstream) = arguments.floor {
        return floor::serve(upstream).await;
    }
    let mut report = Report::begin()?;
    let bench = Bench {
        model: FakeOpenAi::spawn(arguments.model_latency).await?,
        arguments,
    };
    for scenario in &bench.arguments.scenarios {
        let tables = match scenario {
            Scenario::Whole => whole::run(&bench).await?,
            Scenario::Ledger => ledger::run(&bench).await?,
            Scenario::Syncs => syncs::run(&bench).await?,
            Scenario::Growth => growth::run(&bench).await?,
            Scenario::Telemetry => telemetry::run(&bench).await?,
        };
        report.tables.extend(tables);
    }
    let text = report.end()?;
    std::io::stdout().write_all(text.as_bytes())?;
    if let Some(file) = &bench.arguments.write {
        std::fs::write(file, text)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}
