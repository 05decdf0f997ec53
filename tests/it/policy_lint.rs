//! Warnings of `policies check` about rules that are valid but can never matter.

use std::path::Path;

use expense_agent::cli::policies::check::check;
use expense_agent::policy::{lint, parse};

use crate::harness::policy_folder::{PolicyFolder, shipped_with};
use crate::harness::shipped_policies;
use crate::policy::MEALS;

/// The warnings about a policy with these rules, `id: keys` each, beside no others.
fn warned(rules: &[(&str, &str)]) -> Vec<String> {
    let (head, rest) = MEALS.split_once("[[rule]]").unwrap();
    let (_, evidence) = rest.split_once("[evidence]").unwrap();
    let rules: String = rules
        .iter()
        .map(|(id, keys)| format!("[[rule]]\nid = \"{id}\"\ntext = \"It.\"\n{keys}\n"))
        .collect();
    let text = format!("{head}{rules}[evidence]{evidence}");
    let sources = [(Path::new("meals.toml"), text.as_str())];
    let policies = parse::parse(Path::new("."), &sources).unwrap();
    let warnings = policies.iter().flat_map(lint::warnings);
    warnings
        .map(|warning| format!("{} {}", warning.rule, warning.message))
        .collect()
}

const DAY_75: &str = "kind = \"cap\"\nper = \"day\"\nmax = \"75.00\"";

#[test]
fn a_rule_that_can_never_matter_is_named_with_the_rule_that_hides_it() {
    let cap = |per: &str, max: &str| format!("kind = \"cap\"\nper = \"{per}\"\nmax = \"{max}\"");
    let asks = |above: &str, role: &str| {
        format!("kind = \"approval\"\nabove = \"{above}\"\nrole = \"{role}\"")
    };
    let receipt = |above: &str| format!("kind = \"receipt\"\nabove = \"{above}\"");
    for (one, other, expected) in [
        // Caps: the limit is included, so equal limits hide each other too.
        (
            cap("day", "75.00"),
            cap("day", "75.00"),
            "b changes nothing",
        ),
        (
            cap("day", "75.00"),
            cap("day", "75.01"),
            "b changes nothing",
        ),
        (
            cap("day", "75.01"),
            cap("day", "75.00"),
            "a changes nothing",
        ),
        (
            cap("month", "75.00"),
            cap("day", "75.00"),
            "b changes nothing",
        ),
        (cap("month", "75.00"), cap("day", "74.99"), ""),
        (
            cap("day", "75.00"),
            cap("expense", "80.00"),
            "b changes nothing",
        ),
        (cap("day", "75.00"), cap("trip", "75.00"), ""),
        (cap("month", "75.00"), cap("week", "75.00"), ""),
        (
            cap("year", "75.00"),
            cap("quarter", "75.00"),
            "b changes nothing",
        ),
        // Approvals and receipts above what a cap denies.
        (cap("day", "75.00"), asks("75.00", "vp"), "b never asks"),
        (cap("day", "75.00"), asks("74.99", "vp"), ""),
        (cap("year", "75.00"), receipt("80.00"), "b never asks"),
        // Approvals beside each other.
        (
            asks("50.00", "director"),
            asks("80.00", "manager"),
            "b changes nothing",
        ),
        (asks("50.00", "manager"), asks("80.00", "director"), ""),
        (
            "kind = \"approval_always\"\nrole = \"vp\"".to_owned(),
            asks("80.00", "vp"),
            "b changes nothing",
        ),
        (
            "kind = \"approval_always\"\nrole = \"vp\"".to_owned(),
            asks("80.00", "cfo"),
            "",
        ),
        (receipt("25.00"), receipt("50.00"), "b changes nothing"),
        // The rest.
        (
            "kind = \"max_age\"\ndays = 30".to_owned(),
            "kind = \"max_age\"\ndays = 90".to_owned(),
            "b changes nothing",
        ),
        (
            "kind = \"future\"".to_owned(),
            "kind = \"future\"\ndays = 1".to_owned(),
            "b changes nothing",
        ),
        (
            "kind = \"blocked_mcc\"\nmcc = [\"7995\", \"5813\"]".to_owned(),
            "kind = \"blocked_mcc\"\nmcc = [\"7995\"]".to_owned(),
            "b changes nothing",
        ),
    ] {
        let warnings = warned(&[("a", &one), ("b", &other)]);
        if expected.is_empty() {
            assert_eq!(warnings, [] as [String; 0], "{one}\n{other}");
        } else {
            assert_eq!(warnings.len(), 1, "{one}\n{other}\n{warnings:?}");
            assert!(
                warnings[0].starts_with(expected),
                "{one}\n{other}\n{warnings:?}"
            );
        }
    }
}

#[test]
fn a_cap_that_somebody_may_set_aside_hides_no_other_that_stays() {
    let waived = format!("{DAY_75}\nexception = \"director\"");
    let hard = "kind = \"cap\"\nper = \"day\"\nmax = \"200.00\"";
    let asks = "kind = \"approval\"\nabove = \"75.00\"\nrole = \"vp\"";
    assert!(warned(&[("a", &waived), ("b", hard)]).is_empty());
    assert!(warned(&[("a", &waived), ("b", asks)]).is_empty());
    let also_waived = format!("{hard}\nexception = \"manager\"");
    assert_eq!(warned(&[("a", &waived), ("b", &also_waived)]).len(), 1);
}

