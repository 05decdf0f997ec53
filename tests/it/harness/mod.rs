//! The foundation of the tests: [`TestApp`] is the service as `main` builds it, with its own port,
//! folder and span exporter, so that tests run in parallel. Expenses and model answers are in
//! `expenses` and `replies`; fakes and receivers have a file each.

pub(crate) mod binary;
pub(crate) mod browser;
pub(crate) mod expenses;
pub(crate) mod exposition;
pub(crate) mod facts;
pub(crate) mod fake_openai;
pub(crate) mod full_page;
pub(crate) mod jaeger;
pub(crate) mod key_file;
pub(crate) mod otlp_inbox;
pub(crate) mod otlp_logs;
pub(crate) mod otlp_metrics;
pub(crate) mod otlp_receiver;
pub(crate) mod otlp_spans;
pub(crate) mod policy_folder;
pub(crate) mod poll;
pub(crate) mod receiver_process;
pub(crate) mod replies;
pub(crate) mod restartable_receiver;
pub(crate) mod schema;
pub(crate) mod sent;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod store;
pub(crate) mod tcp_proxy;
pub(crate) mod trace_tree;
pub(crate) mod webhook_receiver;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expense_agent::app::App;
use expense_agent::clock::Clock;
use expense_agent::config::Config;
use expense_agent::config::http::HttpConfig;
use expense_agent::config::model::ModelConfig;
use expense_agent::config::trace_url::TraceUrl;
use expense_agent::ledger::Store;
use expense_agent::llm::endpoint::ModelApi;
use expense_agent::llm::openai::OpenAiConfig;
use expense_agent::notify::NotifyConfig;
use expense_agent::redact::pseudonym::Pseudonyms;
use expense_agent::telemetry::export::queue::Queue;
use expense_agent::telemetry::provider::Telemetry;
use expense_agent::telemetry::settings::{TelemetrySettings, Variables};
use expense_agent::telemetry::subscriber::LogFormat;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use expenses::{feedback_on, path_of, resolution_of};
use exposition::Page;
use fake_openai::FakeOpenAi;
use store::TestStore;

/// A model that has a price in the shipped price table.
pub(crate) const MODEL: &str = "gpt-4o-mini";

/// Spans of a decision: of the request, the agent, three steps, two calls of the model, and the record.
pub(crate) const SPANS_OF_A_DECISION: usize = 8;

/// The path of a file or folder of the project.
pub(crate) fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder of the shipped policies.
pub(crate) fn shipped_policies() -> PathBuf {
    project_path("policies")
}

/// A copy of the shipped policies, with these lines inserted into one of the files: before its
/// `[evidence]`, else at its end.
pub(crate) fn policies_with(file: &str, lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    policy_folder::copy_shipped(folder.path());
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("\n[evidence]\n").unwrap_or(text.len());
    std::fs::write(path, format!("{}\n{lines}\n{}", &text[..at], &text[at..])).unwrap();
    folder
}

/// Settings for a service of a test: offline model, shipped policies, nothing exported.
pub(crate) fn config() -> Config {
    Config {
        http: http_config(),
        reload_interval: Duration::from_millis(20),
        policies: shipped_policies(),
        store: Store::Sqlite(PathBuf::new()),
        model: ModelConfig::Offline {
            faults: Vec::new(),
            fault_seed: 1,
        },
        model_breaker: None,
        model_concurrency: None,
        propagate_to_model: false,
        raw_prompts: false,
        notify: NotifyConfig::default(),
        pseudonym_key: None,
        log_filter: None,
        log_format: LogFormat::Text,
        telemetry: telemetry_settings(&[]),
    }
}

/// The HTTP server of a service of a test: any free port, no API keys.
pub(crate) fn http_config() -> HttpConfig {
    HttpConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        api_keys: None,
        allowed_hosts: Vec::new(),
        makes_local_key: true,
        has_page: true,
        public_url: None,
        deadline: Duration::from_secs(30),
        max_in_flight: 1024,
        max_connections: 4096,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        key_retention: Duration::from_secs(24 * 3600),
        pre_stop_delay: None,
        drain_timeout: Duration::from_secs(10),
        trace_url: TraceUrl::parse("http://localhost:16686"),
        redacts_ledger: false,
    }
}

/// Pseudonyms from the key of the tests.
pub(crate) fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new("the key of the tests".into())
}

