//! Rows that were decided while the model did not answer: the summary counts them separately, and
//! running the same command again supersedes their decisions.

use axum::Router;
use axum::routing::post;
use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use serde_json::{Value, json};

use super::{Decided, Workspace};
use crate::harness::expenses::id_of;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::server::Server;
use crate::harness::store::TestStore;
use crate::harness::{TestApp, config};

const OUTAGE: [&str; 2] = ["--model-fault", "unavailable:1"];

/// Two equal rides, a laptop, and a row that is not a valid expense.
const ROWS: &str = "date,transaction,amount,user_id,currency\n\
                    2026-03-14,Uber ride,45.00,ana,USD\n\
                    2026-03-14,Uber ride,45.00,ana,USD\n\
                    2026-03-15,Laptop,100.00,ben,USD\n\
                    2026-03-16,Gift,nothing,ben,USD\n";

/// The ids of the decisions that the new ones supersede.
fn superseded(decided: &Decided) -> Vec<&Value> {
    decided
        .answers
        .iter()
        .filter(|answer| answer["status"] == 201)
        .map(|answer| &answer["body"]["supersedes"])
        .collect()
}

fn ids(decided: &Decided) -> Vec<&Value> {
    decided
        .answers
        .iter()
        .filter(|answer| answer["status"] == 201)
        .map(|answer| &answer["body"]["id"])
        .collect()
}

#[tokio::test]
async fn running_the_same_command_again_supersedes_decisions_without_the_models_advice() {
    let workspace = Workspace::new();
    let file = workspace.write("rows.csv", ROWS);
    let first = workspace.decide(&file, &OUTAGE).await;
    assert_eq!(first.code, Some(3), "{}", first.notes);
    for said in [
        "4 rows: 3 needs_review, 3 of them without the model's advice, 1 without a decision",
        "3 × the model did not answer (first in row 2); run the same command again",
        "1 of 4 rows have no decision",
        "3 of 4 rows were decided while the model did not answer",
    ] {
        assert!(first.notes.contains(said), "{}", first.notes);
    }
    // The outage continues: each run supersedes the decisions of the run before.
    let second = workspace.decide(&file, &OUTAGE).await;
    assert_eq!((second.code, superseded(&second)), (Some(3), ids(&first)));
    let third = workspace.decide(&file, &[]).await;
    assert_eq!(superseded(&third), ids(&second), "{}", third.notes);
    let outcomes: Vec<_> = third
        .answers
        .iter()
        .map(|answer| &answer["body"]["outcome"])
        .collect();
    assert_eq!(
        json!(outcomes),
        json!(["approved", "approved", "approved", null])
    );
    assert!(!third.notes.contains("advice"), "{}", third.notes);
    // The next run changes nothing.
    let fourth = workspace.decide(&file, &[]).await;
    assert_eq!((ids(&fourth), fourth.n_replayed()), (ids(&third), 3));
    assert_eq!(workspace.recorded().await.len(), 9);
}

#[tokio::test]
async fn json_lines_with_long_keys_and_json_numbers_can_be_superseded() {
    let workspace = Workspace::new();
    let long_key = "k".repeat(255);
    let lines = [
        json!({"idempotency_key": long_key, "expense": {"transaction": "Uber ride", "amount": 45.10}}),
        json!({"transaction": "Uber ride", "amount": 45}),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let file = workspace.write("rows.ndjson", &text);
    let first = workspace.decide(&file, &OUTAGE).await;
    assert_eq!(first.code, Some(3), "{}", first.notes);
    let second = workspace.decide(&file, &[]).await;
    assert_eq!((second.code, superseded(&second)), (Some(0), ids(&first)));
    let amounts: Vec<_> = second
        .answers
        .iter()
        .map(|answer| &answer["body"]["amount"])
        .collect();
    assert_eq!(amounts, ["45.10", "45.00"]);
}

#[tokio::test]
async fn a_decision_that_was_resolved_or_superseded_meanwhile_is_kept() {
    let keys = KeyFile::new(&[entry("boss", "acme", "ea_boss", "roles = [\"manager\"]")]);
    let store = TestStore::sqlite();
    let service = async |faults: &[&str]| {
        let model = ModelConfig::Offline {
            faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
            fault_seed: 1,
        };
        let config = Config {
            http: keys.http_config(),
            store: store.store.clone(),
            model,
            ..config()
        };
        TestApp::with(config).await
    };
    let (outage, app) = (service(&["unavailable:1"]).await, service(&[]).await);
    let workspace = Workspace::new();
    let key = workspace.write("key", "ea_boss\n");
    let file = workspace.write("rows.csv", ROWS.rsplit_once("2026-03-16").unwrap().0);
    let first = workspace
        .decide(&file, &[&outage.url, "--api-key-file", &key])
        .await;
    assert_eq!(first.code, Some(3), "{}", first.notes);
    let [resolved, superseded, open] = &first.answers[..] else {
        panic!("{:?}", first.answers)
    };
    let deny = json!({"action": "deny", "role": "manager", "actor": "eve", "reason": "Twice."});
    let denied = app.resolve("ea_boss", &resolved["body"], deny).await;
    assert_eq!(denied.status, 201, "{:#}", denied.body);
    let elsewhere = json!({
        "transaction": "Uber ride",
        "amount": "45.00",
        "date": "2026-03-14",
        "user_id": "ana",
        "supersedes": superseded["body"]["id"],
    });
    let newer = app.post_as("ea_boss", elsewhere).await;
    assert_eq!(newer.status, 201, "{:#}", newer.body);
    let second = workspace
        .decide(&file, &[&app.url, "--api-key-file", &key])
        .await;
    assert_eq!(second.code, Some(0), "{}", second.notes);
    let body = |row: usize| &second.answers[row]["body"];
    assert_eq!(id_of(body(0)), id_of(&resolved["body"]));
    assert_eq!(body(0)["resolution"]["action"], "deny");
    assert_eq!(id_of(body(1)), id_of(&superseded["body"]));
    assert_eq!(body(1)["superseded_by"], newer.body["id"]);
    assert_eq!(body(2)["supersedes"], open["body"]["id"]);
}

#[tokio::test]
async fn a_row_keeps_its_decision_if_the_service_refuses_to_supersede_it() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let answer = async move |body: String| {
        let one = |(index, line): (usize, &str)| {
            let (status, body) = match line.contains("supersedes") {
                true => (422, json!({"detail": "this field is unknown"})),
                false => (
                    201,
                    json!({"id": id, "outcome": "needs_review", "agent_outcome": "error"}),
                ),
            };
            let line = json!({"line": index + 1, "status": status, "replayed": true, "body": body});
            line.to_string() + "\n"
        };
        body.lines().enumerate().map(one).collect::<String>()
    };
    let server = Server::spawn(Router::new().route("/v1/expenses/batch", post(answer))).await;
    let workspace = Workspace::new();
    let file = workspace.write("rows.csv", "transaction,amount,currency\nTaxi,5.00,USD\n");
    let decided = workspace.decide(&file, &[&server.origin()]).await;
    assert_eq!(decided.code, Some(3), "{}", decided.notes);
    assert_eq!(decided.ids(), [id]);
    assert!(
        decided
            .notes
            .contains("1 rows: 1 needs_review, 1 of them without"),
        "{}",
        decided.notes
    );
}
