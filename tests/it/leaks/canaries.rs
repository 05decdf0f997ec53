//! One canary of each kind in every place where a caller or a model can write: none of them leaves
//! the process.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{CANARIES, KEY, assert_clean, encoded, metrics_page};
use crate::harness::binary::{Service, run};
use crate::harness::expenses::{feedback_on, resolution_of};
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::otlp_receiver::OtlpReceiver;
use crate::harness::replies::{advice_because, category_because};

/// Scripts a model that repeats the canary, in a different field in each run. Returns the number of
/// runs.
fn script(fake: &FakeOpenAi, canary: &str) -> usize {
    let said = format!("It is {canary}, as the text says.");
    let runs: [(Vec<Reply>, Vec<Reply>); 7] = [
        (
            vec![category_because("travel", &said)],
            vec![advice_because("approved", &said, &["travel-trip-cap"])],
        ),
        (
            vec![
                category_because("travel", "Yes.")
                    .model(&said)
                    .finish_reason(&said),
            ],
            vec![advice_because("approved", "Fine.", &[&said])],
        ),
        (
            vec![
                category_because(&said, &said),
                category_because(canary, &said),
            ],
            vec![],
        ),
        (
            vec![
                Reply::content(said.as_str()),
                Reply::content(format!("{{\"{canary}\": 1}}")),
            ],
            vec![],
        ),
        (vec![Reply::refusal(&said)], vec![]),
        (vec![Reply::error(400, &said, Some(&said))], vec![]),
        (vec![Reply::raw(400, "text/plain", said.clone())], vec![]),
    ];
    let n_runs = runs.len();
    for (classify, decide) in runs {
        fake.on_classify(classify);
        fake.on_decide(decide);
    }
    n_runs
}

/// A decision without the fields that repeat the caller's own words.
fn without_echo(mut decision: Value) -> Value {
    for field in ["transaction", "merchant", "trip_id", "user_id", "tenant_id"] {
        decision.as_object_mut().unwrap().remove(field);
    }
    // The id of the trip again.
    for cap in decision["caps"].as_array_mut().unwrap() {
        cap.as_object_mut().unwrap().remove("window_key");
    }
    decision
}

struct Run<'a> {
    service: &'a Service,
    client: Client,
}

