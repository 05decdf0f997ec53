//! The windows of caps beside those of the shipped policies. `boundaries` tests where each begins and
//! ends, `files` how policy files write them, `exact` that competing requests never exceed one, `recount`
//! that what is used is what the decisions add up to, `by` what counts by another key than the employee,
//! and `allowance` what a day away may cost.

mod allowance;
mod boundaries;
mod by;
mod exact;
mod files;
mod recount;

use expense_agent::config::Config;
use expense_agent::ledger::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{TestApp, config, policies_with};

/// A cap of the policy for meals with these keys.
fn cap(id: &str, keys: &str, max: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"cap\"\n{keys}\nmax = \"{max}\"\ntext = \"Not more.\"\n"
    )
}

/// A service whose policy for a category has these rules as well, and the folder that it reads.
async fn app_with(file: &str, rules: &str, store: &Store) -> (TestApp, TempDir) {
    let folder = policies_with(file, rules);
    let app = TestApp::with(Config {
        policies: folder.path().to_owned(),
        store: store.clone(),
        ..config()
    });
    (app.await, folder)
}

/// Office supplies of the employee `ana`, which no shipped rule stops.
fn toner(amount: &str, date: &str) -> Value {
    json!({"transaction": "Printer toner", "amount": amount, "date": date, "user_id": "ana"})
}

/// The cap of a rule in a decision.
fn cap_of<'a>(decision: &'a Value, rule: &str) -> &'a Value {
    let caps = decision["caps"].as_array().unwrap();
    caps.iter()
        .find(|cap| cap["rule"] == rule)
        .unwrap_or_else(|| panic!("{rule} is no cap of {decision:#}"))
}
