//! Who can do what, with each set-up: `start` tests what the program prints and which settings it
//! accepts, `local_key` the key of a service without API keys, `sessions` how a browser logs in and out,
//! `same_origin` that no other site acts for it, and `setups` the defaults of every way to run the service. What API keys admit and show is tested in `crate::keys`.

mod local_key;
mod same_origin;
mod sessions;
mod setups;
mod start;

use clap::Parser;
use expense_agent::cli::Cli;
use expense_agent::config::{Config, ConfigErrors};
use expense_agent::telemetry::settings::Variables;

/// The configuration that results from flags.
fn built(flags: &[&str]) -> Result<Config, ConfigErrors> {
    let cli = Cli::try_parse_from([&["expense-agent"], flags].concat()).unwrap();
    Config::build(cli.settings, &Variables::new())
}

/// A client that shows redirects instead of following them.
fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}
