//! At least once, in order, and not twice without need: retries, refusals, several replicas and kills.

use std::collections::BTreeMap;
use std::time::Duration;

use expense_agent::clock::Clock;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{TIMEOUT, approve, keys, notifying, outbox, until_delivered, waiting};
use crate::harness::binary::Service;
use crate::harness::expenses::{id_of, laptop, of_user};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::webhook_receiver::{Answer, Received, SECRET, WebhookReceiver, receiver};
use crate::harness::{TestApp, poll};

/// How many attempts were made with each result.
async fn results(app: &TestApp) -> BTreeMap<String, f64> {
    let page = app.metrics().await;
    let results = ["delivered", "failed", "refused", "expired"].into_iter();
    let count = |result: &str| {
        let labels = [("expense_notification_result", result)];
        (
            result.to_owned(),
            page.sum("expense_notification_attempts_total", &labels),
        )
    };
    results.map(count).filter(|(_, n)| *n > 0.0).collect()
}

fn counts<const N: usize>(counts: [(&str, f64); N]) -> BTreeMap<String, f64> {
    counts
        .into_iter()
        .map(|(result, n)| (result.to_owned(), n))
        .collect()
}

#[tokio::test]
async fn a_refusal_is_final_and_every_other_failure_is_tried_again() {
    let cases = [
        (Answer::Status(400), 1),
        (Answer::Status(401), 1),
        (Answer::Status(404), 1),
        (Answer::Status(410), 1),
        (Answer::Status(422), 1),
        (Answer::Status(408), 2),
        (Answer::Status(409), 2),
        (Answer::Status(425), 2),
        (Answer::Status(429), 2),
        (Answer::Status(500), 2),
        (Answer::Status(503), 2),
        (Answer::Status(304), 2),
        (Answer::Redirect, 2),
        (Answer::Hang, 2),
    ];
    // Boxed, because together they would take more of the stack than a thread has.
    join_all(cases.map(|(answer, n)| Box::pin(expect_attempts(answer, n)))).await;
}

/// Answers the first attempt in this way and all others with a success, and expects so many attempts.
async fn expect_attempts(answer: Answer, n_attempts: usize) {
    let (store, receiver, keys) = (TestStore::sqlite(), WebhookReceiver::spawn().await, keys());
    receiver.script([answer]);
    let mut config = notifying(&receiver, &store, &keys);
    if matches!(answer, Answer::Hang) {
        config.notify.timeout = Duration::from_secs(1);
    }
    let app = TestApp::with(config).await;
    waiting(&app).await;
    let received = receiver.wait_for(n_attempts).await;
    until_delivered(&store).await;
    let expected = match n_attempts {
        1 => counts([("refused", 1.0)]),
        _ => counts([("failed", 1.0), ("delivered", 1.0)]),
    };
    assert_eq!(results(&app).await, expected, "{answer:?}");
    app.stop().await;
    assert_eq!(receiver.received().len(), n_attempts, "{answer:?}");
    for one in &received {
        // A redirect would lead elsewhere.
        assert_eq!(one.path, received[0].path);
        assert_eq!(one.body, received[0].body);
        assert_eq!(one.header("webhook-id"), received[0].header("webhook-id"));
    }
}

#[tokio::test]
async fn a_receiver_that_asks_to_wait_is_left_alone_so_long() {
    let (store, receiver, keys) = (TestStore::sqlite(), WebhookReceiver::spawn().await, keys());
    receiver.script([Answer::RetryAfter(503, 4)]);
    let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
    waiting(&app).await;
    let received = receiver.wait_for(2).await;
    let waited = received[1].at - received[0].at;
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
}

