//! A ledger of an earlier version, which compared names as they were written. `ledger-0.1.0.sql` holds
//! the rows that version 0.1.0 wrote for people, a trip, merchants and a tenant in odd spellings.

use expense_agent::ledger::{Filter, Ledger, PageRequest, Store};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::migrate::Migrator;

use crate::harness::TestApp;
use crate::harness::binary::{run, text};
use crate::harness::expenses::{DAY, laptop, meal, of_user};
use crate::harness::store::{TestStore, on_each_store};

const ROWS: &str = include_str!("../data/ledger-0.1.0.sql");
/// Meals of one person on one day, in all spellings: 70.00 of a cap of 75.00.
const JOSE: [&str; 3] = ["Jos\u{e9}", "Jose\u{301}", "JOS\u{c9}"];

/// Fills a new database with the tables and rows of version 0.1.0.
pub(crate) async fn write_earlier_ledger(store: &TestStore) {
    let pool = store.connect().await;
    let mut folders = vec!["src/ledger/migrations"];
    if matches!(store.store, Store::Sqlite(_)) {
        folders.push("src/ledger/migrations/sqlite");
    }
    for folder in folders {
        let mut migrator = Migrator::new(std::path::Path::new(folder)).await.unwrap();
        migrator
            .migrations
            .to_mut()
            .retain(|migration| migration.version <= 10);
        migrator.set_ignore_missing(true);
        migrator.run(&pool).await.unwrap();
    }
    pool.close().await;
    store.execute(ROWS).await;
}

/// What a person has used of the cap on the meals of the day, read from a denial.
async fn used(app: &TestApp, user_id: &str, headers: &[(&str, &str)]) -> Value {
    let reply = app
        .post_with(of_user(meal("76.00"), user_id), headers)
        .await;
    assert_eq!(reply.status, 201, "{:#}", reply.body);
    reply.body["findings"][0]["used"].clone()
}

