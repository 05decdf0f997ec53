//! Groups of employees: who says which group an employee is in.

use std::path::Path;
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::rulebook::people::People;
use serde_json::{Value, json};

use crate::harness::expenses::{numbered_ride, of_user};
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::policy_folder::PolicyFolder;
use crate::harness::{TestApp, assert_golden, poll};

const PEOPLE: &str = "[[person]]\nuser = \"Ana\"\ngroup = \"faculty\"\n";

/// An expense of an employee that states a group, or none.
fn stating(user_id: &str, group: Option<&str>) -> Value {
    let mut body = of_user(numbered_ride(1), user_id);
    if let Some(group) = group {
        body["employee_group"] = group.into();
    }
    body
}

/// The group that the answer shows, or the message of the refusal.
fn told(body: &Value) -> String {
    let group = body["employee_group"].as_str().map(str::to_owned);
    let refused = || {
        let error = &body["errors"][0];
        assert_eq!(
            (&body["code"], &error["field"]),
            (&json!("invalid_expense"), &json!("employee_group"))
        );
        error["message"]
            .as_str()
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .to_owned()
    };
    match body["outcome"].is_string() {
        true => group.unwrap_or_else(|| "no group".to_owned()),
        false => refused(),
    }
}

#[tokio::test]
async fn a_group_comes_from_the_key_or_the_table_or_a_program_and_never_from_an_employee() {
    let keys = KeyFile::new(&[
        entry("ana", "acme", "ea_ana", "user = \"ana\""),
        entry("ben", "acme", "ea_ben", "user = \"ben\"\ngroup = \"sales\""),
        entry(
            "boss",
            "acme",
            "ea_boss",
            "user = \"boss\"\nroles = [\"cfo\"]",
        ),
        entry("erp", "acme", "ea_erp", ""),
        entry("tills", "acme", "ea_tills", "group = \"shops\""),
    ]);
    let folder = PolicyFolder::shipped();
    folder.write("tables/people.toml", PEOPLE);
    let config = |folder: &PolicyFolder| Config {
        http: keys.http_config(),
        ..folder.config()
    };
    let (with_table, without) = (
        TestApp::with(config(&folder)).await,
        TestApp::with(config(&PolicyFolder::shipped())).await,
    );
    let refused = "the key of a person cannot choose a group";
    for (key, employee, stated, expected, expected_without) in [
        ("ea_ana", "ana", None, "faculty", "no group"),
        // Compared in the one spelling of people.
        ("ea_ana", "ANA", None, "faculty", "no group"),
        ("ea_ana", "ana", Some("faculty"), refused, refused),
        ("ea_boss", "ana", Some("sales"), refused, refused),
        ("ea_ben", "ben", None, "sales", "sales"),
        // The key says nothing about another person for whom its holder hands in.
        ("ea_ben", "ana", None, "faculty", "no group"),
        ("ea_ben", "cleo", None, "no group", "no group"),
        ("ea_erp", "ana", None, "faculty", "no group"),
        ("ea_erp", "ana", Some("sales"), "faculty", "sales"),
        ("ea_erp", "cleo", Some("sales"), "sales", "sales"),
        ("ea_erp", "cleo", None, "no group", "no group"),
        ("ea_tills", "ana", None, "shops", "shops"),
        ("ea_tills", "cleo", Some("sales"), "shops", "shops"),
    ] {
        for (app, expected) in [(&with_table, expected), (&without, expected_without)] {
            let reply = app.post_as(key, stating(employee, stated)).await;
            assert_eq!(
                told(&reply.body),
                expected,
                "{key} for {employee}, stating {stated:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_keys_a_group_comes_from_the_table_if_there_is_one_and_else_from_the_request() {
    let folder = PolicyFolder::shipped();
    let app = folder.app().await;
    assert_eq!(
        told(&app.post(stating("ana", Some("sales"))).await.body),
        "sales"
    );
    assert_eq!(told(&app.post(stating("ana", None)).await.body), "no group");
    folder.write("tables/people.toml", PEOPLE);
    poll::until(
        Duration::from_secs(20),
        "group from the table",
        async || match told(&app.post(stating("ana", None)).await.body).as_str() {
            "faculty" => Ok(()),
            other => Err(other.to_owned()),
        },
    )
    .await;
    for employee in ["ana", "cleo"] {
        let refused = app.post(stating(employee, Some("sales"))).await;
        assert_eq!(refused.status, 422);
        assert!(told(&refused.body).starts_with("a request without a key cannot choose"));
    }
    assert_eq!(
        told(&app.post(stating("cleo", None)).await.body),
        "no group"
    );
}

#[tokio::test]
async fn a_tenant_with_a_table_of_its_own_uses_no_other() {
    let folder = PolicyFolder::shipped();
    folder.write("tables/people.toml", PEOPLE);
    let own = "[[person]]\nuser = \"cleo\"\ngroup = \"board\"\n";
    folder.write("tenants/acme/tables/people.toml", own);
    let app = folder.app().await;
    for (tenant, ana, cleo) in [
        ("acme", "no group", "board"),
        ("other", "faculty", "no group"),
    ] {
        let tenant = format!("tenant.id={tenant}");
        let header = [("baggage", tenant.as_str())];
        for (employee, expected) in [("ana", ana), ("cleo", cleo)] {
            let reply = app.post_with(stating(employee, None), &header).await;
            assert_eq!(told(&reply.body), expected, "{employee} of {tenant}");
        }
    }
}

#[test]
fn the_diagnostics_of_a_table_of_people_say_what_to_write() {
    let broken = r#"
[[person]]
user = "ana"
group = " faculty"

[[person]]
user = "ben"
groups = "sales"

[[person]]
user = "cleo"
group = "board"

[[person]]
user = "Cleo"
group = "sales"
"#;
    let diagnostics = People::parse(Path::new("policies/tables/people.toml"), broken).unwrap_err();
    assert_golden("diagnostics_of_a_table_of_people", &diagnostics.to_string());
}
