//! Accepts connections and serves their requests, over HTTP/1.1 or HTTP/2, until it is asked to
//! stop. Written with hyper-util in place of `axum::serve`, which sets no limit on connections.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::io::{InspectReader, InspectWriter};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::connections::activity::InProgress;
use crate::connections::{Admitted, CloseReason, ConnectionLimits, Connections};

/// Time between two warnings that the maximum of connections is open.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection without requests may take to close once it is shutting down.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until `stop` resolves; then accepts no more connections, and returns when the last one
/// has closed. Requests in progress finish first.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()>,
) {
    let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
    let mut stop = std::pin::pin!(stop);
    let mut warning = Warning::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_client(&error) => continue,
            Err(error) => {
                // Most likely the process may not open more files; a closed connection frees one.
                tracing::error!(%error, "a connection could not be accepted");
                connections.make_room();
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_full = connections.n_open() >= limits.max_open;
        let admitted = connections.admit(limits.max_open);
        if is_full {
            warning.log(limits.max_open);
        }
        if let Some(admitted) = admitted {
            let connection = Connection {
                stream,
                peer,
                router: router.clone(),
                limits,
                admitted,
            };
            tasks.spawn(connection.serve(stopping.clone()));
        }
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Whether the client gave up before its connection was accepted.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// The warning that the maximum of connections is open, logged once in a while.
#[derive(Default)]
struct Warning {
    logged_at: Option<Instant>,
}

impl Warning {
    fn log(&mut self, max_open: usize) {
        if self.logged_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.logged_at = Some(Instant::now());
            tracing::warn!(
                max_open,
                "the maximum of connections is open: those that have waited for their clients for the \
                 longest time are closed for new ones, which are refused when none waits"
            );
        }
    }
}

/// One connection.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    admitted: Admitted,
}

impl Connection {
    /// Serves until the client or one of the limits closes the connection, or, once `stopping` is
    /// cancelled, until its requests have finished.
    async fn serve(self, stopping: CancellationToken) {
        let Self {
            stream,
            peer,
            router,
            limits,
            admitted,
        } = self;
        // Nagle's algorithm would hold a small answer back until the client acknowledges.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let activity = Arc::clone(&admitted.activity);
        let (reads, writes) = (Arc::clone(&activity), Arc::clone(&activity));
        let stream = InspectReader::new(stream, move |bytes| reads.received(bytes));
        let stream = InspectWriter::new(stream, move |_| writes.sent());
        let requests = Arc::clone(&activity);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let in_progress = requests.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            let received = |body| Received {
                body,
                request: Arc::clone(&in_progress),
            };
            let response = router
                .clone()
                .oneshot(request.map(|body| Body::new(received(body))));
            async move {
                let response = response.await?;
                in_progress.answered();
                Ok::<Response<Tracked>, Infallible>(response.map(|body| Tracked {
                    body,
                    _in_progress: in_progress,
                }))
            }
        });
        let builder = builder(&limits);
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut is_stopping = false;
        let reason = loop {
            tokio::select! {
                // An error is the client's: it disconnected, or does not speak HTTP.
                _ended = connection.as_mut() => return,
                () = stopping.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                reason = activity.overdue(&limits) => break reason,
            }
        };
        admitted.connections.count(reason);
        // A connection that stalled is closed at once, and so is one whose client has to send a
        // request or a body. An idle client gets notice, because its next request may be on its way.
        let has_work = activity.waits_since().is_none();
        if reason == CloseReason::Stalled || (reason != CloseReason::Idle && !has_work) {
            return;
        }
        // Lets a request finish that has begun since the limit was reached, and tells a client of
        // HTTP/2 to send no more.
        connection.as_mut().graceful_shutdown();
        let closed = timeout(CLOSE_TIMEOUT, connection.as_mut()).await;
        if closed.is_err() && activity.is_busy() {
            // The requests end by their deadlines, and the connection with them.
            let _ended = connection.await;
        }
    }
}

/// The protocols, with pings that find dead clients of HTTP/2.
fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.head_timeout);
    builder
}

/// The body of a request; reports to its connection's activity whether the client has to send more.
struct Received {
    body: Incoming,
    request: Arc<InProgress>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.request.polled(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.request.polled(false);
    }
}

/// The body of a response, whose request is in progress until the body is dropped.
struct Tracked {
    body: Body,
    _in_progress: Arc<InProgress>,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
