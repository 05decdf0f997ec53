//! Settings of the model: which one is asked, with which parameters, and what happens when it does
//! not answer.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use humantime::parse_duration;
use secrecy::{ExposeSecret, SecretString};

use crate::config::endpoint::{self, OPENAI_BASE_URL};
use crate::config::{check_limit, secret};
use crate::llm::breaker::BreakerLimits;
use crate::llm::endpoint::{ModelApi, Profile};
use crate::llm::openai::OpenAiConfig;
use crate::offline;
use crate::offline::fault::{self, FaultRate};
use crate::telemetry::settings::{Variables, variable};

/// The model that is asked when there is a key and no model is named.
const DEFAULT_OPENAI_MODEL: &str = "gpt-4o-mini";

/// Calls at once to a model server on this machine. Few such servers work on more at once. Even one
/// that works on a single call at a time answers the last of four within `--model-timeout`, as long
/// as no answer takes longer than a quarter of that time.
const LOCAL_CONCURRENCY: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");
/// Calls at once to any other endpoint: as many as requests in progress by default. Such endpoints
/// serve many callers, and answer 429 when they are overloaded.
const REMOTE_CONCURRENCY: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

/// Names by which Docker and Podman let a container reach the machine that it runs on.
const HOSTS_OF_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Flags and variables of the model.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelSettings {
    /// `offline`, or the name of an OpenAI model [default: gpt-4o-mini with a key or a base URL,
    /// otherwise offline]
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL")]
    #[arg(value_name = "NAME")]
    pub model: Option<String>,

    /// The API of the endpoint, which says what may be sent to it [default: by the host of
    /// `OPENAI_BASE_URL`, and `generic` for a host that is not known]
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_API")]
    #[arg(value_name = "API")]
    pub model_api: Option<ModelApi>,

    /// Send a header with every model call, its value read from a file or a variable: NAME=@FILE or
    /// NAME=$VARIABLE; may be given several times
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_HEADER")]
    #[arg(
        value_name = "NAME=SOURCE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub model_header: Vec<String>,

    /// Maximum number of tokens in one answer, at least 1; when unset, the endpoint decides
    #[arg(long, global = true, env = "EXPENSE_AGENT_MAX_TOKENS")]
    #[arg(value_name = "TOKENS")]
    pub max_tokens: Option<u32>,

    /// Sampling temperature from 0 to 2; not sent when unset, because reasoning models reject it
    #[arg(long, global = true, env = "EXPENSE_AGENT_TEMPERATURE")]
    #[arg(value_name = "NUMBER")]
    pub temperature: Option<f64>,

    /// Sampling seed; not sent when unset
    #[arg(long, global = true, env = "EXPENSE_AGENT_SEED")]
    #[arg(value_name = "NUMBER")]
    pub seed: Option<i64>,

    /// How much a reasoning model reasons, such as `low`; not sent when unset
    #[arg(long, global = true, env = "EXPENSE_AGENT_REASONING_EFFORT")]
    #[arg(value_name = "EFFORT")]
    pub reasoning_effort: Option<String>,

    /// Time limit of one attempt of a model call
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_TIMEOUT")]
    #[arg(value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub model_timeout: Duration,

    /// Retries of a model call when the endpoint is overloaded or cannot be reached
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_RETRIES")]
    #[arg(value_name = "COUNT", default_value_t = 3)]
    pub model_retries: usize,

    /// Maximum number of model calls at once; further ones wait, within the deadline of their
    /// request, and a request whose calls cannot be made in time is refused with 503 [default: 4
    /// for an endpoint on this machine, otherwise 256]
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_CONCURRENCY")]
    #[arg(value_name = "COUNT")]
    pub model_concurrency: Option<NonZeroU32>,

    /// Consecutive failed model calls, retries included, that open the circuit breaker; while it is
    /// open, expenses that need the model go to review at once; 0 disables it
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_BREAKER_FAILURES")]
    #[arg(value_name = "N", default_value_t = 5)]
    pub model_breaker_failures: u32,

    /// How long the circuit breaker stays open before it lets one call through as a probe
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_BREAKER_COOL_DOWN")]
    #[arg(value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub model_breaker_cool_down: Duration,

    /// Let the model see card numbers, addresses and keys as they were written, instead of
    /// placeholders such as `[CARD]`
    #[arg(long, global = true, env = "EXPENSE_AGENT_RAW_PROMPTS")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub raw_prompts: bool,

    /// Send the trace context (`traceparent`, never baggage) to the model's endpoint
    #[arg(long, global = true, env = "EXPENSE_AGENT_PROPAGATE_TO_MODEL")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub propagate_to_model: bool,

    /// Inject faults into the offline model: FAULT:RATE, such as misclassify:0.12; repeatable
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_FAULT")]
    #[arg(value_name = "FAULT:RATE", value_delimiter = ',', long_help = fault::help())]
    pub model_fault: Vec<FaultRate>,

    /// Seed of the injected faults; the same seed affects the same questions
    #[arg(long, global = true, env = "EXPENSE_AGENT_MODEL_FAULT_SEED")]
    #[arg(value_name = "NUMBER", default_value_t = 1)]
    pub model_fault_seed: u64,
}

