//! `baggage` and `traceparent` of a caller, member by member and field by field: a malformed part is
//! ignored, and the rest is used. What their values are used for is tested in `identity`.

use expense_agent::telemetry::Instruments;
use expense_agent::telemetry::provider::Telemetry;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use proptest::prelude::*;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::harness::expenses::taxi;
use crate::harness::{TestApp, pseudonyms, telemetry_settings};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

fn instruments() -> Instruments {
    let exporter = InMemorySpanExporter::default();
    Telemetry::with_exporter(&telemetry_settings(&[]), pseudonyms(), exporter).instruments()
}

/// The tenant and the employee that these lines of baggage name.
fn named(instruments: &Instruments, lines: &[&[u8]]) -> (Option<String>, Option<String>) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("baggage", HeaderValue::from_bytes(line).unwrap());
    }
    let baggage = instruments.baggage(&headers);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    (owned(baggage.tenant_id()), owned(baggage.user_id()))
}

#[test]
fn a_malformed_member_of_baggage_is_skipped_and_the_others_are_read() {
    let instruments = instruments();
    let odd: [&[u8]; 14] = [
        "note=José".as_bytes(),
        "ключ=v".as_bytes(),
        b"note=\xff\xfe",
        b"note=\"a b\"",
        b"note=\"",
        b"note=a\\b",
        b"note=%zz",
        b"note",
        b"=",
        b"",
        b"  \t ",
        b";p=1",
        "note=1;ort=Köln".as_bytes(),
        b"user.id.x=eve",
    ];
    let (acme, ana) = (Some("acme".to_owned()), Some("ana".to_owned()));
    for member in odd {
        let line = [b"tenant.id=acme,", member, b",user.id=ana"].concat();
        let lines: [&[u8]; 3] = [b"tenant.id=acme", member, b"user.id=ana"];
        let shown = member.escape_ascii();
        assert_eq!(
            named(&instruments, &[&line]),
            (acme.clone(), ana.clone()),
            "{shown}"
        );
        assert_eq!(
            named(&instruments, &lines),
            (acme.clone(), ana.clone()),
            "{shown}"
        );
    }
}