#[test]
fn a_rule_with_conditions_hides_only_rules_with_the_same() {
    let in_london = "\nwhen = { place = [\"london\"] }";
    let asks_place = ("p", "kind = \"required\"\nfacts = [\"place\"]");
    let night = |max: &str| format!("kind = \"cap\"\nunit = \"night\"\nmax = \"{max}\"");
    let london = format!("{}{in_london}", night("200.00"));
    let elsewhere = format!("{}{}", night("150.00"), in_london.replace("when", "unless"));
    assert!(warned(&[("a", &london), ("b", &elsewhere)]).is_empty());
    let all = night("150.00");
    let found = warned(&[("a", &london), ("b", &all), asks_place]);
    assert!(found[0].starts_with("a changes nothing: `b`"), "{found:?}");
    let found = warned(&[
        ("a", &night("200.00")),
        ("b", &format!("{all}{in_london}")),
        asks_place,
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn conditions_that_contradict_each_other_or_are_easily_escaped_are_named() {
    let with =
        |conditions: &str| format!("kind = \"approval_always\"\nrole = \"director\"\n{conditions}");
    let asks = |fact: &str| format!("kind = \"required\"\nfacts = [\"{fact}\"]");
    for (conditions, asked, expected) in [
        (
            "when = { class = [\"first\"] }\nunless = { class = [\"first\", \"business\"] }",
            "class",
            "a never holds",
        ),
        (
            "when = { class = [\"first\", \"business\"] }\nunless = { class = [\"first\"] }",
            "class",
            "",
        ),
        (
            "when = { class = [\"first\"] }\nunless = { class = [\"first\"], paid_by = [\"card\"] }",
            "class",
            "",
        ),
        (
            "when = { class = [\"first\"] }",
            "place",
            "a does not hold for an expense that leaves out `class`",
        ),
        ("when = { class = [\"first\"] }", "class", ""),
        ("unless = { class = [\"economy\"] }", "place", ""),
        ("when = { employee_group = [\"interns\"] }", "place", ""),
        ("when = { weekday = [\"sunday\"] }", "place", ""),
    ] {
        let found = warned(&[("a", &with(conditions)), ("b", &asks(asked))]);
        match expected {
            "" => assert!(found.is_empty(), "{conditions}\n{found:?}"),
            _ => assert!(found[0].starts_with(expected), "{conditions}\n{found:?}"),
        }
    }
}

#[test]
fn a_blocked_word_that_is_also_allowed_is_named() {
    let words = "kind = \"blocked_words\"\nwords = [\"minibar\", \"gift card*\"]\n";
    let found = warned(&[("a", &format!("{words}but = [\"gift card*\"]"))]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("never finds \"gift card*\""), "{found:?}");
    let holder = warned(&[("a", &format!("{words}but = [\"gift card holder*\"]"))]);
    assert!(holder.is_empty(), "{holder:?}");
}

#[test]
fn a_tolerance_above_the_amount_that_needs_a_plan_is_named() {
    let plan = |tolerance: &str| {
        format!(
            "kind = \"preapproved\"\nabove = \"500.00\"\ntolerance = \"{tolerance}\"\n\
             role = \"director\""
        )
    };
    assert!(warned(&[("a", &plan("500.00"))]).is_empty());
    let found = warned(&[("a", &plan("500.01"))]);
    assert!(
        found[0].contains("a plan of any amount would do"),
        "{found:?}"
    );
}

#[test]
fn a_warning_names_the_line_of_the_rule_and_is_no_error() {
    let folder = PolicyFolder::shipped();
    let with_rule = shipped_with(
        "meals.toml",
        "\n[[rule]]\nid = \"meals-receipt\"",
        "\n[[rule]]\nid = \"meals-vp\"\nkind = \"approval\"\nabove = \"80.00\"\nrole = \"vp\"\n\
         text = \"A vice president approves.\"\n\n[[rule]]\nid = \"meals-receipt\"",
    )
    .replace("exception = \"director\"\n", "");
    folder.write("meals.toml", &with_rule);
    let line = 1 + with_rule
        .lines()
        .position(|line| line == "id = \"meals-vp\"")
        .unwrap();
    let mut out = Vec::new();
    check(folder.path(), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    let warning = format!("meals.toml:{}: `meals-vp` never asks", line - 1);
    assert!(said.contains(&warning), "{said}");
    assert!(said.ends_with("no errors, one warning\n"), "{said}");
}

#[test]
fn an_exception_from_common_rules_for_no_category_is_named() {
    let folder = PolicyFolder::shipped();
    let common = "currency = \"USD\"\nexcept = [\"meals\", \"petty-cash\"]\n\n[[rule]]\n\
                  id = \"old\"\nkind = \"max_age\"\ndays = 90\ntext = \"Not old.\"\n";
    folder.write("common.toml", common);
    let mut out = Vec::new();
    check(folder.path(), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(
        said.contains("common.toml:2: `except` names `petty-cash`"),
        "{said}"
    );
    assert!(said.ends_with("no errors, one warning\n"), "{said}");
}

#[test]
fn the_shipped_policies_have_no_doubtful_rule() {
    let mut out = Vec::new();
    check(&shipped_policies(), &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().ends_with("no problems\n"));
}
