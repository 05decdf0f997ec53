//! A model whose replies carry their cost. The price table is in `rulebook::prices`.

use async_trait::async_trait;

use crate::clock::Clock;
use crate::llm::{ChatModel, ChatRequest, ModelInfo, Reply};

/// A model whose replies say what they cost, by the prices that came with the question.
pub struct Priced<M> {
    model: M,
    clock: Clock,
}

impl<M: ChatModel> Priced<M> {
    /// Puts prices on a model's replies.
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
