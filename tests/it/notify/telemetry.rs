//! The span and the metrics of a delivery, and that the trace of a decision is the same with a receiver
//! and without.

use expense_agent::clock::Clock;
use expense_agent::config::Config;
use jiff::{SignedDuration, Timestamp};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::{TIMEOUT, keys, notifying, waiting};
use crate::harness::expenses::{id_of, laptop};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::webhook_receiver::{Answer, WebhookReceiver};
use crate::harness::{TestApp, assert_golden, config, poll, trace_tree};

/// The spans of attempts, once there are as many.
async fn deliveries(app: &TestApp, n_spans: usize) -> Vec<SpanData> {
    poll::until(TIMEOUT, "span of an attempt", async || {
        let spans = app.ended_spans().into_iter();
        let spans: Vec<_> = spans
            .filter(|span| span.name.starts_with("notify "))
            .collect();
        if spans.len() >= n_spans {
            Ok(spans)
        } else {
            Err(spans)
        }
    })
    .await
}

#[tokio::test]
async fn an_attempt_is_a_client_span_of_its_own_trace_that_links_to_the_request() {
    let (store, receiver, keys) = (TestStore::sqlite(), WebhookReceiver::spawn().await, keys());
    receiver.script([Answer::Status(503)]);
    let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
    let open = waiting(&app).await;
    let [failed, delivered] = deliveries(&app, 2).await.try_into().unwrap();
    for span in [&failed, &delivered] {
        assert_eq!(span.name, "notify expense.waiting");
        assert_eq!(
            (&span.span_kind, span.parent_span_id),
            (&SpanKind::Client, SpanId::INVALID)
        );
        assert_ne!(span.span_context.trace_id().to_string(), open["trace_id"]);
        let [link] = &span.links.links[..] else {
            panic!("{:?}", span.links)
        };
        assert_eq!(link.span_context.trace_id().to_string(), open["trace_id"]);
        assert_eq!(link.span_context.span_id().to_string(), open["span_id"]);
    }
    assert!(matches!(failed.status, Status::Error { .. }));
    assert_eq!(delivered.status, Status::Unset);
    let port = receiver
        .url()
        .split(':')
        .nth(2)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let shown = [failed, delivered]
        .map(|span| trace_tree::render(vec![span], &[]))
        .concat()
        .replace(id_of(&open), "<id>")
        .replace(&port, "<port>");
    assert_golden("notification", &shown);
}

#[tokio::test]
async fn the_trace_of_a_decision_is_the_same_with_a_receiver_and_without() {
    let receiver = WebhookReceiver::spawn().await;
    let mut trees = Vec::new();
    for notify in [Default::default(), receiver.config()] {
        let app = TestApp::with(Config { notify, ..config() }).await;
        let open = app.decide(laptop("600.00")).await;
        trees.push(app.tree(&open));
        app.stop().await;
    }
    assert_eq!(trees[0], trees[1]);
}

#[tokio::test]
async fn age_and_backlog_are_measured() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        receiver.always(Answer::Status(500));
        let start = Timestamp::now();
        let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
        waiting(&app).await;
        app.stop().await;
        let later = Clock::fixed(start + SignedDuration::from_hours(30));
        let app = TestApp::with_clock(later, notifying(&receiver, &store, &keys)).await;
        poll::until(TIMEOUT, "ages", async || {
            let page = app.metrics().await;
            let of = |role| {
                let labels = [("expense_pending_role", role)];
                page.sum("expense_decisions_pending_age_seconds", &labels)
            };
            let hours = |seconds: f64| (seconds / 3600.0).round();
            let seen = (
                (hours(of("manager")), of("vp")),
                page.sum("expense_notifications_pending", &[]),
                hours(page.sum("expense_notifications_pending_age_seconds", &[])),
            );
            // Both the beginning and, for six hours, that it is overdue.
            if seen == ((30.0, 0.0), 2.0, 30.0) {
                Ok(())
            } else {
                Err((seen, page.text))
            }
        })
        .await;
        app.stop().await;
    })
    .await;
}
