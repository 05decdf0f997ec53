//! A disk or database that is full, read-only, silent or gone: requests are refused, and the service
//! recovers without a restart.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::ledger::{Ledger, Store};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{decisions, paper};
use crate::harness::binary::{run, text};
use crate::harness::expenses::{id_of, path_of};
use crate::harness::server::UnusedPort;
use crate::harness::skip::skip;
use crate::harness::store::{TestStore, on_each_store};
use crate::harness::tcp_proxy::TcpProxy;
use crate::harness::{Reply, TestApp, config, poll};

/// A file system in memory, which is unmounted when this is dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None`, with a message, where the test may not mount file systems.
    fn of(size: &str) -> Option<Self> {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let is_mounted = disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        if !is_mounted {
            skip("on a disk of its own; run it as root, where mounting is allowed");
        }
        is_mounted.then_some(disk)
    }

    fn mount(&self, arguments: &[&str]) -> bool {
        let mount = std::process::Command::new("mount")
            .args(arguments)
            .arg(self.folder.path())
            .output();
        mount.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone_with_the_test = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_is_a_503_loses_no_answered_decision_and_needs_no_restart() {
    let Some(disk) = Disk::of("4m") else { return };
    let app = TestApp::with(Config {
        store: Store::Sqlite(disk.folder.path().to_owned()),
        ..config()
    })
    .await;
    let mut answered = Vec::new();
    for n in 0..5 {
        answered.push(app.decide(paper(n)).await);
    }
    // Another file takes all free space; decisions that fit into the space that the write-ahead log
    // already has are still recorded.
    let filler = disk.folder.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let refused = loop {
        let reply = app.post(paper(answered.len())).await;
        match reply.status {
            201 => answered.push(reply.body),
            _ => break reply,
        }
        assert!(
            answered.len() < 1_000,
            "the disk has no room for a thousand decisions"
        );
    };
    assert_ledger_unavailable(&refused);
    assert_eq!(refused.headers["retry-after"], "1");
    let red = app
        .trace(&refused.body["trace_id"])
        .into_iter()
        .find(|span| span.name.starts_with("invoke_agent"))
        .unwrap();
    assert!(
        red.attributes
            .iter()
            .any(|a| a.key.as_str() == "error.type" && a.value.as_str() == "ledger")
    );
    assert_not_ready(&app).await;

    std::fs::remove_file(filler).unwrap();
    wait_for_readiness(&app, 200, "room on the disk").await;
    answered.push(app.decide(paper(answered.len())).await);
    let recorded = decisions(&app.url).await;
    assert_eq!(
        recorded.len(),
        answered.len(),
        "a refused decision is not recorded"
    );
    for decision in &answered {
        assert_eq!(recorded.get(id_of(decision)), Some(decision));
    }
    app.stop().await;
    let ledger = Ledger::open(&Store::Sqlite(disk.folder.path().to_owned()))
        .await
        .unwrap();
    assert_eq!(ledger.walk("default", None).await.unwrap().broken, None);
    ledger.close().await;
}

#[tokio::test]
async fn a_service_does_not_start_on_a_ledger_it_cannot_write_to() {
    let Some(disk) = Disk::of("8m") else { return };
    let store = Store::Sqlite(disk.folder.path().to_owned());
    TestApp::with(Config {
        store: store.clone(),
        ..config()
    })
    .await
    .stop()
    .await;
    assert!(disk.mount(&["-o", "remount,ro"]));
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("EXPENSE_AGENT_PSEUDONYM_KEY", "0123456789abcdef"),
    ];
    let output = run(
        &["--data", disk.folder.path().to_str().unwrap()],
        &variables,
    )
    .await;
    let said = text(output.stderr);
    assert!(
        !output.status.success() && said.contains("error: ") && said.contains("ledger"),
        "{said}"
    );
    // The ledger is intact.
    assert!(disk.mount(&["-o", "remount,rw"]));
    let app = TestApp::with(Config { store, ..config() }).await;
    app.decide(paper(1)).await;
    app.stop().await;
}

#[tokio::test]
async fn a_service_whose_postgres_refuses_connections_says_why() {
    let unused_port = UnusedPort::new();
    let url = unused_port.origin().replace("http", "postgres") + "/expense";
    let output = run(
        &[],
        &[("OTEL_TRACES_EXPORTER", "none"), ("DATABASE_URL", &url)],
    )
    .await;
    let said = text(output.stderr);
    assert!(
        !output.status.success() && said.contains("DATABASE_URL") && said.contains("refused"),
        "{said}"
    );
}

/// The files of an SQLite ledger, made immutable until this is dropped, also for processes that have
/// them open. The index of the write-ahead log stays writable: it is mapped memory, and the kernel
/// kills a process that writes to an immutable mapping.
struct Frozen(Vec<PathBuf>);

impl Frozen {
    /// `None`, with a message, where files cannot be made immutable.
    fn freeze(store: &TestStore) -> Option<Self> {
        let is_index = |file: &PathBuf| {
            file.extension()
                .is_some_and(|extension| extension == "sqlite-shm")
        };
        let frozen = Self(
            store
                .files()
                .into_iter()
                .filter(|file| !is_index(file))
                .collect(),
        );
        let is_frozen = frozen.change("+i");
        if !is_frozen {
            skip(
                "on immutable files; run it as root, on ext4 or another file system that supports \
                 `chattr +i`",
            );
        }
        is_frozen.then_some(frozen)
    }

    fn change(&self, attribute: &str) -> bool {
        let output = std::process::Command::new("chattr")
            .arg(attribute)
            .args(&self.0)
            .output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.change("-i");
    }
}