impl Run<'_> {
    /// Sends a request with the canary in every header that takes a text, and checks what comes
    /// back.
    async fn send(
        &self,
        canary: &str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> (u16, String) {
        let quoted = encoded(canary);
        let members = [
            "user.id",
            "tenant.id",
            "session.id",
            "feature.name",
            "other",
        ];
        let baggage = members.map(|member| format!("{member}={quoted}")).join(",");
        let visible = canary.replace(' ', "");
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.service.url));
        for (name, value) in [
            ("baggage", baggage.as_str()),
            ("user-agent", canary),
            ("authorization", canary),
            ("traceparent", canary),
            ("x-canary", canary),
        ] {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .header("idempotency-key", visible)
                .body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (
            response.status().as_u16(),
            format!("{:?}", response.headers()),
        );
        assert_clean("the headers of an answer", &headers);
        (status, response.text().await.unwrap())
    }

    /// Requests that are refused, each in a way of its own.
    async fn refused(&self, canary: &str) {
        let (quoted, post) = (encoded(canary), Some(Method::POST));
        let field = json!({
            "transaction": "Taxi",
            "amount": canary,
            "mcc": canary,
            "date": canary,
            "currency": canary,
            "receipt": canary,
            canary: canary,
            "user_id": format!(" {canary} "),
        });
        let requests = [
            (
                post.clone(),
                "/v1/expenses".to_owned(),
                Some(field.to_string()),
            ),
            (
                post.clone(),
                "/v1/expenses".to_owned(),
                Some(format!("{{\"transaction\": {canary}")),
            ),
            (
                post,
                format!("/v1/expenses?{quoted}={quoted}"),
                Some(canary.to_owned()),
            ),
            (None, format!("/v1/expenses?outcome={quoted}"), None),
            (None, format!("/v1/expenses?{quoted}=1"), None),
            (
                None,
                format!("/v1/expenses?cursor={quoted}&limit={quoted}"),
                None,
            ),
            (None, format!("/v1/expenses/{quoted}"), None),
            (None, format!("/{quoted}?{quoted}"), None),
            (None, format!("/{}{quoted}", "x".repeat(505)), None),
            (
                Method::from_bytes(b"CANARY").ok(),
                format!("/v1/policies/{quoted}"),
                None,
            ),
        ];
        for (method, path, body) in requests {
            let (status, text) = self
                .send(canary, method.unwrap_or(Method::GET), &path, body)
                .await;
            assert!((400..500).contains(&status), "{path}: {status} {text}");
            assert_clean(&format!("the answer to {path}"), &text);
        }
    }

    /// Expenses that are decided, and read back.
    async fn decided(&self, canary: &str, n_runs: usize) {
        for n in 0..n_runs {
            let expense = json!({
                "transaction": format!("Taxi {n}, {canary}"),
                "amount": "5.00",
                "merchant": canary,
                "trip_id": canary,
                "user_id": canary,
            });
            let body = expense.to_string();
            let (status, text) = self.post(canary, n, body).await;
            assert_eq!(status, 201, "{text}");
            let decision: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                decision["merchant"], canary,
                "the caller's own words are returned"
            );
            assert_clean("a decision", &without_echo(decision).to_string());
        }
        let listed = format!("/v1/expenses?user_id={}&limit=100", encoded(canary));
        let (_, page) = self.send(canary, Method::GET, &listed, None).await;
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(
            page["decisions"].as_array().unwrap().len(),
            n_runs,
            "the ledger is searched by the original id"
        );
    }

    async fn post(&self, canary: &str, n: usize, body: String) -> (u16, String) {
        let visible = format!("{n}-{}", canary.replace(' ', ""));
        let tenant = format!(
            "tenant.id={},session.id={0},feature.name={0}",
            encoded(canary)
        );
        let state = format!("vendor={canary}");
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = self
            .client
            .post(format!("{}/v1/expenses", self.service.url))
            .body(body);
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", visible);
        let request = request
            .header("baggage", tenant)
            .header("traceparent", parent)
            .header("tracestate", state);
        let response = request.header("user-agent", canary).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

async fn nothing_leaks(protocol: &str, content: &str, log_format: &str) {
    let (receiver, fake) = (OtlpReceiver::spawn().await, FakeOpenAi::spawn().await);
    let endpoint = receiver.endpoint(protocol);
    let all = CANARIES.map(|(canary, _)| canary).join("; ");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            content,
        ),
        // The value is written to the log.
        ("OTEL_TRACES_SAMPLER", all.as_str()),
        ("OPENAI_BASE_URL", &fake.base_url()),
        ("OPENAI_API_KEY", CANARIES[5].0),
        ("EXPENSE_AGENT_LOG_FORMAT", log_format),
        ("RUST_LOG", "info,expense_agent=trace"),
        KEY,
    ];
    let service = Service::start(&["--metrics-tenants", "100"], &variables).await;
    let run = Run {
        service: &service,
        client: Client::new(),
    };
    for (canary, _) in CANARIES {
        let n_runs = script(&fake, canary);
        run.decided(canary, n_runs).await;
        run.refused(canary).await;
    }
    let metrics = metrics_page(&service).await;
    assert_clean("the metrics", &metrics);
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    let sent = String::from_utf8_lossy(&receiver.bytes()).into_owned();
    assert_clean("OTLP", &sent);
    assert_clean("the log", &log);
    for request in fake.requests() {
        assert_clean("a prompt", &request.body.to_string());
    }
    let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    assert!(log_format == "text" || log.lines().all(is_json), "{log}");
    assert!(
        receiver.records().len() > CANARIES.len(),
        "log records were searched as well"
    );
    assert!(
        !receiver.metrics().is_empty(),
        "metrics were searched as well"
    );
    // Every canary reached the exports and the log, where it was replaced.
    for (canary, kind) in CANARIES {
        assert!(
            sent.contains(kind) && log.contains(kind),
            "{canary} was not replaced by {kind} anywhere"
        );
    }
    identities_are_pseudonyms(&receiver, &metrics).await;
}

/// Fails unless spans and metrics show the first canary, given as user and as tenant, by the
/// pseudonym that the program's own command prints.
async fn identities_are_pseudonyms(receiver: &OtlpReceiver, metrics: &str) {
    let user = receiver
        .spans()
        .into_iter()
        .find(|span| span.attributes.contains_key("user.id"))
        .unwrap();
    let shown = run_pseudonym(CANARIES[0].0).await;
    assert_eq!(user.attributes["user.id"], shown);
    let tenant = user.attributes["tenant.id"].as_str().unwrap();
    assert_eq!(tenant.replace("tenant-", "user-"), shown);
    assert!(
        metrics.contains(&format!("tenant_id=\"{tenant}\"")),
        "{metrics}"
    );
}

