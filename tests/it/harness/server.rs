//! A router on a free loopback port, served over HTTP/1.1 and HTTP/2 until its owner drops it.
//! The routes are defined by the tests that use them. Also a port on which nothing listens.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server of a single test; dropping it closes the port and every idle connection.
pub(crate) struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    /// Binds a free port of 127.0.0.1 and serves `router` on it from a separate task.
    pub(crate) async fn spawn(router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        let stop = CancellationToken::new();
        // Aborting the task would close the port, but not the connections that are kept alive.
        let serving =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        Self {
            address,
            _stop: stop.drop_guard(),
        }
    }

    /// The address with its scheme and no path, such as `http://127.0.0.1:41234`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A port on which nothing listens; it stays reserved until this is dropped.
pub(crate) struct UnusedPort(TcpSocket);

impl UnusedPort {
    /// Reserves a free port of 127.0.0.1.
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a free loopback port");
        Self(socket)
    }

    /// The address with its scheme and no path.
    pub(crate) fn origin(&self) -> String {
        format!(
            "http://{}",
            self.0.local_addr().expect("the port just bound")
        )
    }
}
