//! The subcommands with which the authors of policies try them: `policies test`, `policies explain`
//! and `policies new`.

use std::path::Path;

use clap::Parser;
use expense_agent::cli::policies::{explain, new, test};
use expense_agent::cli::{Cli, Command, PoliciesCommand};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::binary::{run, text};
use crate::harness::policy_folder::{PolicyFolder, shipped_with};
use crate::harness::{assert_golden, policies_with, project_path, shipped_policies};

/// What `policies test` prints for a folder, with the error that it ends with, if any.
pub(crate) fn tested(dir: &Path) -> String {
    let mut out = Vec::new();
    let result = test::test(dir, &mut out);
    let mut said = String::from_utf8(out).unwrap();
    if let Err(error) = result {
        said.push_str(&format!("error: {error}\n"));
    }
    said.replace(&format!("{}/", dir.display()), "")
}

/// The shipped policies with cases of meals.
fn with_cases(cases: &str) -> PolicyFolder {
    let folder = PolicyFolder::shipped();
    folder.write("meals.test.toml", cases);
    folder
}

#[test]
fn the_cases_of_the_shipped_policies_hold() {
    assert_golden(
        "cases_of_the_shipped_policies",
        &tested(&shipped_policies()),
    );
}

#[test]
fn a_failing_case_shows_what_was_expected_and_what_came() {
    let folder = with_cases(
        r#"category = "meals"
today = "2026-03-14"

[[case]]
name = "a cent above the day's limit is fine"
expense = { transaction = "Lunch", amount = "15.01" }
used = { day = "60.00" }
verdict = "approved"
approver = "manager"
findings = []
missing = []

[[case]]
name = "a receipt is missing"
expense = { transaction = "Lunch", amount = "25.01" }
verdict = "needs_approval"
approver = "none"
findings = ["meals-receipt", "meals-day-cap"]
missing = []

[[case]]
name = "yen without a rate"
expense = { transaction = "Lunch", amount = "900", currency = "JPY", date = "2009-12-31" }
verdict = "approved"

[[case]]
name = "nothing adds up over a trip"
expense = { transaction = "Lunch", amount = "9.00" }
used = { trip = "60.00" }
verdict = "approved"

[[case]]
name = "used by the id of the cap"
expense = { transaction = "Lunch", amount = "9.00" }
used = { day = "10.00", meals-day-cap = "70.00" }
verdict = "denied"

[[case]]
name = "this one holds"
expense = { transaction = "Lunch", amount = 9.50 }
verdict = "approved"
"#,
    );
    assert_golden("failing_cases", &tested(folder.path()));
}

#[test]
fn every_mistake_in_a_file_of_cases_is_reported_with_line_and_what_to_write() {
    let folder = with_cases(
        r#"category = "Meals!"
expense = { currency = "USD", mcc = "red" }
who = "me"

[[case]]
expense = { transaction = "Lunch", amount = "75,00", date = "2026-03-14", receipt = 1 }
verdict = "fine"
approver = "boss"
findings = "meals-day-cap"
used = { day = 60 }

[[case]]
name = "without a day"
expense = { transaction = "Lunch", amount = "75.00" }
verdict = "approved"

[[case]]
name = "a credit"
today = "2026-03-14"
expense = { transaction = "Lunch", amount = "-75.00", refunds = "01890a5d-ac96-774b-bcce-b302099a8057" }
purchases = [{ amount = "1.00" }]
verdict = "approved"

[[case]]
name = "without an expense"
today = "2026-03-14"
verdict = "approved"
"#,
    );
    assert_golden("diagnostics_of_a_file_of_cases", &tested(folder.path()));
}

#[test]
fn a_folder_without_cases_fails_because_nothing_was_tested() {
    assert!(tested(PolicyFolder::shipped().path()).contains("has no cases; write some"));
}

#[test]
fn cases_of_a_tenant_are_judged_by_the_policies_of_the_tenant() {
    let folder = PolicyFolder::shipped();
    let lower = shipped_with("meals.toml", "max = \"75.00\"", "max = \"40.00\"");
    folder.write("tenants/acme/meals.toml", &lower);
    let cases = |verdict: &str| {
        format!(
            "category = \"meals\"\n[[case]]\nname = \"50.00\"\ntoday = \"2026-03-14\"\n\
             expense = {{ transaction = \"Lunch\", amount = \"50.00\", receipt = true }}\n\
             verdict = \"{verdict}\"\n"
        )
    };
    folder.write("meals.test.toml", &cases("approved"));
    folder.write("tenants/acme/meals.test.toml", &cases("denied"));
    let said = tested(folder.path());
    assert!(said.ends_with("2 cases hold\n"), "{said}");
}

