//! User, tenant and trace context of a request: read from its headers within bounds, on every span
//! of that request, and on no span of another.

use std::collections::BTreeMap;

use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};

use crate::harness::expenses::taxi;
use crate::harness::{SPANS_OF_A_DECISION, TestApp};

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| attribute.value.to_string())
}

/// The value of an attribute on each span of a reply's trace.
fn values_on_spans(app: &TestApp, body: &Value, key: &str) -> Vec<Option<String>> {
    app.trace(&body["trace_id"])
        .iter()
        .map(|span| attribute(span, key))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn baggage_never_crosses_requests() {
    let app = TestApp::spawn().await;
    let requests = (0..400).map(|n| {
        let app = &app;
        async move {
            let baggage = format!(
                "user.id=user-{n},tenant.id=tenant-{},session.id=session-{n}",
                n % 7
            );
            let reply = app.post_with(taxi(), &[("baggage", &baggage)]).await;
            assert_eq!(reply.status, 201, "{:#}", reply.body);
            (reply.body["trace_id"].as_str().unwrap().to_owned(), n)
        }
    });
    let users: BTreeMap<String, usize> = futures_util::future::join_all(requests)
        .await
        .into_iter()
        .collect();
    assert_eq!(users.len(), 400);
    let spans = app.ended_spans();
    assert_eq!(spans.len(), 400 * SPANS_OF_A_DECISION);
    for span in &spans {
        let n = users[&span.span_context.trace_id().to_string()];
        assert_eq!(
            attribute(span, "user.id"),
            Some(format!("user-{n}")),
            "{}",
            span.name
        );
        assert_eq!(
            attribute(span, "tenant.id"),
            Some(format!("tenant-{}", n % 7)),
            "{}",
            span.name
        );
        assert_eq!(
            attribute(span, "session.id"),
            Some(format!("session-{n}")),
            "{}",
            span.name
        );
        let n_users = span
            .attributes
            .iter()
            .filter(|attribute| attribute.key.as_str() == "user.id")
            .count();
        assert_eq!(n_users, 1, "{}", span.name);
    }
}

#[tokio::test]
async fn the_employee_of_the_body_takes_precedence_over_the_one_of_the_baggage() {
    let app = TestApp::spawn().await;
    let body = json!({"transaction": "Taxi", "amount": "5.00", "user_id": "ben"});
    let reply = app.post_with(body, &[("baggage", "user.id=ana")]).await;
    assert_eq!(reply.body["user_id"], "ben");
    assert!(
        values_on_spans(&app, &reply.body, "user.id")
            .iter()
            .all(|user| user.as_deref() == Some("ben"))
    );
    let reply = app
        .post_with(taxi(), &[("baggage", "user.id=Ana%20B")])
        .await;
    assert_eq!(reply.body["user_id"], "Ana B");
    let reply = app.post(taxi()).await;
    assert_eq!(
        (&reply.body["user_id"], &reply.body["tenant_id"]),
        (&json!("anonymous"), &json!("default"))
    );
}

#[tokio::test]
async fn only_the_allowed_members_of_a_callers_baggage_are_used() {
    let app = TestApp::spawn().await;
    let baggage = "user.id=ana,expense.outcome=approved,gen_ai.system=x,feature.name=mobile";
    let reply = app.post_with(taxi(), &[("baggage", baggage)]).await;
    assert!(
        values_on_spans(&app, &reply.body, "gen_ai.system")
            .iter()
            .all(Option::is_none)
    );
    assert!(
        values_on_spans(&app, &reply.body, "feature.name")
            .iter()
            .all(|name| name.as_deref() == Some("mobile"))
    );
}

#[tokio::test]
async fn baggage_is_read_from_every_header_line_and_values_may_contain_equals_signs() {
    let app = TestApp::spawn().await;
    let headers = [
        ("baggage", "user.id=ana;origin=sso"),
        ("baggage", "tenant.id = acme , session.id=YQ=="),
        ("baggage", "other=1"),
    ];
    let reply = app.post_with(taxi(), &headers).await;
    assert_eq!(
        (&reply.body["user_id"], &reply.body["tenant_id"]),
        (&json!("ana"), &json!("acme"))
    );
    assert!(
        values_on_spans(&app, &reply.body, "session.id")
            .iter()
            .all(|session| session.as_deref() == Some("YQ=="))
    );
}

#[tokio::test]
async fn an_unknown_method_is_not_part_of_a_span_name() {
    let app = TestApp::spawn().await;
    app.request(
        reqwest::Method::from_bytes(b"FOOBAR").unwrap(),
        "/v1/policies",
        &[],
    )
    .send()
    .await
    .unwrap();
    let spans = app.ended_spans();
    assert_eq!(spans[0].name, "HTTP /v1/policies");
    assert_eq!(
        attribute(&spans[0], "http.request.method").as_deref(),
        Some("_OTHER")
    );
}

#[tokio::test]
async fn the_address_of_an_ipv6_host_has_no_brackets() {
    let app = TestApp::spawn().await;
    let reply = app.post_with(taxi(), &[("host", "[::1]:8000")]).await;
    let addresses = values_on_spans(&app, &reply.body, "server.address");
    assert!(addresses.contains(&Some("::1".to_owned())), "{addresses:?}");
}

#[tokio::test]
async fn invalid_baggage_and_trace_context_are_ignored() {
    let app = TestApp::spawn().await;
    let long = format!("user.id={}", "u".repeat(129));
    let many = (0..200)
        .map(|n| format!("k{n}=v"))
        .collect::<Vec<_>>()
        .join(",");
    for baggage in [
        long.as_str(),
        many.as_str(),
        "user.id=%00",
        "user.id=%20",
        "user.id",
        ";;;===,,,",
        "user.id=a%ff",
    ] {
        let reply = app.post_with(taxi(), &[("baggage", baggage)]).await;
        assert_eq!(reply.status, 201, "{baggage}");
    }
    let reply = app.post_with(taxi(), &[("baggage", long.as_str())]).await;
    assert_eq!(reply.body["user_id"], "anonymous");
    for traceparent in [
        "",
        "00-zz-zz-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    ] {
        let reply = app.post_with(taxi(), &[("traceparent", traceparent)]).await;
        assert_eq!(reply.status, 201, "{traceparent}");
    }
}

#[tokio::test]
async fn a_callers_trace_continues_even_when_it_was_not_sampled() {
    let app = TestApp::spawn().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let reply = app.post_with(taxi(), &[("traceparent", traceparent)]).await;
    assert_eq!(reply.body["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let spans = app.trace(&reply.body["trace_id"]);
    assert_eq!(spans.len(), SPANS_OF_A_DECISION);
    let server = spans
        .iter()
        .find(|span| span.name == "POST /v1/expenses")
        .unwrap();
    assert_eq!(server.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(server.parent_span_is_remote);
}

#[tokio::test]
async fn a_refused_request_has_a_trace_with_its_user_and_no_error() {
    let app = TestApp::spawn().await;
    let reply = app
        .post_with(json!({}), &[("baggage", "user.id=ana")])
        .await;
    assert_eq!(reply.status, 422);
    let spans = app.trace(&reply.body["trace_id"]);
    assert_eq!(spans.len(), 1);
    assert_eq!(attribute(&spans[0], "user.id").as_deref(), Some("ana"));
    assert_eq!(attribute(&spans[0], "error.type"), None);
}
