//! The span of a write to the ledger: below the step that it belongs to, with the database, and whether
//! a cap moved.

use std::sync::Arc;

use expense_agent::ledger::Store;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::expenses::{expense, laptop, meal};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::replies::{advice, category};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, assert_golden};

/// The span of a trace with this name.
fn span<'a>(trace: &'a [SpanData], name: &str) -> &'a SpanData {
    let mut named = trace.iter().filter(|span| span.name == name);
    let span = named.next().unwrap_or_else(|| panic!("no span {name}"));
    assert!(named.next().is_none(), "several spans {name}");
    span
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    attributes
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| attribute.value.to_string())
}

/// Asserts that a trace shows the write below the step, with the database of the store.
fn assert_recorded(trace: &[SpanData], name: &str, step: &str, store: &TestStore) {
    let (write, step) = (span(trace, name), span(trace, step));
    assert_eq!(write.span_kind, SpanKind::Internal);
    assert_eq!(write.parent_span_id, step.span_context.span_id());
    assert!(step.start_time <= write.start_time && write.end_time <= step.end_time);
    assert_eq!(write.status, Status::Unset);
    let database = match store.store {
        Store::Sqlite(_) => "sqlite",
        Store::Postgres(_) => "postgresql",
    };
    assert_eq!(attribute(write, "db.system.name").unwrap(), database);
    assert_eq!(attribute(write, "step.name").unwrap(), name);
}

#[tokio::test]
async fn decisions_credits_and_resolutions_have_a_span_of_their_write() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[entry("keys", "default", "ea_keys", "roles = [\"manager\"]")]);
        let app = keys.app_on(&store).await;
        let agent = "invoke_agent expense_agent";
        let laptop = app.post_as("ea_keys", laptop("510.00")).await.body;
        let trace = app.trace(&laptop["trace_id"]);
        assert_recorded(&trace, "record_decision", agent, &store);

        let approve =
            json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "Agreed."});
        let resolved = app.resolve("ea_keys", &laptop, approve).await.body;
        let trace = app.trace(&resolved["resolution"]["trace_id"]);
        assert_recorded(&trace, "record_resolution", "resolve_expense", &store);

        let mut credit = expense("Part of the laptop's price", "-10.00");
        credit["refunds"] = laptop["id"].clone();
        let credit = app.post_as("ea_keys", credit).await.body;
        let trace = app.trace(&credit["trace_id"]);
        assert_recorded(&trace, "record_decision", agent, &store);
    })
    .await;
}

#[tokio::test]
async fn claiming_an_idempotency_key_has_a_span_before_the_run() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let key = [("idempotency-key", "lunch-1")];
        let first = app.post_with(meal("5.00"), &key).await;
        let trace = app.trace(&first.body["trace_id"]);
        assert_recorded(&trace, "claim_idempotency_key", "POST /v1/expenses", &store);
        let run = span(&trace, "invoke_agent expense_agent");
        assert!(span(&trace, "claim_idempotency_key").end_time <= run.start_time);

        let again = app.post_with(meal("5.00"), &key).await;
        let trace = app.trace(&json!(again.headers["x-trace-id"].to_str().unwrap()));
        let mut names: Vec<_> = trace.iter().map(|span| &*span.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["POST /v1/expenses", "claim_idempotency_key"]);
    })
    .await;
}

#[tokio::test]
async fn a_cap_that_moved_is_an_event_of_the_recording_and_no_error() {
    let fake = FakeOpenAi::spawn().await;
    let gate = Arc::new(Notify::new());
    let approved = advice("approved", "meals-day-cap");
    fake.on_classify([category("meals"), category("meals")]);
    fake.on_decide([Reply::held(&gate, approved.clone()), approved]);
    let app = Arc::new(TestApp::with_openai(&fake).await);
    let under_way = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.decide(meal("60.00")).await }
    });
    // The cap was looked up before the model is asked for advice.
    fake.wait_for_requests(2).await;
    assert_eq!(app.decide(meal("30.00")).await["outcome"], "approved");
    gate.notify_one();
    let decision = under_way.await.unwrap();
    assert_eq!(decision["cap_moved"], json!(true));
    assert_golden("cap_moved", &app.tree(&decision));
}

#[tokio::test]
async fn a_write_that_fails_is_an_error_of_its_span_and_of_those_around_it() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        // The lookup before it reads other tables.
        store.execute("ALTER TABLE decision RENAME TO gone").await;
        let reply = app.post(meal("5.00")).await;
        assert_eq!(reply.status, 503);
        let trace = app.trace(&Value::from(reply.headers["x-trace-id"].to_str().unwrap()));
        let failed: Vec<_> = trace
            .iter()
            .filter(|span| attribute(span, "error.type").as_deref() == Some("ledger"))
            .map(|span| &*span.name)
            .collect();
        assert_eq!(failed, ["record_decision", "invoke_agent expense_agent"]);
        let write = span(&trace, "record_decision");
        assert!(matches!(write.status, Status::Error { .. }));
        assert!(attribute(write, "db.system.name").is_some());
    })
    .await;
}
