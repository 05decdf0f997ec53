//! A router on a free port of loopback, for as long as the benchmark runs.

use std::net::Ipv4Addr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Serves a router in a separate task, and returns its address, such as `http://127.0.0.1:41234`.
pub(crate) async fn spawn(router: Router) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    // Small answers must not wait for more data, because the wait would count as latency of the
    // service.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(format!("http://{address}"))
}
