//! Tokens to money, by a dated price table that stands outside the code. An unknown model has no cost: nothing here
//! guesses.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::domain::decision::Cost;
use crate::llm::{Answer, ChatModel, ChatRequest, ModelInfo, Reply};

/// Prices are quoted for a million tokens.
const TOKENS_PER_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What tokens cost, by provider and model, from which day on.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    by_model: BTreeMap<(String, String), Vec<Price>>,
}

/// One entry of the table. Prices are US dollars for a million tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    provider: String,
    models: Vec<String>,
    effective_from: Date,
    #[serde(with = "rust_decimal::serde::str")]
    input_per_million: Decimal,
    #[serde(with = "rust_decimal::serde::str")]
    cached_input_per_million: Decimal,
    #[serde(with = "rust_decimal::serde::str")]
    output_per_million: Decimal,
    #[expect(dead_code, reason = "it tells the reader of the table where a figure is from")]
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    price: Vec<Price>,
}

/// The price table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("{0}: cannot be read; every policies folder has a tables/prices.toml")]
    Read(String, #[source] std::io::Error),
    /// The file is not a price table.
    #[error("{0}: is no price table")]
    Parse(String, #[source] toml::de::Error),
}

impl Prices {
    /// Reads the price table of a policies folder.
    ///
    /// # Errors
    /// When the file cannot be read, or one of its entries is wrong.
    pub fn load(file: &Path) -> Result<Self, PricesError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| PricesError::Read(name.clone(), error))?;
        Self::parse(&text).map_err(|error| PricesError::Parse(name, error))
    }

    /// Reads a price table from its text.
    ///
    /// # Errors
    /// When one of its entries is wrong; the error names line and key.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let File { price } = toml::from_str(text)?;
        let mut by_model: BTreeMap<_, Vec<Price>> = BTreeMap::new();
        for entry in price {
            for model in &entry.models {
                by_model.entry((entry.provider.clone(), model.clone())).or_default().push(entry.clone());
            }
        }
        for entries in by_model.values_mut() {
            entries.sort_by_key(|entry| entry.effective_from);
        }
        Ok(Self { by_model })
    }

    /// What an answer cost on a day; `None` when its tokens are not known, or nobody wrote down its model's price.
    pub fn cost(&self, provider: &str, answer: &Answer, day: Date) -> Option<Cost> {
        let entries = self.by_model.get(&(provider.to_owned(), answer.model.clone()))?;
        let price = entries.iter().rev().find(|price| price.effective_from <= day)?;
        let usage = answer.usage?;
        let n_cached = usage.cached_tokens.unwrap_or(0).min(usage.input_tokens);
        let n_fresh = usage.input_tokens - n_cached;
        let charge = |n_tokens: u64, price: Decimal| Decimal::from(n_tokens) * price / TOKENS_PER_PRICE;
        let prompt = charge(n_fresh, price.input_per_million) + charge(n_cached, price.cached_input_per_million);
        let completion = charge(usage.output_tokens, price.output_per_million);
        Some(Cost {
            total: (prompt + completion).normalize(),
            prompt: prompt.normalize(),
            completion: completion.normalize(),
            source: format!("prices.toml {} {} {}", price.provider, answer.model, price.effective_from),
        })
    }
}

/// A model whose replies say what they cost.
pub struct Priced<M> {
    model: M,
    prices: Prices,
    today: crate::clock::Clock,
}

impl<M: ChatModel> Priced<M> {
    /// Puts prices on a model's replies.
    pub fn new(model: M, prices: Prices, today: crate::clock::Clock) -> Self {
        Self { model, prices, today }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for Priced<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let mut reply = self.model.chat(request).await;
        if let Ok(answer) = &reply.answer {
            reply.cost = self.prices.cost(self.info().provider, answer, self.today.today());
        }
        reply
    }
}
