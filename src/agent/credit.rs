//! Credits: money that comes back from a purchase. There is nothing to advise on and nothing to
//! judge, so no model is asked and no policy is looked up: the category is the purchase's, and what
//! its caps get back is arithmetic.

use std::time::Instant;

use crate::agent::{Agent, Case, Recorded};
use crate::domain::decision::Decision;
use crate::domain::expense::ConvertedAmount;
use crate::domain::ruling::Outcome;
use crate::ledger::{CapChange, LedgerError, RecordError, StoredDecision};

impl Agent {
    /// Records a credit, and frees its part of the purchase's share of the caps.
    pub(super) async fn record_credit(
        &self,
        case: &Case,
        purchase: &StoredDecision,
    ) -> Result<Recorded, RecordError> {
        let started = Instant::now();
        let mut decision = self.conclude_credit(case, purchase);
        let record_hash = match self
            .ledger
            .record(
                &mut decision,
                CapChange::Credit(purchase),
                case.idempotency.as_ref(),
            )
            .await
        {
            // A person resolved the purchase meanwhile, which may have changed its category and its
            // share, so the credit is computed again from the resolution.
            Err(RecordError::AlreadyResolved) if purchase.resolution.is_none() => {
                let resolved = self
                    .ledger
                    .get(&case.judged.tenant_id, purchase.decision.id)
                    .await?
                    .ok_or(LedgerError::Contended)?;
                return Box::pin(self.record_credit(case, &resolved)).await;
            }
            result => result?,
        };
        Ok(Recorded {
            decision,
            record_hash,
            record_duration: started.elapsed(),
            superseded: None,
        })
    }

    fn conclude_credit(&self, case: &Case, purchase: &StoredDecision) -> Decision {
        let expense = &case.judged.expense;
        let bought = &purchase.decision;
        Decision {
            category: purchase.category().map(str::to_owned),
            category_corroborated: bought.category_corroborated,
            policy: bought.policy.clone(),
            // At the purchase's own rate: another rate could free more than was taken.
            converted_amount: purchase.converted_amount().map(|converted| {
                let back = converted.of(-expense.amount);
                ConvertedAmount {
                    amount: -back.amount,
                    ..back
                }
            }),
            // The reason says what was returned, which only the ledger knows.
            ..self.bare_decision(case, Outcome::Approved, String::new())
        }
    }
}
