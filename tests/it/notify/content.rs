//! What a notification says, who gets it, and its signature.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::ledger::Ledger;
use expense_agent::notify::NotifyConfig;
use expense_agent::notify::message::{Message, Secret};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::Sha256;

use super::{approve, keys, notifying, outbox, until_delivered, waiting};
use crate::harness::expenses::{expense, flight, id_of, laptop, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::replies::{advice, category};
use crate::harness::store::on_each_store;
use crate::harness::webhook_receiver::{SECRET, WebhookReceiver, receiver};
use crate::harness::{TestApp, config, openai};

#[tokio::test]
async fn a_receiver_is_told_who_can_resolve_what_waits_and_how_it_was_resolved() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
        // What does not wait is no news.
        app.post_as("ea_feed", ride()).await;
        app.post_as("ea_feed", flight()).await;
        let open = waiting(&app).await;
        receiver.wait_for(1).await;
        approve(&app, &open).await;
        let received = receiver.wait_for(2).await;
        let data = json!({
            "tenant_id": "acme", "expense_id": open["id"], "outcome": "needs_approval",
            "role": "manager", "amount": "600.00", "currency": "USD", "category": "office",
            "page_url": open["page_url"],
        });
        let mut resolved = data.clone();
        resolved["resolution"] = json!({"action": "approve", "role": "manager", "amount": "600.00"});
        let stored = app.get_with(&format!("/v1/expenses/{}", id_of(&open)), &[("authorization", "Bearer ea_feed")]).await.body;
        let expected = [
            json!({"type": "expense.waiting", "timestamp": open["received_at"], "data": data}),
            json!({"type": "expense.resolved", "timestamp": stored["resolution"]["resolved_at"], "data": resolved}),
        ];
        for (received, mut expected) in received.iter().zip(expected) {
            // The outbox keeps whole milliseconds.
            let moment: Timestamp = expected["timestamp"].as_str().unwrap().parse().unwrap();
            let millis = Timestamp::from_millisecond(moment.as_millisecond()).unwrap();
            expected["timestamp"] = json!(millis);
            assert_eq!(received.json(), expected);
            assert_eq!(received.path, "/hooks/secret-path");
            assert_eq!(received.header("content-type"), "application/json");
            let id = format!("{}_{}", id_of(&open), received.kind().replace('.', "_"));
            assert_eq!(received.header("webhook-id"), id);
        }
        assert_eq!(received.len(), 2);
        assert!(open["page_url"].is_string(), "{open:#}");
        until_delivered(&store).await;
        assert_eq!(outbox(&store).await, []);
        app.stop().await;
    })
    .await;
}

/// The example of the specification, and a signature that is computed here by hand.
#[tokio::test]
async fn the_signature_covers_id_time_and_body() {
    let message = Message {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
        body: br#"{"test": 2432232314}"#.to_vec(),
    };
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(
        message.signatures(1_614_265_330, std::slice::from_ref(&secret)),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    let receiver = WebhookReceiver::spawn().await;
    let mut notify = receiver.config();
    let second = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdHM=";
    notify.receivers[0]
        .secrets
        .push(Secret::parse(second).unwrap());
    let app = TestApp::with(Config { notify, ..config() }).await;
    app.decide(laptop("600.00")).await;
    let received = &receiver.wait_for(1).await[0];
    let seconds: i64 = received.header("webhook-timestamp").parse().unwrap();
    assert!((Timestamp::now().as_second() - seconds).abs() < 60);
    let signed = format!(
        "{}.{seconds}.{}",
        received.header("webhook-id"),
        String::from_utf8(received.body.to_vec()).unwrap()
    );
    let by_hand = [SECRET, second].map(|secret| {
        let key = STANDARD
            .decode(secret.trim_start_matches("whsec_"))
            .unwrap();
        let mut hash = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        hash.update(signed.as_bytes());
        format!("v1,{}", STANDARD.encode(hash.finalize().into_bytes()))
    });
    assert_eq!(received.header("webhook-signature"), by_hand.join(" "));
}

#[tokio::test]
async fn what_waits_for_a_day_is_notified_once() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        let start = Timestamp::now();
        let at = async |hours| {
            let clock = Clock::fixed(start + SignedDuration::from_hours(hours));
            TestApp::with_clock(clock, notifying(&receiver, &store, &keys)).await
        };
        let app = at(0).await;
        let (resolved, open) = (waiting(&app).await, waiting(&app).await);
        approve(&app, &resolved).await;
        receiver.wait_for(3).await;
        until_delivered(&store).await;
        app.stop().await;
        // A day later, and two days later.
        let app = at(24).await;
        let overdue = receiver.wait_for(4).await[3].clone();
        let body = overdue.json();
        assert_eq!(
            (
                &body["type"],
                &body["data"]["expense_id"],
                &body["data"]["role"]
            ),
            (&json!("expense.overdue"), &open["id"], &json!("manager"))
        );
        until_delivered(&store).await;
        app.stop().await;
        let app = at(48).await;
        waiting(&app).await;
        receiver.wait_for(5).await;
        until_delivered(&store).await;
        app.stop().await;
        let mut kinds = receiver.kinds();
        assert_eq!(kinds.split_off(3), ["expense.overdue", "expense.waiting"]);
        assert_eq!(outbox(&store).await, [("expense.overdue".to_owned(), 0)]);
    })
    .await;
}

