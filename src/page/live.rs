//! Live rows: a stream of server-sent events that tells an open list how many decisions have been
//! recorded since it was drawn. The page announces them and shows them when the reader asks, so nothing
//! moves under the reader's eyes.
//!
//! Each stream asks the ledger every two seconds how long the tenant's hash chain is, which also finds
//! the decisions of other replicas. Only when the chain has grown does it read the first page of the
//! list, with the same filters as the reader's, and counts which of it is new. Without an open stream
//! nothing is asked.
//!
//! Before each look the stream asks whether the reader's key is still valid, so one that is revoked or
//! changed reads nothing more: the browser connects again, and is then treated as what it is.
//!
//! A task of its own follows the ledger for each stream and puts events into a short queue, from which
//! the response takes them. A reader that does not take them fills the queue, and its task ends; the task
//! also ends when the reader goes away, and as soon as the service begins to stop, so that no stream
//! holds the drain. The permit of the stream is the task's.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use maud::{Markup, html};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::http::AppState;
use crate::keys::access::Caller;
use crate::keys::identity::Identity;
use crate::ledger::search::Search;
use crate::ledger::{LedgerError, PageRequest};
use crate::page::failure::Failure;
use crate::page::viewer::Viewer;
use crate::page::{PageState, search};

/// The path of a stream.
pub(super) const PATH: &str = "/ui/live";
/// The most streams that are open at once.
pub(super) const MAX_STREAMS: usize = 256;
/// How often a stream looks for new decisions.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// The longest time without a byte. Proxies close connections that are silent for longer.
const COMMENT_EVERY: Duration = Duration::from_secs(20);
/// Events that may wait for their reader.
const MAX_UNREAD: usize = 4;
/// The longest life of a stream. The browser opens the next one, which checks anew whether the reader's
/// session goes on.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The place in a view where new decisions are announced. `n_known` is the length of the hash chain
/// before the list was read.
pub(super) fn announcement(viewer: &Viewer, filters: &[(&str, &str)], n_known: i64) -> Markup {
    let after = n_known.to_string();
    let mut parameters = filters.to_vec();
    parameters.push(("after", &after));
    html! {
        p.live role="status" data-live=(viewer.href(PATH, &parameters)) { }
    }
}

/// `GET /ui/live`
pub(super) async fn follow(
    State(page): State<PageState>,
    viewer: Viewer,
    headers: HeaderMap,
    Query(mut parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let after = parameters
        .extract_if(.., |(name, _)| name == "after")
        .find_map(|(_, value)| value.parse().ok());
    let (wanted, range) = search::parse(&parameters)?;
    let permit = permit(&page)?;
    // A browser that connects again names the last event that it got.
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let n_known = match resumed.and_then(|id| id.parse().ok()).or(after) {
        Some(n_known) => n_known,
        None => {
            page.app
                .agent
                .ledger
                .chain_length(&viewer.identity.tenant_id)
                .await?
        }
    };
    // The whole of a client's silence is bounded by the time in which a connection must move.
    let stall_timeout = page.app.config.connection_limits().stall_timeout;
    let comment_every = COMMENT_EVERY.min(stall_timeout / 3);
    let (events, mut unread) = mpsc::channel(MAX_UNREAD);
    let follower = Follower {
        app: Arc::clone(&page.app),
        caller: viewer.caller,
        identity: viewer.identity,
        wanted,
        range,
        n_known,
    };
    tokio::spawn(follower.run(events, permit));
    let events = stream::poll_fn(move |context| unread.poll_recv(context));
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(comment_every));
    let head = [
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        // Asks nginx to hand on every event at once.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((head, sse).into_response())
}

/// A permit for one stream; none while the service stops.
fn permit(page: &PageState) -> Result<OwnedSemaphorePermit, Failure> {
    let permit = Arc::<Semaphore>::clone(&page.live).try_acquire_owned().ok();
    permit.filter(|_| !page.app.is_draining()).ok_or_else(|| {
        let detail = "As many pages are open as the service keeps up to date. Reload the page to see what is new.";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "This page is not live", detail)
    })
}

/// What the queue of a stream holds; no event is an error.
type Delivery = Result<Event, Infallible>;

/// Follows the ledger for one stream.
struct Follower {
    app: Arc<AppState>,
    caller: Caller,
    identity: Identity,
    wanted: Search,
    range: PageRequest,
    n_known: i64,
}

impl Follower {
    /// Follows until the reader goes away, falls behind or may not read any more, the service begins to
    /// stop, or the stream is old.
    async fn run(mut self, events: mpsc::Sender<Delivery>, _permit: OwnedSemaphorePermit) {
        let app = Arc::clone(&self.app);
        let followed = timeout(MAX_AGE, self.follow(&events));
        tokio::select! {
            ended = followed => if let Ok(Err(error)) = ended {
                // The browser connects again, and learns what it missed.
                tracing::debug!(%error, "a live page cannot be followed");
            },
            () = events.closed() => {}
            () = app.stopping.cancelled() => {}
        }
    }

    async fn follow(&mut self, events: &mpsc::Sender<Delivery>) -> Result<(), LedgerError> {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.app.access.still_admits(&self.caller) {
                return Ok(());
            }
            let is_behind = match self.news().await? {
                Some(event) => events.try_send(Ok(event)).is_err(),
                None => false,
            };
            if is_behind {
                return Ok(());
            }
        }
    }

    /// How many decisions of the list's first page are new, if any are.
    async fn news(&mut self) -> Result<Option<Event>, LedgerError> {
        let ledger = &self.app.agent.ledger;
        let tenant_id = &self.identity.tenant_id;
        let length = ledger.chain_length(tenant_id).await?;
        if length <= self.n_known {
            return Ok(None);
        }
        let recorded = ledger.recorded_after(tenant_id, self.n_known).await?;
        self.n_known = length;
        // What was received before the oldest of them is not new, so a search need not look further.
        let oldest = recorded.iter().min().copied().and_then(received_at);
        let mut wanted = self.wanted.clone();
        wanted.filter.received_from = wanted.filter.received_from.max(oldest);
        let found = ledger
            .search(tenant_id, self.identity.own_only(), &wanted, self.range)
            .await?;
        let n_new = found
            .decisions
            .iter()
            .filter(|stored| recorded.contains(&stored.decision.id))
            .count();
        let event = Event::default()
            .id(length.to_string())
            .event("decisions")
            .data(n_new.to_string());
        Ok((n_new > 0).then_some(event))
    }
}

/// When the request of a record came in: its id begins with that time, to the millisecond.
fn received_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}
