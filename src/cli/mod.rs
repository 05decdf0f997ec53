//! The command line: one file per subcommand. Subcommands print to the writer that is passed to them.
//! The settings that all of them share are in `crate::config`.

pub mod audit;
pub mod decide;
pub mod demo;
pub mod export;
pub mod healthcheck;
pub mod help;
pub mod keys;
pub mod ledger;
mod period;
pub mod policies;
mod progress;
pub mod pseudonym;
pub mod serve;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use reqwest::Url;
use tokio::runtime::Runtime;

use crate::base_url;
use crate::config::Settings;

/// Decides on expenses: a model advises, policy code decides, and the trace proves it
#[derive(Debug, Parser)]
#[command(name = "expense-agent", version)]
pub struct Cli {
    /// The subcommand; `serve` if none is given
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Settings of the service, shared by all subcommands
    #[command(flatten)]
    pub settings: Settings,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API (the default)
    Serve,
    /// Ask the service at `--listen` whether it is ready; exit code 0 if it is, else 1
    Healthcheck,
    /// Check, test or explain policy files
    Policies {
        /// The subcommand
        #[command(subcommand)]
        command: PoliciesCommand,
    },
    /// Verify the ledger, or erase personal data from it
    Ledger {
        /// The subcommand
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Write the decisions of a period to standard output
    Export(export::Export),
    /// Report how often and where the reasoning failed in a period; exit code 3 if the error rate is
    /// above `--fail-above`
    Audit(audit::Audit),
    /// Create API keys
    Keys {
        /// The subcommand
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Print the name by which traces show a user: the id itself, or a pseudonym if the id is
    /// personal data
    Pseudonym {
        /// The id of the user, as the ledger stores it
        user_id: String,
    },
    /// Decide every expense in a file (CSV or JSON lines), and write one line of JSON for each
    Decide(decide::Decide),
    /// Post forty transactions, and show each decision as a tree
    Demo {
        /// A running service, such as http://127.0.0.1:8000; without it, the demo decides in this process and keeps nothing
        #[arg(value_parser = service_url)]
        url: Option<Url>,
    },
}

/// The subcommands of `ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Verify the hash chain of every tenant, and name the first record that was changed; exit code
    /// 0 if all hold, 1 if one does not, 3 if there is no record to verify
    Verify(ledger::Verify),
    /// Erase the personal texts of an employee's records; the hash chain still holds
    Erase(ledger::Erase),
}

/// The subcommands of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key, and print it once, with its entry for the key file
    New(keys::NewKey),
}

/// The subcommands of `policies`.
#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// Check all policy files, also those of tenants, and the tables; report every problem
    Check {
        /// The folder of policies [default: the folder of `--policies`]
        dir: Option<PathBuf>,
    },
    /// Judge the cases beside the policies, such as those of meals.test.toml, and compare each verdict
    /// with the expected one; exit code 1 if one differs
    Test {
        /// The folder of policies [default: the folder of `--policies`]
        dir: Option<PathBuf>,
    },
    /// Say what each rule says of one expense, and the verdict that follows
    Explain(policies::explain::Explain),
    /// Copy example policies, with their cases, into a folder
    New(policies::new::New),
}

/// Reads the URL of a service or of a Jaeger, below which paths are requested.
///
/// # Errors
/// When no path can be added to it.
fn service_url(text: &str) -> Result<Url, String> {
    base_url::parse(text)
        .map_err(|wrong| format!("the URL {wrong}; write a URL such as \"http://127.0.0.1:8000\""))
}

/// The runtime that a subcommand runs its asynchronous work on.
fn runtime() -> anyhow::Result<Runtime> {
    Runtime::new().context("the runtime cannot be started")
}
