//! The table of settings, generated from the definition of the command line.

use clap::{Arg, CommandFactory};
use expense_agent::cli::Cli;

use super::{as_code, table};

/// The table of flags and their variables, as clap defines them.
pub(super) fn settings_table() -> String {
    let row = |argument: &Arg| {
        let name = argument.get_long().expect("every setting is a flag");
        let takes_value = argument.get_action().takes_values();
        let value = argument
            .get_value_names()
            .filter(|_| takes_value)
            .unwrap_or_default();
        let flag = value
            .iter()
            .fold(format!("--{name}"), |flag, value| format!("{flag} {value}"));
        let variable = argument
            .get_env()
            .and_then(|variable| variable.to_str())
            .unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        // Flags with many values list them in their long help.
        let help = argument
            .get_long_help()
            .or(argument.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let values = argument.get_possible_values();
        let values = values
            .iter()
            .filter(|_| takes_value)
            .map(|value| as_code(value.get_name()));
        let meaning = [help.replace('\n', " ")]
            .into_iter()
            .chain(values.reduce(|a, b| format!("{a} or {b}")));
        [
            as_code(&flag),
            as_code(variable),
            as_code(&defaults.join(",")),
            meaning.collect::<Vec<_>>().join(": "),
        ]
    };
    table(
        ["Flag", "Variable", "Default", "Meaning"],
        Cli::command().get_arguments().map(row),
    )
}
