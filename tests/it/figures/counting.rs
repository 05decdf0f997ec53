//! Every record is counted once: whichever replicas count at the same time, however few records each
//! counts, and wherever one of them is killed.

use expense_agent::domain::decision::Decision;
use expense_agent::domain::resolution::{Action, Resolution};
use expense_agent::domain::ruling::Role;
use expense_agent::ledger::{CapChange, Ledger, Store, StoredDecision};
use futures_util::future::join_all;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::task::yield_now;
use uuid::Uuid;

use super::{counted, recounted};
use crate::harness::TestApp;
use crate::harness::binary::Service;
use crate::harness::expenses::{expense, flight, laptop, numbered_ride, ride};
use crate::harness::store::{TestStore, on_each_store};

/// Decisions to copy, of several outcomes.
const N_TEMPLATES: usize = 4;

/// Something that happens to the ledger of one tenant.
#[derive(Clone, Debug)]
enum Event {
    /// A decision is recorded, so many hours ago.
    Decide { template: usize, hours_ago: u8 },
    /// An open decision is resolved.
    Resolve { nth: usize, action: Action },
    /// An open decision is superseded by one of another hour.
    Supersede { nth: usize, template: usize },
    /// Several replicas count at once, each so many records.
    Count(Vec<u32>),
    /// A replica counts, and stops somewhere in it.
    Crash { limit: u32, n_polls: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let template = 0..N_TEMPLATES;
    let action = prop_oneof![
        Just(Action::Approve),
        Just(Action::Deny),
        Just(Action::Withdraw)
    ];
    prop_oneof![
        4 => (template.clone(), 0..=200_u8).prop_map(|(template, hours_ago)| Event::Decide { template, hours_ago }),
        2 => (0..10_usize, action).prop_map(|(nth, action)| Event::Resolve { nth, action }),
        1 => (0..10_usize, template).prop_map(|(nth, template)| Event::Supersede { nth, template }),
        3 => prop::collection::vec(1..=4_u32, 1..=3).prop_map(Event::Count),
        2 => (1..=4_u32, 0..12_usize).prop_map(|(limit, n_polls)| Event::Crash { limit, n_polls }),
    ]
}

/// Two replicas on one ledger, and decisions to copy.
struct Replicas {
    ledgers: [Ledger; 2],
    templates: Vec<Decision>,
}

impl Replicas {
    async fn on(store: &TestStore) -> Self {
        let app = TestApp::on(store).await;
        let mut odd = expense("Team lunch", "20.00");
        odd["mcc"] = "4511".into();
        let bodies = [ride(), flight(), laptop("900.00"), odd];
        let ids = join_all(bodies.into_iter().map(|body| app.decide(body))).await;
        app.stop().await;
        let ledgers = [
            Ledger::open(&store.store).await.unwrap(),
            Ledger::open(&store.store).await.unwrap(),
        ];
        let mut templates = Vec::new();
        for decided in ids {
            let id = decided["id"].as_str().unwrap().parse().unwrap();
            let stored = ledgers[0].get("default", id).await.unwrap().unwrap();
            templates.push(stored.decision);
        }
        assert_eq!(templates.len(), N_TEMPLATES);
        Self { ledgers, templates }
    }

    async fn decide(
        &self,
        tenant_id: &str,
        template: usize,
        hours_ago: u8,
        supersedes: Option<Uuid>,
    ) -> Decision {
        let received_at = Timestamp::now() - i64::from(hours_ago).hours();
        let millis = u64::try_from(received_at.as_millisecond()).unwrap();
        let random: [u8; 10] = Uuid::new_v4().as_bytes()[..10].try_into().unwrap();
        let mut decision = Decision {
            id: uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid(),
            tenant_id: tenant_id.to_owned(),
            received_at,
            supersedes,
            ..self.templates[template].clone()
        };
        let recorded = self.ledgers[0]
            .record(&mut decision, CapChange::None, None)
            .await;
        recorded.unwrap();
        decision
    }