/// The pseudonym of a user in traces, as the program's own command prints it.
async fn run_pseudonym(user_id: &str) -> String {
    let output = run(&["pseudonym", user_id], &[KEY]).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_over_grpc_with_content() {
    nothing_leaks("grpc", "SPAN_AND_EVENT", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_over_http_with_content() {
    nothing_leaks("http/protobuf", "SPAN_AND_EVENT", "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_over_grpc_without_content() {
    nothing_leaks("grpc", "NO_CONTENT", "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_over_http_without_content() {
    nothing_leaks("http/protobuf", "NO_CONTENT", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_from_batches_resolutions_and_feedback() {
    let receiver = OtlpReceiver::spawn().await;
    let keys = KeyFile::new(&[entry("boss", "acme", "ea_boss", "roles = [\"manager\"]")]);
    let endpoint = receiver.grpc_endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_AND_EVENT",
        ),
        ("RUST_LOG", "info,expense_agent=trace"),
    ];
    let arguments = ["--compatibility-keys", "--api-keys", keys.name()];
    let service = Service::start(&arguments, &variables).await;
    let client = Client::new();
    let send = async |method: Method, path: &str, content_type: &str, body: String| {
        let request = client
            .request(method, format!("{}{path}", service.url))
            .header("content-type", content_type)
            .body(body);
        let response = request.bearer_auth("ea_boss").send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let post = async |path: &str, content_type: &str, body: String| {
        send(Method::POST, path, content_type, body).await
    };
    for (canary, _) in CANARIES {
        let laptop = json!({
            "transaction": format!("Laptop, {canary}"),
            "amount": "600.00",
            "user_id": canary,
        });
        let lines = format!(
            "{laptop}\n{{\"amount\": {canary}\n{}\n",
            json!({"amount": canary, canary: canary})
        );
        let (_, answers) = post("/v1/expenses/batch", "application/x-ndjson", lines).await;
        let (decided, refused) = answers.split_once('\n').unwrap();
        assert_eq!(refused.lines().count(), 2);
        assert_clean("the answers to lines that were refused", refused);

        let decided: Value = serde_json::from_str(decided).unwrap();
        let path = resolution_of(&decided["body"]);
        let senseless = json!({
            "action": canary,
            "role": canary,
            "actor": canary,
            "amount": canary,
            canary: canary,
        });
        let (status, problem) = post(&path, "application/json", senseless.to_string()).await;
        assert_eq!(status, 422, "{problem}");
        assert_clean("the answer to a resolution that was refused", &problem);
        let actor = format!("boss of {canary}");
        let sensible =
            json!({"action": "approve", "role": "manager", "actor": actor, "reason": canary});
        let (status, resolved) = post(&path, "application/json", sensible.to_string()).await;
        assert_eq!(status, 201, "{resolved}");

        let path = feedback_on(&decided["body"], "note");
        let put = async |body: Value| {
            send(Method::PUT, &path, "application/json", body.to_string()).await
        };
        let senseless = json!({"label": canary, "actor": canary, canary: canary});
        let (status, problem) = put(senseless).await;
        assert_eq!(status, 422, "{problem}");
        assert_clean("the answer to feedback that was refused", &problem);
        let (status, given) = put(json!({"comment": canary, "actor": actor})).await;
        assert_eq!(status, 200, "{given}");
    }
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    assert_clean("the log", &log);
    assert_clean("OTLP", &String::from_utf8_lossy(&receiver.bytes()));
    let resolutions = receiver
        .spans()
        .into_iter()
        .filter(|span| span.name == "resolve_expense");
    let actors: Vec<_> = resolutions
        .map(|span| span.attributes["user.id"].clone())
        .collect();
    assert_eq!(actors.len(), CANARIES.len());
    let spans = receiver.spans();
    let notes = spans.iter().filter(|span| span.name == "feedback note");
    for note in notes.clone() {
        let author = &note.attributes["annotations.0.annotation.identifier"];
        assert_eq!(*author, note.attributes["user.id"]);
    }
    assert_eq!(notes.count(), CANARIES.len());
    assert!(
        actors
            .iter()
            .all(|actor| actor.as_str().unwrap().starts_with("user-")),
        "{actors:?}"
    );
}
