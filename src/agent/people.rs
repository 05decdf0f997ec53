//! The people around an expense: who acts with an API key, who handed the expense in, and whose it
//! is. A resolution and feedback ask the same questions.

use crate::agent::Agent;
use crate::domain::decision::{Decision, Submitter};
use crate::keys::ApiKey;
use crate::ledger::LedgerError;
use crate::spelling::is_same_person;

/// Why it is not known who acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// The key belongs to another person than the one who is named.
    #[error("this key belongs to {0}; omit `actor`, or send the key of the person who acts")]
    Another(String),
    /// The key belongs to no single person, and no person is named.
    #[error("this key belongs to no single person; write the person who acts")]
    Unnamed,
}

/// Who acts: the person whom the key belongs to, else the one who is named.
///
/// # Errors
/// When the key and the name contradict each other, or there is neither.
pub fn actor(api_key: &ApiKey, named: Option<&str>) -> Result<String, ActorError> {
    match (api_key.user_id.as_deref(), named) {
        (Some(user_id), Some(actor)) if !is_same_person(user_id, actor) => {
            Err(ActorError::Another(user_id.to_owned()))
        }
        (Some(actor), _) | (None, Some(actor)) => Ok(actor.to_owned()),
        (None, None) => Err(ActorError::Unnamed),
    }
}

/// Whether an expense is the actor's own, or the actor handed it in. A key that handed it in also
/// counts as the actor's if it belongs to a person now or did then: changing its user in the file of
/// keys does not change who holds it.
pub fn is_own(
    decision: &Decision,
    submitters: &[Submitter],
    api_key: &ApiKey,
    actor: &str,
) -> bool {
    let is_actor = |user_id: &str| is_same_person(actor, user_id);
    is_actor(&decision.expense.user_id)
        || submitters.iter().any(|submitter| {
            let is_personal = submitter.user_id.is_some() || api_key.user_id.is_some();
            submitter.people().any(is_actor) || (is_personal && submitter.api_key == api_key.id)
        })
}

impl Agent {
    /// Who handed an expense in, also before it was decided anew.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) async fn submitters(
        &self,
        decision: &Decision,
    ) -> Result<Vec<Submitter>, LedgerError> {
        let mut submitters = Vec::from_iter(decision.submitted_by.clone());
        let mut superseded = decision.supersedes;
        while let Some(id) = superseded {
            let older = self.ledger.get(&decision.tenant_id, id).await?;
            superseded = older.as_ref().and_then(|older| older.decision.supersedes);
            submitters.extend(older.and_then(|older| older.decision.submitted_by));
        }
        Ok(submitters)
    }
}
