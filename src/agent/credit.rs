//! Credits: money that comes back of a purchase. There is nothing to advise on and nothing to
//! judge, so no model is asked and no policy looked up: the category is the purchase's, and what is
//! freed of its caps is arithmetic.

use std::time::Instant;

use crate::agent::{Agent, Case, Recorded};
use crate::domain::decision::{AgentOutcome, Decision};
use crate::domain::expense::ConvertedAmount;
use crate::domain::ruling::Outcome;
use crate::ledger::{Effect, Entry, LedgerError, RecordError};

impl Agent {
    /// Records a credit, and gives its part of the purchase's share of the caps back.
    pub(super) async fn record_credit(
        &self,
        case: &Case,
        purchase: &Entry,
    ) -> Result<Recorded, LedgerError> {
        let started = Instant::now();
        let mut decision = self.conclude_credit(case, purchase);
        let record_hash = match self
            .ledger
            .record(&mut decision, Effect::Free(purchase), case.key.as_ref())
            .await
        {
            // What it is filed under, and how much it has taken, is what the person said.
            Err(RecordError::Settled) if purchase.resolution.is_none() => {
                let settled = self
                    .ledger
                    .get(&case.tenant_id, purchase.decision.id)
                    .await?;
                return Box::pin(self.record_credit(case, &settled.ok_or(LedgerError::Contended)?))
                    .await;
            }
            result => result?,
        };
        Ok(Recorded {
            decision,
            record_hash,
            record_duration: started.elapsed(),
            n_caps_moved: 0,
        })
    }

    fn conclude_credit(&self, case: &Case, purchase: &Entry) -> Decision {
        let expense = &case.expense;
        let bought = &purchase.decision;
        Decision {
            id: case.id,
            outcome: Outcome::Approved,
            category: purchase.category().map(str::to_owned),
            reason: format!(
                "Gives {} {} back of purchase {}.",
                -expense.amount, expense.currency, bought.id
            ),
            approver: None,
            reviewer: None,
            missing: Vec::new(),
            findings: Vec::new(),
            // The ledger notes both.
            reimbursable: None,
            duplicates: Vec::new(),
            validations: Vec::new(),
            policy_verdict: None,
            model_decision: None,
            agent_outcome: AgentOutcome::Success,
            is_override: false,
            cap_moved: false,
            category_corroborated: bought.category_corroborated,
            policy: bought.policy.clone(),
            model: self.model.info().model.clone(),
            steps: Vec::new(),
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: None,
            trace_id: case.trace_id.clone(),
            span_id: case.span_id.clone(),
            tenant_id: case.tenant_id.clone(),
            received_at: case.received_at,
            expense: expense.clone(),
            // At the purchase's rate, or a rate that moved would free more than was taken.
            converted_amount: purchase.converted_amount().map(|bought| {
                let back = bought.of(-expense.amount);
                ConvertedAmount {
                    amount: -back.amount,
                    ..back
                }
            }),
        }
    }
}
