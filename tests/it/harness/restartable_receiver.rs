//! An OTLP receiver that can be killed at any moment, and come back on its
//! ports: it lives on a runtime of its own, and when that goes, every socket is closed at once, as
//! those of a killed process are. A test can tell it how to behave; `receiver_process` is one that
//! cannot be told, and can be killed for real.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use super::otlp_receiver::{Inbox, Manner};
use super::otlp_spans::ReceivedSpan;
use super::poll;

const PATIENCE: Duration = Duration::from_secs(30);

/// The receiver; dropping it kills it.
pub(crate) struct MortalReceiver {
    inbox: Inbox,
    /// Bound but not listening: they reserve the ports while the receiver is down.
    held: [TcpSocket; 2],
    runtime: Option<Runtime>,
}

/// A socket bound to a port, or to a free one.
pub(super) fn bound(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

impl MortalReceiver {
    /// Reserves two free ports, on which nothing listens yet.
    pub(crate) fn dead() -> Self {
        Self {
            inbox: Inbox::default(),
            held: [bound(0).unwrap(), bound(0).unwrap()],
            runtime: None,
        }
    }

    /// Starts it.
    pub(crate) async fn spawn() -> Self {
        let mut receiver = Self::dead();
        receiver.revive().await;
        receiver
    }

    /// The endpoint for a protocol, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http] = &self.held;
        let held = if protocol == "grpc" { grpc } else { http };
        format!("http://{}", held.local_addr().unwrap())
    }

    /// Listens on the same ports again, with everything it had accepted before.
    pub(crate) async fn revive(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        for (held, router) in self
            .held
            .iter()
            .zip([self.inbox.over_grpc(), self.inbox.over_http()])
        {
            let port = held.local_addr().unwrap().port();
            // The killed one may not have let go of it yet.
            let listener = poll::until(PATIENCE, "free port", async || {
                let _entered = runtime.enter();
                bound(port)?.listen(128)
            });
            let listener = listener.await;
            runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        }
        self.runtime = Some(runtime);
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Waits until so many more exports are without an answer.
    pub(crate) async fn hanging(&self, n_more: usize) {
        let n_before = self.inbox.n_hanging();
        poll::until(PATIENCE, "export under way", async || {
            let n_hanging = self.inbox.n_hanging() - n_before;
            if n_hanging >= n_more {
                Ok(())
            } else {
                Err(n_hanging)
            }
        })
        .await;
    }

    /// How it behaves from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        self.inbox.behave(manner);
    }

    /// All spans received so far.
    pub(crate) fn spans(&self) -> Vec<ReceivedSpan> {
        self.inbox.spans()
    }
}

impl Drop for MortalReceiver {
    fn drop(&mut self) {
        self.kill();
    }
}
