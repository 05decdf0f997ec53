//! An OTLP receiver as a process of its own, which can be killed for real: this test binary once
//! more, told to run the one test below. It writes down the spans of an export before it answers,
//! in a file that outlives it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use super::mortal_receiver::bound;
use super::otlp_receiver::{Inbox, Journal};
use super::poll;

/// The arguments of the process: its ports for gRPC and HTTP, how many exports it answers, and its
/// file.
const ORDERS: &str = "EXPENSE_AGENT_TEST_RECEIVER";
const PATIENCE: Duration = Duration::from_secs(60);

/// The receiver through all its lives.
pub(crate) struct ReceiverProcess {
    /// Bound but not listening: they reserve the ports while the receiver is down.
    held: [TcpSocket; 2],
    folder: TempDir,
    n_lives: usize,
    child: Option<Child>,
}

impl ReceiverProcess {
    /// Reserves two free ports, on which nothing listens yet.
    pub(crate) fn dead() -> Self {
        let held = [bound(0).unwrap(), bound(0).unwrap()];
        Self {
            held,
            folder: tempfile::tempdir().unwrap(),
            n_lives: 0,
            child: None,
        }
    }

    /// Where it listens, for gRPC and for HTTP.
    fn addresses(&self) -> [SocketAddr; 2] {
        self.held.each_ref().map(|held| held.local_addr().unwrap())
    }

    /// The endpoint for a protocol, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http] = self.addresses();
        format!("http://{}", if protocol == "grpc" { grpc } else { http })
    }

    fn file(&self, life: usize) -> PathBuf {
        self.folder.path().join(life.to_string())
    }

    /// The exports of one life, each with its spans; one that was cut off by the end of that life
    /// was never answered.
    fn exports(&self, life: usize) -> Vec<Vec<(String, String)>> {
        let text = std::fs::read_to_string(self.file(life)).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        whole
            .map(|line| {
                line.split(' ')
                    .filter_map(|span| span.split_once(':'))
                    .map(owned)
                    .collect()
            })
            .collect()
    }

    /// How often each span was accepted, by trace id and span id.
    pub(crate) fn spans(&self) -> BTreeMap<(String, String), usize> {
        let mut n_times = BTreeMap::new();
        for span in (1..=self.n_lives)
            .flat_map(|life| self.exports(life))
            .flatten()
        {
            *n_times.entry(span).or_default() += 1;
        }
        n_times
    }

    /// Starts it; it answers so many exports, and of all after them it takes the spans and says
    /// nothing.
    pub(crate) async fn live(&mut self, n_answers: usize) {
        self.n_lives += 1;
        let [grpc, http] = self.addresses();
        let orders = format!(
            "{} {} {n_answers} {}",
            grpc.port(),
            http.port(),
            self.file(self.n_lives).display()
        );
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "harness::receiver_process::receive_as_a_process"])
            .env(ORDERS, orders);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for address in [grpc, http] {
            poll::until(PATIENCE, "listening receiver", async || {
                TcpStream::connect(address).await
            })
            .await;
        }
    }

    /// Lives for so many answers, and is killed while it owes one: SIGKILL, which nothing can be
    /// done about.
    pub(crate) async fn live_and_be_killed(&mut self, n_answers: usize) {
        self.live(n_answers).await;
        poll::until(PATIENCE, "export without an answer", async || {
            let n_exports = self.exports(self.n_lives).len();
            if n_exports > n_answers {
                Ok(())
            } else {
                Err(n_exports)
            }
        })
        .await;
        self.child.take().unwrap().kill().await.unwrap();
    }
}

fn owned((trace_id, span_id): (&str, &str)) -> (String, String) {
    (trace_id.to_owned(), span_id.to_owned())
}

/// The process itself; as a test among others it has no orders and nothing to do.
#[tokio::test]
async fn receive_as_a_process() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let mut orders = orders.splitn(4, ' ');
    let mut next = || orders.next().unwrap();
    let ports: [u16; 2] = [next().parse().unwrap(), next().parse().unwrap()];
    let n_answers = next().parse().unwrap();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(next())
        .unwrap();
    let inbox = Inbox::with_journal(Journal::new(file, n_answers));
    for (port, router) in ports
        .into_iter()
        .zip([inbox.over_grpc(), inbox.over_http()])
    {
        // The killed one may not have let go of it yet.
        let listener = poll::until(PATIENCE, "free port", async || bound(port)?.listen(128)).await;
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }
    // Its end comes by SIGKILL, or with the process that started it.
    let stdin =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    stdin.await.unwrap().unwrap();
}
