//! Tamper evidence: a change of the ledger that bypasses the service is found and named, and erasing
//! texts breaks no chain.

use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::domain::milliseconds::Milliseconds;
use expense_agent::ledger::seal::canonical;
use expense_agent::ledger::verify::Broken;
use expense_agent::ledger::{DbError, Ledger, LedgerError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::binary::{run, text};
use crate::harness::expenses::{id_of, laptop, numbered_ride, of_user};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::{TestApp, assert_golden, config};

/// The first record of a store's chain that is not valid.
async fn broken(store: &TestStore) -> Option<Broken> {
    let ledger = Ledger::open(&store.store).await.unwrap();
    let walk = ledger.walk("default", None).await.unwrap();
    ledger.close().await;
    walk.broken
}

#[tokio::test]
async fn every_change_that_bypasses_the_service_is_found_and_named() {
    // A change to a ledger of five decisions, the number of the record that is named, and why.
    for (tampering, seq, problem) in [
        (
            "UPDATE decision SET document = REPLACE(document, '\"amount\":\"45.00\"', \
             '\"amount\":\"45.01\"')
             WHERE id = (SELECT record_id FROM chain WHERE seq = 3)",
            3,
            "its document was changed, or a record before it was",
        ),
        (
            "UPDATE chain SET hash = SUBSTR(hash, 2) || SUBSTR(hash, 1, 1) WHERE seq = 2",
            2,
            "its document was changed, or a record before it was",
        ),
        (
            "DELETE FROM chain WHERE seq = 4",
            4,
            "the record before it is missing",
        ),
        (
            "DELETE FROM chain WHERE seq = 5",
            5,
            "it is missing, and so are all records after it",
        ),
        (
            "DELETE FROM decision WHERE id = (SELECT record_id FROM chain WHERE seq = 1)",
            1,
            "its document is missing",
        ),
        (
            "DELETE FROM chain WHERE seq = 5; UPDATE chain_head SET seq = 4",
            4,
            "its hash differs from the one that is kept as the head of the chain",
        ),
        (
            "INSERT INTO decision (id, tenant_id, user_id, outcome, trace_id, document)
             SELECT 'ffffffff-0000-7000-8000-000000000000', tenant_id, user_id, outcome, trace_id, \
             document
             FROM decision WHERE id = (SELECT record_id FROM chain WHERE seq = 1)",
            5,
            "it is in the ledger but in no chain",
        ),
        (
            "INSERT INTO resolution (id, decision_id, tenant_id, document)
             SELECT '00000000-0000-7000-8000-000000000000', id, tenant_id, '{}'
             FROM decision WHERE id = (SELECT record_id FROM chain WHERE seq = 2)",
            5,
            "it is in the ledger but in no chain",
        ),
        (
            "UPDATE decision SET tenant_id = 'acme' WHERE id = (SELECT record_id FROM chain WHERE \
             seq = 2)",
            2,
            "it is stored under another tenant or expense than its document names",
        ),
    ] {
        on_each_store(async |store| {
            let app = TestApp::on(&store).await;
            for n in 0..5 {
                app.decide(numbered_ride(n)).await;
            }
            app.stop().await;
            assert_eq!(broken(&store).await, None);
            store.execute(tampering).await;
            let found = broken(&store)
                .await
                .unwrap_or_else(|| panic!("not noticed: {tampering}"));
            assert_eq!((found.seq, found.problem), (seq, problem), "{tampering}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_approval_that_is_moved_to_another_expense_is_found_and_named() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[entry("keys", "default", "ea_keys", "roles = [\"manager\"]")]);
        let app = keys.app_on(&store).await;
        let mut pending = Vec::new();
        for amount in ["510.00", "900.00"] {
            pending.push(app.post_as("ea_keys", laptop(amount)).await.body);
        }
        let approve =
            json!({"action": "approve", "role": "manager", "actor": "ben", "reason": "Agreed."});
        assert_eq!(
            app.resolve("ea_keys", &pending[0], approve).await.status,
            201
        );
        app.stop().await;
        assert_eq!(broken(&store).await, None);
        let other = id_of(&pending[1]);
        store
            .execute(sqlx::AssertSqlSafe(format!(
                "UPDATE resolution SET decision_id = '{other}'"
            )))
            .await;
        let found = broken(&store).await.expect("not noticed");
        assert_eq!(
            (found.seq, found.problem),
            (
                3,
                "it is stored under another tenant or expense than its document names"
            )
        );
    })
    .await;
}

#[tokio::test]
async fn the_chain_is_valid_when_many_decide_and_resolve_at_once_and_its_last_hash_is_on_a_span() {
    on_each_store(async |store| {
        let keys = KeyFile::new(&[
            entry("acme", "acme", "ea_acme", "roles = [\"manager\"]"),
            entry("zeta", "zeta", "ea_zeta", "roles = [\"manager\"]"),
        ]);
        let config = || Config {
            store: store.store.clone(),
            http: keys.http_config(),
            ..config()
        };
        let replicas = [TestApp::with(config()).await, TestApp::with(config()).await];
        let decide_and_resolve = async |n: usize| {
            let app = &replicas[n % 2];
            let key = if n.is_multiple_of(3) {
                "ea_zeta"
            } else {
                "ea_acme"
            };
            let body = of_user(laptop("501.00"), &format!("user-{n}"));
            let pending = app.post_as(key, body).await.body;
            let deny =
                json!({"action": "deny", "role": "manager", "actor": "ben", "reason": "No."});
            assert_eq!(app.resolve(key, &pending, deny).await.status, 201);
        };
        futures_util::future::join_all((0..30).map(decide_and_resolve)).await;
        let mut hashes = Vec::new();
        for app in &replicas {
            for span in app.ended_spans() {
                let hash = span
                    .attributes
                    .iter()
                    .find(|attribute| attribute.key.as_str() == "expense.record.hash");
                hashes.extend(hash.map(|hash| hash.value.as_str().into_owned()));
            }
        }
        assert_eq!(hashes.len(), 60);
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.tenants().await.unwrap(), ["acme", "zeta"]);
        for (tenant, n_records) in [("acme", 40), ("zeta", 20)] {
            let walk = ledger.walk(tenant, None).await.unwrap();
            assert_eq!((walk.broken, walk.n_records), (None, n_records));
            assert!(
                hashes.contains(&walk.head),
                "the end of the chain is on a span"
            );
            assert!(
                ledger
                    .walk(tenant, Some(&walk.head))
                    .await
                    .unwrap()
                    .has_hash
            );
        }
        ledger.close().await;
    })
    .await;
}

