//! The results of a run as Markdown: where and when it ran, how loaded the machine was, and tables.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::load::{Answered, Pace};
use super::subject::{Sample, Subject};

/// All tables of a run.
pub(crate) struct Report {
    /// The tables so far.
    pub(crate) tables: Vec<Table>,
    load_before: String,
}

/// One table.
pub(crate) struct Table {
    /// The title, with notes.
    pub(crate) title: String,
    /// The headings.
    pub(crate) columns: Vec<String>,
    /// The cells; the first of a row is its name.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    /// Starts a report with the load of the machine before the benchmark.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        Ok(Self {
            tables: Vec::new(),
            load_before: load_average()?,
        })
    }

    /// The complete report as text.
    pub(crate) fn end(&self) -> anyhow::Result<String> {
        let arguments: Vec<_> = std::env::args()
            .skip(1)
            .filter(|argument| argument != "--bench")
            .collect();
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let memory_kib: u64 = memory
            .split_whitespace()
            .nth(1)
            .context("/proc/meminfo has no MemTotal")?
            .parse()?;
        let allocator = match cfg!(feature = "jemalloc") {
            true => " --features jemalloc",
            false => "",
        };
        let mut text = String::from("# What a decision costs\n\n");
        writeln!(
            text,
            "```sh\ncargo bench{allocator} --bench chain -- {}\n```\n",
            arguments.join(" ")
        )?;
        writeln!(
            text,
            "{}, {} processors and {} GiB of memory, which load, model and trace backend share with the service. Load \
             average {} before the run and {} after it.",
            Timestamp::now().strftime("%Y-%m-%d"),
            std::thread::available_parallelism()?,
            memory_kib >> 20,
            self.load_before,
            load_average()?,
        )?;
        for table in &self.tables {
            write!(text, "\n{table}")?;
        }
        Ok(text)
    }
}

/// The average number of processes that ran or waited to run in the last minute.
fn load_average() -> anyhow::Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.columns.len() - 1))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// The summary of all samples of a subject under one load.
pub(crate) struct Summary {
    /// All latencies together.
    pub(crate) answered: Answered,
    /// Decisions a second: median, minimum and maximum of the samples.
    pub(crate) per_second: [f64; 3],
    /// Processor time per decision, median of the samples.
    pub(crate) cpu: Duration,
    /// Growth of memory per decision, in bytes.
    pub(crate) grown_bytes: i64,
}

impl Summary {
    /// Summarises the samples of one load.
    pub(crate) fn of(subject: &Subject, pace: Pace) -> anyhow::Result<Self> {
        let samples: Vec<&Sample> = subject
            .samples
            .iter()
            .filter(|sample| sample.pace == pace)
            .collect();
        let mut answered = Answered::none()?;
        for sample in &samples {
            answered.add(&sample.answered)?;
        }
        let n_decisions =
            |sample: &Sample| u32::try_from(sample.answered.n_decisions()).unwrap_or(u32::MAX);
        let mut per_second: Vec<f64> = samples
            .iter()
            .map(|sample| sample.answered.per_second())
            .collect();
        per_second.sort_by(f64::total_cmp);
        let mut cpu: Vec<Duration> = samples
            .iter()
            .map(|sample| sample.cpu / n_decisions(sample))
            .collect();
        cpu.sort();
        let grown_kib: i64 = samples.iter().map(|sample| sample.grown_kib).sum();
        Ok(Self {
            per_second: [
                per_second[samples.len() / 2],
                per_second[0],
                per_second[samples.len() - 1],
            ],
            cpu: cpu[samples.len() / 2],
            grown_bytes: grown_kib * 1024 / i64::try_from(answered.n_decisions())?,
            answered,
        })
    }

    /// Decisions a second, median and 99th percentile of the latency in milliseconds, and microseconds
    /// of processor time per decision.
    pub(crate) fn figures(&self) -> [String; 4] {
        let [median, _, p99, _] = percentiles(&self.answered);
        let per_second = format!("{:.0}", self.per_second[0]);
        [per_second, median, p99, self.cpu.as_micros().to_string()]
    }
}

/// Median, 90th, 99th and 99.9th percentile in milliseconds.
pub(crate) fn percentiles(answered: &Answered) -> [String; 4] {
    [50.0, 90.0, 99.0, 99.9].map(|percent| {
        let micros = answered.latencies.value_at_percentile(percent);
        format!("{:.2}", micros as f64 / 1_000.0)
    })
}
