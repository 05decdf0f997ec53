//! `audit`: what the ledger and a real Jaeger report about the same decisions, and the exit code
//! for a gate.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::future::join_all;
use jiff::{Timestamp, ToSpan};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::assert_golden;
use crate::harness::binary::{Service, run, text};
use crate::harness::expenses::{expense, numbered_ride, ride};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::jaeger::Jaeger;
use crate::harness::poll;
use crate::harness::replies::{advice_because, category};
use crate::harness::server::Server;
use crate::harness::skip::skip;

/// A service that has decided and ended, and the folder of its ledger.
struct Decided {
    folder: TempDir,
    decisions: Vec<Value>,
}

impl Decided {
    /// Runs the audit of this ledger.
    async fn audit(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let data = ["audit", "--data", self.folder.path().to_str().unwrap()];
        let output = run(
            &[&data, arguments].concat(),
            &[("OTEL_SERVICE_NAME", &self.service_name())],
        )
        .await;
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// The report of the audit, as JSON.
    async fn report(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = self.audit(&[arguments, &["--json"]].concat()).await;
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// A unique name, by which a Jaeger finds only the traces of this service.
    fn service_name(&self) -> String {
        let folder = self.folder.path().file_name().unwrap().to_str().unwrap();
        format!("audited-{}", folder.trim_start_matches('.'))
    }
}

/// Lets a service decide, and stops it.
async fn decided(
    arguments: &[&str],
    variables: &[(&str, &str)],
    work: impl AsyncFnOnce(&Service) -> Vec<Value>,
) -> Decided {
    let mut decided = Decided {
        folder: tempfile::tempdir().unwrap(),
        decisions: Vec::new(),
    };
    let (name, data) = (
        decided.service_name(),
        decided.folder.path().to_str().unwrap().to_owned(),
    );
    let service = Service::start(
        &[&["--data", &data], arguments].concat(),
        &[&[("OTEL_SERVICE_NAME", name.as_str())], variables].concat(),
    )
    .await;
    decided.decisions = work(&service).await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    decided
}

async fn post(service: &Service, tenant: &str, body: Value) -> Value {
    let request = reqwest::Client::new()
        .post(format!("{}/v1/expenses", service.url))
        .json(&body);
    let response = request
        .header("baggage", format!("tenant.id={tenant}"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

/// Eight decisions, one for each way in which a run can end. Three have a check that fails for good.
async fn eight_ways(variables: &[(&str, &str)]) -> Decided {
    let fake = FakeOpenAi::spawn().await;
    let base_url = fake.base_url();
    let own = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("EXPENSE_AGENT_MODEL_API", "openai"),
    ];
    let variables = [&own[..], variables].concat();
    decided(&[], &variables, async |service| {
        let scripted = async |tenant: &str, body: Value, replies: Vec<Reply>| {
            fake.script(replies);
            post(service, tenant, body).await
        };
        let flight = || expense("Flight to Chicago", "650.00");
        let approved = || advice_because("approved", "By the trip cap.", &["travel-trip-cap"]);
        let approved = || vec![category("travel"), approved()];
        let bought = scripted("default", ride(), approved()).await;
        let refund = json!({
            "transaction": "Refund",
            "amount": "-5.00",
            "refunds": bought["id"],
            "user_id": "ana",
        });
        let garbage = Reply::content("nonsense");
        let repaired = std::iter::once(garbage).chain(approved()).collect();
        let denied = advice_because("denied", "By the day cap.", &["meals-day-cap"]);
        let wrong_category = vec![category("meals"), denied];
        let no_category = vec![category("taxis"), category("taxis")];
        vec![
            bought,
            scripted("acme", ride(), approved()).await,
            // A repaired answer is not a semantic error.
            scripted("default", ride(), repaired).await,
            // Three semantic errors: the wrong category, a category that does not exist, and an
            // override.
            scripted("default", flight(), wrong_category).await,
            scripted("default", ride(), no_category).await,
            scripted("acme", flight(), approved()).await,
            // A model that does not answer is a failed dependency, not a semantic error.
            scripted("default", ride(), vec![Reply::status(400)]).await,
            scripted("default", refund, vec![]).await,
        ]
    })
    .await
}

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_reports_how_often_and_where_the_reasoning_failed() {
    let decided = eight_ways(&[QUIET]).await;
    let report = decided.report(&[]).await;
    assert_eq!(
        report["semantic_errors"],
        json!({"failed": 3, "of": 8, "percent": "37.5"})
    );
    assert_eq!(
        report["by_tenant"]["acme"],
        json!({"failed": 1, "of": 2, "percent": "50"})
    );
    assert_eq!(
        report["by_type"]["answer_schema"],
        json!({"failed": 0, "of": 13, "percent": "0"}),
        "one was repaired"
    );
    assert_eq!(
        report["by_type"]["category_membership"],
        json!({"failed": 2, "of": 7, "percent": "28.57"})
    );
    assert_eq!(
        report["by_prompt"]["classify 4"],
        json!({"failed": 2, "of": 7, "percent": "28.57"})
    );
    let failing = report["failing"].as_array().unwrap();
    let ids: Vec<_> = failing.iter().map(|failing| &failing["id"]).collect();
    assert_eq!(ids, [3, 4, 5].map(|index| &decided.decisions[index]["id"]));
    for (failing, decision) in failing.iter().zip(&decided.decisions[3..]) {
        let trace_id = decision["trace_id"].as_str().unwrap();
        assert_eq!(
            failing["trace_url"],
            format!("http://localhost:16686/trace/{trace_id}")
        );
    }
    let (_, shown, _) = decided
        .audit(&["--trace-url", "https://traces.example/{trace_id}/view"])
        .await;
    let times = Regex::new(r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z").unwrap();
    let shown = Regex::new("[0-9a-f]{32}")
        .unwrap()
        .replace_all(&shown, "<trace_id>")
        .into_owned();
    assert_golden("audit", &times.replace_all(&shown, "<time>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_covers_the_period_and_the_tenant_of_its_arguments() {
    let decided = eight_ways(&[QUIET]).await;
    let of =
        async |arguments: &[&str]| decided.report(arguments).await["semantic_errors"]["of"].clone();
    let at = |index: usize| decided.decisions[index]["received_at"].as_str().unwrap();
    assert_eq!(of(&["--tenant", "acme"]).await, 2);
    assert_eq!(of(&["--from", &at(0)[..10]]).await, 8);
    assert_eq!(of(&["--from", at(0), "--to", at(3)]).await, 3);
    assert_eq!(of(&["--from", "2020-01-01", "--to", "2020-01-31"]).await, 0);
    let refused = async |arguments: &[&str]| decided.audit(arguments).await;
    let (code, _, said) = refused(&["--from", "2020-02-01", "--to", "2020-01-31"]).await;
    assert_eq!(
        (
            code,
            said.contains("--to 2020-01-31 is not after --from 2020-02-01")
        ),
        (Some(1), true),
        "{said}"
    );
    let (code, _, said) = refused(&["--from", at(0), "--to", at(0)]).await;
    assert_eq!(
        (code, said.contains(&format!("--to {} is not after", at(0)))),
        (Some(1), true),
        "{said}"
    );
    for arguments in [
        &["--to", "2020-01-31"][..],
        &["--from", "yesterday"],
        &["--last", "1h", "--from", "2020-01-01"],
    ] {
        assert_eq!(refused(arguments).await.0, Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_above_the_limit_ends_with_exit_code_3() {
    let decided = eight_ways(&[QUIET]).await;
    for (limit, code) in [("37.5%", 0), ("37.4999%", 3), ("0%", 3), ("100%", 0)] {
        let (ended, shown, said) = decided.audit(&["--fail-above", limit]).await;
        assert_eq!(ended, Some(code), "{limit}: {said}");
        assert!(
            shown.contains("semantic error rate: 37.5 % (3 of 8"),
            "the report is printed in either case: {shown}"
        );
        assert_eq!(
            said.contains("the semantic error rate is 37.5 %, above"),
            code == 3,
            "{said}"
        );
    }
    let nothing = [
        "--from",
        "2020-01-01",
        "--to",
        "2020-01-31",
        "--fail-above",
        "0%",
    ];
    assert_eq!(
        decided.audit(&nothing).await.0,
        Some(0),
        "without decisions the rate is zero"
    );
    for limit in ["5", "101%", "5,5%", "many"] {
        let (ended, _, said) = decided.audit(&["--fail-above", limit]).await;
        assert_eq!(
            (ended, said.contains("such as 5% or 0.5%")),
            (Some(2), true),
            "{said}"
        );
    }
    let elsewhere = run(&["audit", "--data", "/nowhere", "--fail-above", "5%"], &[]).await;
    assert_eq!(
        elsewhere.status.code(),
        Some(1),
        "a failed audit is not a success"
    );
}

/// The reports from both sources, of the hour before and the hour after now, as soon as Jaeger has
/// stored all decisions.
async fn both_reports(decided: &Decided, jaeger: &Jaeger) -> [Value; 2] {
    let [from, to] = [-1, 1].map(|hours| (Timestamp::now() + hours.hours()).to_string());
    let window = ["--from", &from, "--to", &to, "--jaeger", jaeger.query_url()];
    let in_jaeger = [&window[..], &["--source", "jaeger"]].concat();
    let mut found = poll::until(
        Duration::from_secs(30),
        "all decisions in Jaeger",
        async || {
            let found = decided.report(&in_jaeger).await;
            if found["semantic_errors"]["of"] == decided.decisions.len() {
                Ok(found)
            } else {
                Err(found)
            }
        },
    )
    .await;
    let mut kept = decided.report(&window).await;
    assert_eq!(
        (found["source"].take(), kept["source"].take()),
        ("jaeger".into(), "ledger".into())
    );
    // A resolution is a trace of its own, so only the ledger knows what people overturned.
    assert!(found["overturned"].take().is_null());
    assert!(kept["overturned"].take().is_object());
    [found, kept]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_of_a_real_jaeger_agrees_with_an_audit_of_the_ledger() {
    let Some(jaeger) = Jaeger::from_env() else {
        skip("no real Jaeger; name one in JAEGER_QUERY_URL, JAEGER_OTLP_GRPC and JAEGER_OTLP_HTTP");
        return;
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_grpc());
    // With this setting, the attributes of prompts have other keys.
    let decided = eight_ways(&[endpoint, ("EXPENSE_AGENT_COMPATIBILITY_KEYS", "true")]).await;
    let [found, kept] = both_reports(&decided, &jaeger).await;
    assert_eq!(found, kept);
    let decided = eight_ways(&[endpoint]).await;
    let [found, kept] = both_reports(&decided, &jaeger).await;
    assert_eq!(found, kept);
    assert_eq!(found["failing"].as_array().unwrap().len(), 3);
    let url = found["failing"][0]["trace_url"].as_str().unwrap();
    assert!(url.starts_with(jaeger.query_url()), "{url}");
    let acme = [
        "--source",
        "jaeger",
        "--jaeger",
        jaeger.query_url(),
        "--tenant",
        "acme",
        "--fail-above",
        "49%",
    ];
    let (code, shown, _) = decided.audit(&acme).await;
    assert_eq!(
        (code, shown.contains("50.0 % (1 of 2")),
        (Some(3), true),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_traces_than_one_search_returns_are_all_found() {
    let Some(jaeger) = Jaeger::from_env() else {
        skip("no real Jaeger; name one in JAEGER_QUERY_URL, JAEGER_OTLP_GRPC and JAEGER_OTLP_HTTP");
        return;
    };
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_grpc())];
    let decided = decided(
        &["--model-fault", "misclassify:0.12"],
        &variables,
        async |service| {
            join_all((0..250).map(|n| post(service, "default", numbered_ride(n)))).await
        },
    )
    .await;
    let [found, kept] = both_reports(&decided, &jaeger).await;
    assert_eq!(found, kept);
    assert!(
        found["semantic_errors"]["failed"].as_u64().unwrap() > 0,
        "{found:#}"
    );
}

/// Exit code and output of an audit of a Jaeger that answers every search like this.
async fn audit_of(status: StatusCode, body: String) -> (Option<i32>, String) {
    let answer = get(move || async move { (status, body) });
    let server = Server::spawn(Router::new().route("/api/v3/traces", answer)).await;
    let output = run(
        &["audit", "--source", "jaeger", "--jaeger", &server.origin()],
        &[],
    )
    .await;
    (
        output.status.code(),
        [text(output.stdout), text(output.stderr)].concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_or_failed_search_fails_the_audit() {
    let (code, said) = audit_of(
        StatusCode::NOT_FOUND,
        json!({"error": {"httpCode": 404}}).to_string(),
    )
    .await;
    assert_eq!(
        (code, said.contains("(0 of 0 decisions")),
        (Some(0), true),
        "{said}"
    );
    let spans: Vec<_> = (0..100)
        .map(|n| json!({"traceId": n.to_string(), "name": "other"}))
        .collect();
    let full = json!({"result": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}});
    let (code, said) = audit_of(StatusCode::OK, full.to_string()).await;
    assert_eq!(
        (
            code,
            said.contains("more than one search of Jaeger returns")
        ),
        (Some(1), true),
        "{said}"
    );
    for (status, body) in [
        (StatusCode::OK, "<html>"),
        (StatusCode::INTERNAL_SERVER_ERROR, "max_traces is 10"),
    ] {
        let (code, said) = audit_of(status, body.to_owned()).await;
        assert_eq!((code, said.contains("returned")), (Some(1), true), "{said}");
    }
    let output = run(
        &[
            "audit",
            "--source",
            "jaeger",
            "--jaeger",
            "http://127.0.0.1:1",
        ],
        &[],
    )
    .await;
    assert!(text(output.stderr).contains("set --jaeger to the URL of a Jaeger 2"));
}
