//! A person says what they think of a decision, or takes it back. The decision, its outcome and the
//! caps stay as they are. What a resolution implies is put on the trace here too, but recorded only
//! with the resolution.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::agent::Agent;
use crate::agent::people::{ActorError, actor, is_own};
use crate::domain::decision::Decision;
use crate::domain::feedback::{Feedback, FeedbackName, FeedbackRequest, FeedbackSource};
use crate::domain::overturned::derived;
use crate::domain::resolution::Resolution;
use crate::domain::step::Step;
use crate::keys::ApiKey;
use crate::ledger::{LedgerError, StoredDecision};
use crate::rulebook::Rulebook;
use crate::telemetry::spans::step::step;

/// Feedback that a person gives, and what came with the request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The decision that it is about.
    pub stored: StoredDecision,
    /// What of the decision.
    pub name: FeedbackName,
    /// What the person says; without label and comment, the person takes back what they said.
    pub wanted: FeedbackRequest,
    /// The API key of the request.
    pub api_key: Arc<ApiKey>,
    /// The policies loaded today, whose categories a person can name.
    pub rulebook: Rulebook,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// When the request came in.
    pub received_at: Timestamp,
}

/// Feedback that holds.
#[derive(Clone, Debug)]
pub struct Given {
    /// The decision that it is about.
    pub decision: Decision,
    /// The feedback.
    pub feedback: Feedback,
    /// The hash of the record that holds it; absent when an earlier request recorded it, or there was
    /// nothing to take back.
    pub record_hash: Option<String>,
    /// Whether the person said it just now.
    pub is_new: bool,
}

/// Why feedback was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// It is not known who gives it.
    #[error(transparent)]
    Actor(#[from] ActorError),
    /// The label is not the name of a category.
    #[error("no policy has this category; write one of {0}")]
    UnknownCategory(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Agent {
    /// Records what a person says of a decision. It is in the ledger when this returns.
    ///
    /// # Errors
    /// When it is not known who gives the feedback, the label is no category, or the ledger fails.
    pub async fn give_feedback(&self, request: &Request) -> Result<Given, FeedbackError> {
        let author = actor(&request.api_key, request.wanted.actor.as_deref())?;
        check_category(request)?;
        let given = step(Step::Feedback(request.name), async {
            let decision = request.stored.decision.clone();
            let submitters = self.submitters(&decision).await?;
            let source = match is_own(&decision, &submitters, &request.api_key, &author) {
                true => FeedbackSource::Employee,
                false => FeedbackSource::Person,
            };
            let feedback = feedback_of(request, author, source);
            let write = async { Ok(self.ledger.record_feedback(feedback).await?) };
            let (feedback, record_hash) = self.recording(Step::RecordFeedback, write).await?;
            Ok::<_, LedgerError>(Given {
                decision,
                feedback,
                is_new: record_hash.is_some(),
                record_hash,
            })
        });
        Ok(given.await?)
    }

    /// Puts on the trace what a new resolution says of its decision. The record of the resolution
    /// holds it.
    pub(super) async fn imply_feedback(&self, decision: &Decision, resolution: &Resolution) {
        for feedback in derived(decision, resolution) {
            let given = Given {
                decision: decision.clone(),
                // It is on the span of the resolution.
                record_hash: None,
                is_new: true,
                feedback,
            };
            step(Step::Feedback(given.feedback.name), async { given }).await;
        }
    }
}

/// Checks that a category that a person names is one of a policy, or the decision's own.
fn check_category(request: &Request) -> Result<(), FeedbackError> {
    let Some(label) = &request.wanted.label else {
        return Ok(());
    };
    let mut categories = request.rulebook.policies.categories();
    let is_known = request.name != FeedbackName::Category
        || request.stored.decision.category.as_ref() == Some(label)
        || categories.any(|category| category == label);
    match is_known {
        true => Ok(()),
        false => {
            let categories: Vec<&str> = request.rulebook.policies.categories().collect();
            Err(FeedbackError::UnknownCategory(categories.join(", ")))
        }
    }
}

fn feedback_of(request: &Request, author: String, source: FeedbackSource) -> Feedback {
    let FeedbackRequest { label, comment, .. } = request.wanted.clone();
    Feedback {
        // The ledger replaces it when it records the feedback.
        id: Uuid::now_v7(),
        expense_id: request.stored.decision.id,
        name: request.name,
        taken_back: label.is_none() && comment.is_none(),
        label,
        comment,
        author,
        api_key: request.api_key.id.clone(),
        source,
        tenant_id: request.stored.decision.tenant_id.clone(),
        trace_id: request.trace_id.clone(),
        given_at: request.received_at,
    }
}