#[tokio::test]
async fn verify_reports_what_it_found_and_fails_when_a_record_was_changed() {
    let store = TestStore::sqlite();
    let folder = store.folder().to_owned();
    let verify = async |more: &[&str]| {
        run(
            &[&["ledger", "verify", "--data", &folder], more].concat(),
            &[],
        )
        .await
    };
    let nothing = verify(&[]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        text(nothing.stderr).contains("there is no ledger in "),
        "it creates none"
    );

    let app = TestApp::on(&store).await;
    let decision = app.decide(numbered_ride(1)).await;
    let spans = app.trace(&decision["trace_id"]);
    let hash = spans
        .iter()
        .flat_map(|span| &span.attributes)
        .find(|a| a.key.as_str() == "expense.record.hash")
        .unwrap();
    let hash = hash.value.as_str().into_owned();
    app.decide(numbered_ride(2)).await;
    app.stop().await;
    let fine = verify(&["--head", &hash.to_uppercase()]).await;
    let said = text(fine.stdout);
    assert!(
        fine.status.success() && said.starts_with("default: 2 records are valid, head "),
        "{said}"
    );

    // Cutting off the end leaves a valid chain; only a hash from a trace shows the cut.
    store
        .execute(
            "DELETE FROM chain; DELETE FROM failed_validation; DELETE FROM decision; DELETE FROM \
             chain_head",
        )
        .await;
    assert_eq!(verify(&[]).await.status.code(), Some(3));
    let cut = verify(&["--head", &hash]).await;
    assert_eq!(cut.status.code(), Some(1));
    let said = text(cut.stderr);
    assert!(
        said.contains(&format!("no record has the hash {hash}")),
        "{said}"
    );
}