/// Waits until `/readyz` answers with a status.
async fn wait_for_readiness(app: &TestApp, status: u16, what: &str) {
    poll::until(Duration::from_secs(10), what, async || {
        let ready = app.get("/readyz").await;
        if ready.status == status {
            Ok(())
        } else {
            Err(ready.body)
        }
    })
    .await;
}

/// Asserts that `/readyz` reports the ledger as failed.
async fn assert_not_ready(app: &TestApp) {
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["checks"]["ledger"]),
        (503, &json!("failed"))
    );
}

fn assert_ledger_unavailable(reply: &Reply) {
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (503, &json!("ledger_unavailable"))
    );
}

/// Asserts that the service decides again, and has kept what it decided before.
async fn assert_recovers(app: &TestApp) {
    wait_for_readiness(app, 200, "ledger that accepts writes again").await;
    app.decide(paper(3)).await;
    assert_eq!(decisions(&app.url).await.len(), 2);
}

#[tokio::test]
async fn an_sqlite_ledger_that_becomes_read_only_is_a_503_and_needs_no_restart() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let first = app.decide(paper(1)).await;
    let Some(frozen) = Frozen::freeze(&store) else {
        return;
    };
    let refused = app.post(paper(2)).await;
    assert_ledger_unavailable(&refused);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_not_ready(&app).await;
    let path = path_of(&first);
    assert_eq!(
        app.get(&path).await.body,
        first,
        "the ledger can still be read"
    );
    drop(frozen);
    assert_recovers(&app).await;
}

#[tokio::test]
async fn a_postgres_that_becomes_read_only_is_a_503_and_needs_no_restart() {
    on_each_store(async |store| {
        if matches!(store.store, Store::Sqlite(_)) {
            return;
        }
        let app = TestApp::on(&store).await;
        let first = app.decide(paper(1)).await;
        // Like a fail-over to a standby: sessions end, and new ones may only read.
        let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        store
            .execute(
                "DO $$ BEGIN EXECUTE
             format('ALTER DATABASE %I SET default_transaction_read_only = on', \
                 current_database()); END $$",
            )
            .await;
        store.execute(end_sessions).await;
        wait_for_readiness(&app, 503, "read-only ledger").await;
        let refused = app.post(paper(2)).await;
        assert_ledger_unavailable(&refused);
        let path = path_of(&first);
        poll::until(Duration::from_secs(10), "readable ledger", async || {
            let reply = app.get(&path).await;
            if reply.body == first {
                Ok(())
            } else {
                Err(reply.body)
            }
        })
        .await;
        store
            .execute(
                "BEGIN READ WRITE; DO $$ BEGIN EXECUTE
             format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); \
                 END $$; COMMIT",
            )
            .await;
        store.execute(end_sessions).await;
        assert_recovers(&app).await;
    })
    .await;
}

#[tokio::test]
async fn a_postgres_that_dies_silently_delays_a_request_no_longer_than_the_time_limit() {
    on_each_store(async |store| {
        let Store::Postgres(url) = &store.store else {
            return;
        };
        let mut url = reqwest::Url::parse(url.expose_secret()).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let proxy = TcpProxy::to(server).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.port())).unwrap();
        let app = TestApp::with(Config {
            store: Store::Postgres(url.as_str().into()),
            ..config()
        })
        .await;
        app.decide(paper(1)).await;
        let past = store.connect().await;
        let mut lock = past.begin().await.unwrap();
        sqlx::raw_sql("SELECT 1 FROM chain_head FOR UPDATE")
            .execute(&mut *lock)
            .await
            .unwrap();
        let cut_off = app.post(paper(2));
        let cut = async {
            let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND \
                         wait_event_type = 'Lock'";
            poll::until(
                Duration::from_secs(10),
                "a write that waits for an answer",
                async || {
                    sqlx::query(waits)
                        .fetch_optional(&past)
                        .await
                        .unwrap()
                        .ok_or("none")
                },
            )
            .await;
            proxy.go_silent();
            lock.rollback().await.unwrap();
        };
        let (cut_off, ()) = futures_util::future::join(cut_off, cut).await;
        assert_ledger_unavailable(&cut_off);
        poll::until(
            Duration::from_secs(60),
            "the same tenant's next decision",
            async || {
                let reply = app.post(paper(3)).await;
                if reply.status == 201 {
                    Ok(())
                } else {
                    Err(reply.body)
                }
            },
        )
        .await;
        assert_eq!(
            decisions(&app.url).await.len(),
            2,
            "the decision that was cut off is not recorded"
        );
        // Idle connections that died are replaced, and no request is refused.
        proxy.go_silent();
        app.decide(paper(4)).await;
    })
    .await;
}

#[tokio::test]
async fn a_ledger_whose_file_was_moved_away_refuses_requests_until_it_is_back() {
    let store = TestStore::sqlite();
    let file = std::path::Path::new(store.folder()).join("ledger.sqlite");
    let aside = file.with_extension("aside");
    let app = TestApp::on(&store).await;
    app.decide(paper(1)).await;
    std::fs::rename(&file, &aside).unwrap();
    let refused = app.post(paper(2)).await;
    assert_ledger_unavailable(&refused);
    assert_eq!(app.get("/readyz").await.status, 503);
    // A copy in its place is not the file that the service has open.
    std::fs::copy(&aside, &file).unwrap();
    assert_eq!(app.get("/readyz").await.status, 503);
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(app.get("/readyz").await.status, 200);
    app.decide(paper(3)).await;
    assert_eq!(decisions(&app.url).await.len(), 2);
}
