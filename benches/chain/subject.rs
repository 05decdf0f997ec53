//! A subject is a process whose cost is measured, with all samples so far. Subjects take turns.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::Bench;
use super::arguments::StoreKind;
use super::load::{Answered, Meals, Pace, People, drive};
use super::otlp_sink::OtlpSink;
use super::process::Process;
use super::store::Store;

/// Spans of a decision: of the request, the agent, three steps, two calls of the model, and the record.
pub(crate) const SPANS_OF_A_DECISION: u64 = 8;
/// Spans of the service's start.
const SPANS_OF_A_START: u64 = 1;
/// How often a service is started; the median of the start times is reported.
const N_STARTS: usize = 5;
/// How long a subject is warmed up before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// The telemetry that a service sends.
#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
pub(crate) enum Telemetry {
    /// None: the SDK is disabled.
    #[strum(to_string = "telemetry off")]
    Off,
    /// Traces alone.
    #[strum(to_string = "traces")]
    Traces,
    /// Traces, metrics and log records.
    #[strum(to_string = "telemetry on")]
    Everything,
    /// All three, with tail sampling that keeps a tenth of the ordinary traces.
    #[strum(to_string = "telemetry on, tail sampling")]
    Sampled,
}

impl Telemetry {
    /// Whether every span is sent.
    fn is_complete(self) -> bool {
        matches!(self, Self::Traces | Self::Everything)
    }

    /// Configures the command of a service, which sends no telemetry by default.
    pub(crate) fn configure(self, command: &mut Command, endpoint: &str) {
        let more: &[_] = match self {
            Self::Off => return,
            Self::Traces => &[
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            Self::Everything => &[],
            Self::Sampled => &[("EXPENSE_AGENT_TELEMETRY_KEEP_RATIO", "0.1")],
        };
        command
            .env_remove("OTEL_SDK_DISABLED")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        command.envs(more.iter().copied());
    }
}

/// How a measured service is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Its store.
    pub(crate) kind: StoreKind,
    /// The telemetry that it sends.
    pub(crate) telemetry: Telemetry,
    /// The people whose expenses it receives.
    pub(crate) people: People,
}

/// One process under load.
pub(crate) struct Subject {
    /// Its name in the tables.
    pub(crate) name: String,
    /// The samples, load by load.
    pub(crate) samples: Vec<Sample>,
    /// Spans that were sent and did not arrive; known after the stop, for a service that sends all
    /// spans.
    pub(crate) n_spans_lost: Option<u64>,
    /// The time of a start on an empty ledger.
    pub(crate) start: Duration,
    /// Its peak memory; known after the stop.
    pub(crate) peak_kib: u64,
    running: Option<Running>,
}

/// A running process, and its resources.
struct Running {
    process: Process,
    meals: Meals,
    sink: Option<OtlpSink>,
    store: Option<Store>,
    n_decisions: u64,
    n_failed: u64,
}

/// The measurement of one load.
pub(crate) struct Sample {
    /// The load.
    pub(crate) pace: Pace,
    /// The answers.
    pub(crate) answered: Answered,
    /// The processor time of the process.
    pub(crate) cpu: Duration,
    /// The growth of its memory.
    pub(crate) grown_kib: i64,
}

