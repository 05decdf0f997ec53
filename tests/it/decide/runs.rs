//! Runs of `decide`: against a service, for a tenant, and when they are interrupted, killed, or
//! answered with 503.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};

use super::{NO_METRICS, QUIET, Workspace, data};
use crate::harness::binary::{command, run, text};
use crate::harness::expenses::id_of;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::poll;
use crate::harness::replies::{advice, category};
use crate::harness::server::Server;

#[tokio::test]
async fn a_service_decides_for_the_tenant_of_the_key() {
    let keys = KeyFile::new(&[entry("acme", "acme", "ea_acme", "")]);
    let app = keys.app().await;
    let workspace = Workspace::new();
    let file = data("expenses.csv");
    let file = file.to_str().unwrap();
    let refused = workspace
        .decide(file, &[&app.url, "--set", "currency=USD"])
        .await;
    assert_eq!((refused.code, refused.answers.len()), (Some(1), 0));
    assert!(
        refused.notes.contains("401 Unauthorized") && refused.notes.contains("API key"),
        "{}",
        refused.notes
    );
    let key = workspace.write("key", "ea_acme\n");
    let output = workspace.path("answers.ndjson");
    let decided = workspace
        .decide(
            file,
            &[
                &app.url,
                "--set",
                "currency=USD",
                "--api-key-file",
                &key,
                "--tenant",
                "zeta",
                "--output",
                &output,
            ],
        )
        .await;
    assert_eq!(
        (decided.code, decided.answers.len()),
        (Some(0), 0),
        "{}",
        decided.notes
    );
    let answers = std::fs::read_to_string(output).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 8);
    assert!(
        answers
            .iter()
            .all(|answer| answer["body"]["tenant_id"] == "acme")
    );
    assert!(
        !Path::new(&workspace.path("data")).exists(),
        "nothing was decided here"
    );
    let unreachable = workspace
        .decide(file, &["http://127.0.0.1:1", "--set", "currency=USD"])
        .await;
    assert!(
        unreachable.notes.contains("is the service running there?"),
        "{}",
        unreachable.notes
    );
}

#[tokio::test]
async fn without_keys_a_tenant_can_be_named() {
    let workspace = Workspace::new();
    let decided = workspace
        .decide(
            data("expenses.csv").to_str().unwrap(),
            &["--tenant", "ac/me, ltd", "--set", "currency=USD"],
        )
        .await;
    assert!(
        decided
            .answers
            .iter()
            .all(|answer| answer["body"]["tenant_id"] == "ac/me, ltd"),
        "{:?}",
        decided.answers
    );
}

#[tokio::test]
async fn rows_that_are_answered_with_503_are_sent_again() {
    let n_asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&n_asked);
    // Of the first request, this service answers only the second line with a decision.
    let answer = async move |body: String| {
        let is_first = counting.fetch_add(1, Ordering::Relaxed) == 0;
        let one = |(index, _): (usize, &str)| match is_first && index != 1 {
            true => {
                json!({"line": index + 1, "status": 503, "body": {"detail": "overloaded"}})
                    .to_string()
                    + "\n"
            }
            false => {
                json!({"line": index + 1, "status": 201, "body": {"outcome": "approved"}})
                    .to_string()
                    + "\n"
            }
        };
        body.lines().enumerate().map(one).collect::<String>()
    };
    let server = Server::spawn(Router::new().route("/v1/expenses/batch", post(answer))).await;
    let decided = Workspace::new()
        .decide(
            data("expenses.csv").to_str().unwrap(),
            &[&server.origin(), "--set", "currency=USD"],
        )
        .await;
    let numbers: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| answer["line"].clone())
        .collect();
    assert_eq!(
        json!(numbers),
        json!([2, 3, 4, 5, 6, 7, 8, 9]),
        "{}",
        decided.notes
    );
    assert_eq!(
        (decided.code, n_asked.load(Ordering::Relaxed)),
        (Some(0), 2)
    );
}