/// The telemetry settings that these environment variables make.
pub(crate) fn telemetry_settings(variables: &[(&str, &str)]) -> TelemetrySettings {
    let variables: Variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut problems = Vec::new();
    let settings = TelemetrySettings::parse(&variables, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    settings
}

/// Settings that make the fake the service's model, with two retries and a short timeout.
pub(crate) fn openai(fake: &FakeOpenAi) -> ModelConfig {
    ModelConfig::OpenAi(Box::new(OpenAiConfig {
        base_url: fake.base_url().parse().unwrap(),
        api: ModelApi::Openai,
        headers: HeaderMap::new(),
        api_key: "sk-test-of-this".into(),
        organization: String::new(),
        project: String::new(),
        model: MODEL.to_owned(),
        max_tokens: None,
        temperature: None,
        seed: None,
        reasoning_effort: None,
        attempt_timeout: Duration::from_secs(10),
        max_retries: 2,
    }))
}

/// A running service.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) spans: InMemorySpanExporter,
    /// The key that a service without API keys made, if it did.
    pub(crate) local_key: Option<String>,
    telemetry: Option<Telemetry>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    /// The ledger's folder, unless the test has its own.
    _folder: Option<TempDir>,
}

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl TestApp {
    /// The service with the offline model.
    pub(crate) async fn spawn() -> Self {
        Self::with(config()).await
    }

    /// The service with a fake OpenAI.
    pub(crate) async fn with_openai(fake: &FakeOpenAi) -> Self {
        Self::with(Config {
            model: openai(fake),
            ..config()
        })
        .await
    }

    /// The service with the offline model, on a ledger that outlives it.
    pub(crate) async fn on(store: &TestStore) -> Self {
        Self::with(Config {
            store: store.store.clone(),
            ..config()
        })
        .await
    }

    /// The service with these settings.
    pub(crate) async fn with(config: Config) -> Self {
        Self::with_clock(Clock::system(), config).await
    }

    /// The service with these settings and this clock.
    pub(crate) async fn with_clock(clock: Clock, config: Config) -> Self {
        let spans = InMemorySpanExporter::default();
        let telemetry = Telemetry::with_exporter(&config.telemetry, pseudonyms(), spans.clone());
        Self::start(config, clock, telemetry, spans).await
    }

    /// The service with these settings, whose spans are exported instead of kept in memory.
    pub(crate) async fn exporting(config: Config) -> Self {
        let telemetry = Telemetry::start(&config.telemetry, pseudonyms()).unwrap();
        Self::start(
            config,
            Clock::system(),
            telemetry,
            InMemorySpanExporter::default(),
        )
        .await
    }

    async fn start(
        mut config: Config,
        clock: Clock,
        telemetry: Telemetry,
        spans: InMemorySpanExporter,
    ) -> Self {
        let needs_folder =
            matches!(&config.store, Store::Sqlite(folder) if folder.as_os_str().is_empty());
        let folder = needs_folder.then(|| tempfile::tempdir().unwrap());
        if let Some(folder) = &folder {
            config.store = Store::Sqlite(folder.path().to_owned());
        }
        let app = App::build(&config, clock, telemetry.instruments()).await;
        let app = app.unwrap().with_page(&pseudonyms());
        let local_key = app.local_key().map(|key| key.expose_secret().to_owned());
        let listener = TcpListener::bind(config.http.listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            app.serve(listener, async {
                let _dropped = stopped.await;
            })
            .await;
        });
        Self {
            url,
            client: reqwest::Client::new(),
            spans,
            local_key,
            telemetry: Some(telemetry),
            stop: Some(stop),
            serving: Some(serving),
            _folder: folder,
        }
    }

    /// Stops the service as SIGTERM would, and waits until it has stopped.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
        let telemetry = self.telemetry.take().unwrap();
        tokio::task::spawn_blocking(|| telemetry.shutdown())
            .await
            .unwrap();
    }

    /// The queue of spans that wait for export, which also counts all spans.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.telemetry
            .as_ref()
            .unwrap()
            .queue()
            .expect("the service exports")
    }

    /// Posts a body as JSON.
    pub(crate) async fn post(&self, body: impl Into<Value>) -> Reply {
        self.post_with(body, &[]).await
    }

    /// Posts a body as JSON with headers.
    pub(crate) async fn post_with(
        &self,
        body: impl Into<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        self.post_to("/v1/expenses", body, headers).await
    }

    /// Posts a body as JSON to a path, with headers.
    pub(crate) async fn post_to(
        &self,
        path: &str,
        body: impl Into<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let body: Value = body.into();
        self.send(self.request(Method::POST, path, headers).json(&body))
            .await
    }

    /// Posts an expense with an API key.
    pub(crate) async fn post_as(&self, key: &str, body: impl Into<Value>) -> Reply {
        self.post_with(body, &[("authorization", &format!("Bearer {key}"))])
            .await
    }

    /// The decision about an expense that is posted with an API key.
    pub(crate) async fn decide_as(&self, key: &str, body: impl Into<Value>) -> Value {
        let reply = self.post_as(key, body).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        reply.body
    }

    /// Posts a body as it is.
    pub(crate) async fn post_raw(
        &self,
        body: impl Into<reqwest::Body>,
        content_type: Option<&str>,
    ) -> Reply {
        let headers: Vec<_> = content_type
            .map(|content_type| ("content-type", content_type))
            .into_iter()
            .collect();
        self.send(
            self.request(Method::POST, "/v1/expenses", &headers)
                .body(body),
        )
        .await
    }

    /// Gets a path.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    /// Gets a path with headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(self.request(Method::GET, path, headers)).await
    }

    /// A request to be finished by the test.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply {
            status,
            headers,
            body,
        }
    }

    /// The page of `/metrics`.
    pub(crate) async fn metrics(&self) -> Page {
        Page::parse(self.get("/metrics").await.body.as_str().unwrap())
    }

    /// The decision about a body. The test fails if the reply is not a decision.
    pub(crate) async fn decide(&self, body: impl Into<Value>) -> Value {
        let reply = self.post(body).await;
        assert_eq!(reply.status, 201, "{:#}", reply.body);
        reply.body
    }

    /// The decision as `GET` returns it.
    pub(crate) async fn read(&self, decision: &Value) -> Value {
        self.get(&path_of(decision)).await.body
    }

    /// Resolves a decision with an API key.
    pub(crate) async fn resolve(
        &self,
        key: &str,
        decision: &Value,
        resolution: impl Into<Value>,
    ) -> Reply {
        let headers = [("authorization", &*format!("Bearer {key}"))];
        self.post_to(&resolution_of(decision), resolution, &headers)
            .await
    }

    /// Gives feedback on a decision with an API key.
    pub(crate) async fn give_feedback(
        &self,
        key: &str,
        decision: &Value,
        name: &str,
        body: impl Into<Value>,
    ) -> Reply {
        let headers = [("authorization", &*format!("Bearer {key}"))];
        let request = self.request(Method::PUT, &feedback_on(decision, name), &headers);
        self.send(request.json(&body.into())).await
    }

    /// Sends a request without a body, with an API key.
    pub(crate) async fn send_as(&self, key: &str, method: Method, path: &str) -> Reply {
        let headers = [("authorization", &*format!("Bearer {key}"))];
        self.send(self.request(method, path, &headers)).await
    }

    /// Posts an expense with headers, and closes the connection once the model has been asked.
    pub(crate) async fn disconnect_once_the_model_is_asked(
        &self,
        fake: &FakeOpenAi,
        body: Value,
        headers: &[(&str, &str)],
    ) {
        let request = self
            .request(Method::POST, "/v1/expenses", headers)
            .json(&body);
        tokio::select! {
            reply = request.send() => panic!("answered before the client could disconnect: {reply:?}"),
            () = fake.wait_for_requests(1) => {}
        }
    }

    /// Every span that has ended.
    pub(crate) fn ended_spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    /// The spans of one trace.
    pub(crate) fn trace(&self, trace_id: &Value) -> Vec<SpanData> {
        let trace_id = trace_id.as_str().unwrap();
        self.ended_spans()
            .into_iter()
            .filter(|span| span.span_context.trace_id().to_string() == trace_id)
            .collect()
    }

    /// The trace of a decision as a text tree.
    pub(crate) fn tree(&self, decision: &Value) -> String {
        trace_tree::render(
            self.trace(&decision["trace_id"]),
            &[("expense.prompt.hash", "<expense.prompt.hash>")],
        )
    }
}

/// Compares a text with the golden file of that name; `INSTA_UPDATE=always` rewrites the file.
pub(crate) fn assert_golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
