//! The command line: one file per subcommand, each printing to a writer it is handed.

pub mod audit;
pub mod decide;
pub mod demo;
pub mod export;
pub mod healthcheck;
pub mod keys;
pub mod ledger;
pub mod policies;
pub mod pseudonym;
pub mod serve;
mod window;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use reqwest::Url;

use crate::config::Settings;

/// Decides on expenses: the model advises, policy code decides, the trace proves it.
#[derive(Debug, Parser)]
#[command(name = "expense-agent", version)]
pub struct Cli {
    /// What to do; `serve` when nothing is said
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to do it
    #[command(flatten)]
    pub settings: Settings,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API (the default)
    Serve,
    /// Ask the service that listens on `--listen` whether it is ready; exit code 0 or 1
    Healthcheck,
    /// Work on policy files
    Policies {
        /// What to do with them
        #[command(subcommand)]
        command: PoliciesCommand,
    },
    /// Work on the ledger
    Ledger {
        /// What to do with it
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Write the decisions of a period to standard output
    Export(export::Export),
    /// Say how often the reasoning failed in a span of time, and where; exit code 3 above
    /// `--fail-above`
    Audit(audit::Audit),
    /// Work on API keys
    Keys {
        /// What to do with them
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Show what a user is called in traces: the id itself, or its pseudonym where it is personal
    /// data
    Pseudonym {
        /// The id, as the ledger has it
        user_id: String,
    },
    /// Decide the expenses of a file, a table or JSON lines, and answer each row by a line of JSON
    Decide(decide::Decide),
    /// Post a few dozen transactions and show each decision as a tree
    Demo {
        /// A running service, such as http://127.0.0.1:8000; without one, the demo decides by itself and forgets
        url: Option<Url>,
    },
}

/// What can be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Walk every tenant's chain of records, and name the first that is not what it was; exit code
    /// 0 or 1
    Verify(ledger::Verify),
    /// Erase the personal texts of an employee's records; the chain still holds
    Erase(ledger::Erase),
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and show it this once with its entry for the file of keys
    New(keys::NewKey),
}

/// What can be done with policy files.
#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// Check policy files, those of tenants included, and the tables beside them; name every fault
    Check {
        /// The folder; `--policies` when not given
        dir: Option<PathBuf>,
    },
}
