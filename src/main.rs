//! The program: parses the command line, runs the subcommand, prints an error with its causes, and
//! chooses the exit code.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use expense_agent::cli::audit::AboveLimit;
use expense_agent::cli::decide::{InvalidCommand, Undecided};
use expense_agent::cli::ledger::NothingToVerify;
use expense_agent::cli::{
    Cli, Command, KeysCommand, LedgerCommand, PoliciesCommand, audit, decide, demo, export,
    healthcheck, help, keys, ledger, policies, pseudonym, serve,
};
use expense_agent::config::{Config, Settings, environment};
use expense_agent::error_chain::error_chain;
use expense_agent::redact::redact;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code when a command ran to its end, but its result should fail a pipeline: an error
/// rate above the limit, rows without a decision or without the model's advice, or no record to
/// verify. 1 means that the command failed.
const UNSATISFIED: u8 = 3;
/// The exit code when the command line is invalid, as clap has it.
const INVALID_COMMAND: u8 = 2;

fn main() -> ExitCode {
    let Cli {
        command,
        mut settings,
    } = help::parse();
    let command = command.unwrap_or(Command::Serve);
    // Only `serve` accepts requests, so only it needs keys.
    settings.http.allow_anonymous |= !matches!(command, Command::Serve);
    let mut out = anstream::stdout().lock();
    let result = match command {
        Command::Healthcheck => healthcheck::run(settings.http.listen, &mut out),
        Command::Policies { command } => on_policies(command, &settings.storage.policies, &mut out),
        Command::Keys {
            command: KeysCommand::New(wanted),
        } => keys::new(&wanted, &mut out),
        Command::Ledger {
            command: LedgerCommand::Verify(wanted),
        } => configured(settings).and_then(|config| ledger::verify(&config, &wanted, &mut out)),
        Command::Ledger {
            command: LedgerCommand::Erase(wanted),
        } => configured(settings).and_then(|config| ledger::erase(&config, &wanted, &mut out)),
        Command::Export(wanted) => configured(settings)
            .and_then(|config| export::run(&config, &wanted, &mut out, &mut anstream::stderr())),
        Command::Audit(wanted) => configured(settings)
            .and_then(|config| audit::run(&config, &wanted, &mut out, &mut anstream::stderr())),
        Command::Pseudonym { user_id } => {
            configured(settings).and_then(|config| pseudonym::run(&config, &user_id, &mut out))
        }
        Command::Serve => configured(settings).and_then(|config| serve::run(&config, &mut out)),
        Command::Decide(wanted) => configured(settings)
            .and_then(|config| decide::run(&config, &wanted, &mut out, &mut anstream::stderr())),
        Command::Demo { url } => {
            configured(settings).and_then(|config| demo::run(&config, url, &mut out))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The message may repeat a setting, and standard error often ends up in a log.
            anstream::eprintln!("error: {}", redact(&error_chain(error.as_ref())));
            let is_unsatisfied = error.is::<AboveLimit>()
                || error.is::<Undecided>()
                || error.is::<NothingToVerify>();
            if is_unsatisfied {
                ExitCode::from(UNSATISFIED)
            } else if error.is::<InvalidCommand>() {
                ExitCode::from(INVALID_COMMAND)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn on_policies(
    command: PoliciesCommand,
    shipped: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        PoliciesCommand::Check { dir } => {
            policies::check::check(dir.as_deref().unwrap_or(shipped), out)
        }
        PoliciesCommand::Test { dir } => {
            policies::test::test(dir.as_deref().unwrap_or(shipped), out)
        }
        PoliciesCommand::Explain(wanted) => policies::explain::explain(&wanted, shipped, out),
        PoliciesCommand::New(wanted) => policies::new::new(&wanted, out),
    }
}

fn configured(settings: Settings) -> anyhow::Result<Config> {
    Ok(Config::build(settings, &environment())?)
}
