//! Live rows: what a stream tells, to whom, and when it ends.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use reqwest::Response;
use tokio::time::{Instant, timeout};

use super::{attributes, view};
use crate::harness::expenses::{flight, of_user, ride};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::poll::until;
use crate::harness::store::on_each_store;
use crate::harness::{TestApp, config, http_config};

/// A stream looks for new decisions every two seconds; a busy machine is slower.
const LIMIT: Duration = Duration::from_secs(20);
/// The most streams that a service keeps open.
const MAX_STREAMS: usize = 256;

/// An open stream.
pub(super) struct Stream {
    response: Response,
    unread: String,
}

impl Stream {
    pub(super) async fn open(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Self {
        let request = app.request(reqwest::Method::GET, path, headers);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The stream that a view opens.
    async fn of(app: &TestApp, path: &str) -> Self {
        let live = attributes(&view(app, path).await, "data-live");
        Self::open(app, &live[0], &[]).await
    }

    /// The next event or comment; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(LIMIT, self.response.chunk()).await;
            let chunk = chunk.expect("the stream has something to say").ok()??;
            self.unread += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_tells_how_many_decisions_are_new() {
    let app = TestApp::spawn().await;
    app.decide(ride()).await;
    let mut stream = Stream::of(&app, "/ui/decisions").await;
    let headers = stream.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-cache, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
    app.decide(ride()).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event, "id: 2\nevent: decisions\ndata: 1");
}

#[tokio::test]
async fn what_was_recorded_between_the_list_and_its_stream_is_told() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/").await;
    app.decide(ride()).await;
    app.decide(flight()).await;
    let mut stream = Stream::open(&app, &attributes(&html, "data-live")[0], &[]).await;
    let event = stream.next().await.unwrap();
    assert!(event.ends_with("data: 2"), "{event}");
}

#[tokio::test]
async fn a_browser_that_connects_again_is_told_only_what_it_missed() {
    let app = TestApp::spawn().await;
    let html = view(&app, "/ui/decisions").await;
    for _ in 0..3 {
        app.decide(ride()).await;
    }
    let resumed = [("last-event-id", "2")];
    let mut stream = Stream::open(&app, &attributes(&html, "data-live")[0], &resumed).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event, "id: 3\nevent: decisions\ndata: 1");
}

#[tokio::test]
async fn a_filter_stays_in_force() {
    let app = TestApp::spawn().await;
    let mut denied = Stream::of(&app, "/ui/decisions?outcome=denied").await;
    let mut of_ben = Stream::of(&app, "/ui/decisions?user_id=ben&text=uber").await;
    app.decide(ride()).await;
    app.decide(of_user(flight(), "ben")).await;
    app.decide(of_user(ride(), "ben")).await;
    app.decide(of_user(ride(), "ben")).await;
    let mut n_told = [0, 0];
    for (stream, (n_told, n_expected)) in [&mut denied, &mut of_ben]
        .into_iter()
        .zip(n_told.iter_mut().zip([1, 2]))
    {
        // The decisions may be found at once or one by one.
        while *n_told < n_expected {
            let event = stream.next().await.unwrap();
            let (_, count) = event.rsplit_once("data: ").unwrap();
            *n_told += count.parse::<usize>().unwrap();
        }
        assert_eq!(*n_told, n_expected);
    }
}

#[tokio::test]
async fn another_tenant_is_told_nothing() {
    let app = TestApp::spawn().await;
    let mut stream = Stream::of(&app, "/ui/decisions?tenant=acme").await;
    app.decide(ride()).await;
    let baggage = [("baggage", "tenant.id=acme")];
    app.post_with(ride(), &baggage).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event, "id: 1\nevent: decisions\ndata: 1");
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let of_ana = |more: &str| {
        [
            entry("ana", "acme", "ea_ana", more),
            entry("erp", "acme", "ea_erp", ""),
        ]
    };
    let keys = KeyFile::new(&of_ana(""));
    let app = keys.app().await;
    let headers = [("authorization", "Bearer ea_ana")];
    let mut stream = Stream::open(&app, "/ui/live?after=0", &headers).await;
    app.decide_as("ea_erp", ride()).await;
    let event = stream.next().await.unwrap();
    assert!(event.ends_with("data: 1"), "{event}");
    keys.replace(&of_ana("revoked = true"));
    let ended = timeout(3 * LIMIT, async { while stream.next().await.is_some() {} });
    ended.await.expect("the stream ends");
}

#[tokio::test]
async fn two_replicas_tell_each_others_decisions() {
    on_each_store(async |store| {
        if store.postgres_url().is_none() {
            // Only one process at a time may open an SQLite ledger.
            return;
        }
        let (one, other) = (TestApp::on(&store).await, TestApp::on(&store).await);
        let mut stream = Stream::of(&one, "/ui/decisions").await;
        other.decide(ride()).await;
        let event = stream.next().await.unwrap();
        assert!(event.ends_with("data: 1"), "{event}");
        drop(stream);
        one.stop().await;
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_outlives_the_deadline_and_is_never_silent_for_long() {
    let app = TestApp::with(Config {
        http: HttpConfig {
            deadline: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(600),
            ..http_config()
        },
        ..config()
    })
    .await;
    let mut stream = Stream::of(&app, "/ui/decisions").await;
    let opened = Instant::now();
    while opened.elapsed() < Duration::from_secs(2) {
        let comment = stream.next().await.expect("the stream stays open");
        assert!(comment.starts_with(':'), "{comment}");
    }
}

#[tokio::test]
async fn an_open_stream_does_not_hold_the_drain() {
    let app = TestApp::spawn().await;
    let mut stream = Stream::of(&app, "/ui/decisions").await;
    let began = Instant::now();
    // Within less than the drain timeout of ten seconds.
    timeout(Duration::from_secs(5), app.stop()).await.unwrap();
    assert_eq!(stream.next().await, None, "after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_holds_neither_a_view_nor_the_drain() {
    on_each_store(async |store| {
        if store.postgres_url().is_none() {
            // SQLite refuses a statement that would have to wait.
            return;
        }
        let app = TestApp::with(Config {
            store: store.store.clone(),
            http: HttpConfig {
                deadline: Duration::from_secs(1),
                ..http_config()
            },
            ..config()
        })
        .await;
        let _stream = Stream::of(&app, "/ui/decisions").await;
        let past = store.connect().await;
        let mut lock = past.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE decision, chain_head IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *lock)
            .await
            .unwrap();
        let reply = app.get("/ui/decisions").await;
        assert_eq!(reply.status, 503);
        assert!(
            reply
                .body
                .as_str()
                .unwrap()
                .contains("not answered in time")
        );
        timeout(Duration::from_secs(5), app.stop()).await.unwrap();
        lock.rollback().await.unwrap();
        past.close().await;
    })
    .await;
}

#[tokio::test]
async fn streams_beyond_the_bound_are_refused_until_one_closes() {
    let app = TestApp::spawn().await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(Stream::open(&app, "/ui/live", &[]).await);
    }
    let refused = app.get("/ui/live").await;
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .body
            .as_str()
            .unwrap()
            .contains("This page is not live")
    );
    assert_eq!(app.get("/ui/decisions").await.status, 200);
    streams.pop();
    until(LIMIT, "place for a stream", async || {
        let request = app.request(reqwest::Method::GET, "/ui/live", &[]);
        let status = request.send().await.unwrap().status();
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn a_filter_that_does_not_exist_opens_no_stream() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/ui/live?outcome=fine").await.status, 400);
}
