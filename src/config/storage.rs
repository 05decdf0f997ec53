//! Settings of what is on disk or in a database: the policies folder, which is read, and the
//! ledger, which is written.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

use crate::config::check_limit;
use crate::ledger::{Store, database_url};
use crate::telemetry::settings::{Variables, variable};

/// Flags and variables of policies and ledger.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Policies and ledger")]
pub struct StorageSettings {
    /// Folder of the policy files; reloaded when one of them changes and on SIGHUP
    #[arg(long, global = true, env = "EXPENSE_AGENT_POLICIES")]
    #[arg(value_name = "DIR", default_value = "policies")]
    pub policies: PathBuf,

    /// How often to check policy files and API keys for changes
    #[arg(long, global = true, env = "EXPENSE_AGENT_RELOAD_INTERVAL")]
    #[arg(value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub reload_interval: Duration,

    /// Folder of the SQLite ledger; created if missing, unused with `DATABASE_URL`
    #[arg(long, global = true, env = "EXPENSE_AGENT_DATA")]
    #[arg(value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

impl StorageSettings {
    /// Checks the settings, and adds what is wrong with them to `errors`.
    pub(super) fn build(&self, variables: &Variables, errors: &mut Vec<String>) -> Store {
        check_limit("--reload-interval", self.reload_interval, errors);
        let Some(url) = variable(variables, "DATABASE_URL") else {
            return Store::Sqlite(self.data.clone());
        };
        let url = url.into();
        if let Err(error) = database_url::parse(&url) {
            errors.push(format!("DATABASE_URL {error}"));
        }
        Store::Postgres(url)
    }
}