impl Subject {
    /// The bare proxy.
    pub(crate) async fn floor(bench: &Bench) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().args(["--floor", &bench.model.base_url]);
        let process = Process::start(command).await?;
        let start = process.start;
        Self::warm(
            "bare proxy".to_owned(),
            process,
            start,
            People::default(),
            None,
            None,
        )
        .await
    }

    /// A service that is warmed up.
    pub(crate) async fn service(
        bench: &Bench,
        program: &Path,
        name: String,
        setup: Setup,
    ) -> anyhow::Result<Self> {
        let mut starts = Vec::new();
        loop {
            let store = Store::make(setup.kind, &bench.arguments).await?;
            let mut command = service(program, &bench.model.base_url, &store);
            let sink = OtlpSink::spawn().await?;
            setup.telemetry.configure(&mut command, &sink.endpoint);
            let process = Process::start(command).await?;
            starts.push(process.start);
            if starts.len() == N_STARTS {
                starts.sort_unstable();
                let sink = Some(sink).filter(|_| setup.telemetry.is_complete());
                return Self::warm(
                    name,
                    process,
                    starts[N_STARTS / 2],
                    setup.people,
                    sink,
                    Some(store),
                )
                .await;
            }
            process.stop().await?;
            store.remove().await?;
        }
    }

    async fn warm(
        name: String,
        process: Process,
        start: Duration,
        people: People,
        sink: Option<OtlpSink>,
        store: Option<Store>,
    ) -> anyhow::Result<Self> {
        let meals = Meals::new(&process.url, people)?;
        if store.is_some() {
            let decision: Value = meals.next().send().await?.json().await?;
            ensure!(
                decision["outcome"] == "approved",
                "the first meal was not approved: {decision}"
            );
        }
        let answered = drive(&meals, Pace::Saturation(4), WARM_UP).await?;
        let n_decisions = answered.n_decisions() + u64::from(store.is_some());
        let running = Running {
            process,
            meals,
            sink,
            store,
            n_decisions,
            n_failed: answered.n_failed,
        };
        Ok(Self {
            name,
            samples: Vec::new(),
            n_spans_lost: None,
            start,
            peak_kib: 0,
            running: Some(running),
        })
    }

    async fn measure(&mut self, pace: Pace, duration: Duration) -> anyhow::Result<()> {
        let running = self
            .running
            .as_mut()
            .context("the subject has been stopped")?;
        let before = running.process.usage()?;
        let answered = drive(&running.meals, pace, duration).await?;
        let after = running.process.usage()?;
        running.n_decisions += answered.n_decisions();
        running.n_failed += answered.n_failed;
        let grown_kib = i64::try_from(after.resident_kib)? - i64::try_from(before.resident_kib)?;
        self.samples.push(Sample {
            pace,
            answered,
            cpu: after.cpu - before.cpu,
            grown_kib,
        });
        Ok(())
    }

    /// Stops the process, and reads the final figures.
    async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(Running {
            process,
            sink,
            store,
            n_decisions,
            n_failed,
            ..
        }) = self.running.take()
        else {
            return Ok(());
        };
        self.peak_kib = process.usage()?.peak_kib;
        process.stop().await?;
        // A request that failed has fewer spans than a decision; how many depends on where it
        // failed.
        let n_sent = n_decisions * SPANS_OF_A_DECISION + SPANS_OF_A_START;
        self.n_spans_lost = sink
            .filter(|_| n_failed == 0)
            .map(|sink| n_sent.saturating_sub(sink.n_spans()));
        match store {
            Some(store) => store.remove().await,
            None => Ok(()),
        }
    }
}

/// The command of a service that calls the model of the benchmark and sends no telemetry. It
/// inherits nothing from the environment of this process.
pub(crate) fn service(program: &Path, model_url: &str, store: &Store) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([
        ("OPENAI_BASE_URL", model_url),
        ("OTEL_SDK_DISABLED", "true"),
        (
            "EXPENSE_AGENT_POLICIES",
            concat!(env!("CARGO_MANIFEST_DIR"), "/policies"),
        ),
        ("EXPENSE_AGENT_PSEUDONYM_KEY", "the key of the benchmark"),
        // An endpoint on loopback gets a few calls at once by default; the fake takes any number.
        ("EXPENSE_AGENT_MODEL_CONCURRENCY", "1024"),
        ("RUST_LOG", "warn"),
    ]);
    command.args(["--listen", "127.0.0.1:0"]);
    store.configure(&mut command);
    command
}

/// Runs every load on every subject, round by round, with another subject first in each round; then
/// stops all subjects.
pub(crate) async fn take_turns(
    bench: &Bench,
    subjects: &mut [Subject],
    paces: &[Pace],
) -> anyhow::Result<()> {
    for _ in 0..bench.arguments.rounds {
        for pace in paces {
            for subject in &mut *subjects {
                subject.measure(*pace, bench.arguments.duration).await?;
            }
        }
        subjects.rotate_left(1);
    }
    subjects.rotate_right(bench.arguments.rounds % subjects.len());
    for subject in subjects {
        subject.stop().await?;
    }
    Ok(())
}