#[tokio::test]
async fn people_trips_and_tenants_of_an_earlier_ledger_are_found_in_every_spelling() {
    on_each_store(async |store| {
        write_earlier_ledger(&store).await;
        let app = TestApp::on(&store).await;
        for user_id in JOSE.into_iter().chain(["jos\u{e9}\u{200b}"]) {
            assert_eq!(used(&app, user_id, &[]).await, "70.00", "{user_id:?}");
        }
        // A trip, and the purchases of a year.
        let more = json!({
            "transaction": "Hotel", "amount": "400.00", "date": DAY, "receipt": true,
            "user_id": "ANA", "trip_id": "Z\u{fc}rich 3",
        });
        assert_eq!(app.decide(more).await["findings"][0]["used"], "200.00");
        let more = app.decide(of_user(laptop("1600.00"), "ana")).await;
        assert_eq!(more["findings"][0]["used"], "1000.00");
        // A tenant keeps the spelling with which its hash chain began.
        for tenant in ["acm%C3%A9", "acme%CC%81", "acme%CC%81%E2%80%8B"] {
            let baggage = format!("tenant.id={tenant}");
            let headers = [("baggage", baggage.as_str())];
            assert_eq!(used(&app, "KIM", &headers).await, "70.00", "{tenant}");
            let page = app
                .get_with("/v1/expenses?outcome=approved", &headers)
                .await;
            assert_eq!(page.body["decisions"][0]["tenant_id"], "acme\u{301}");
        }
        let page = app
            .get("/v1/expenses?outcome=approved&user_id=JOSE%CC%81")
            .await;
        let written: Vec<&str> = page.body["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|decision| decision["user_id"].as_str().unwrap())
            .collect();
        assert_eq!(written, ["JOS\u{c9}", "Jose\u{301}", "Jos\u{e9}"]);
        let ledger = Ledger::open(&store.store).await.unwrap();
        for tenant in ledger.tenants().await.unwrap() {
            assert_eq!(ledger.walk(&tenant, None).await.unwrap().broken, None);
        }
        ledger.close().await;
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_is_recorded_in_two_spellings_keeps_two_chains_and_commands_find_both() {
    let store = TestStore::sqlite();
    write_earlier_ledger(&store).await;
    // A new chain begins while the earlier one is out of sight.
    let hide = "UPDATE chain_head SET seq = -seq WHERE tenant_id = 'acme\u{301}'";
    store.execute(hide).await;
    let app = TestApp::on(&store).await;
    let headers = [("baggage", "tenant.id=acme%CC%81")];
    app.post_with(of_user(meal("5.00"), "kim"), &headers).await;
    app.stop().await;
    store.execute(hide).await;
    let app = TestApp::on(&store).await;
    let page = app.get_with("/v1/expenses?user_id=kim", &headers).await;
    let decisions = page.body["decisions"].as_array().unwrap();
    let tenants: Vec<&Value> = decisions.iter().map(|one| &one["tenant_id"]).collect();
    assert_eq!(
        tenants,
        ["acm\u{e9}"],
        "requests see the chain of the one spelling"
    );
    app.stop().await;
    for tenant in ["acm\u{e9}", "acme\u{301}", "acme\u{301}\u{200b}"] {
        let command = async |arguments: &[&str]| {
            let named = ["--tenant", tenant, "--data", store.folder()];
            let output = run(&[arguments, &named].concat(), &[]).await;
            assert!(output.status.success(), "{output:?}");
            text(output.stdout)
        };
        let verified = command(&["ledger", "verify"]).await;
        assert_eq!(verified.lines().count(), 2, "{verified}");
        let period = ["--from", "2020-01-01", "--to", "2100-01-01"];
        let exported = command(&[&["export", "--format", "ndjson"], &period[..]].concat()).await;
        let names: Vec<Value> = exported
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["tenant_id"].take())
            .collect();
        assert_eq!(names, ["acme\u{301}", "acm\u{e9}"]);
        let audit = command(&[&["audit", "--json"], &period[..]].concat()).await;
        let audit: Value = serde_json::from_str(&audit).unwrap();
        assert_eq!(audit["semantic_errors"]["of"], 2, "{audit:#}");
    }
    let erase = [
        "ledger",
        "erase",
        "--user",
        "KIM",
        "--tenant",
        "acm\u{e9}",
        "--data",
        store.folder(),
    ];
    let erased = text(run(&erase, &[]).await.stdout);
    assert!(erased.contains("of 2 records"), "{erased}");
}

#[tokio::test]
async fn merchants_of_an_earlier_ledger_are_stored_in_their_one_spelling() {
    on_each_store(async |store| {
        write_earlier_ledger(&store).await;
        Ledger::open(&store.store).await.unwrap().close().await;
        assert_eq!(
            store
                .column(
                    "SELECT user_id || ': ' || merchant FROM merchant_usage ORDER BY decision_id"
                )
                .await,
            [
                "jos\u{e9}: caf\u{e9} royal",
                "jos\u{e9}: caf\u{e9} royal",
                "ana: hotel z\u{fc}rich"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn several_processes_that_migrate_an_earlier_ledger_at_once_count_every_share_once() {
    on_each_store(async |store| {
        write_earlier_ledger(&store).await;
        for opened in join_all((0..6).map(|_| Ledger::open(&store.store))).await {
            opened.unwrap().close().await;
        }
        let app = TestApp::on(&store).await;
        assert_eq!(used(&app, "jos\u{e9}", &[]).await, "70.00");
        app.stop().await;
        // A process of the earlier version that still runs adds to the row that it knows.
        store
            .execute(
                "UPDATE cap_usage SET used_minor = used_minor + 300
                 WHERE user_id = 'JOS\u{c9}' AND time_window = 'day'",
            )
            .await;
        let app = TestApp::on(&store).await;
        assert_eq!(used(&app, "jos\u{e9}", &[]).await, "73.00");
        app.stop().await;
        let sums =
            "SELECT 'x' FROM cap_usage WHERE carried_minor IS NULL OR carried_minor <> used_minor";
        assert!(store.column(sums).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_person_is_erased_in_every_spelling() {
    on_each_store(async |store| {
        write_earlier_ledger(&store).await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.erase("default", "jose\u{301}").await.unwrap(), 3);
        let filter = Filter {
            user_id: Some("Jos\u{e9}".to_owned()),
            ..Filter::default()
        };
        let request = PageRequest {
            after: None,
            limit: 10,
        };
        let page = ledger
            .list("default", None, &filter, request)
            .await
            .unwrap();
        assert_eq!(page.decisions.len(), 3);
        for stored in page.decisions {
            let text = stored.decision.expense.transaction;
            assert!(text.starts_with("sha256:"), "{text}");
        }
        assert_eq!(
            store.column("SELECT user_id FROM merchant_usage").await,
            ["ana"]
        );
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_new_ledger_adds_up_all_spellings_of_a_person_and_keeps_each_as_written() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let trip = |user_id: &str, trip_id: &str| {
            json!({
                "transaction": "Hotel", "amount": "200.00", "date": DAY, "receipt": true,
                "user_id": user_id, "trip_id": trip_id,
            })
        };
        for (body, outcome) in [
            (of_user(meal("70.00"), "Jos\u{e9}"), "approved"),
            (of_user(meal("6.00"), "JOSE\u{301}"), "denied"),
            (of_user(meal("5.00"), "\u{ff2a}os\u{e9}"), "approved"),
            (trip("ana", "Z\u{fc}rich"), "approved"),
            (trip("Ana", "Zu\u{308}rich"), "approved"),
            (trip("ana", "Zu\u{ad}\u{308}rich"), "denied"),
            // A trip keeps its case.
            (trip("ana", "Z\u{dc}RICH"), "approved"),
        ] {
            let decision = app.decide(body.clone()).await;
            assert_eq!(decision["outcome"], outcome, "{body}");
            assert_eq!(decision["user_id"], body["user_id"]);
            assert_eq!(decision["trip_id"], body["trip_id"]);
        }
        app.stop().await;
    })
    .await;
}
