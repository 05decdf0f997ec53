//! Each API of the table in `docs/configuration.md`, configured by flags alone, against an endpoint
//! that refuses what that API is documented to refuse. Also tests which API is inferred from a
//! host, which base URLs stop the start, and headers that the operator adds.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clap::{Parser, ValueEnum};
use expense_agent::cli::Cli;
use expense_agent::config::model::ModelConfig;
use expense_agent::config::{Config, ConfigErrors};
use expense_agent::llm::endpoint::{KeyHeader, ModelApi, ResponseForm};
use expense_agent::llm::openai::OpenAiConfig;
use expense_agent::telemetry::settings::Variables;
use serde_json::{Value, json};

use crate::harness::expenses::ride;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::replies::approved_trip;
use crate::harness::server::Server;
use crate::harness::{TestApp, config};

/// The configuration that results from flags and variables.
fn built(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let cli = Cli::try_parse_from([&["expense-agent"], flags].concat()).unwrap();
    let variables: Variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::build(cli.settings, &variables)
}

fn model(flags: &[&str], variables: &[(&str, &str)]) -> OpenAiConfig {
    let config = built(flags, variables).unwrap_or_else(|errors| panic!("{errors}"));
    match config.model {
        ModelConfig::OpenAi(model) => *model,
        ModelConfig::Offline { .. } => panic!("the model is offline"),
    }
}

/// The errors that stop the start, in one text.
fn refused(flags: &[&str], variables: &[(&str, &str)]) -> String {
    built(flags, variables).expect_err("a refusal").to_string()
}