#[tokio::test]
async fn erased_texts_are_in_no_byte_of_the_ledger_and_the_chain_stays_valid() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        let body = |user: &str| {
            json!({
                "transaction": "Uber ride to Xanadu-canary",
                "merchant": "Xanadu-canary Cabs",
                "amount": "45.00",
                "user_id": user,
                "mcc": "5812",
            })
        };
        let key = [("idempotency-key", "first")];
        let (of_ana, of_ben) = (
            app.post_with(body("ana"), &key).await.body,
            app.decide(body("ben")).await,
        );
        let fingerprints = async || {
            let pool = store.connect().await;
            let sql = "SELECT fingerprint FROM idempotency";
            let fingerprints: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
            pool.close().await;
            fingerprints
        };
        assert_eq!(fingerprints().await[0].0.len(), 64);
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.erase("default", "ana").await.unwrap(), 1);
        assert_eq!(
            ledger.erase("default", "ana").await.unwrap(),
            0,
            "there is nothing left"
        );
        assert_eq!(
            fingerprints().await,
            [(String::new(),)],
            "no text can be tried against the hash"
        );
        assert_eq!(app.post_with(body("ana"), &key).await.status, 409);
        let walk = ledger.walk("default", None).await.unwrap();
        assert_eq!((walk.broken, walk.n_records), (None, 2));
        let erased = app.read(&of_ana).await;
        assert!(!erased.to_string().contains("canary"), "{erased:#}");
        assert!(
            erased["transaction"]
                .as_str()
                .unwrap()
                .starts_with("sha256:")
        );
        let kept = ["id", "outcome", "amount", "date", "user_id", "category"];
        assert!(kept.into_iter().all(|field| erased[field] == of_ana[field]));
        assert_eq!(app.read(&of_ben).await, of_ben);
        // Once Ben's text is erased as well, no byte of the files contains it.
        ledger.erase("default", "ben").await.unwrap();
        ledger.close().await;
        app.stop().await;
        for file in store.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                !bytes.windows(6).any(|window| window == b"canary"),
                "{}",
                file.display()
            );
        }
        assert_eq!(broken(&store).await, None);
    })
    .await;
}

#[tokio::test]
async fn erasing_covers_more_records_than_fit_into_one_write() {
    on_each_store(async |store| {
        let app = TestApp::on(&store).await;
        futures_util::future::join_all((0..120).map(|n| app.decide(numbered_ride(n)))).await;
        app.stop().await;
        let ledger = Ledger::open(&store.store).await.unwrap();
        assert_eq!(ledger.erase("default", "ana").await.unwrap(), 120);
        assert_eq!(ledger.erase("default", "ana").await.unwrap(), 0);
        ledger.close().await;
        assert_eq!(broken(&store).await, None);
    })
    .await;
}

#[tokio::test]
async fn erasing_fails_while_a_reader_keeps_the_texts_in_the_write_ahead_log() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    app.decide(numbered_ride(1)).await;
    let pool = store.connect().await;
    let mut reader = pool.begin().await.unwrap();
    sqlx::query("SELECT document FROM decision")
        .fetch_all(&mut *reader)
        .await
        .unwrap();
    let ledger = Ledger::open(&store.store).await.unwrap();
    match ledger.erase("default", "ana").await.unwrap_err() {
        LedgerError::Database(cause) => assert!(matches!(*cause, DbError::WalInUse), "{cause}"),
        other => panic!("{other}"),
    }
    reader.rollback().await.unwrap();
    assert_eq!(
        ledger.erase("default", "ana").await.unwrap(),
        0,
        "now the write-ahead log is empty as well"
    );
    ledger.close().await;
    pool.close().await;
    app.stop().await;
}

