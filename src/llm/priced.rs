//! A decorator that adds the cost to the replies of a model. The price table is in
//! `rulebook::prices`.

use async_trait::async_trait;

use crate::clock::Clock;
use crate::llm::{ChatModel, ChatRequest, ModelInfo, Reply};

/// A model whose replies have a cost, by the prices in the rulebook of the request.
pub struct Priced<M> {
    model: M,
    clock: Clock,
}

impl<M: ChatModel> Priced<M> {
    /// Adds costs to the replies of a model; the clock determines which prices are valid.
    pub fn new(model: M, clock: Clock) -> Self {
        Self { model, clock }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for Priced<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let mut reply = self.model.chat(request).await;
        if let Ok(answer) = &reply.answer
            && let Some(usage) = answer.usage
        {
            let prices = &request.rulebook.prices;
            let today = self.clock.today();
            reply.cost = prices.cost(self.info().provider, &answer.model, usage, today);
        }
        reply
    }
}
