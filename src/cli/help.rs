//! Which settings the help of a subcommand shows: those that the subcommand reads. Each subcommand
//! accepts all of them, so that a command of one kind can be made from a command of another, and
//! settings may be written before the subcommand.

use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;

/// Settings that affect only what is outside this process: clients, and receivers of notifications.
const FOR_CLIENTS: [&str; 14] = [
    "listen",
    "api_keys",
    "allow_anonymous",
    "allowed_host",
    "local_key",
    "no_page",
    "public_url",
    "max_connections",
    "head_timeout",
    "idle_timeout",
    "key_retention",
    "linger",
    "drain_timeout",
    "notify_timeout",
];

/// Reads the command line of this process, or prints help or what is wrong, and ends the process.
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The command line with the help of each subcommand.
pub fn command() -> Command {
    let command = Cli::command();
    let is_setting = |arg: &&Arg| arg.is_global_set();
    let settings: Vec<Arg> = command
        .get_arguments()
        .filter(is_setting)
        .cloned()
        .collect();
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name().to_owned();
        let unread = settings
            .iter()
            .filter(|setting| !reads(&name, setting.get_id().as_str()));
        // clap adds global settings only to subcommands that do not have them yet, so these hidden
        // copies stay.
        subcommand.args(unread.map(|setting| setting.clone().hide(true)))
    })
}

/// Whether a subcommand reads a setting.
fn reads(subcommand: &str, setting: &str) -> bool {
    match subcommand {
        "healthcheck" => setting == "listen",
        "policies" => setting == "policies",
        "keys" => false,
        "ledger" | "export" => setting == "data",
        "audit" => matches!(setting, "data" | "deadline" | "trace_url"),
        "pseudonym" => matches!(setting, "data" | "pseudonym_key"),
        "decide" => !FOR_CLIENTS.contains(&setting),
        // Its ledger and its pseudonym key are temporary.
        "demo" => {
            !FOR_CLIENTS.contains(&setting)
                && !matches!(setting, "data" | "pseudonym_key" | "notify")
        }
        _ => true,
    }
}
