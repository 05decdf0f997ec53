//! The table of the APIs of endpoints, generated from what is sent to each.

use clap::ValueEnum;
use expense_agent::llm::endpoint::{KeyHeader, LimitName, ModelApi, ResponseForm, SeedName};

use super::{as_code, table};

/// A model that is not one of those that Groq treats differently.
const ANY_MODEL: &str = "any";

/// Every API, with the hosts it is recognised by and what is sent to it.
pub(super) fn endpoints_table() -> String {
    let row = |api: &ModelApi| {
        let profile = api.profile(ANY_MODEL);
        let domains: Vec<_> = api.domains().map(as_code).collect();
        let domains = match api {
            ModelApi::Ollama => "port 11434".to_owned(),
            ModelApi::Generic => "every other host".to_owned(),
            _ => domains.join(", "),
        };
        let form = match profile.response_form {
            ResponseForm::JsonSchema => "`json_schema`",
            ResponseForm::JsonObject if *api == ModelApi::Groq => {
                "`json_schema` for gpt-oss, else `json_object` and the schema in the prompt"
            }
            ResponseForm::JsonObject => "`json_object` and the schema in the prompt",
            ResponseForm::PromptOnly => "the schema in the prompt alone",
        };
        let limit = match profile.limit_name {
            LimitName::MaxCompletionTokens => "`max_completion_tokens`",
            LimitName::MaxTokens => "`max_tokens`",
        };
        let seed = match profile.seed_name {
            Some(SeedName::Seed) => "`seed`",
            Some(SeedName::RandomSeed) => "`random_seed`",
            None => "–",
        };
        let effort = match profile.takes_reasoning_effort {
            true => "`reasoning_effort`",
            false => "–",
        };
        let key = match profile.key_header {
            KeyHeader::Bearer => "`Authorization: Bearer`",
            KeyHeader::ApiKey => "`api-key`",
        };
        let name = api.to_possible_value().expect("every API has a name");
        [
            as_code(name.get_name()),
            domains,
            form.to_owned(),
            limit.to_owned(),
            seed.to_owned(),
            effort.to_owned(),
            key.to_owned(),
            as_code(profile.provider),
        ]
    };
    table(
        [
            "`--model-api`",
            "Recognised by",
            "Form of the answer",
            "`--max-tokens`",
            "`--seed`",
            "`--reasoning-effort`",
            "Key",
            "`gen_ai.provider.name`",
        ],
        ModelApi::value_variants().iter().map(row),
    )
}
