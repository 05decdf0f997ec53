//! Commands that read a ledger: they report a ledger without records instead of calling it valid, and
//! they work on a ledger that cannot be written to.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::TestApp;
use crate::harness::binary::{command, run, text};
use crate::harness::expenses::numbered_ride;
use crate::harness::store::{TestStore, on_each_store};

const FILE: &str = "ledger.sqlite";
const LOG: &str = "ledger.sqlite-wal";
const INDEX: &str = "ledger.sqlite-shm";

const VERIFY: &[&str] = &["ledger", "verify"];
const EXPORT: &[&str] = &["export", "--from", "2020-01-01", "--to", "2099-12-31"];
const AUDIT: &[&str] = &["audit", "--fail-above", "0%"];

/// Exit code, standard output and standard error.
type Said = (Option<i32>, String, String);

fn said(output: Output) -> Said {
    let code = output.status.code();
    (code, text(output.stdout), text(output.stderr))
}

/// Runs a command on a copy of a ledger.
async fn run_on(arguments: &[&str], copy: &TempDir) -> Said {
    let data = ["--data", copy.path().to_str().unwrap()];
    said(run(&[arguments, &data].concat(), &[]).await)
}

/// A folder with these files of a ledger.
fn copy(store: &TestStore, files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        fs::copy(
            Path::new(store.folder()).join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    folder
}

#[tokio::test]
async fn every_command_that_reads_a_ledger_reports_that_it_has_no_records() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    app.decide(numbered_ride(1)).await;
    // All records are still in the write-ahead log.
    let without_log = copy(&store, &[FILE]);
    let empty_file = tempfile::tempdir().unwrap();
    fs::write(empty_file.path().join(FILE), "").unwrap();
    for folder in [&without_log, &empty_file] {
        for more in [&[][..], &["--tenant", "default"]] {
            let (code, out, error) = run_on(&[VERIFY, more].concat(), folder).await;
            assert_eq!((code, &*out), (Some(3), ""), "{error}");
            assert!(error.contains("holds no record"), "{error}");
            assert!(
                error.contains("copy the `ledger.sqlite-wal` too"),
                "{error}"
            );
        }
        for command in [EXPORT, AUDIT] {
            let (code, _, notes) = run_on(command, folder).await;
            assert_eq!(code, Some(0), "{notes}");
            assert!(notes.contains("holds no record"), "{notes}");
        }
    }
    let whole = copy(&store, &[FILE, LOG]);
    let (code, out, error) = run_on(VERIFY, &whole).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(out.starts_with("default: 1 record is valid"), "{out}");
    for command in [EXPORT, AUDIT] {
        let (_, _, notes) = run_on(command, &whole).await;
        assert!(!notes.contains("holds no record"), "{notes}");
    }
    let (code, _, error) = run_on(&[VERIFY, &["--tenant", "acme"]].concat(), &whole).await;
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("no record of the tenant acme"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_and_stays_as_it_is() {
    let text = tempfile::tempdir().unwrap();
    fs::write(text.path().join(FILE), "Not a database at all, but a text.").unwrap();
    let foreign = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(foreign.path().join(FILE))
        .and_then(|other| other.execute_batch("CREATE TABLE song (title TEXT)"))
        .unwrap();
    for (folder, words) in [
        (&text, "file is not a database"),
        (&foreign, "is the database of something else"),
    ] {
        let bytes = fs::read(folder.path().join(FILE)).unwrap();
        for command in [VERIFY, EXPORT, AUDIT] {
            let (code, out, error) = run_on(command, folder).await;
            assert_eq!((code, &*out), (Some(1), ""), "{error}");
            assert_eq!(error.matches(words).count(), 1, "{error}");
        }
        assert_eq!(
            fs::read(folder.path().join(FILE)).unwrap(),
            bytes,
            "{words}"
        );
    }
}

#[tokio::test]
async fn a_hash_that_is_not_whole_is_no_missing_record() {
    let folder = tempfile::tempdir().unwrap();
    for head in ["", "0000", "28685860de61d212", &"g".repeat(64)] {
        let (code, _, error) = run_on(&[VERIFY, &["--head", head]].concat(), &folder).await;
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
}

#[tokio::test]
async fn decisions_outside_the_hash_chain_fail_the_verification() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    app.decide(numbered_ride(1)).await;
    app.stop().await;
    store
        .execute("DELETE FROM chain; DELETE FROM chain_head")
        .await;
    let (code, out, error) = said(run(&[VERIFY, &["--data", store.folder()]].concat(), &[]).await);
    assert_eq!(code, Some(3), "{out}{error}");
    assert!(error.contains("no record is in a hash chain"), "{error}");
}

/// A folder that cannot be written to without the rights of root. It becomes writable again when this
/// is dropped, so that it can be removed.
struct ReadOnly(TempDir);

impl ReadOnly {
    fn new(folder: TempDir) -> Self {
        for entry in fs::read_dir(folder.path()).unwrap() {
            fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        Self(folder)
    }

    /// Runs a command on the folder. As root, it runs as another user, because permissions do not stop
    /// root.
    async fn run(&self, arguments: &[&str]) -> Said {
        let data = ["--data", self.0.path().to_str().unwrap()];
        let mut command = command(&[arguments, &data].concat(), &[]);
        if fs::metadata(self.0.path()).unwrap().uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        said(command.output().await.unwrap())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        fs::set_permissions(self.0.path(), Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn a_ledger_on_a_read_only_medium_is_verified_exported_and_audited() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let decision: Value = app.decide(numbered_ride(1)).await;
    // With its write-ahead log and index, as a running service has them; then without them, as a
    // stopped service leaves it.
    let running = ReadOnly::new(copy(&store, &[FILE, LOG, INDEX]));
    app.stop().await;
    let stopped = ReadOnly::new(copy(&store, &[FILE]));
    for folder in [running, stopped] {
        let (code, out, error) = folder.run(VERIFY).await;
        assert_eq!(code, Some(0), "{error}");
        assert!(out.starts_with("default: 1 record is valid"), "{out}");
        let (code, out, error) = folder.run(EXPORT).await;
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains(decision["id"].as_str().unwrap()), "{out}");
        let (code, _, error) = folder.run(AUDIT).await;
        assert_eq!(code, Some(0), "{error}");
        let erase = ["ledger", "erase", "--user", "ana"];
        assert_eq!(folder.run(&erase).await.0, Some(1), "it writes");
    }
}

#[tokio::test]
async fn a_read_only_ledger_that_needs_a_checkpoint_or_a_migration_is_refused() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    app.decide(numbered_ride(1)).await;
    let with_log = ReadOnly::new(copy(&store, &[FILE, LOG]));
    let (code, _, error) = with_log.run(VERIFY).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("its write-ahead log was not yet copied back"),
        "{error}"
    );
    app.stop().await;
    store
        .execute("DELETE FROM _sqlx_migrations WHERE version = 14")
        .await;
    let outdated = ReadOnly::new(copy(&store, &[FILE]));
    let (code, _, error) = outdated.run(VERIFY).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("lacks tables of this version"), "{error}");
}

#[tokio::test]
async fn a_standby_of_postgres_is_verified_and_exported() {
    on_each_store(async |store| {
        let Some(url) = store.postgres_url() else {
            return;
        };
        let app = TestApp::on(&store).await;
        app.decide(numbered_ride(1)).await;
        app.stop().await;
        store
            .execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
                 current_database()); END $$",
            )
            .await;
        let variables = [("DATABASE_URL", url)];
        let (code, out, error) = said(run(VERIFY, &variables).await);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.starts_with("default: 1 record is valid"), "{out}");
        let (code, out, error) = said(run(EXPORT, &variables).await);
        assert_eq!((code, out.lines().count()), (Some(0), 2), "{error}");
    })
    .await;
}
