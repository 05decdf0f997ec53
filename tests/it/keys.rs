//! API keys: what a file of them may hold, and how one is made.

use std::path::Path;

use expense_agent::keys::{ApiKeys, parse};

use crate::harness::assert_golden;
use crate::harness::binary::run;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The faults of a file of keys, as the service prints them when it does not start.
fn faults(text: &str) -> String {
    parse::parse(Path::new("keys.toml"), text).unwrap_err().to_string()
}

#[test]
fn every_fault_of_a_key_file_is_named_and_no_value_of_it_is_repeated() {
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
    let faults = faults(broken);
    assert!(!faults.contains("ea_5f2c8d"), "somebody may have written the key where its hash belongs: {faults}");
    assert_golden("faults_of_a_key_file", &faults);
}

#[test]
fn a_key_file_without_keys_is_a_fault() {
    // An editor that truncates a file before it writes it must not shut everybody out.
    assert_eq!(faults(""), "keys.toml:1: `key` is missing; write at least one [[key]]");
    assert_eq!(faults("key = []"), "keys.toml:1: `key` is empty; write at least one [[key]]");
    assert_eq!(faults("key = 7"), "keys.toml:1: `key` is no list of tables; write [[key]] above each of them");
    assert!(faults("[[key]\n").starts_with("keys.toml:1: is not TOML: "));
    let missing = ApiKeys::load(Path::new("no-such-file")).unwrap_err().to_string();
    assert!(missing.starts_with("no-such-file: cannot be read: "), "{missing}");
}

#[tokio::test]
async fn a_new_key_is_never_the_same_and_what_would_be_no_tenant_or_id_is_refused() {
    let output = run(&["keys", "new", "--tenant", "acme \"&\" sons", "--role", "manager", "--role", "cfo"], &[]).await;
    let shown = text(output.stdout);
    let key = shown.lines().next().unwrap();
    assert!(key.starts_with("ea_") && key.len() == 67, "{shown}");
    let entry = &shown[shown.find("[[key]]").unwrap()..];
    assert!(!entry.contains(key), "the entry holds the hash alone");
    let keys = parse::parse(Path::new("keys.toml"), entry).unwrap();
    let found = keys.find(key).unwrap();
    assert_eq!((found.tenant_id.as_str(), found.roles.len()), ("acme \"&\" sons", 2));
    assert!(keys.find("ea_").is_none());

    let again = text(run(&["keys", "new", "--tenant", "acme", "--id", "acme-2026"], &[]).await.stdout);
    assert_ne!(again.lines().next().unwrap(), key);
    assert!(again.contains("id = \"acme-2026\""), "{again}");

    for (arguments, accepted) in [
        (["--tenant", " ", "--id", "a"], "write 1 to 128 characters without"),
        (["--tenant", "acme", "--id", key], "write up to 64 lower-case letters"),
        (["--tenant", "acme", "--role", "boss"], "manager, director, vp, cfo"),
    ] {
        let output = run(&[["keys", "new"].as_slice(), &arguments].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(2));
        let said = text(output.stderr);
        assert!(said.contains(accepted), "{said}");
    }
}
