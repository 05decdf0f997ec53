//! What differs between endpoints that speak OpenAI's chat completions API: which fields they
//! accept, how they authenticate, and by which name their spans and prices are found. The table in
//! `docs/configuration.md` says the same for operators. `tests/it/endpoints.rs` checks both against
//! the documentation of the endpoints.

use clap::ValueEnum;

/// The API of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelApi {
    /// OpenAI itself.
    Openai,
    /// Azure OpenAI.
    Azure,
    /// Google's Gemini, through its endpoint for OpenAI's clients.
    Gemini,
    /// Anthropic, through its endpoint for OpenAI's clients.
    Anthropic,
    /// Mistral.
    Mistral,
    /// Groq.
    Groq,
    /// DeepSeek.
    Deepseek,
    /// OpenRouter.
    Openrouter,
    /// Portkey, hosted or as a gateway of one's own.
    Portkey,
    /// Ollama.
    Ollama,
    /// vLLM.
    Vllm,
    /// The server of llama.cpp.
    LlamaCpp,
    /// Any other endpoint, such as LM Studio, SGLang or a proxy.
    Generic,
}

/// How an endpoint is asked for an answer of a certain form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseForm {
    /// `response_format` with the JSON Schema, which the endpoint enforces.
    JsonSchema,
    /// `response_format` that asks for any JSON object, and the schema in the prompt.
    JsonObject,
    /// The schema in the prompt alone.
    PromptOnly,
}

/// The field that limits the tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitName {
    /// `max_completion_tokens`, which includes reasoning.
    MaxCompletionTokens,
    /// `max_tokens`, the older name.
    MaxTokens,
}

/// The field of the sampling seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedName {
    /// `seed`.
    Seed,
    /// `random_seed`.
    RandomSeed,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `api-key: KEY`.
    ApiKey,
}

/// What an endpoint accepts, and by which name its spans and prices are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `gen_ai.provider.name`, and the provider whose prices count.
    pub provider: &'static str,
    /// How a request asks for the form of the answer.
    pub response_form: ResponseForm,
    /// The field that limits the tokens.
    pub limit_name: LimitName,
    /// The field of the seed; `None` when the endpoint has none.
    pub seed_name: Option<SeedName>,
    /// Whether the endpoint accepts `reasoning_effort`.
    pub takes_reasoning_effort: bool,
    /// The header of the key.
    pub key_header: KeyHeader,
}

/// What most endpoints accept: everything that OpenAI accepts.
const OPENAI: Profile = Profile {
    provider: "openai",
    response_form: ResponseForm::JsonSchema,
    limit_name: LimitName::MaxCompletionTokens,
    seed_name: Some(SeedName::Seed),
    takes_reasoning_effort: true,
    key_header: KeyHeader::Bearer,
};

/// What servers accept that operators run themselves. The limit has its older name, because Ollama
/// ignores the newer one.
const OWN_SERVER: Profile = Profile {
    provider: "openai_compatible",
    limit_name: LimitName::MaxTokens,
    ..OPENAI
};

impl Profile {
    /// The same profile under the name of another provider.
    fn of(self, provider: &'static str) -> Self {
        Self { provider, ..self }
    }
}

/// The domains of each API; hosts below a domain belong to the same API.
const HOSTS: [(&str, ModelApi); 15] = [
    ("api.openai.com", ModelApi::Openai),
    ("openai.azure.com", ModelApi::Azure),
    ("openai.azure.us", ModelApi::Azure),
    ("openai.azure.cn", ModelApi::Azure),
    ("services.ai.azure.com", ModelApi::Azure),
    ("cognitiveservices.azure.com", ModelApi::Azure),
    ("generativelanguage.googleapis.com", ModelApi::Gemini),
    ("aiplatform.googleapis.com", ModelApi::Gemini),
    ("api.anthropic.com", ModelApi::Anthropic),
    ("api.mistral.ai", ModelApi::Mistral),
    ("codestral.mistral.ai", ModelApi::Mistral),
    ("api.groq.com", ModelApi::Groq),
    ("api.deepseek.com", ModelApi::Deepseek),
    ("openrouter.ai", ModelApi::Openrouter),
    ("api.portkey.ai", ModelApi::Portkey),
];