#[tokio::test]
async fn notifications_of_one_expense_arrive_in_order_and_hold_up_no_other() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        receiver.script([Answer::Status(500), Answer::Status(500)]);
        let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
        let first = waiting(&app).await;
        approve(&app, &first).await;
        receiver.wait_for(1).await;
        let second = waiting(&app).await;
        approve(&app, &second).await;
        until_delivered(&store).await;
        app.stop().await;
        let accepted = receiver.received().split_off(2);
        for decision in [first, second] {
            let of_decision = accepted
                .iter()
                .filter(|one| one.expense_id() == id_of(&decision));
            let kinds: Vec<String> = of_decision.map(Received::kind).collect();
            assert_eq!(kinds, ["expense.waiting", "expense.resolved"]);
        }
        assert_eq!(accepted.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn after_three_days_a_notification_is_given_up_and_the_next_of_the_expense_is_sent() {
    let (store, gone, keys) = (TestStore::sqlite(), WebhookReceiver::spawn().await, keys());
    gone.always(Answer::Status(500));
    let start = Timestamp::now();
    let at = |hours| Clock::fixed(start + SignedDuration::from_hours(hours));
    let app = TestApp::with_clock(at(0), notifying(&gone, &store, &keys)).await;
    let open = waiting(&app).await;
    gone.wait_for(1).await;
    app.stop().await;
    let app = TestApp::with_clock(at(71), notifying(&gone, &store, &keys)).await;
    gone.wait_for(2).await;
    poll::until(TIMEOUT, "failed attempt", async || {
        match results(&app).await {
            results if results == counts([("failed", 1.0)]) => Ok(()),
            results => Err(results),
        }
    })
    .await;
    app.stop().await;
    // The event of waiting is three days old, the event of being overdue is two days old.
    let app = TestApp::with_clock(at(73), notifying(&gone, &store, &keys)).await;
    poll::until(TIMEOUT, "expired notification", async || {
        match results(&app).await {
            results if results == counts([("expired", 1.0), ("failed", 1.0)]) => Ok(()),
            results => Err(results),
        }
    })
    .await;
    // The ledger follows the attempts.
    let left = [("expense.overdue".to_owned(), 1)];
    poll::until(
        TIMEOUT,
        "outbox without what expired",
        async || match outbox(&store).await {
            rows if rows == left => Ok(()),
            rows => Err(rows),
        },
    )
    .await;
    approve(&app, &open).await;
    app.stop().await;
    assert_eq!(gone.kinds()[2..], ["expense.waiting", "expense.overdue"]);
    // Once somebody has resolved the expense, it is no news that it was overdue.
    let back = WebhookReceiver::spawn().await;
    let app = TestApp::with_clock(at(74), notifying(&back, &store, &keys)).await;
    until_delivered(&store).await;
    app.stop().await;
    assert_eq!(back.kinds(), ["expense.resolved"]);
}

#[tokio::test]
async fn what_has_no_receiver_any_more_is_deleted_after_three_days() {
    on_each_store(async |store| {
        let (gone, keys) = (WebhookReceiver::spawn().await, keys());
        gone.always(Answer::Status(500));
        let app = TestApp::with(notifying(&gone, &store, &keys)).await;
        waiting(&app).await;
        gone.wait_for(1).await;
        app.stop().await;
        for receivers in [vec![], vec![receiver(Some("beta"), &gone.url())]] {
            let mut config = notifying(&gone, &store, &keys);
            config.notify.receivers = receivers;
            let later = Timestamp::now() + SignedDuration::from_hours(73);
            let app = TestApp::with_clock(Clock::fixed(later), config).await;
            // The event of waiting is three days old, the event of being overdue is two days old.
            poll::until(
                TIMEOUT,
                "outbox without what is old",
                async || match &*outbox(&store).await {
                    [(kind, 0)] if kind == "expense.overdue" => Ok(()),
                    rows => Err(rows.to_vec()),
                },
            )
            .await;
            app.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_receiver_works_again_once_it_accepts_a_notification_and_not_before() {
    for (second, works_again) in [(404, false), (204, true)] {
        let (store, receiver) = (TestStore::sqlite(), WebhookReceiver::spawn().await);
        receiver.script([Answer::Status(500), Answer::Status(second)]);
        let url = receiver.url();
        let flags = ["--notify", &url, "--data", store.folder()];
        let service = Service::start(&flags, &[("EXPENSE_AGENT_NOTIFY_SECRET", SECRET)]).await;
        service.post(laptop("600.00")).await;
        receiver.wait_for(2).await;
        until_delivered(&store).await;
        let (_, log) = service.stop().await;
        assert!(log.contains("notifications cannot be delivered"), "{log}");
        let is_told = log.contains("notifications are delivered again");
        assert_eq!(is_told, works_again, "{second}:\n{log}");
    }
}

#[tokio::test]
async fn two_replicas_send_each_notification_once() {
    const N_DECISIONS: usize = 24;
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        let replica = async || TestApp::with(notifying(&receiver, &store, &keys)).await;
        let (one, two) = (replica().await, replica().await);
        let decide = async |n: usize| {
            let body = of_user(laptop("600.00"), &format!("user-{n}"));
            let app = if n.is_multiple_of(2) { &one } else { &two };
            let open = app.post_as("ea_feed", body).await.body;
            let other = if n.is_multiple_of(3) { &one } else { &two };
            approve(other, &open).await;
        };
        join_all((0..N_DECISIONS).map(decide)).await;
        until_delivered(&store).await;
        one.stop().await;
        two.stop().await;
        let received = receiver.received();
        let mut ids: Vec<&str> = received
            .iter()
            .map(|one| one.header("webhook-id"))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            (received.len(), ids.len()),
            (2 * N_DECISIONS, 2 * N_DECISIONS)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_notification() {
    const N_KILLS: usize = 3;
    const N_DECISIONS: usize = 6;
    on_each_store(async |store| {
        let receiver = WebhookReceiver::spawn().await;
        let url = receiver.url();
        let mut open: Vec<Value> = Vec::new();
        // The last start is not followed by a kill.
        for n_start in 0..=N_KILLS {
            let database = store.postgres_url().map(|url| ("DATABASE_URL", url));
            let variables: Vec<_> = [("EXPENSE_AGENT_NOTIFY_SECRET", SECRET)]
                .into_iter()
                .chain(database)
                .collect();
            let mut flags = vec!["--notify", url.as_str(), "--notify-timeout", "1s"];
            if store.postgres_url().is_none() {
                flags.extend(["--data", store.folder()]);
            }
            let service = Service::start(&flags, &variables).await;
            if n_start == N_KILLS {
                receiver.always(Answer::Status(204));
                until_delivered(&store).await;
                service.stop().await;
                break;
            }
            // Some attempts are under way when the service dies.
            receiver.always(Answer::Hang);
            let n_before = receiver.received().len();
            for n in 0..N_DECISIONS {
                let body = of_user(laptop("600.00"), &format!("user-{n_start}-{n}"));
                let (status, decision) = service.post(body).await;
                assert_eq!(
                    (status, &decision["outcome"]),
                    (201, &"needs_approval".into())
                );
                open.push(decision);
            }
            receiver.wait_for(n_before + 1).await;
            service.signal("KILL").await;
            service.ended().await;
        }
        let received = receiver.received();
        for decision in &open {
            let is_of = |one: &&Received| one.expense_id() == id_of(decision);
            assert!(received.iter().any(|one| is_of(&one)), "{decision:#}");
        }
    })
    .await;
}
