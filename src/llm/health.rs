//! Whether the model's endpoint answers at all: a wrong key, URL or model name fails every call,
//! while the service itself is ready. `/readyz?verbose` shows the failed calls. The circuit breaker
//! does not notice them, because an endpoint that rejects every call is up.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::Serialize;

use crate::llm::{ChatModel, ChatRequest, ModelError, ModelInfo, Reply};
use crate::lock::lock;

/// The calls that failed since the last one that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FailedCalls {
    /// How many, each with all of its retries.
    pub n_calls: u64,
    /// `error.type` of the last one: an HTTP status, or a word such as `connection`.
    pub error_type: String,
    /// The endpoint's own code, such as `invalid_api_key`, at most 128 characters.
    pub code: Option<String>,
}

/// How the last calls of a model ended, shared by its callers and by readers.
#[derive(Debug, Default)]
pub struct EndpointHealth(Mutex<Option<FailedCalls>>);

impl EndpointHealth {
    /// The calls that failed in a row; `None` when the last one was answered, and before the first.
    pub fn failed_calls(&self) -> Option<FailedCalls> {
        lock(&self.0).clone()
    }

    fn note(&self, answered: Result<(), &ModelError>) {
        let mut failed = lock(&self.0);
        *failed = answered.err().map(|error| FailedCalls {
            n_calls: failed.as_ref().map_or(0, |failed| failed.n_calls) + 1,
            error_type: error.error_type(),
            code: error.code().map(str::to_owned),
        });
    }
}

/// A model whose replies are counted in its health.
pub struct Watched<M> {
    model: M,
    health: Arc<EndpointHealth>,
}

impl<M: ChatModel> Watched<M> {
    /// Watches the replies of a model.
    pub fn new(model: M, health: Arc<EndpointHealth>) -> Self {
        Self { model, health }
    }
}

#[async_trait]
impl<M: ChatModel> ChatModel for Watched<M> {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    async fn chat(&self, request: &ChatRequest<'_>) -> Reply {
        let reply = self.model.chat(request).await;
        self.health.note(reply.answer.as_ref().map(|_| ()));
        reply
    }
}
