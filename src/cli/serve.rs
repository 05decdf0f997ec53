//! `serve`: telemetry first and last, the service in between.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Instrument;

use crate::app::App;
use crate::cli::pseudonym;
use crate::clock::Clock;
use crate::config::Config;
use crate::redact::pseudonym::Pseudonyms;
use crate::reload::ReloadRequests;
use crate::telemetry::Instruments;
use crate::telemetry::provider::Telemetry;
use crate::telemetry::subscriber;

/// How long the program waits at its end for what still runs: a file that is read, a database that
/// is written to. It may take for ever, and the last spans have to leave within the time that an
/// orchestrator gives.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Runs the service until it is told to stop.
///
/// # Errors
/// When it cannot start, or its listener fails.
pub fn run(config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let kept = pseudonym::load(config)?;
    let is_kept = kept.is_some();
    let telemetry = start_telemetry(config, kept.map_or_else(Pseudonyms::with_random_key, Ok)?)?;
    if !is_kept {
        tracing::warn!(
            "without EXPENSE_AGENT_PSEUDONYM_KEY, user ids that are personal data get other pseudonyms with every start \
             and in every replica; set it to 32 random characters"
        );
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let served = runtime.block_on(serve(config, &telemetry, out));
    runtime.shutdown_timeout(LAST_WORK);
    // Last, and off the runtime: the spans of the last requests are still in the queue.
    telemetry.shutdown();
    served
}

/// Starts traces and logs, as the settings say.
///
/// # Errors
/// When the exporter cannot be built, or the log filter cannot be read.
fn start_telemetry(config: &Config, pseudonyms: Pseudonyms) -> anyhow::Result<Telemetry> {
    let telemetry = Telemetry::start(&config.telemetry, pseudonyms)?;
    subscriber::init(
        config.log_filter.as_deref(),
        config.log_format,
        &config.telemetry.sdk_log_level,
        &telemetry,
    )?;
    for ignored in &config.telemetry.ignored {
        tracing::warn!("{ignored}");
    }
    Ok(telemetry)
}

/// Decides in this process, with a service's telemetry, but without its log lines unless they are
/// asked for.
///
/// # Errors
/// When telemetry cannot start, or the work fails.
pub fn decide_here(
    config: &Config,
    pseudonyms: Pseudonyms,
    work: impl AsyncFnOnce(Config, Instruments) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let quiet = config
        .log_filter
        .clone()
        .unwrap_or_else(|| "warn".to_owned());
    let config = Config {
        log_filter: Some(quiet),
        ..config.clone()
    };
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let telemetry = start_telemetry(&config, pseudonyms)?;
    let done = runtime.block_on(work(config, telemetry.instruments()));
    runtime.shutdown_timeout(LAST_WORK);
    telemetry.shutdown();
    done
}

async fn serve(config: &Config, telemetry: &Telemetry, out: &mut dyn Write) -> anyhow::Result<()> {
    let building = App::build(config, Clock::system(), telemetry.instruments());
    let app = building.instrument(tracing::info_span!("start")).await?;
    let listen = config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    // Before the line below: whoever reads it may send the signal at once.
    let stop = stop_signal().context("the signals to stop cannot be listened for")?;
    let hangups =
        signal(SignalKind::hangup()).context("the signal to reload cannot be listened for")?;
    tokio::spawn(reload_on_hangup(hangups, app.reload_requests()));
    // On standard output and at once: whoever started the service waits for this line, whatever is
    // logged.
    let line = writeln!(
        out,
        "listening on http://{address}; POST /v1/expenses, or open http://{address}/docs"
    );
    if let Err(error) = line.and_then(|()| out.flush()) {
        tracing::warn!(%error, %address, "nobody reads where the service listens");
    }
    app.serve(listener, stop)
        .await
        .context("the listener failed")
}

/// SIGTERM from an orchestrator, or Ctrl-C from a person. Both are listened for from here on, not
/// from the first poll on.
///
/// # Errors
/// When the operating system does not let them be listened for.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + use<>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// SIGHUP asks for a look at the files that may change.
async fn reload_on_hangup(mut hangups: Signal, reloads: ReloadRequests) {
    while hangups.recv().await.is_some() {
        reloads.ask();
    }
}
