//! A router on a free loopback port, served over HTTP/1.1 and HTTP/2 until its owner drops it.
//! What the routes answer lives with its two users: `fake_openai.rs` and `otlp_receiver.rs`.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server of one test's own; dropping it closes the port and every idle connection.
pub(crate) struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    /// Binds a free port of 127.0.0.1 and serves `router` on it from a task of its own.
    pub(crate) async fn spawn(router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        let stop = CancellationToken::new();
        // Aborting the task would close the port, but leave connections kept alive in service.
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        Self { address, _stop: stop.drop_guard() }
    }

    /// The address with its scheme and no path, such as `http://127.0.0.1:41234`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}