#[test]
fn a_value_of_baggage_is_read_by_the_grammar() {
    let instruments = instruments();
    for (line, user) in [
        ("user.id=ana", Some("ana")),
        ("user.id\t=  ana\t;p=\"1\"", Some("ana")),
        ("user.id=Ana B", Some("Ana B")),
        ("user.id=Jos%C3%A9", Some("José")),
        ("user.id=%22ana%22", Some("\"ana\"")),
        ("user.id=a+b", Some("a+b")),
        ("user.id=50%", Some("50%")),
        ("user.id=ana,user.id=ben", Some("ben")),
        ("user.id=ana,user.id=\"ben\"", Some("ana")),
        // Quotes, backslashes and characters other than ASCII have to be percent-encoded.
        ("user.id=\"ana\"", None),
        ("user.id=\"ana,ben\"", None),
        ("user.id=ACME\\ana", None),
        ("user.id=José", None),
        ("user.id=%ff", None),
        ("User.Id=ana", None),
    ] {
        let (_, read) = named(&instruments, &[line.as_bytes()]);
        assert_eq!(read.as_deref(), user, "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_around_baggage_members_change_neither_tenant_nor_employee(
        before in proptest::collection::vec(0x20_u8..=0xff, 0..40),
        after in proptest::collection::vec(0x20_u8..=0xff, 0..40),
    ) {
        // Bytes that a header can carry; letters are left out, so that they name no member.
        let carried = |bytes: Vec<u8>| -> Vec<u8> {
            bytes.into_iter().filter(|byte| *byte != 0x7f && !byte.is_ascii_alphabetic()).collect()
        };
        let line = [carried(before), b",user.id=ana,tenant.id=acme,".to_vec(), carried(after)].concat();
        let expected = (Some("acme".to_owned()), Some("ana".to_owned()));
        prop_assert_eq!(named(&instruments(), &[&line]), expected);
    }
}

/// The trace id of a request with these headers.
async fn trace_of(app: &TestApp, headers: &[(&str, &str)]) -> Value {
    let reply = app.post_with(taxi(), headers).await;
    assert_eq!(reply.status, 201, "{headers:?}");
    reply.body["trace_id"].clone()
}

#[tokio::test]
async fn a_malformed_traceparent_begins_a_new_trace() {
    let app = TestApp::spawn().await;
    let (trace, span) = (TRACE_ID, SPAN_ID);
    let upper = trace.to_uppercase();
    for value in [
        format!("00-{}-{span}-01", &trace[16..]),
        format!("00-abc-{span}-01"),
        format!("00-{trace}0-{span}-01"),
        format!("00-{trace}-1-01"),
        format!("00-{trace}-{span}0-01"),
        format!("00-+{}-{span}-01", &trace[1..]),
        format!("00-{trace}-+{}-01", &span[1..]),
        format!("00-{trace}-{span}-1"),
        format!("00-{trace}-{span}-+1"),
        format!("00-{trace}-{span}-001"),
        format!("0-{trace}-{span}-01"),
        format!("+0-{trace}-{span}-01"),
        format!("0A-{trace}-{span}-01"),
        format!("ff-{trace}-{span}-01"),
        format!("00-{upper}-{span}-01"),
        format!("00-{trace}-{}-01", span.to_uppercase()),
        format!("00-{trace}-{span}-0A"),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{trace}-{span}-01-"),
        format!("00-{trace}-{span}-01-extra"),
        format!("01-{trace}-{span}-01extra"),
        format!("00-{trace}-{span}"),
        format!("00_{trace}_{span}_01"),
        format!("00-{trace}-{span}-01, 00-{trace}-{span}-01"),
        format!("{trace}-{span}-01"),
    ] {
        let got = trace_of(&app, &[("traceparent", &value)]).await;
        let got = got.as_str().unwrap();
        assert!(
            !got.contains(&trace[16..]) && !got.starts_with("00000000"),
            "{value}: {got}"
        );
    }
}

#[tokio::test]
async fn a_wellformed_traceparent_of_any_version_is_continued() {
    let app = TestApp::spawn().await;
    for value in [
        format!("00-{TRACE_ID}-{SPAN_ID}-00"),
        format!("00-{TRACE_ID}-{SPAN_ID}-01"),
        format!("00-{TRACE_ID}-{SPAN_ID}-ff"),
        format!("01-{TRACE_ID}-{SPAN_ID}-03"),
        format!("cc-{TRACE_ID}-{SPAN_ID}-01"),
        format!("fe-{TRACE_ID}-{SPAN_ID}-01-what-comes-later"),
    ] {
        let got = trace_of(&app, &[("traceparent", &value)]).await;
        assert_eq!(got, TRACE_ID, "{value}");
    }
}

#[tokio::test]
async fn two_traceparents_begin_a_new_trace_and_lines_of_tracestate_are_one_list() {
    let app = TestApp::spawn().await;
    let value = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let twice = [("traceparent", &*value), ("traceparent", &*value)];
    assert_ne!(trace_of(&app, &twice).await, TRACE_ID);
    let headers = [
        ("traceparent", &*value),
        ("tracestate", "one=1"),
        ("tracestate", "two=2, three=3"),
    ];
    assert_eq!(trace_of(&app, &headers).await, TRACE_ID);
    let spans = app.ended_spans();
    let state = spans.iter().find_map(|span| {
        let context = &span.span_context;
        (context.trace_id().to_string() == TRACE_ID).then(|| context.trace_state().header())
    });
    assert_eq!(state.as_deref(), Some("one=1,two=2,three=3"));
}

#[tokio::test]
async fn a_non_ascii_byte_in_baggage_loses_neither_tenant_nor_employee() {
    let app = TestApp::spawn().await;
    let baggage = HeaderValue::from_bytes("tenant.id=acme,note=José,user.id=ana".as_bytes());
    let request = app
        .request(Method::POST, "/v1/expenses", &[])
        .header("baggage", baggage.unwrap())
        .json(&taxi());
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&body["tenant_id"], &body["user_id"]),
        (&"acme".into(), &"ana".into())
    );
}
