//! The program as a separate process, with an environment that the test chooses. For tests of what
//! only a real process shows: variables that the SDK reads, signals, and exit codes.

use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::shipped_policies;

/// How long the program may take to start or to stop before a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A command that runs the program with the shipped policies, and without the environment of this
/// process.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expense-agent"));
    // Most tests have no receiver of log records; tests that have one set the variable themselves.
    command
        .args(arguments)
        .env_clear()
        .env("OTEL_LOGS_EXPORTER", "none")
        .envs(variables.iter().copied());
    command
        .env("EXPENSE_AGENT_POLICIES", shipped_policies())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the program, and waits until it ends.
pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    tokio::time::timeout(TIMEOUT, command(arguments, variables).output())
        .await
        .expect("the program ends")
        .unwrap()
}

/// The output of a program as text.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A service as a process.
pub(crate) struct Service {
    pub(crate) url: String,
    child: Child,
    _folder: TempDir,
}

impl Service {
    /// Starts the service on a free port, and waits until it prints its address.
    pub(crate) async fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(arguments, variables);
        if !arguments.contains(&"--data") {
            command.arg("--data").arg(folder.path());
        }
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(TIMEOUT, lines.next_line())
            .await
            .expect("the service starts")
            .unwrap();
        let line = line.expect("the service says where it listens");
        let url = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(';').next())
            .unwrap()
            .to_owned();
        Self {
            url,
            child,
            _folder: folder,
        }
    }

    /// Posts an expense; returns the status and the JSON of the answer.
    pub(crate) async fn post(&self, body: serde_json::Value) -> (u16, serde_json::Value) {
        let response = reqwest::Client::new()
            .post(format!("{}/v1/expenses", self.url))
            .json(&body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Gets the JSON of a path.
    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        reqwest::get(format!("{}{path}", self.url))
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Sends the signal of this name, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the service is running");
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {pid}"))
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end; returns the exit status and the log.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        let ended = async {
            stderr.read_to_string(&mut log).await.unwrap();
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(TIMEOUT, ended)
            .await
            .expect("the service ends");
        (status, log)
    }

    /// Stops the service as an orchestrator would, and waits for the end.
    pub(crate) async fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM").await;
        self.ended().await
    }
}