#[tokio::test]
async fn a_run_that_is_interrupted_says_how_to_continue() {
    let workspace = Workspace::new();
    let mut child = workspace.decide_piped();
    // Standard input stays open, so the run does not end by itself. The signal is sent once the
    // handler is installed.
    poll::until(Duration::from_secs(30), "run under way", async || {
        let pid = child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap()
            .trim()
            .to_owned();
        // SIGTERM is the 15th signal, and the first one has the lowest bit.
        if u64::from_str_radix(&caught, 16).unwrap() & (1 << 14) != 0 {
            Ok(())
        } else {
            Err(caught)
        }
    })
    .await;
    let pid = child.id().unwrap();
    let killed = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("kill -TERM {pid}"))
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    let open_input = child.stdin.take();
    let output = child.wait_with_output().await.unwrap();
    drop(open_input);
    assert_eq!(output.status.code(), Some(1));
    let notes = text(output.stderr);
    assert!(
        notes.contains("interrupted; run the same command again to continue"),
        "{notes}"
    );
}

/// A model that classifies everything as travel and approves it, for this many rows.
async fn lenient_model(n_rows: usize) -> FakeOpenAi {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify(vec![category("travel"); n_rows]);
    fake.on_decide(vec![advice("approved", "travel-trip-cap"); n_rows]);
    fake
}

#[tokio::test]
async fn a_run_that_was_killed_continues_and_decides_nothing_twice() {
    const N_ROWS: usize = 360;
    // This many rows are sent in one request, and their answers are written together.
    const N_TOGETHER: usize = 256;
    let rows: String = (0..N_ROWS)
        .map(|n| format!("Taxi {n:03},{}.00,2026-03-14,USD\n", 1 + n % 40))
        .collect();
    let workspace = Workspace::new();
    let file = workspace.write(
        "rides.csv",
        &format!("transaction,amount,date,currency\n{rows}"),
    );
    let (data, output) = (workspace.path("data"), workspace.path("answers.ndjson"));
    let arguments = ["decide", &file, "--data", &data, "--output", &output];
    let lines_of = |path: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be incomplete.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };

    // This model stops answering during the second request.
    let silent = lenient_model(N_TOGETHER + 32).await;
    silent.on_classify(vec![Reply::hang(); N_ROWS]);
    let base_url = silent.base_url();
    let variables = [QUIET, NO_METRICS, ("OPENAI_BASE_URL", base_url.as_str())];
    // The next run waits for the keys of rows in progress for twice the deadline, so this one is
    // short.
    let mut killed = command(
        &[&arguments[..], &["--deadline", "4s"]].concat(),
        &variables,
    )
    .spawn()
    .unwrap();
    poll::until(
        Duration::from_secs(60),
        "first rows answered",
        async || match lines_of(&output).len() {
            N_TOGETHER => Ok(()),
            n => Err(n),
        },
    )
    .await;
    killed.kill().await.unwrap();
    let before = lines_of(&output);
    let recorded = workspace.recorded().await;
    assert!(
        (N_TOGETHER..N_ROWS).contains(&recorded.len()),
        "{}",
        recorded.len()
    );

    let model = lenient_model(N_ROWS).await;
    let base_url = model.base_url();
    let variables = [QUIET, NO_METRICS, ("OPENAI_BASE_URL", base_url.as_str())];
    let resumed = run(&arguments, &variables).await;
    assert!(resumed.status.success(), "{}", text(resumed.stderr));
    let answers = lines_of(&output);
    let numbers: Vec<_> = answers
        .iter()
        .map(|answer| answer["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (2..).take(N_ROWS).collect::<Vec<_>>());
    let ids: HashSet<_> = answers
        .iter()
        .map(|answer| id_of(&answer["body"]))
        .collect();
    assert_eq!(
        (ids.len(), workspace.recorded().await.len()),
        (N_ROWS, N_ROWS)
    );
    // Rows that were answered before the process was killed get the same answer again, without a
    // model call.
    assert!(
        before
            .iter()
            .zip(&answers)
            .all(|(before, now)| before["body"] == now["body"] && now["replayed"] == true)
    );
    let asked: String = model
        .requests()
        .iter()
        .map(|request| request.body.to_string())
        .collect();
    let again: Vec<_> = recorded
        .iter()
        .filter(|row| asked.contains(row["transaction"].as_str().unwrap()))
        .collect();
    assert!(again.is_empty(), "{again:?}");

    let n_asked = model.requests().len();
    assert!(run(&arguments, &variables).await.status.success());
    assert_eq!(
        model.requests().len(),
        n_asked,
        "the third run calls no model"
    );
}
