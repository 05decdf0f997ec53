//! The page in a real browser: what a person sees, presses and types. What the views contain is
//! tested in `page`; here it is whether they work.

mod access;
mod accessibility;
mod faults;
mod first_minute;
mod layout;
mod live;
mod pictures;
mod review;

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::Value;

use crate::harness::expenses::id_of;
use crate::harness::{TestApp, config};
use crate::page::send_form;

/// A service whose model chooses the wrong category for an eighth of all expenses, as
/// `--model-fault misclassify:0.12` makes it.
async fn with_mistakes() -> TestApp {
    let model = ModelConfig::Offline {
        faults: vec!["misclassify:0.12".parse().unwrap()],
        fault_seed: 1,
    };
    TestApp::with(Config { model, ..config() }).await
}

/// The same service with the forty transactions of the demo.
async fn demo_with_mistakes() -> TestApp {
    let app = with_mistakes().await;
    let posted = send_form(&app, "/ui/demo", &[]).await;
    assert_eq!(posted.status(), 303);
    app
}

/// The path of a decision's view.
fn view_of(decision: &Value) -> String {
    format!("/ui/decisions/{}", id_of(decision))
}