/// An endpoint of one API.
#[derive(Clone)]
struct Endpoint {
    api: ModelApi,
    refusals: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    /// The status and body of the API's documented refusal, or nothing if it accepts the request.
    fn refusal(&self, uri: &str, headers: &HeaderMap, body: &Value) -> Option<(u16, Value)> {
        let has = |field: &str| body.get(field).is_some();
        let form = body["response_format"]["type"].as_str().unwrap_or("none");
        let bearer = headers
            .get("authorization")
            .is_some_and(|key| key == "Bearer sk-of-a-test");
        let extra = |field: &str| {
            json!({"object": "error", "message": {"detail": [
                {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"},
            ]}})
        };
        let said = |message: &str| json!({"error": {"message": message}});
        match self.api {
            ModelApi::Azure
                if headers
                    .get("api-key")
                    .is_none_or(|key| key != "sk-of-a-test") =>
            {
                Some((401, said("Access denied due to missing subscription key")))
            }
            ModelApi::Azure if uri != "/base/chat/completions?api-version=1" => {
                Some((404, said("Resource not found")))
            }
            ModelApi::Azure => None,
            _ if !bearer => Some((401, said("no key"))),
            ModelApi::Openai if has("max_tokens") => {
                Some((400, said("Unsupported parameter: 'max_tokens'")))
            }
            ModelApi::Gemini if has("seed") => Some((
                400,
                json!([{"error": {"code": 400, "message": "Unknown name \"seed\"", "status": "INVALID_ARGUMENT"}}]),
            )),
            ModelApi::Mistral if has("max_completion_tokens") => {
                Some((422, extra("max_completion_tokens")))
            }
            ModelApi::Mistral if has("seed") => Some((422, extra("seed"))),
            ModelApi::Mistral if has("reasoning_effort") => Some((422, extra("reasoning_effort"))),
            ModelApi::Groq | ModelApi::Deepseek if form == "json_schema" => {
                Some((400, said("This response_format type is unavailable now")))
            }
            ModelApi::Portkey if headers.get("x-portkey-provider").is_none() => {
                Some((400, said("x-portkey-provider header is required")))
            }
            _ => None,
        }
    }

    /// A setting that the API silently ignores, although the operator relies on it.
    fn ignored(&self, body: &Value) -> Option<&'static str> {
        let limit = if self.api == ModelApi::Ollama {
            "max_tokens"
        } else {
            return match self.api {
                ModelApi::Anthropic if body.get("response_format").is_some() => {
                    Some("response_format")
                }
                ModelApi::Anthropic | ModelApi::Deepseek if body.get("seed").is_some() => {
                    Some("seed")
                }
                _ => None,
            };
        };
        body.get(limit).is_none().then_some("the limit on tokens")
    }
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let refusal = endpoint.refusal(&parts.uri.to_string(), &parts.headers, &body);
    let refusal = refusal.or_else(|| Some((400, json!({"ignored": endpoint.ignored(&body)?}))));
    if let Some((status, refusal)) = refusal {
        endpoint.refusals.lock().unwrap().push(refusal.clone());
        let status = StatusCode::from_u16(status).unwrap();
        return (status, axum::Json(refusal)).into_response();
    }
    let facts = body["messages"][1]["content"].as_str().unwrap();
    let answer = if facts.contains("\"categories\"") {
        json!({"category": "travel", "confidence": 1, "rationale": "A ride."})
    } else {
        json!({"decision": "approved", "reason": "It fits.", "cited_rules": ["travel-trip-cap"]})
    };
    // Without an enforced schema, models put other text around the answer.
    let instructions = body["messages"][0]["content"].as_str().unwrap();
    let content = match body["response_format"]["type"].as_str() {
        Some("json_schema") => answer.to_string(),
        Some(_) => format!("{answer}\n"),
        None => format!("Here it is:\n```json\n{answer}\n```"),
    };
    let is_enforced = body["response_format"]["type"] == "json_schema";
    assert_eq!(
        instructions.contains("JSON Schema"),
        !is_enforced,
        "{instructions}"
    );
    axum::Json(json!({
        "id": "x", "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }))
    .into_response()
}

#[tokio::test]
async fn every_api_gets_only_parameters_that_it_accepts() {
    for api in ModelApi::value_variants() {
        let endpoint = Endpoint {
            api: *api,
            refusals: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(endpoint.clone());
        let server = Server::spawn(router).await;
        let name = api.to_possible_value().unwrap().get_name().to_owned();
        let base_url = format!("{}/base/?api-version=1", server.origin());
        let profile = api.profile("gpt-4o-mini");
        let mut flags = vec![
            "--model",
            "gpt-4o-mini",
            "--model-api",
            &name,
            "--max-tokens",
            "300",
        ];
        if profile.seed_name.is_some() {
            flags.extend(["--seed", "7"]);
        }
        if profile.takes_reasoning_effort {
            flags.extend(["--reasoning-effort", "low"]);
        }
        if *api == ModelApi::Portkey {
            flags.extend(["--model-header", "x-portkey-provider=$PROVIDER"]);
        }
        let variables = [
            ("OPENAI_BASE_URL", base_url.as_str()),
            ("OPENAI_API_KEY", "sk-of-a-test"),
            ("PROVIDER", "openai"),
        ];
        let app = TestApp::with(Config {
            model: ModelConfig::OpenAi(Box::new(model(&flags, &variables))),
            ..config()
        })
        .await;
        let decision = app.decide(ride()).await;
        let refusals = endpoint.refusals.lock().unwrap().clone();
        assert_eq!(refusals, Vec::<Value>::new(), "{name}");
        assert_eq!(decision["outcome"], "approved", "{name}: {decision:#}");
        // The price table has only OpenAI's own prices. They do not apply to a model of the same name
        // at another provider.
        assert_eq!(
            decision["cost_usd"].is_null(),
            *api != ModelApi::Openai,
            "{name}"
        );
        let spans = app.trace(&decision["trace_id"]);
        let chat = spans
            .iter()
            .find(|span| span.name.starts_with("chat "))
            .unwrap();
        let provider = chat
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == "gen_ai.provider.name");
        assert_eq!(provider.unwrap().value.as_str(), profile.provider);
    }
}

#[test]
fn a_parameter_that_the_api_does_not_accept_stops_the_start() {
    for api in ModelApi::value_variants() {
        let name = api.to_possible_value().unwrap().get_name().to_owned();
        let profile = api.profile("m");
        let variables = [("OPENAI_API_KEY", "sk-of-a-test")];
        for (flag, value, is_accepted) in [
            ("--seed", "1", profile.seed_name.is_some()),
            ("--reasoning-effort", "low", profile.takes_reasoning_effort),
        ] {
            let result = built(&["--model-api", &name, flag, value], &variables);
            assert_eq!(result.is_ok(), is_accepted, "{name} {flag}");
        }
    }
}

#[test]
fn the_api_is_inferred_from_the_host_unless_a_flag_names_it() {
    for (base_url, api) in [
        ("https://api.openai.com/v1", ModelApi::Openai),
        ("https://eu.api.openai.com/v1/", ModelApi::Openai),
        ("https://API.OpenAI.com./v1", ModelApi::Openai),
        ("https://a.openai.azure.com/openai/v1/", ModelApi::Azure),
        (
            "https://a.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
            ModelApi::Azure,
        ),
        (
            "https://a.services.ai.azure.com/models?api-version=2024-05-01-preview",
            ModelApi::Azure,
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            ModelApi::Gemini,
        ),
        (
            "https://europe-west1-aiplatform.googleapis.com/v1/x/openapi",
            ModelApi::Gemini,
        ),
        ("https://api.anthropic.com/v1/", ModelApi::Anthropic),
        ("https://api.mistral.ai/v1", ModelApi::Mistral),
        ("https://api.groq.com/openai/v1", ModelApi::Groq),
        ("https://api.deepseek.com", ModelApi::Deepseek),
        ("https://openrouter.ai/api/v1", ModelApi::Openrouter),
        ("https://api.portkey.ai/v1", ModelApi::Portkey),
        ("http://localhost:11434/v1", ModelApi::Ollama),
        ("http://ollama:11434/v1", ModelApi::Ollama),
        ("http://localhost:8080/v1", ModelApi::Generic),
        ("http://[::1]:8080", ModelApi::Generic),
        ("https://api.openai.com.example.org/v1", ModelApi::Generic),
        ("https://notapi.openai.com/v1", ModelApi::Generic),
        ("https://my-api.openai.com.evil/v1", ModelApi::Generic),
    ] {
        let variables = [("OPENAI_BASE_URL", base_url)];
        assert_eq!(model(&[], &variables).api, api, "{base_url}");
        let named = model(&["--model-api", "vllm"], &variables);
        assert_eq!(named.api, ModelApi::Vllm, "{base_url}");
    }
    let on_the_port_of_ollama = [("OPENAI_BASE_URL", "http://localhost:11434")];
    let named = model(&["--model-api", "llama-cpp"], &on_the_port_of_ollama);
    assert_eq!(named.api, ModelApi::LlamaCpp);
    let variables = [("OPENAI_API_KEY", "sk-of-a-test")];
    assert_eq!(model(&[], &variables).api, ModelApi::Openai);
    let form = |model: &str| ModelApi::Groq.profile(model).response_form;
    assert_eq!(form("openai/gpt-oss-20b"), ResponseForm::JsonSchema);
    assert_eq!(form("llama-3.3-70b-versatile"), ResponseForm::JsonObject);
    assert_eq!(ModelApi::Azure.profile("m").key_header, KeyHeader::ApiKey);
}

#[test]
fn an_unusable_base_url_stops_the_start_and_is_not_printed() {
    for (base_url, why) in [
        ("sesame", "is not a URL"),
        ("ftp://sesame/v1", "is not a URL of http"),
        ("http://user:sesame@h/v1", "a user or a password"),
        ("http://sesame@h/v1", "a user or a password"),
        ("http://:sesame@h/v1", "a user or a password"),
        ("http://h/v1#sesame", "fragment"),
        (
            "http://h/v1/chat/completions?key=sesame",
            "ends in /chat/completions",
        ),
        ("http://h/v1/Chat/Completions/", "ends in /chat/completions"),
        ("http://h/v1/completions", "ends in /completions"),
        ("http://h/v1/responses", "ends in /responses"),
        ("https://api.anthropic.com/v1/messages", "ends in /messages"),
        ("https://api.openai.com/", "usually \"/v1\""),
        ("https://api.groq.com", "usually \"/openai/v1\""),
        ("http://localhost:11434", "usually \"/v1\""),
        ("http://ollama:11434/?sesame", "usually \"/v1\""),
        ("http://localhost:11434/api/chat", "ends in /api/chat"),
        (
            "https://a.openai.azure.com/openai/deployments/sesame",
            "add ?api-version=",
        ),
    ] {
        let error = refused(&[], &[("OPENAI_BASE_URL", base_url)]);
        assert!(error.contains("OPENAI_BASE_URL"), "{base_url}: {error}");
        assert!(error.contains(why), "{base_url}: {error}");
        assert!(!error.contains("sesame"), "{base_url}: {error}");
    }
}

#[tokio::test]
async fn the_query_and_the_path_of_the_base_url_are_kept() {
    let fake = FakeOpenAi::spawn().await;
    fake.script(approved_trip());
    for (suffix, query) in [
        (
            "?api-version=2024-10-21&x=a/b",
            "api-version=2024-10-21&x=a/b",
        ),
        ("/", ""),
        ("//", ""),
    ] {
        let base_url = format!("{}{suffix}", fake.base_url());
        let app = TestApp::with(Config {
            model: ModelConfig::OpenAi(Box::new(model(&[], &[("OPENAI_BASE_URL", &base_url)]))),
            ..config()
        })
        .await;
        app.decide(ride()).await;
        let request = fake.requests().pop().unwrap();
        assert_eq!(
            (request.path.as_str(), request.query.as_str()),
            ("/v1/chat/completions", query)
        );
        assert!(
            !request.headers.contains_key("authorization"),
            "no key was set"
        );
    }
}

#[tokio::test]
async fn header_values_come_from_files_and_variables_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("header");
    std::fs::write(&file, "Basic b3BlbiBzZXNhbWU=\r\n").unwrap();
    let from_file = format!("Authorization=@{}", file.display());
    let flags = [
        "--model-header",
        &from_file,
        "--model-header",
        "x-team=${TEAM}",
    ];
    let fake = FakeOpenAi::spawn().await;
    let base_url = format!("{}?api-version=2024-10-21&key=cupboard", fake.base_url());
    let variables = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OPENAI_API_KEY", "sk-of-a-test"),
        ("TEAM", "sesame \"finance\"/"),
    ];
    let config = Config {
        model: ModelConfig::OpenAi(Box::new(model(&flags, &variables))),
        ..config()
    };
    assert!(!format!("{config:?}").contains("sesame"), "{config:?}");
    let app = TestApp::with(config).await;
    let code =
        json!({"error": {"code": "Basic b3BlbiBzZXNhbWU=", "message": "sesame \"finance\"/"}});
    let cut = format!("{} Basic b3BlbiBzZXNhbWU=", "x".repeat(285));
    for (status, body, said) in [
        (
            401,
            "Rejected Basic b3BlbiBzZXNhbWU= of sesame \"finance\"/".to_owned(),
            "Rejected [SECRET] of [SECRET]",
        ),
        (
            401,
            "The key b3BlbiBzZXNhbWU= is wrong".to_owned(),
            "The key [SECRET] is wrong",
        ),
        (
            404,
            "No /v1?api-version=2024-10-21&key=cupboard".to_owned(),
            "No /v1?api-version=2024-10-21&key=[SECRET]",
        ),
        (401, code.to_string(), "401 ([SECRET]): [SECRET]"),
        (
            401,
            code.to_string().replace('/', "\\/"),
            "401 ([SECRET]): [SECRET]",
        ),
        (
            200,
            json!({"error": {"code": 401, "message": "sesame \"finance\"/"}}).to_string(),
            "401: [SECRET]",
        ),
        (401, cut, "x [SECRET]"),
    ] {
        fake.always(Reply::raw(status, "text/plain", body));
        let decision = app.decide(ride()).await;
        let error = decision["steps"][0]["error"].as_str().unwrap();
        assert!(error.ends_with(said), "{error}");
        for secret in ["sesame", "cupboard", "b3Blbi"] {
            assert!(!decision.to_string().contains(secret), "{decision:#}");
        }
    }
    let headers = &fake.requests()[0].headers;
    assert_eq!(headers["authorization"], "Basic b3BlbiBzZXNhbWU=");
    assert_eq!(headers["x-team"], "sesame \"finance\"/");
}

#[test]
fn an_unusable_header_stops_the_start_and_its_value_is_not_printed() {
    for (header, why) in [
        ("x-key", "no \"=\""),
        ("x-key=sesame", "from a file or a variable"),
        ("x-key=@/no/such/file", "cannot be read"),
        ("x-key=$UNSET", "the variable UNSET is not set"),
        ("x-key=${UNSET}", "the variable UNSET is not set"),
        ("x-key=$", "from a file or a variable"),
        ("x-key=$$sesame", "from a file or a variable"),
        ("x-key=$open/sesame", "from a file or a variable"),
        ("x-key=${sesame", "from a file or a variable"),
        ("x-key: sesame=", "a name that no header can have"),
        ("x-key=$BROKEN", "cannot be sent"),
        ("x key=$TEAM", "a name that no header can have"),
        ("host=$TEAM", "which the service sets itself"),
        ("Baggage=$TEAM", "which the service sets itself"),
        ("traceparent=$TEAM", "which the service sets itself"),
        ("x-key=$TEAM,X-Key=$TEAM", "twice"),
    ] {
        let variables = [
            ("OPENAI_API_KEY", "sk-of-a-test"),
            ("TEAM", "finance"),
            ("BROKEN", "ses\u{7}ame"),
        ];
        let error = refused(&["--model-header", header], &variables);
        assert!(
            error.contains("--model-header") && error.contains(why),
            "{header}: {error}"
        );
        assert!(!error.contains("sesame"), "{header}: {error}");
    }
}

#[test]
fn parameters_that_make_every_answer_useless_stop_the_start() {
    let variables = [("OPENAI_API_KEY", "sk-of-a-test")];
    for (flag, value) in [("--max-tokens", "0"), ("--reasoning-effort", "a lot")] {
        let error = refused(&[flag, value], &variables);
        assert!(error.contains(flag), "{error}");
    }
}
