//! Recording what came of a run: a write to the ledger, inside a span of its own. Most of its time is
//! the wait in the writer queue and for the disk. The write itself is in `ledger`.

use tokio::time::Instant;

use crate::agent::classify::Classification;
use crate::agent::combine::Steps;
use crate::agent::decide::Advice;
use crate::agent::lookup::{Lookup, lookup};
use crate::agent::supersede::RunError;
use crate::agent::{Agent, Case, MAX_RECORD_ATTEMPTS, Recorded};
use crate::domain::step::Step;
use crate::ledger::{CapChange, Database, LedgerError, RecordError};
use crate::telemetry::spans::step::step;

/// The result of recording something.
#[derive(Debug)]
pub struct Recording<T> {
    /// The database of the ledger.
    pub database: Database,
    /// How often another expense took a share of a cap between verdict and record.
    pub n_caps_moved: u32,
    /// What was recorded, or why nothing was.
    pub result: Result<T, RecordError>,
}

impl Agent {
    /// Runs one write to the ledger as a step. A write that was refused because a cap moved is not a
    /// failure of the step: the caller may compute the verdict again and make another attempt.
    ///
    /// # Errors
    /// Those of the write.
    pub async fn recording<T: Send>(
        &self,
        part: Step,
        write: impl Future<Output = Result<T, RecordError>> + Send,
    ) -> Result<T, RecordError> {
        let recording = step(part, async {
            let result = write.await;
            Recording {
                database: self.ledger.database(),
                n_caps_moved: u32::from(matches!(result, Err(RecordError::CapMoved))),
                result,
            }
        });
        recording.await.result
    }

    /// Records the decision, and takes its share of the caps in the same transaction. If another
    /// expense took a share of a cap meanwhile, verdict and outcome are computed again, so that the
    /// answer is what was recorded. The repeated lookups make no spans: they belong to the recording.
    pub(super) async fn record(
        &self,
        case: &Case,
        classification: &Classification,
        mut looked_up: Option<Lookup>,
        advice: Option<Advice>,
    ) -> Result<Recorded, RunError> {
        let started = Instant::now();
        let recording = step(Step::RecordDecision, async {
            let mut n_caps_moved = 0;
            let result = loop {
                let steps = Steps {
                    classification,
                    lookup: looked_up.as_ref(),
                    advice: advice.as_ref(),
                };
                let mut decision = self.conclude(case, &steps, n_caps_moved > 0);
                let change = steps
                    .found()
                    .map_or(CapChange::None, |found| CapChange::Take(&found.reservation));
                let claim = case.idempotency.as_ref();
                match self.ledger.record(&mut decision, change, claim).await {
                    Ok(record_hash) => {
                        break Ok(Recorded {
                            decision,
                            record_hash,
                            record_duration: started.elapsed(),
                            superseded: case.supersedes.clone(),
                        });
                    }
                    Err(RecordError::CapMoved) => n_caps_moved += 1,
                    Err(error) => break Err(error),
                }
                if n_caps_moved == MAX_RECORD_ATTEMPTS {
                    break Err(LedgerError::Contended.into());
                }
                if let Some(before) = &mut looked_up {
                    let rivals = &classification.rivals;
                    match lookup(&self.ledger, &case.judged, &before.category, rivals).await {
                        Ok(again) => {
                            (before.found, before.ambiguity) = (again.found, again.ambiguity);
                        }
                        Err(error) => break Err(error.into()),
                    }
                }
            };
            Recording {
                database: self.ledger.database(),
                n_caps_moved,
                result,
            }
        });
        Ok(recording.await.result?)
    }
}