/// A model, and how to reach it.
#[derive(Clone, Debug)]
pub enum ModelConfig {
    /// The offline model, in this process.
    Offline {
        /// The faults it injects into its answers.
        faults: Vec<FaultRate>,
        /// Selects the questions that they affect.
        fault_seed: u64,
    },
    /// OpenAI, or an endpoint compatible with it.
    OpenAi(Box<OpenAiConfig>),
}

impl ModelSettings {
    /// The circuit breaker's limits; `None` when it is disabled.
    pub(super) fn breaker(&self) -> Option<BreakerLimits> {
        BreakerLimits::new(self.model_breaker_failures, self.model_breaker_cool_down)
    }

    /// How many calls of the model are made at once; `None`, which means any number, for the offline
    /// model: it runs in this process.
    pub(super) fn concurrency(&self, model: &ModelConfig) -> Option<NonZeroU32> {
        let ModelConfig::OpenAi(openai) = model else {
            return None;
        };
        let default = match is_on_this_machine(&openai.base_url) {
            true => LOCAL_CONCURRENCY,
            false => REMOTE_CONCURRENCY,
        };
        Some(self.model_concurrency.unwrap_or(default))
    }

    /// Checks the settings, and adds what is wrong with them to `errors`. `None` when the URL of
    /// the endpoint is invalid.
    pub(super) fn build(
        &self,
        variables: &Variables,
        errors: &mut Vec<String>,
    ) -> Option<ModelConfig> {
        self.check_ranges(errors);
        let api_key = secret::read("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", variables, errors);
        let api_key = api_key.map(|found| found.secret);
        let has_endpoint = api_key.is_some() || variable(variables, "OPENAI_BASE_URL").is_some();
        let name = self.model.as_deref().filter(|name| !name.is_empty());
        let is_offline = match name {
            Some(name) => name == "offline" || name == offline::MODEL,
            None => !has_endpoint,
        };
        if is_offline {
            return Some(ModelConfig::Offline {
                faults: self.model_fault.clone(),
                fault_seed: self.model_fault_seed,
            });
        }
        if !self.model_fault.is_empty() {
            let repair = "add --model offline, or leave it out";
            errors.push(format!(
                "--model-fault applies to the offline model only; {repair}"
            ));
        }
        if !has_endpoint {
            errors.push(format!(
                "--model {} needs a key; set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint without keys",
                name.unwrap_or_default()
            ));
        }
        let model = name.unwrap_or(DEFAULT_OPENAI_MODEL);
        let config = self.openai(model, api_key, variables, errors)?;
        Some(ModelConfig::OpenAi(Box::new(config)))
    }