    async fn resolve(&self, decision: &Decision, action: Action) {
        let open = StoredDecision::new(decision.clone());
        let is_approved = action == Action::Approve;
        let mut resolution = Resolution {
            id: Uuid::now_v7(),
            expense_id: decision.id,
            action,
            role: Some(Role::Cfo),
            actor: "dora".to_owned(),
            api_key: "cfo".to_owned(),
            reason: "Agreed".to_owned(),
            amount: is_approved.then_some(decision.expense.amount),
            credited: None,
            converted_amount: None,
            category: decision.category.clone().filter(|_| is_approved),
            exceptions: Vec::new(),
            awaits: Vec::new(),
            tenant_id: decision.tenant_id.clone(),
            trace_id: decision.trace_id.clone(),
            resolved_at: Timestamp::now(),
        };
        let resolved = self.ledgers[1]
            .resolve(&open, &mut resolution, CapChange::None)
            .await;
        resolved.unwrap();
    }

    /// Applies events to a new tenant, and compares its figures with its list.
    async fn check(&self, tenant_id: &str, events: &[Event]) {
        let mut open = Vec::new();
        for event in events {
            match event {
                Event::Decide {
                    template,
                    hours_ago,
                } => {
                    let decision = self.decide(tenant_id, *template, *hours_ago, None).await;
                    open.extend(decision.pending().map(|_| decision));
                }
                Event::Resolve { nth, action } if *nth < open.len() => {
                    self.resolve(&open.remove(*nth), *action).await;
                }
                Event::Supersede { nth, template } if *nth < open.len() => {
                    let old = open.remove(*nth).id;
                    let newer = self.decide(tenant_id, *template, 0, Some(old)).await;
                    open.extend(newer.pending().map(|_| newer));
                }
                Event::Resolve { .. } | Event::Supersede { .. } => {}
                Event::Count(limits) => {
                    let replicas = limits.iter().zip(self.ledgers.iter().cycle());
                    let counts = replicas.map(|(limit, ledger)| ledger.count(tenant_id, *limit));
                    for counted in join_all(counts).await {
                        counted.unwrap();
                    }
                }
                Event::Crash { limit, n_polls } => {
                    let later = async {
                        for _ in 0..*n_polls {
                            yield_now().await;
                        }
                    };
                    tokio::select! {
                        biased;
                        () = later => {}
                        counted = self.ledgers[1].count(tenant_id, *limit) => drop(counted.unwrap()),
                    }
                }
            }
        }
        let figures = counted(&self.ledgers[0], tenant_id).await;
        let expected = recounted(&self.ledgers[1], tenant_id).await;
        assert_eq!(figures, expected, "{tenant_id}: {events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_those_of_the_list_whoever_counts_and_wherever_one_is_killed() {
    on_each_store(async |store| {
        let replicas = Replicas::on(&store).await;
        let mut runner = TestRunner::deterministic();
        for n in 0..24 {
            let events = prop::collection::vec(event(), 0..30).new_tree(&mut runner);
            let events = events.unwrap().current();
            replicas.check(&format!("tenant-{n}"), &events).await;
        }
        for ledger in &replicas.ledgers {
            ledger.close().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_is_killed_while_it_counts_counts_nothing_twice() {
    on_each_store(async |store| {
        let url = store.postgres_url().unwrap_or_default().to_owned();
        let folder = match &store.store {
            Store::Sqlite(folder) => folder.to_str().unwrap().to_owned(),
            Store::Postgres(_) => String::new(),
        };
        let (arguments, variables) = match folder.is_empty() {
            true => (vec![], vec![("DATABASE_URL", &*url)]),
            false => (vec!["--data", &*folder], vec![]),
        };
        for round in 0..3 {
            let service = Service::start(&arguments, &variables).await;
            for n in 0..5 {
                let (status, _) = service.post(numbered_ride(10 * round + n)).await;
                assert_eq!(status, 201);
            }
            // The looks are answered or cut off; some are counting when the service is killed.
            let page = format!("{}/ui/", service.url);
            let looks = join_all((0..8).map(|_| reqwest::get(&page)));
            tokio::join!(looks, service.signal("KILL"));
            service.ended().await;
        }
        let ledger = Ledger::open(&store.store).await.unwrap();
        let figures = counted(&ledger, "default").await;
        assert_eq!(figures, recounted(&ledger, "default").await);
        assert_eq!(figures.total.n_decisions(), 15);
        ledger.close().await;
    })
    .await;
}
