//! Files of API keys: what they may contain, how a key is created, and which files a service starts
//! with.

use std::path::Path;

use expense_agent::keys::{ApiKeys, parse};
use jiff::civil::date;
use serde_json::json;

use crate::harness::assert_golden;
use crate::harness::binary::{Service, run, text};
use crate::harness::expenses::taxi;
use crate::harness::key_file::{KeyFile, entry};

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

/// The diagnostics of a key file, as the service prints them when it cannot start.
fn diagnostics(text: &str) -> String {
    parse::parse(Path::new("keys.toml"), text)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_mistake_in_a_key_file_is_reported_without_repeating_a_value() {
    let broken = r#"colour = "red"

[[key]]
id = "Acme!"
tenant = " "
sha256 = "ea_5f2c8d"
roles = ["boss", "vp", 7]
revoked = "yes"
expires = "2026-02-30"
note = "for the card feed"

[[key]]

[[key]]
id = "acme-1"
tenant = "acme"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[[key]]
id = "acme-1"
tenant = "zeta"
sha256 = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
roles = "vp"
"#;
    let diagnostics = diagnostics(broken);
    assert!(
        !diagnostics.contains("ea_5f2c8d"),
        "someone may have written the key in place of its hash: {diagnostics}"
    );
    assert_golden("diagnostics_of_a_key_file", &diagnostics);
}

#[test]
fn a_key_file_without_keys_is_an_error() {
    // An editor that truncates a file before it writes it must not lock everyone out.
    assert_eq!(
        diagnostics(""),
        "keys.toml:1: `key` is missing; write at least one [[key]]"
    );
    assert_eq!(
        diagnostics("key = []"),
        "keys.toml:1: `key` is empty; write at least one [[key]]"
    );
    assert_eq!(
        diagnostics("key = 7"),
        "keys.toml:1: `key` is not a list of tables; write [[key]] above each table"
    );
    assert!(diagnostics("[[key]\n").starts_with("keys.toml:1: is not TOML: "));
    let missing = ApiKeys::parse(&expense_agent::keys::KeyFile::read(Path::new(
        "no-such-file",
    )))
    .unwrap_err()
    .to_string();
    assert!(
        missing.starts_with("no-such-file: cannot be read: "),
        "{missing}"
    );
}

#[tokio::test]
async fn every_new_key_is_different_and_invalid_tenants_and_ids_are_refused() {
    let output = run(
        &[
            "keys",
            "new",
            "--tenant",
            "acme \"&\" sons",
            "--role",
            "manager",
            "--role",
            "cfo",
        ],
        &[],
    )
    .await;
    let shown = text(output.stdout);
    let key = shown.lines().next().unwrap();
    assert!(key.starts_with("ea_") && key.len() == 67, "{shown}");
    let entry = &shown[shown.find("[[key]]").unwrap()..];
    assert!(!entry.contains(key), "the entry holds the hash alone");
    let keys = parse::parse(Path::new("keys.toml"), entry).unwrap();
    let found = keys.find(key).unwrap();
    assert_eq!(
        (found.tenant_id.as_deref(), found.roles.len()),
        (Some("acme \"&\" sons"), 2)
    );
    assert!(keys.find("ea_").is_none());

    let again = text(
        run(
            &["keys", "new", "--tenant", "acme", "--id", "acme-2026"],
            &[],
        )
        .await
        .stdout,
    );
    assert_ne!(again.lines().next().unwrap(), key);
    assert!(again.contains("id = \"acme-2026\""), "{again}");

    for (arguments, accepted) in [
        (
            ["--tenant", " ", "--id", "a"],
            "write 1 to 128 characters without",
        ),
        (
            ["--tenant", "acme", "--id", key],
            "write up to 64 lower-case letters",
        ),
        (
            ["--tenant", "acme", "--role", "boss"],
            "manager, director, vp, cfo",
        ),
    ] {
        let output = run(&[["keys", "new"].as_slice(), &arguments].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(output.stderr);
        assert!(stderr.contains(accepted), "{stderr}");
    }
}

#[test]
fn a_key_is_valid_through_its_last_day_and_never_after_it_is_revoked() {
    let keys = |more: &str| {
        parse::parse(
            Path::new("keys.toml"),
            &entry("acme-1", "acme", "ea_1", more),
        )
        .unwrap()
    };
    let is_valid = |more: &str, day| keys(more).0[0].is_valid(day);
    assert!(is_valid("", date(9999, 12, 31)));
    assert!(is_valid("expires = \"2026-03-14\"", date(2026, 3, 14)));
    assert!(!is_valid("expires = \"2026-03-14\"", date(2026, 3, 15)));
    assert!(is_valid("revoked = false", date(2026, 3, 14)));
    assert!(!is_valid(
        "revoked = true\nexpires = \"2026-03-14\"",
        date(2026, 3, 1)
    ));
}

#[tokio::test]
async fn a_service_starts_only_with_valid_keys_and_listens_on_any_address_with_them() {
    let file = KeyFile::new(&["[[key]]\nid = \"a\"\n".to_owned()]);
    // The file is read only after the settings, including the address, were found to be valid.
    let output = run(
        &["--listen", "0.0.0.0:0", "--api-keys", file.name()],
        &[QUIET],
    )
    .await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(output.stderr);
    assert!(stderr.contains("the API keys cannot be used"), "{stderr}");
    assert!(
        stderr.contains(&format!("{}:1: `sha256` is missing", file.name())),
        "{stderr}"
    );

    let output = run(&["--listen", "0.0.0.0:0"], &[QUIET]).await;
    assert!(
        text(output.stderr)
            .contains("name a file of keys with --api-keys, or pass --allow-anonymous")
    );
    // A command that does not listen needs no API keys, whatever the address.
    let folder = tempfile::tempdir().unwrap();
    let verify = [
        "ledger",
        "verify",
        "--data",
        folder.path().to_str().unwrap(),
    ];
    let output = run(&verify, &[QUIET, ("EXPENSE_AGENT_LISTEN", "0.0.0.0:8000")]).await;
    let stderr = text(output.stderr);
    assert!(stderr.contains("there is no ledger in "), "{stderr}");
    // An empty variable is an error: it must not turn the keys off unnoticed.
    let output = run(&["serve"], &[QUIET, ("EXPENSE_AGENT_API_KEYS", "")]).await;
    assert_eq!(output.status.code(), Some(2));
    // `--allow-anonymous` does not open a service that has keys.
    let file = KeyFile::new(&[entry("a", "acme", "ea_good", "")]);
    let service = Service::start(&["--api-keys", file.name(), "--allow-anonymous"], &[QUIET]).await;
    assert_eq!(service.post(taxi()).await.0, 401);
}

#[tokio::test]
async fn a_new_key_is_accepted_by_a_service() {
    let shown = text(run(&["keys", "new", "--tenant", "acme"], &[]).await.stdout);
    let key = shown.lines().next().unwrap();
    let app = KeyFile::new(&[shown[shown.find("[[key]]").unwrap()..].to_owned()])
        .app()
        .await;
    let reply = app.post_as(key, taxi()).await;
    assert_eq!(
        (reply.status, &reply.body["tenant_id"]),
        (201, &json!("acme"))
    );
}

#[tokio::test]
async fn the_demo_in_this_process_needs_no_key() {
    let file = KeyFile::new(&[entry("a", "acme", "ea_good", "")]);
    let output = run(&["demo"], &[QUIET, ("EXPENSE_AGENT_API_KEYS", file.name())]).await;
    assert!(output.status.success(), "{}", text(output.stderr));
}

#[test]
fn two_spellings_of_one_tenant_or_user_in_a_key_file_are_refused() {
    let digest = |n: u8| hex::encode([n; 32]);
    let file = |entries: &[(&str, &str)]| {
        let entry = |(n, (tenant, user)): (usize, &(&str, &str))| {
            let digest = digest(u8::try_from(n).unwrap());
            format!(
                "[[key]]\nid = \"key-{n}\"\ntenant = \"{tenant}\"\nuser = \"{user}\"\nsha256 = \"{digest}\"\n"
            )
        };
        entries.iter().enumerate().map(entry).collect::<String>()
    };
    let diagnostics_of = |entries: &[(&str, &str)]| diagnostics(&file(entries));
    for (first, second, key) in [
        (("acm\u{e9}", "ana"), ("acme\u{301}", "ben"), "tenant"),
        (("acme", "ana"), ("ac\u{200b}me", "ben"), "tenant"),
        (("acme", "Ben"), ("acme", "ben"), "user"),
        (("acme", "Jos\u{e9}"), ("acme", "Jose\u{301}"), "user"),
        (("acme", "Stra\u{df}e"), ("acme", "STRASSE"), "user"),
    ] {
        assert_eq!(
            diagnostics_of(&[first, second]),
            format!(
                "keys.toml:6: this `{key}` is the same as the one of the key in line 1, which is written \
                 differently; write both in the same way, or give one of them another name"
            ),
            "{first:?} {second:?}"
        );
    }
    // Two keys of one person, people of two tenants, and tenants that differ in case.
    let entries = [
        ("acme", "Ben"),
        ("acme", "Ben"),
        ("zeta", "ben"),
        ("ACME", "BEN"),
    ];
    let keys = parse::parse(Path::new("keys.toml"), &file(&entries)).unwrap();
    assert_eq!(keys.0.len(), 4);
    // The tenant is known in its one spelling, the user as it is written.
    let keys = parse::parse(
        Path::new("keys.toml"),
        &file(&[("acme\u{301}", "Jose\u{301}")]),
    )
    .unwrap();
    assert_eq!(
        (keys.0[0].tenant_id.as_deref(), keys.0[0].user_id.as_deref(),),
        (Some("acm\u{e9}"), Some("Jose\u{301}"))
    );
    // An id that shows nothing is no id.
    assert!(diagnostics_of(&[("\u{200b}", "\u{3164}")]).contains("`tenant` is an invalid value"));
}
