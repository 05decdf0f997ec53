//! The figures of the overview. `exact` compares them with the decisions that they count, `counting`
//! tests that every record is counted once, `plots` how they are drawn, and `view` what a person sees.

mod counting;
mod exact;
mod plots;
mod view;

use expense_agent::domain::figures::{Figures, Series, TimeRange, hour_of};
use expense_agent::ledger::{Filter, Ledger, PageRequest, StoredDecision};
use jiff::Timestamp;
use uuid::Uuid;

/// Counts all records of a tenant, and returns the figures of 30 days.
async fn counted(ledger: &Ledger, tenant_id: &str) -> Series {
    while ledger.count(tenant_id, 200).await.unwrap().n_behind() > 0 {}
    let range = TimeRange::Month;
    let figures = ledger.figures(tenant_id, range, Timestamp::now()).await;
    figures.unwrap()
}

/// The same figures, from the decisions that the list shows.
async fn recounted(ledger: &Ledger, tenant_id: &str) -> Series {
    let mut series = Series::new(TimeRange::Month, Timestamp::now());
    for stored in listed(ledger, tenant_id).await {
        let mut figures = Figures::of_decision(&stored.decision);
        if let Some(resolution) = &stored.resolution {
            figures.add(&Figures::of_resolution(&stored.decision, resolution));
        }
        let hour = hour_of(id_time(stored.decision.id));
        series.add(hour, &figures);
    }
    series
}

/// When the request of a decision was received, by its id.
fn id_time(id: Uuid) -> Timestamp {
    let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
    Timestamp::new(seconds.try_into().unwrap(), nanos.try_into().unwrap()).unwrap()
}

/// All decisions of a tenant that lists show.
async fn listed(ledger: &Ledger, tenant_id: &str) -> Vec<StoredDecision> {
    let mut all = Vec::new();
    let mut page = PageRequest {
        after: None,
        limit: 200,
    };
    loop {
        let read = ledger.list(tenant_id, None, &Filter::default(), page).await;
        let read = read.unwrap();
        all.extend(read.decisions);
        match read.next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
}