#[tokio::test]
async fn a_period_is_exported_as_a_table_or_as_lines_of_json() {
    let store = TestStore::sqlite();
    let folder = store.folder().to_owned();
    let app = TestApp::on(&store).await;
    let hostile = json!({"transaction": "=HYPERLINK(\"http://x\",\"taxi\") ride, \"quoted\"", "amount": "650.00",
        "date": "2026-03-14", "user_id": "@ana", "mcc": "4121"});
    let first = app.decide(hostile).await;
    let second = app.decide(numbered_ride(2)).await;
    app.stop().await;
    let day_of = |decision: &Value| decision["received_at"].as_str().unwrap()[..10].to_owned();
    let (from, to) = (day_of(&first), day_of(&second));
    let export = async |more: &[&str]| {
        let period = ["export", "--data", &folder, "--from", &from, "--to", &to];
        run(&[&period, more].concat(), &[]).await
    };
    let lines = text(export(&["--format", "ndjson"]).await.stdout);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines.iter().map(|line| &line["id"]).collect::<Vec<_>>(),
        [&first["id"], &second["id"]]
    );
    assert_eq!(
        (&lines[0]["transaction"], &lines[0]["findings"]),
        (&first["transaction"], &first["findings"])
    );
    assert_eq!(lines[0]["record_hash"].as_str().unwrap().len(), 64);
    let table = text(export(&[]).await.stdout);
    let mut shown = table;
    for line in &lines {
        for field in ["id", "received_at", "trace_id", "record_hash"] {
            shown = shown.replace(line[field].as_str().unwrap(), &format!("<{field}>"));
        }
    }
    assert_golden("exported_table", &shown);
    let none = export(&["--tenant", "acme", "--format", "ndjson"]).await;
    assert_eq!(
        (none.status.code(), text(none.stdout).as_str()),
        (Some(0), "")
    );
    let wrong = run(
        &[
            "export",
            "--data",
            &folder,
            "--from",
            "2026-03-15",
            "--to",
            "2026-03-14",
        ],
        &[],
    )
    .await;
    assert!(text(wrong.stderr).contains("--to 2026-03-14 is not after --from 2026-03-15"));
}

fn any_milliseconds() -> impl Strategy<Value = Milliseconds> {
    // Long spans and whole milliseconds would be rare among arbitrary microseconds.
    let micros = prop_oneof![
        0..10_000_u64,
        0..Milliseconds::MAX.micros() * 2,
        (0..1_000_000_u64).prop_map(|millis| millis * 1_000),
    ];
    micros.prop_map(|micros| Duration::from_micros(micros).into())
}

/// Any JSON whose numbers are those of records: whole ones, and spans of time. Names of members are
/// those of fields.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..(1_i64 << 53)).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any_milliseconds().prop_map(|span| json!(span)),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            // In any order: a crate of the build may make serde_json keep it.
            prop::collection::vec(("[A-Za-z_.]{0,12}", inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_is_hashed_in_its_canonical_form(mut record in any_json(), seq in 1..1_i64 << 53) {
        let link = json!({"seq": seq, "previous": "00ff", "record": &record});
        prop_assert_eq!(canonical(seq, "00ff", &mut record), serde_json_canonicalizer::to_vec(&link).unwrap());
    }

    #[test]
    fn a_span_of_time_is_read_back_and_hashed_as_it_was_recorded(span in any_milliseconds()) {
        let mut recorded = json!({"duration_ms": span});
        let mut stored: Value = serde_json::from_str(&recorded.to_string()).unwrap();
        prop_assert_eq!(canonical(1, "00ff", &mut stored), canonical(1, "00ff", &mut recorded));
        let read: Milliseconds = serde_json::from_value(stored["duration_ms"].clone()).unwrap();
        prop_assert_eq!(read, span);
    }
}