impl ModelApi {
    /// The domains by which the API is recognised.
    pub fn domains(self) -> impl Iterator<Item = &'static str> {
        HOSTS
            .iter()
            .filter(move |(_, api)| *api == self)
            .map(|(domain, _)| *domain)
    }

    /// The API of the endpoint at a host and port; [`ModelApi::Generic`] when the host is unknown.
    pub fn of_host(host: &str, port: Option<u16>) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_at_or_below = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        /// The port of Ollama, which it listens on wherever it runs.
        const OLLAMA_PORT: u16 = 11_434;
        let known = HOSTS.iter().find(|(domain, _)| is_at_or_below(domain));
        match known {
            Some((_, api)) => *api,
            // Vertex AI names its regions in the first label:
            // europe-west1-aiplatform.googleapis.com.
            None if host.ends_with("-aiplatform.googleapis.com") => Self::Gemini,
            None if port == Some(OLLAMA_PORT) => Self::Ollama,
            None => Self::Generic,
        }
    }

    /// The path that every base URL of this API has; `None` when a base URL may have no path.
    pub fn usual_path(self) -> Option<&'static str> {
        match self {
            Self::Openai | Self::Mistral | Self::Anthropic | Self::Portkey | Self::Ollama => {
                Some("/v1")
            }
            Self::Azure => Some("/openai/v1"),
            Self::Gemini => Some("/v1beta/openai"),
            Self::Groq => Some("/openai/v1"),
            Self::Openrouter => Some("/api/v1"),
            Self::Deepseek | Self::Vllm | Self::LlamaCpp | Self::Generic => None,
        }
    }

    /// What the endpoint accepts in requests to `model`.
    pub fn profile(self, model: &str) -> Profile {
        match self {
            Self::Openai => OPENAI,
            Self::Azure => Profile {
                provider: "azure.ai.openai",
                key_header: KeyHeader::ApiKey,
                ..OPENAI
            },
            // Answers 400 to fields that it does not know, `seed` among them.
            Self::Gemini => Profile {
                provider: "gcp.gemini",
                seed_name: None,
                ..OPENAI
            },
            // Ignores `response_format` and `seed`.
            Self::Anthropic => Profile {
                provider: "anthropic",
                response_form: ResponseForm::PromptOnly,
                seed_name: None,
                takes_reasoning_effort: false,
                ..OPENAI
            },
            // Answers 422 to fields that it does not know.
            Self::Mistral => Profile {
                provider: "mistral_ai",
                limit_name: LimitName::MaxTokens,
                seed_name: Some(SeedName::RandomSeed),
                takes_reasoning_effort: false,
                ..OPENAI
            },
            // Only gpt-oss enforces a schema; other models answer 400 to `strict`.
            Self::Groq => Profile {
                provider: "groq",
                response_form: match model.contains("gpt-oss") {
                    true => ResponseForm::JsonSchema,
                    false => ResponseForm::JsonObject,
                },
                ..OPENAI
            },
            // Answers 400 to `json_schema`.
            Self::Deepseek => Profile {
                provider: "deepseek",
                response_form: ResponseForm::JsonObject,
                limit_name: LimitName::MaxTokens,
                seed_name: None,
                takes_reasoning_effort: false,
                ..OPENAI
            },
            Self::Openrouter => Profile {
                provider: "openrouter",
                limit_name: LimitName::MaxTokens,
                ..OPENAI
            },
            Self::Portkey => OPENAI.of("portkey"),
            Self::Ollama => OWN_SERVER.of("ollama"),
            Self::Vllm => OWN_SERVER.of("vllm"),
            Self::LlamaCpp => OWN_SERVER.of("llama_cpp"),
            Self::Generic => OWN_SERVER,
        }
    }
}