#[tokio::test]
async fn a_decision_that_was_superseded_while_it_waited_is_notified_as_such() {
    on_each_store(async |store| {
        let (receiver, fake) = (WebhookReceiver::spawn().await, FakeOpenAi::spawn().await);
        let app = TestApp::with(Config {
            store: store.store.clone(),
            model: openai(&fake),
            notify: receiver.config(),
            ..config()
        })
        .await;
        fake.script([Reply::status(400)]);
        let old = app.decide(laptop("100.00")).await;
        assert_eq!(old["outcome"], "needs_review");
        receiver.wait_for(1).await;
        // The new decision waits for nobody.
        fake.script([category("office"), advice("approved", "office-year-cap")]);
        let mut again = laptop("100.00");
        again["supersedes"] = old["id"].clone();
        let new = app.decide(again).await;
        assert_eq!(new["outcome"], "approved", "{new:#}");
        let received = receiver.wait_for(2).await;
        let body = received[1].json();
        assert_eq!(
            (
                &body["type"],
                &body["data"]["expense_id"],
                &body["data"]["superseded_by"]
            ),
            (&json!("expense.superseded"), &old["id"], &new["id"])
        );
        app.stop().await;
        assert_eq!(receiver.received().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn each_tenant_has_its_receiver_and_its_secret() {
    on_each_store(async |store| {
        let receivers = [(); 2].map(|()| WebhookReceiver::spawn());
        let [acme, others] = receivers;
        let (acme, others) = (acme.await, others.await);
        let keys = KeyFile::new(
            &["acme", "beta", "gamma"]
                .map(|tenant| entry(tenant, tenant, &format!("ea_{tenant}"), "")),
        );
        let app = TestApp::with(Config {
            http: keys.http_config(),
            store: store.store.clone(),
            notify: NotifyConfig {
                receivers: vec![
                    receiver(None, &others.url()),
                    receiver(Some("acme"), &acme.url()),
                ],
                ..acme.config()
            },
            ..config()
        })
        .await;
        for tenant in ["acme", "beta", "gamma"] {
            let reply = app.post_as(&format!("ea_{tenant}"), laptop("600.00")).await;
            assert_eq!(reply.body["outcome"], "needs_approval");
        }
        let tenants = |received: &[crate::harness::webhook_receiver::Received]| {
            let tenants = received
                .iter()
                .map(|one| one.json()["data"]["tenant_id"].to_string());
            tenants.collect::<BTreeSet<_>>()
        };
        let of_others = others.wait_for(2).await;
        assert_eq!(
            tenants(&of_others),
            ["\"beta\"", "\"gamma\""].map(str::to_owned).into()
        );
        assert_eq!(
            tenants(&acme.wait_for(1).await),
            ["\"acme\"".to_owned()].into()
        );
        app.stop().await;
        assert_eq!((acme.received().len(), others.received().len()), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_for_a_tenant_without_a_receiver() {
    on_each_store(async |store| {
        let (receiver_of_beta, keys) = (WebhookReceiver::spawn().await, keys());
        for receivers in [
            vec![],
            vec![receiver(Some("beta"), &receiver_of_beta.url())],
        ] {
            let mut config = notifying(&receiver_of_beta, &store, &keys);
            config.notify.receivers = receivers;
            let app = TestApp::with(config).await;
            let open = waiting(&app).await;
            approve(&app, &open).await;
            app.stop().await;
            assert_eq!(outbox(&store).await, []);
        }
        assert!(receiver_of_beta.received().is_empty());
    })
    .await;
}

/// The name of a tenant is compared in its one spelling, like everywhere.
#[tokio::test]
async fn a_tenant_is_found_in_another_spelling() {
    let receiver = WebhookReceiver::spawn().await;
    let keys = KeyFile::new(&[entry("feed", "O\u{2019}Neil", "ea_feed", "")]);
    let config = super::settings::built(
        &["--notify", &format!("O'Neil={}", receiver.url())],
        &[("EXPENSE_AGENT_NOTIFY_SECRET", SECRET)],
    );
    let app = TestApp::with(Config {
        http: keys.http_config(),
        notify: config.unwrap().notify,
        ..crate::harness::config()
    })
    .await;
    waiting(&app).await;
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn neither_outbox_nor_notification_holds_anything_of_a_person() {
    on_each_store(async |store| {
        let (receiver, keys) = (WebhookReceiver::spawn().await, keys());
        // The receiver is gone until the texts are erased.
        let gone = Config {
            notify: NotifyConfig {
                receivers: vec![self::receiver(None, "http://127.0.0.1:9/")],
                ..receiver.config()
            },
            ..notifying(&receiver, &store, &keys)
        };
        let app = TestApp::with(gone).await;
        let mut canary = expense("Laptop for the canary", "600.00");
        canary["merchant"] = json!("Canary Computers");
        canary["user_id"] = json!("canary@example.com");
        let open = app.post_as("ea_feed", canary).await.body;
        assert_eq!(open["outcome"], "needs_approval");
        approve(&app, &open).await;
        app.stop().await;
        let pool = store.connect().await;
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT tenant_id, decision_id, type FROM outbox")
                .fetch_all(&pool)
                .await
                .unwrap();
        pool.close().await;
        assert_eq!(rows.len(), 2, "{rows:?}");
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.erase("acme", "canary@example.com").await.unwrap(), 2);
        ledger.close().await;
        let app = TestApp::with(notifying(&receiver, &store, &keys)).await;
        let received = receiver.wait_for(2).await;
        app.stop().await;
        for received in received {
            let text = String::from_utf8(received.body.to_vec())
                .unwrap()
                .to_lowercase();
            for personal in ["canary", "secret reason", "ben", "sha256"] {
                assert!(!text.contains(personal), "{personal} in {text}");
            }
        }
    })
    .await;
}
