//! Reads the decisions of a period from the ledger, page by page.

use std::io::Write;

use crate::cli::audit::Progress;
use crate::cli::audit::run::Run;
use crate::cli::ledger::{note_if_empty, reading_ledger};
use crate::config::Config;
use crate::domain::overturned::judgement;
use crate::domain::step::Step;
use crate::ledger::{Period, StoredDecision};

/// Adds the decisions of a period that the ledger holds. Says in `notes` if the ledger is empty.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn read(
    config: &Config,
    period: Period,
    tenant_id: Option<&str>,
    progress: &mut Progress,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    reading_ledger(config, async |ledger| {
        let tenants = tenant_id.map(|tenant_id| ledger.recorded_tenants.names_of(tenant_id));
        let mut after = None;
        loop {
            let page = ledger.export(period, tenants.as_deref(), after).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.stored.decision.id);
            page.iter()
                .for_each(|exported| progress.add(run(&exported.stored)));
            progress.reached(last.stored.decision.received_at);
        }
        match after {
            Some(_) => Ok(()),
            None => note_if_empty(config, ledger, notes).await,
        }
    })
}

fn run(stored: &StoredDecision) -> Run {
    let StoredDecision {
        decision,
        resolution,
        ..
    } = stored;
    let mut rules: Vec<String> = decision
        .findings
        .iter()
        .map(|finding| finding.rule.clone())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let has_failed = |step: Step| {
        decision
            .validations
            .iter()
            .any(|check| check.step == step && check.failed_for_good())
    };
    let prompts = decision
        .steps
        .iter()
        .filter_map(|report| Some((report.step, report.prompt.as_ref()?)));
    Run {
        id: decision.id,
        trace_id: decision.trace_id.clone(),
        tenant_id: decision.tenant_id.clone(),
        category: decision.category.clone(),
        model: decision.asked_model().map(str::to_owned),
        outcome: decision.outcome.to_string(),
        agent_outcome: decision.agent_outcome.to_string(),
        is_override: decision.is_override,
        cost_usd: decision.cost_usd,
        rules,
        judgement: resolution
            .as_ref()
            .and_then(|resolution| judgement(decision, resolution)),
        failed_types: decision
            .failed_types()
            .iter()
            .map(ToString::to_string)
            .collect(),
        checks: decision
            .validations
            .iter()
            .map(|check| (check.kind.to_string(), check.failed_for_good()))
            .collect(),
        prompts: prompts
            .map(|(step, prompt)| {
                (
                    format!("{} {}", prompt.name, prompt.version),
                    has_failed(step),
                )
            })
            .collect(),
    }
}
