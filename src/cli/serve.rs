//! `serve`: starts telemetry, runs the service, and stops telemetry last. Other subcommands use
//! [`with_telemetry`] to decide in this process, and `stop_signal`.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Instrument;

use crate::app::App;
use crate::cli::{pseudonym, runtime};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::http::HttpConfig;
use crate::redact::pseudonym::Pseudonyms;
use crate::reload::ReloadRequests;
use crate::telemetry::Instruments;
use crate::telemetry::provider::Telemetry;
use crate::telemetry::subscriber;

/// How long the program waits on shutdown for blocking work, such as reading a file or writing to a
/// database. That work may never end, and the last spans have to be sent before the orchestrator
/// kills the process.
const BLOCKING_WORK_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the service until a signal stops it.
///
/// # Errors
/// When it cannot start.
pub fn run(config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let stored = pseudonym::load(config)?;
    let is_stored = stored.is_some();
    let pseudonyms = stored.map_or_else(Pseudonyms::with_random_key, Ok)?;
    let telemetry = start_telemetry(config, pseudonyms.clone())?;
    if !is_stored {
        tracing::warn!(
            "without EXPENSE_AGENT_PSEUDONYM_KEY, user ids that are personal data get other \
             pseudonyms, and sessions of the page end, with every start and in every replica; set it to 32 random characters"
        );
    }
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config, &telemetry, &pseudonyms, out));
    runtime.shutdown_timeout(BLOCKING_WORK_TIMEOUT);
    // Last, because the spans of the last requests are still in the queue, and off the runtime,
    // because it blocks.
    telemetry.shutdown();
    served
}

/// Starts traces and logs with these settings.
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

/// Runs `work` in this process, with the telemetry that a service would have. Log lines below `warn`
/// are written only if a log filter asks for them.
///
/// # Errors
/// When telemetry cannot start, or the work fails.
pub fn with_telemetry(
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
    let runtime = runtime()?;
    let telemetry = start_telemetry(&config, pseudonyms)?;
    let done = runtime.block_on(work(config, telemetry.instruments()));
    runtime.shutdown_timeout(BLOCKING_WORK_TIMEOUT);
    telemetry.shutdown();
    done
}

async fn serve(
    config: &Config,
    telemetry: &Telemetry,
    pseudonyms: &Pseudonyms,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let building = App::build(config, Clock::system(), telemetry.instruments());
    let app = building.instrument(tracing::info_span!("start")).await?;
    let app = app.with_page(pseudonyms);
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; choose another address with --listen")
    })?;
    let address = listener.local_addr()?;
    // Install the handlers before the address is printed, because a script that reads the address may
    // send a signal at once.
    let stop = stop_signal().context("the handlers of the stop signals cannot be installed")?;
    let hangups = signal(SignalKind::hangup())
        .context("the handler of the reload signal cannot be installed")?;
    tokio::spawn(reload_on_hangup(hangups, app.reload_requests()));
    // Printed rather than logged, and flushed: scripts that start the service wait for this line,
    // which must not depend on the log filter.
    let lines = format!(
        "listening on http://{address}; POST /v1/expenses, or open http://{address}/docs\n{}",
        page_or_key(&config.http, address, app.local_key())
    );
    let written = out.write_all(lines.as_bytes());
    if let Err(error) = written.and_then(|()| out.flush()) {
        tracing::warn!(%error, %address, "the address could not be written to standard output");
    }
    app.serve(listener, stop).await;
    Ok(())
}

/// The line that says where the page is, with the local key if there is one. The key is in the fragment
/// of the link, which browsers never send: the script of the page logs in with it.
fn page_or_key(
    config: &HttpConfig,
    address: SocketAddr,
    local_key: Option<&SecretString>,
) -> String {
    let key = local_key.map(ExposeSecret::expose_secret);
    let here = || match address.ip().is_unspecified() {
        true => format!("http://localhost:{}", address.port()),
        false => format!("http://{address}"),
    };
    let origin = config.page_origin(address).unwrap_or_else(here);
    match (config.has_page, key) {
        (true, Some(key)) => format!("Page: {origin}/ui/#key={key}\n"),
        (true, None) => format!("Page: {origin}/ui/\n"),
        (false, Some(key)) => format!("Local key: {key}\n"),
        (false, None) => String::new(),
    }
}

/// Resolves on SIGTERM from an orchestrator, or on Ctrl-C from a person. The handlers are installed
/// by the call, not by the first poll.
///
/// # Errors
/// When the operating system refuses the handlers.
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

/// Reloads the policy files and API keys on every SIGHUP.
async fn reload_on_hangup(mut hangups: Signal, reloads: ReloadRequests) {
    while hangups.recv().await.is_some() {
        reloads.ask();
    }
}