    /// Where the endpoint is, how `model` is asked there, and which headers and parameters are
    /// sent.
    fn openai(
        &self,
        model: &str,
        api_key: Option<SecretString>,
        variables: &Variables,
        errors: &mut Vec<String>,
    ) -> Option<OpenAiConfig> {
        let organization = variable(variables, "OPENAI_ORG_ID");
        let project = variable(variables, "OPENAI_PROJECT_ID");
        let key_text = api_key.as_ref().map(ExposeSecret::expose_secret);
        check_header("OPENAI_API_KEY", key_text, errors);
        check_header("OPENAI_ORG_ID", organization, errors);
        check_header("OPENAI_PROJECT_ID", project, errors);
        let headers = endpoint::headers(&self.model_header, variables, errors);
        let base_url = variable(variables, "OPENAI_BASE_URL").unwrap_or(OPENAI_BASE_URL);
        let base_url = endpoint::base_url(base_url, self.model_api, errors)?;
        let host = base_url.host_str().unwrap_or_default();
        let guessed = || ModelApi::of_host(host, base_url.port_or_known_default());
        let api = self.model_api.unwrap_or_else(guessed);
        self.check_parameters(api, model, errors);
        Some(OpenAiConfig {
            base_url,
            api,
            headers,
            api_key: api_key.unwrap_or_default(),
            organization: organization.unwrap_or_default().to_owned(),
            project: project.unwrap_or_default().to_owned(),
            model: model.to_owned(),
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            seed: self.seed,
            reasoning_effort: self.reasoning_effort.clone(),
            attempt_timeout: self.model_timeout,
            max_retries: self.model_retries,
        })
    }

    /// Checks the settings that are numbers or times.
    fn check_ranges(&self, errors: &mut Vec<String>) {
        check_limit("--model-timeout", self.model_timeout, errors);
        check_limit(
            "--model-breaker-cool-down",
            self.model_breaker_cool_down,
            errors,
        );
        if self
            .temperature
            .is_some_and(|given| !(0.0..=2.0).contains(&given))
        {
            errors.push("--temperature is out of range; write a number from 0 to 2".to_owned());
        }
        if self.max_tokens == Some(0) {
            errors.push(
                "--max-tokens is 0, which would cut off every answer; write a number from 1, or \
                 leave it out"
                    .to_owned(),
            );
        }
        let is_word = |effort: &String| {
            !effort.is_empty() && effort.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if self
            .reasoning_effort
            .as_ref()
            .is_some_and(|effort| !is_word(effort))
        {
            errors.push("--reasoning-effort is not a word; write one such as \"low\"".to_owned());
        }
    }

    /// Checks that the endpoint accepts the parameters that are set. If it ignored one, the
    /// operator would not notice; if it refused one, every call would fail.
    fn check_parameters(&self, api: ModelApi, model: &str, errors: &mut Vec<String>) {
        let Profile {
            provider,
            seed_name,
            takes_reasoning_effort,
            ..
        } = api.profile(model);
        for (flag, is_refused) in [
            ("--seed", self.seed.is_some() && seed_name.is_none()),
            (
                "--reasoning-effort",
                self.reasoning_effort.is_some() && !takes_reasoning_effort,
            ),
        ] {
            if is_refused {
                errors.push(format!(
                    "{flag} does not exist in the API of {provider}; leave it out, or name another \
                     API with --model-api"
                ));
            }
        }
    }
}

/// Checks that a value can be sent in a header.
fn check_header(name: &str, value: Option<&str>, errors: &mut Vec<String>) {
    if value.is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
        errors.push(format!(
            "{name} has characters that a header cannot carry; write visible ASCII characters"
        ));
    }
}

/// Whether an endpoint is on this machine, by its address or by a name.
fn is_on_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => {
            host == "localhost"
                || host.ends_with(".localhost")
                || HOSTS_OF_CONTAINERS.contains(&host)
        }
    }
}
