//! The search of decisions: every condition finds exactly what it names, pages join without a gap, and
//! a search that finds little stops after a bounded number of decisions and says where.

use expense_agent::config::Config;
use expense_agent::config::model::ModelConfig;
use expense_agent::ledger::search::{Content, MAX_COMPARED, Search};
use expense_agent::ledger::{Filter, Ledger, PageRequest};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::harness::expenses::{expense, flight, id_of, laptop, meal, ride, taxi};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, config};

const FIRST: PageRequest = PageRequest {
    after: None,
    limit: 200,
};

/// Decisions of every outcome, some with a failed check or an override, newest first.
async fn decide_many(store: &TestStore) -> Vec<Value> {
    let config = Config {
        store: store.store.clone(),
        model: ModelConfig::Offline {
            faults: vec![
                "approve_everything:0.4".parse().unwrap(),
                "misclassify:0.3".parse().unwrap(),
            ],
            fault_seed: 3,
        },
        ..config()
    };
    let app = TestApp::with(config).await;
    let mut zurich = expense("Zug nach Zürich", "12.00");
    zurich["merchant"] = json!("Café Straße");
    let bodies = [
        flight(),
        meal("40.00"),
        ride(),
        laptop("900.00"),
        taxi(),
        zurich,
    ];
    for body in bodies.iter().cycle().take(24) {
        app.decide(body.clone()).await;
    }
    let all = app.get("/v1/expenses?limit=200").await.body;
    app.stop().await;
    all["decisions"].as_array().unwrap().clone()
}

/// Whether a decision as JSON is wanted.
type IsWanted = Box<dyn Fn(&Value) -> bool>;

/// A condition, and the same condition on the JSON of a decision.
fn case(
    set: impl FnOnce(&mut Content),
    is_wanted: impl Fn(&Value) -> bool + 'static,
) -> (Content, IsWanted) {
    let mut content = Content::default();
    set(&mut content);
    (content, Box::new(is_wanted))
}

fn has_failed_check(decision: &Value) -> bool {
    let checks = decision["validations"].as_array().unwrap();
    checks
        .iter()
        .any(|check| check["passed"] == false && check["repaired"] == false)
}

fn has_prompt(decision: &Value, name: Option<&str>, version: Option<&str>) -> bool {
    let mut steps = decision["steps"].as_array().unwrap().iter();
    steps.any(|step| {
        let prompt = &step["prompt"];
        !prompt.is_null()
            && name.is_none_or(|name| prompt["name"] == name)
            && version.is_none_or(|version| prompt["version"] == version)
    })
}

fn has_timed_step(decision: &Value, name: &str) -> bool {
    let mut steps = decision["steps"].as_array().unwrap().iter();
    steps.any(|step| step["step"] == name && !step["duration_ms"].is_null())
}

fn has_failed(decision: &Value, kind: &str) -> bool {
    let mut checks = decision["validations"].as_array().unwrap().iter();
    checks.any(|check| {
        check["type"] == kind && check["passed"] == false && check["repaired"] == false
    })
}

fn cases() -> Vec<(Content, IsWanted)> {
    let transaction_has = |word: &'static str| {
        move |decision: &Value| decision["transaction"].as_str().unwrap().contains(word)
    };
    let mut cases = vec![
        case(
            |content| content.rule = Some("travel-trip-cap".to_owned()),
            |decision| {
                let mut findings = decision["findings"].as_array().unwrap().iter();
                findings.any(|finding| finding["rule"] == "travel-trip-cap")
            },
        ),
        case(
            |content| content.rule = Some("travel-trip".to_owned()),
            |_| false,
        ),
        case(
            |content| content.model = Some("offline".to_owned()),
            |decision| decision["model"] == "offline",
        ),
        case(
            |content| content.model = Some("another".to_owned()),
            |_| false,
        ),
        case(
            |content| content.prompt = Some("classify".to_owned()),
            |decision| has_prompt(decision, Some("classify"), None),
        ),
        case(
            |content| {
                content.prompt = Some("decide".to_owned());
                content.prompt_version = Some("1".to_owned());
            },
            |decision| has_prompt(decision, Some("decide"), Some("1")),
        ),
        case(
            |content| content.prompt_version = Some("999".to_owned()),
            |_| false,
        ),
        case(
            |content| content.timed_step = Some("decide".to_owned()),
            |decision| has_timed_step(decision, "decide"),
        ),
        case(
            |content| content.timed_step = Some("dec".to_owned()),
            |_| false,
        ),
        case(
            |content| content.text = Some("UBER cli".to_owned()),
            transaction_has("Uber"),
        ),
        case(|content| content.text = Some("ber".to_owned()), |_| false),
        case(
            |content| content.text = Some("ZÜRICH strasse cafe\u{301}".to_owned()),
            transaction_has("Zug"),
        ),
        case(
            |content| content.text = Some(" \u{200b}".to_owned()),
            |_| true,
        ),
    ];
    for wanted in [true, false] {
        cases.push(case(
            |content| content.is_override = Some(wanted),
            move |decision| decision["override"] == wanted,
        ));
        cases.push(case(
            |content| content.has_failed_check = Some(wanted),
            move |decision| has_failed_check(decision) == wanted,
        ));
        cases.push(case(
            |content| content.is_priced = Some(wanted),
            move |decision| decision["cost_usd"].is_null() != wanted,
        ));
        cases.push(case(
            |content| content.is_resolved = Some(wanted),
            move |decision| decision["resolution"].is_null() != wanted,
        ));
    }
    for outcome in ["success", "corrected", "escalated", "error"] {
        cases.push(case(
            |content| content.agent_outcome = Some(outcome.parse().unwrap()),
            move |decision| decision["agent_outcome"] == outcome,
        ));
    }
    cases
}

