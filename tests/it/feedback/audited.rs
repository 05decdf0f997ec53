//! The overturn rates of an audit.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::Office;
use crate::harness::assert_golden;
use crate::harness::binary::{run, text};
use crate::harness::expenses::{laptop, of_user, ride};
use crate::harness::store::TestStore;

/// An audit of a ledger.
async fn audit(store: &TestStore, arguments: &[&str]) -> String {
    let own = ["audit", "--data", store.folder()];
    let output = run(&[&own, arguments].concat(), &[]).await;
    assert!(output.status.success(), "{output:?}");
    text(output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_shows_overturn_rates_with_intervals_from_twenty_resolutions_on() {
    let store = TestStore::sqlite();
    let office = Office::on(&store).await;
    office.decide(ride()).await;
    let resolve = async |n: usize, mut body: Value| {
        let open = of_user(laptop("510.00"), &format!("employee {n}"));
        let decision = office.decide(open).await;
        body["role"] = "manager".into();
        body["reason"] = "r".into();
        let resolved = office.app.resolve("ea_ben", &decision, body).await;
        assert_eq!(resolved.status, 201, "{:#}", resolved.body);
    };
    for n in 0..16 {
        resolve(n, json!({"action": "approve"})).await;
    }
    resolve(16, json!({"action": "deny"})).await;
    resolve(17, json!({"action": "approve", "amount": "400.00"})).await;
    resolve(18, json!({"action": "withdraw"})).await;
    let report: Value = serde_json::from_str(&audit(&store, &["--json"]).await).unwrap();
    let overturned = &report["overturned"];
    assert_eq!(overturned["overturned"], 2);
    assert_eq!(overturned["of"], 18, "a withdrawal judges nothing");
    assert_eq!(overturned["percent"], Value::Null);
    assert_eq!(overturned["by_kind"], json!({"action": 1, "amount": 1}));

    resolve(19, json!({"action": "approve"})).await;
    resolve(20, json!({"action": "approve", "amount": "1.00"})).await;
    office.app.stop().await;
    let report: Value = serde_json::from_str(&audit(&store, &["--json"]).await).unwrap();
    let overturned = &report["overturned"];
    let fifteen = json!({"overturned": 3, "of": 20, "percent": "15", "low": "5.2", "high": "36"});
    for (name, expected) in fifteen.as_object().unwrap() {
        assert_eq!(&overturned[name], expected, "{name}");
    }
    for (by, name) in [
        ("by_rule", "office-manager-approval"),
        ("by_category", "office"),
        ("by_tenant", "acme"),
        ("by_model", "offline-rules-1"),
        ("by_prompt", "classify 1"),
    ] {
        let rates = overturned[by].as_object().unwrap();
        let mut found = rates.iter().filter(|(key, _)| match by {
            // Versions of prompts are raised whenever their text changes.
            "by_prompt" => key.starts_with("classify "),
            _ => *key == name,
        });
        assert_eq!(
            found.next().map(|(_, rate)| rate),
            Some(&fifteen),
            "{by}: {rates:?}"
        );
    }
    static VARYING: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z").unwrap());
    let shown = audit(&store, &[]).await;
    assert_golden(
        "audit_of_overturned_decisions",
        &VARYING.replace_all(&shown, "<time>"),
    );
}
