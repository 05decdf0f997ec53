//! An OTLP receiver that a test can kill and start again on the same ports. It runs on a separate
//! runtime: when the runtime is shut down, every socket is closed at once, like the sockets of a
//! killed process. A test can choose how it behaves. `receiver_process` cannot behave in different
//! ways, but is a real process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use super::otlp_receiver::{Behaviour, Inbox};
use super::otlp_spans::ReceivedSpan;
use super::poll;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The receiver; dropping it kills it.
pub(crate) struct RestartableReceiver {
    inbox: Inbox,
    /// Bound but not listening: they reserve the ports while the receiver is down.
    reserved: [TcpSocket; 2],
    runtime: Option<Runtime>,
}

/// A socket bound to a port, or to a free one.
pub(super) fn bound(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

impl RestartableReceiver {
    /// Reserves two free ports, on which nothing listens yet.
    pub(crate) fn stopped() -> Self {
        Self {
            inbox: Inbox::default(),
            reserved: [bound(0).unwrap(), bound(0).unwrap()],
            runtime: None,
        }
    }

    /// A receiver that has been started.
    pub(crate) async fn spawn() -> Self {
        let mut receiver = Self::stopped();
        receiver.start().await;
        receiver
    }

    /// The endpoint for a protocol, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http] = &self.reserved;
        let socket = if protocol == "grpc" { grpc } else { http };
        format!("http://{}", socket.local_addr().unwrap())
    }

    /// Listens on its ports. Exports that it accepted before it was killed are kept.
    pub(crate) async fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        for (socket, router) in self
            .reserved
            .iter()
            .zip([self.inbox.over_grpc(), self.inbox.over_http()])
        {
            let port = socket.local_addr().unwrap().port();
            // The receiver that was killed may not have released the port yet.
            let listener = poll::until(TIMEOUT, "free port", async || {
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

    /// Waits until this many more exports are left without an answer.
    pub(crate) async fn wait_for_unanswered(&self, n_more: usize) {
        let n_before = self.inbox.n_unanswered();
        poll::until(TIMEOUT, "unanswered export", async || {
            let n_unanswered = self.inbox.n_unanswered() - n_before;
            if n_unanswered >= n_more {
                Ok(())
            } else {
                Err(n_unanswered)
            }
        })
        .await;
    }

    /// Sets how it behaves from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.inbox.behave(behaviour);
    }

    /// All spans received so far.
    pub(crate) fn spans(&self) -> Vec<ReceivedSpan> {
        self.inbox.spans()
    }
}

impl Drop for RestartableReceiver {
    fn drop(&mut self) {
        self.kill();
    }
}
