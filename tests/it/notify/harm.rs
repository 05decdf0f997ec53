//! A receiver that is slow, hostile or gone harms neither decisions nor the stop of the service.

use std::time::{Duration, Instant};

use super::{TIMEOUT, keys, notifying, outbox, waiting};
use crate::harness::server::UnusedPort;
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::webhook_receiver::{Answer, WebhookReceiver, receiver};
use crate::harness::{TestApp, poll};

const N_DECISIONS: usize = 20;
/// Far above what the decisions and the stop take, and below the time limit of one attempt.
const SOON: Duration = Duration::from_secs(20);

/// Decides, and stops the service.
async fn decide_and_stop(app: TestApp) {
    let began = Instant::now();
    for _ in 0..N_DECISIONS {
        waiting(&app).await;
    }
    app.stop().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_nothing_and_holds_few_requests() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        receiver.always(Answer::Hang);
        let mut config = notifying(&receiver, &store, &keys);
        config.notify.timeout = TIMEOUT;
        decide_and_stop(TestApp::with(config).await).await;
        let n_requests = receiver.received().len();
        assert!((1..=8).contains(&n_requests), "{n_requests} at once");
        assert_eq!(outbox(&store).await.len(), 2 * N_DECISIONS);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_delays_nothing_and_loses_nothing() {
    on_each_store(async |store| {
        let (back, keys, port) = (WebhookReceiver::spawn().await, keys(), UnusedPort::new());
        let mut config = notifying(&back, &store, &keys);
        config.notify.receivers = vec![receiver(None, &port.origin())];
        decide_and_stop(TestApp::with(config).await).await;
        let app = TestApp::with(notifying(&back, &store, &keys)).await;
        back.wait_for(N_DECISIONS).await;
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_response_without_end_is_not_read() {
    let (store, receiver, keys) = (TestStore::sqlite(), WebhookReceiver::spawn().await, keys());
    receiver.always(Answer::Endless);
    let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
    waiting(&app).await;
    poll::until(TIMEOUT, "delivered notification", async || {
        match outbox(&store).await {
            rows if rows.len() == 1 => Ok(()),
            rows => Err(rows),
        }
    })
    .await;
    app.stop().await;
    assert_eq!(receiver.received().len(), 1);
}
