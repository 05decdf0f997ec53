//! An OTLP receiver as a separate process, which can be killed by SIGKILL: this test binary, started
//! again to run only the test at the end of this file. Before it answers an export, it writes the
//! spans to a file that outlives it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use super::otlp_receiver::{Inbox, SpanFile};
use super::poll;
use super::restartable_receiver::bound;

/// The variable with the arguments of the process: its ports for gRPC and HTTP, how many exports it
/// answers, and its file. The arguments of a test binary are those of the test framework.
const ARGUMENTS: &str = "EXPENSE_AGENT_TEST_RECEIVER";
const TIMEOUT: Duration = Duration::from_secs(60);

/// The receiver, which can be started several times.
pub(crate) struct ReceiverProcess {
    /// Bound but not listening: they reserve the ports while the receiver is down.
    reserved: [TcpSocket; 2],
    folder: TempDir,
    n_starts: usize,
    child: Option<Child>,
}

impl ReceiverProcess {
    /// Reserves two free ports, on which nothing listens yet.
    pub(crate) fn stopped() -> Self {
        let reserved = [bound(0).unwrap(), bound(0).unwrap()];
        Self {
            reserved,
            folder: tempfile::tempdir().unwrap(),
            n_starts: 0,
            child: None,
        }
    }

    /// Where it listens, for gRPC and for HTTP.
    fn addresses(&self) -> [SocketAddr; 2] {
        self.reserved
            .each_ref()
            .map(|reserved| reserved.local_addr().unwrap())
    }

    /// The endpoint for a protocol, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http] = self.addresses();
        format!("http://{}", if protocol == "grpc" { grpc } else { http })
    }

    /// The file of the process that was started as the `n_start`th, counted from 1.
    fn file(&self, n_start: usize) -> PathBuf {
        self.folder.path().join(n_start.to_string())
    }

    /// The exports that one process received, each with its spans. An incomplete last line is left
    /// out: that export was never answered.
    fn exports(&self, n_start: usize) -> Vec<Vec<(String, String)>> {
        let text = std::fs::read_to_string(self.file(n_start)).unwrap_or_default();
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
        for span in (1..=self.n_starts)
            .flat_map(|n_start| self.exports(n_start))
            .flatten()
        {
            *n_times.entry(span).or_default() += 1;
        }
        n_times
    }

    /// Starts the process. It answers this many exports; later ones it writes to its file, but never
    /// answers.
    pub(crate) async fn start(&mut self, n_answers: usize) {
        self.n_starts += 1;
        let [grpc, http] = self.addresses();
        let arguments = format!(
            "{} {} {n_answers} {}",
            grpc.port(),
            http.port(),
            self.file(self.n_starts).display()
        );
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "harness::receiver_process::receive_as_a_process"])
            .env(ARGUMENTS, arguments);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for address in [grpc, http] {
            poll::until(TIMEOUT, "listening receiver", async || {
                TcpStream::connect(address).await
            })
            .await;
        }
    }

    /// Starts the process, and kills it by SIGKILL once it has answered this many exports and received
    /// another one.
    pub(crate) async fn run_and_kill_after(&mut self, n_answers: usize) {
        self.start(n_answers).await;
        poll::until(TIMEOUT, "export without an answer", async || {
            let n_exports = self.exports(self.n_starts).len();
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

/// The process itself. In an ordinary run of the tests the variable is not set, and this does
/// nothing.
#[tokio::test]
async fn receive_as_a_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let mut arguments = arguments.splitn(4, ' ');
    let mut next = || arguments.next().unwrap();
    let ports: [u16; 2] = [next().parse().unwrap(), next().parse().unwrap()];
    let n_answers = next().parse().unwrap();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(next())
        .unwrap();
    let inbox = Inbox::with_span_file(SpanFile::new(file, n_answers));
    for (port, router) in ports
        .into_iter()
        .zip([inbox.over_grpc(), inbox.over_http()])
    {
        // The process that was killed may not have released the port yet.
        let listener = poll::until(TIMEOUT, "free port", async || bound(port)?.listen(128)).await;
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }
    // It ends by SIGKILL, or when the process that started it ends and so closes standard input.
    let stdin =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    stdin.await.unwrap().unwrap();
}