#[tokio::test]
async fn cases_are_no_part_of_the_policies_of_a_service() {
    let folder = with_cases("not TOML");
    let app = folder.app().await;
    let answer = app.get("/v1/policies").await;
    assert_eq!(answer.body["policies"].as_array().unwrap().len(), 4);
    let output = run(&["policies", "check", folder.name()], &[]).await;
    assert!(text(output.stdout).ends_with("no problems\n"));
    let output = run(&["policies", "test", folder.name()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output.stderr).contains("meals.test.toml:1: is not TOML"));
}

/// What `policies explain` prints for an expense.
fn explained(dir: &Path, expense: Value, arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), expense.to_string()).unwrap();
    let (dir, file) = (dir.to_str().unwrap(), file.path().to_str().unwrap());
    let command = [
        "expense-agent",
        "policies",
        "explain",
        dir,
        "--expense",
        file,
    ];
    let arguments = [&command[..], &["--today", "2026-03-14"], arguments].concat();
    let Some(Command::Policies {
        command: PoliciesCommand::Explain(wanted),
    }) = Cli::try_parse_from(arguments).unwrap().command
    else {
        panic!("another command");
    };
    let mut out = Vec::new();
    let result = explain::explain(&wanted, Path::new("no-such-folder"), &mut out);
    let mut said = String::from_utf8(out).unwrap();
    if let Err(error) = result {
        said.push_str(&format!("error: {error}\n").replace(file, "FILE"));
    }
    said
}

#[test]
fn an_explanation_names_every_rule_and_what_it_says() {
    let dir = shipped_policies();
    let lunch = |amount: &str| json!({"transaction": "Lunch", "amount": amount});
    let explanations = [
        explained(&dir, lunch("80.00"), &["--used", "day=10.00"]),
        explained(&dir, lunch("20.00"), &[]),
        explained(&dir, lunch("600.00"), &["--category", "office"]),
        explained(
            &dir,
            json!({"transaction": "Something", "amount": "5.00"}),
            &[],
        ),
        explained(
            &dir,
            json!({"transaction": "Travel: gym membership", "amount": "190.00"}),
            &[],
        ),
        explained(
            &dir,
            json!({"transaction": "Lunch", "amount": "30.00", "currency": "EUR"}),
            &[],
        ),
        explained(&dir, lunch("20.00"), &["--category", "golf"]),
        explained(&dir, json!({"transaction": " ", "mcc": "red"}), &[]),
    ];
    assert_golden("explanations", &explanations.join("--------\n"));
}

#[test]
fn an_explanation_says_when_each_rule_holds() {
    let rules = "[[rule]]\nid = \"interns\"\nkind = \"approval_always\"\nrole = \"director\"\n\
                 when = { employee_group = [\"interns\"] }\ntext = \"Interns ask.\"\n";
    let folder = policies_with("meals.toml", rules);
    let lunch = |group: &str| {
        let lunch = json!({"transaction": "Lunch", "amount": "9.00", "employee_group": group});
        explained(folder.path(), lunch, &[])
    };
    let condition = "    Interns ask.\n    Condition: only if employee_group is interns.\n";
    let (asked, passed) = (lunch("interns"), lunch("staff"));
    let holds = format!("interns: needs_approval\n{condition}");
    assert!(asked.contains(&holds), "{asked}");
    let does_not_hold = format!("interns: does not hold\n{condition}");
    assert!(passed.contains(&does_not_hold), "{passed}");
}

/// The folder of an example, as `policies new` writes it.
pub(crate) fn example(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let wanted = new::New {
        name: name.to_owned(),
        dir: Some(folder.path().to_owned()),
    };
    new::new(&wanted, &mut Vec::new()).unwrap();
    folder
}

/// The files below a folder, as paths inside it.
fn files_below(folder: &Path, below: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = format!("{below}{name}");
        if path.is_dir() {
            files.extend(files_below(&path, &format!("{name}/")));
        } else {
            files.push(name);
        }
    }
    files.sort();
    files
}

#[test]
fn every_example_is_copied_whole_and_its_cases_hold() {
    let examples = project_path("policies/examples");
    for entry in std::fs::read_dir(&examples).unwrap() {
        let shipped = entry.unwrap().path();
        if !shipped.is_dir() {
            continue;
        }
        let name = shipped.file_name().unwrap().to_str().unwrap();
        let copy = example(name);
        let mut expected = files_below(&shipped, "");
        expected.push("tables/prices.toml".to_owned());
        expected.sort();
        assert_eq!(files_below(copy.path(), ""), expected, "{name}");
        let said = tested(copy.path());
        assert!(said.ends_with(" cases hold\n"), "{name}:\n{said}");
    }
}

#[test]
fn an_example_is_not_written_into_a_folder_with_files() {
    let folder = PolicyFolder::shipped();
    let wanted = new::New {
        name: "small-company".to_owned(),
        dir: Some(folder.path().to_owned()),
    };
    let error = new::new(&wanted, &mut Vec::new()).unwrap_err().to_string();
    assert!(
        error.ends_with("is not empty; name a new folder"),
        "{error}"
    );
}
