//! What tokens cost, from the dated table `tables/prices.toml`. A model that is not in the table has
//! no cost; nothing is estimated.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::step::Cost;
use crate::domain::tokens::TokenUsage;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::table::{Table, filled_list};
use crate::toml_reader::values::{DATE, TEXT, date, filled_text};
use crate::toml_reader::{self, Source};

/// Prices are per million tokens.
const TOKENS_PER_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The most decimals of a price.
const MAX_PRICE_DECIMALS: u32 = 6;

/// Prices by provider and model, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    by_model: BTreeMap<(String, String), Vec<Price>>,
}

/// One entry of the table. Prices are in US dollars per million tokens.
#[derive(Clone, Debug)]
struct Price {
    provider: String,
    models: Vec<String>,
    effective_from: Date,
    input_per_million: Decimal,
    cached_input_per_million: Decimal,
    output_per_million: Decimal,
}

impl Prices {
    /// Parses a table of prices.
    ///
    /// # Errors
    /// With all diagnostics of the table.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut by_model: BTreeMap<_, Vec<Price>> = BTreeMap::new();
        for entry in toml_reader::parse(file, text, parse_prices)? {
            for model in &entry.models {
                by_model
                    .entry((entry.provider.clone(), model.clone()))
                    .or_default()
                    .push(entry.clone());
            }
        }
        for entries in by_model.values_mut() {
            entries.sort_by_key(|entry| entry.effective_from);
        }
        Ok(Self { by_model })
    }

    /// The cost of an answer on a day; `None` when the table has no price for the model that gave
    /// the answer.
    pub fn cost(&self, provider: &str, model: &str, usage: TokenUsage, day: Date) -> Option<Cost> {
        let entries = self
            .by_model
            .get(&(provider.to_owned(), model.to_owned()))?;
        let price = entries
            .iter()
            .rev()
            .find(|price| price.effective_from <= day)?;
        let n_cached = usage.cached_tokens.unwrap_or(0).min(usage.input_tokens);
        let n_fresh = usage.input_tokens - n_cached;
        let charge =
            |n_tokens: u64, price: Decimal| Decimal::from(n_tokens) * price / TOKENS_PER_PRICE;
        let prompt = charge(n_fresh, price.input_per_million)
            + charge(n_cached, price.cached_input_per_million);
        let completion = charge(usage.output_tokens, price.output_per_million);
        Some(Cost {
            total: (prompt + completion).normalize(),
            prompt: prompt.normalize(),
            completion: completion.normalize(),
            source: format!(
                "prices.toml {} {} {}",
                price.provider, model, price.effective_from
            ),
        })
    }
}

fn parse_prices(source: &mut Source<'_>) -> Option<Vec<Price>> {
    let mut claims = Claims::default();
    source.tables_of("price", |source, table, at| {
        let provider = table.required(source, "provider", TEXT, filled_text);
        let models = filled_list(
            source,
            table,
            "models",
            "names such as \"gpt-4o\"",
            |name| (!name.is_empty()).then(|| name.to_owned()),
        );
        let effective_from = table.required(source, "effective_from", DATE, date);
        let input_per_million = price(source, table, "input_per_million");
        let cached_input_per_million = price(source, table, "cached_input_per_million");
        let output_per_million = price(source, table, "output_per_million");
        // Only for people, who have to know where a price comes from.
        table.required(source, "source", TEXT, filled_text);
        let (provider, models, effective_from) = (provider?, models?, effective_from?);
        for model in &models {
            claims.claim(
                source,
                at,
                &format!("the price of {provider} {model} from {effective_from} on"),
                "",
            );
        }
        Some(Price {
            provider,
            models,
            effective_from,
            input_per_million: input_per_million?,
            cached_input_per_million: cached_input_per_million?,
            output_per_million: output_per_million?,
        })
    })
}

fn price(source: &mut Source<'_>, table: &mut Table<'_, '_>, key: &'static str) -> Option<Decimal> {
    table.decimal(
        source,
        key,
        MAX_PRICE_DECIMALS,
        "a decimal in quotes such as \"1.25\", with at most six decimals",
    )
}