#[tokio::test]
async fn every_condition_finds_exactly_the_decisions_that_it_names() {
    on_each_store(async |store| {
        let all = decide_many(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        for (content, is_wanted) in cases() {
            for outcome in [None, Some("needs_review"), Some("denied")] {
                let search = Search {
                    filter: Filter {
                        outcome: outcome.map(|outcome| outcome.parse().unwrap()),
                        ..Filter::default()
                    },
                    content: content.clone(),
                };
                let found = ledger
                    .search("default", None, &search, FIRST)
                    .await
                    .unwrap();
                let found_ids: Vec<String> = found
                    .decisions
                    .iter()
                    .map(|stored| stored.decision.id.to_string())
                    .collect();
                let expected: Vec<&str> = all
                    .iter()
                    .filter(|decision| outcome.is_none_or(|outcome| decision["outcome"] == outcome))
                    .filter(|decision| is_wanted(decision))
                    .map(id_of)
                    .collect();
                assert_eq!(found_ids, expected, "{search:?}");
                assert_eq!((found.next, found.stopped), (None, None), "{search:?}");
            }
        }
        ledger.close().await;
    })
    .await;
}

/// A filter by one column, and whether a decision passes it.
fn column_cases() -> Vec<(Filter, IsWanted)> {
    let filter = Filter::default;
    let mut cases: Vec<(Filter, IsWanted)> = Vec::new();
    for outcome in ["approved", "needs_approval", "needs_review", "denied"] {
        let outcome_filter = Some(outcome.parse().unwrap());
        cases.push((
            Filter {
                outcome: outcome_filter,
                ..filter()
            },
            Box::new(move |decision| decision["outcome"] == outcome),
        ));
    }
    for category in ["travel", "meals", "office", "other"] {
        cases.push((
            Filter {
                category: Some(category.to_owned()),
                ..filter()
            },
            Box::new(move |decision| decision["category"] == category),
        ));
    }
    for role in ["manager", "director", "cfo"] {
        cases.push((
            Filter {
                pending: Some(role.parse().unwrap()),
                ..filter()
            },
            Box::new(move |decision| decision["approver"] == role || decision["reviewer"] == role),
        ));
    }
    for user in ["ana", "anonymous"] {
        cases.push((
            Filter {
                user_id: Some(user.to_owned()),
                ..filter()
            },
            Box::new(move |decision| decision["user_id"] == user),
        ));
    }
    cases
}

#[tokio::test]
async fn a_failed_check_can_be_combined_with_every_other_filter() {
    on_each_store(async |store| {
        let all = decide_many(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let mut n_listed = 0;
        for kind in ["category_evidence", "decision_consistency", "tool_result"] {
            for (mut filter, is_wanted) in column_cases() {
                filter.failed_validation = Some(kind.parse().unwrap());
                for seen_by in [None, Some("ana")] {
                    let expected: Vec<&str> = all
                        .iter()
                        .filter(|decision| has_failed(decision, kind) && is_wanted(decision))
                        .filter(|decision| seen_by.is_none_or(|user| decision["user_id"] == user))
                        .map(id_of)
                        .collect();
                    let page = ledger
                        .list("default", seen_by, &filter, FIRST)
                        .await
                        .unwrap();
                    let listed = page
                        .decisions
                        .iter()
                        .map(|stored| stored.decision.id.to_string());
                    assert_eq!(listed.collect::<Vec<_>>(), expected, "{filter:?}");
                    n_listed += expected.len();
                }
            }
        }
        assert!(n_listed > 0);
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_of_a_search_hold_every_match_once() {
    on_each_store(async |store| {
        decide_many(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let search = Search {
            content: Content {
                text: Some("uber".to_owned()),
                ..Content::default()
            },
            ..Search::default()
        };
        let whole = ledger
            .search("default", None, &search, FIRST)
            .await
            .unwrap();
        let ids = |decisions: &[expense_agent::ledger::StoredDecision]| {
            decisions
                .iter()
                .map(|stored| stored.decision.id)
                .collect::<Vec<_>>()
        };
        let whole = ids(&whole.decisions);
        assert_eq!(whole.len(), 4);
        for limit in 1..=5 {
            let mut joined = Vec::new();
            let mut page = PageRequest { after: None, limit };
            loop {
                let found = ledger.search("default", None, &search, page).await.unwrap();
                joined.extend(ids(&found.decisions));
                match found.next {
                    Some(next) => page.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(joined, whole, "{limit} on a page");
        }
        ledger.close().await;
    })
    .await;
}

/// Adds copies of a decision that are newer than all others.
async fn add_copies(store: &TestStore, id: &str, n_copies: u32) {
    let sql = format!(
        "INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, person)
         WITH RECURSIVE numbered (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbered WHERE n < {n_copies})
         SELECT 'ff' || SUBSTR(id, 3, 22) || CAST(100000000000 + n AS TEXT), tenant_id, user_id, outcome, category, trace_id,
             REPLACE(document, id, 'ff' || SUBSTR(id, 3, 22) || CAST(100000000000 + n AS TEXT)), person
         FROM decision, numbered WHERE id = '{id}'"
    );
    store.execute(AssertSqlSafe(sql)).await;
}

#[tokio::test]
async fn a_search_stops_after_a_bounded_number_of_decisions_and_continues_from_there() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let rare = app.decide(expense("Ferry to Bornholm", "20.00")).await;
        let common = app.decide(ride()).await;
        app.stop().await;
        add_copies(&store, id_of(&common), MAX_COMPARED).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let search = Search {
            content: Content {
                text: Some("bornholm".to_owned()),
                ..Content::default()
            },
            ..Search::default()
        };
        let page = PageRequest {
            after: None,
            limit: 50,
        };
        let first = ledger.search("default", None, &search, page).await.unwrap();
        assert!(first.decisions.is_empty());
        assert_eq!(first.stopped.unwrap().n_compared, MAX_COMPARED);
        assert_eq!(
            first.stopped.unwrap().received_at.to_string(),
            common["received_at"].as_str().unwrap()
        );
        let after = first.next;
        assert!(after.is_some());
        let second = ledger
            .search("default", None, &search, PageRequest { after, ..page })
            .await
            .unwrap();
        assert_eq!(second.decisions.len(), 1);
        assert_eq!(second.decisions[0].decision.id.to_string(), id_of(&rare));
        assert_eq!((second.next, second.stopped), (None, None));
        // An outcome is read from its index, so nothing else is compared.
        let mut narrow = search.clone();
        narrow.filter.outcome = Some("denied".parse().unwrap());
        let none = ledger.search("default", None, &narrow, page).await.unwrap();
        assert!(none.decisions.is_empty() && none.stopped.is_none());
        ledger.close().await;
    })
    .await;
}

/// When a decision was received, by its id.
fn id_time(id: &str) -> jiff::Timestamp {
    let (seconds, nanos) = id
        .parse::<Uuid>()
        .unwrap()
        .get_timestamp()
        .unwrap()
        .to_unix();
    jiff::Timestamp::new(seconds.try_into().unwrap(), nanos.try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn a_period_includes_its_first_moment_and_excludes_its_end() {
    on_each_store(async |store| {
        let all = decide_many(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        let (newer, older) = (id_time(id_of(&all[4])), id_time(id_of(&all[15])));
        for failed in [
            None,
            Some("category_evidence"),
            Some("decision_consistency"),
        ] {
            let filter = Filter {
                received_from: Some(older),
                received_until: Some(newer),
                failed_validation: failed.map(|kind| kind.parse().unwrap()),
                ..Filter::default()
            };
            let page = ledger.list("default", None, &filter, FIRST).await.unwrap();
            let listed: Vec<String> = page
                .decisions
                .iter()
                .map(|stored| stored.decision.id.to_string())
                .collect();
            let expected: Vec<&str> = all
                .iter()
                .filter(|decision| (older..newer).contains(&id_time(id_of(decision))))
                .filter(|decision| failed.is_none_or(|kind| has_failed(decision, kind)))
                .map(id_of)
                .collect();
            assert_eq!(listed, expected, "{failed:?}");
            assert!(failed.is_some() || !listed.is_empty());
        }
        ledger.close().await;
    })
    .await;
}
