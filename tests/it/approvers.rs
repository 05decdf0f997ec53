//! Whom several rules ask to approve, together, and how policy files write it. How the approvals are
//! given is tested in `resolutions::in_a_row`.

use std::path::Path;

use expense_agent::domain::approvers::{ApprovedBy, Approvers, still_to_approve};
use expense_agent::domain::ruling::Role::{self, Cfo, Director, Manager, Vp};
use expense_agent::policy::Policies;
use expense_agent::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use expense_agent::policy::parse;
use expense_agent::policy::rule::Rule;
use expense_agent::toml_reader::diagnostic::Diagnostics;
use proptest::prelude::*;
use serde_json::json;

use crate::policy::{MEALS, expense};

/// A policy whose approval rules have these keys, one rule each.
fn policy(keys: &[&str]) -> Result<Policies, Diagnostics> {
    let rule = |(n, keys): (usize, &&str)| {
        format!(
            "[[rule]]\nid = \"r{n}\"\nkind = \"approval\"\nabove = \"100.00\"\ntext = \"Ask.\"\n{keys}\n\n"
        )
    };
    let rules: String = keys.iter().enumerate().map(rule).collect();
    let text = MEALS.replace("[evidence]", &format!("{rules}[evidence]"));
    parse::parse(Path::new("policies"), &[(Path::new("meals.toml"), &text)])
}

/// The verdict of these rules on an expense above their amount.
fn verdict(keys: &[&str]) -> Verdict {
    let policies = policy(keys).unwrap();
    let rules = policies.iter().flat_map(|policy| &policy.rules);
    let asking = rules.filter(|rule| rule.id.starts_with('r'));
    let facts: Vec<RuleFacts> = asking
        .map(|rule| RuleFacts::new(rule, &CapUsage::default()))
        .collect();
    evaluate(&facts, &expense("100.01"))
}

#[test]
fn rows_are_joined_and_a_role_alone_counts_if_it_is_above_them() {
    for (keys, expected) in [
        (vec![], vec![]),
        (vec!["role = \"manager\""], vec![Manager]),
        // Bands of amounts: the highest role is enough.
        (vec!["role = \"manager\"", "role = \"vp\""], vec![Vp]),
        (vec!["roles = [\"manager\", \"cfo\"]"], vec![Manager, Cfo]),
        (
            vec!["roles = [\"manager\", \"cfo\"]", "role = \"director\""],
            vec![Manager, Cfo],
        ),
        (
            vec!["role = \"cfo\"", "roles = [\"manager\", \"director\"]"],
            vec![Manager, Director, Cfo],
        ),
        (
            vec!["roles = [\"director\", \"cfo\"]", "role = \"manager\""],
            vec![Director, Cfo],
        ),
        (
            vec![
                "roles = [\"manager\", \"director\"]",
                "role = \"vp\"",
                "roles = [\"director\", \"cfo\"]",
            ],
            vec![Manager, Director, Cfo],
        ),
    ] {
        let approvers = verdict(&keys).approvers;
        assert_eq!(approvers.roles(), expected, "{keys:?}");
        assert_eq!(approvers.highest(), expected.last().copied(), "{keys:?}");
    }
}

#[test]
fn the_prompt_shows_a_rule_as_its_file_writes_it() {
    for (keys, name, value) in [
        ("role = \"manager\"", "role", json!("manager")),
        (
            "roles = [\"manager\", \"cfo\"]",
            "roles",
            json!(["manager", "cfo"]),
        ),
    ] {
        let policies = policy(&[keys]).unwrap();
        let mut rules = policies.iter().flat_map(|policy| &policy.rules);
        let rule = rules.find(|rule| rule.id == "r0").unwrap();
        let shown = json!(rule);
        assert_eq!(shown[name], value);
        let read: Rule = serde_json::from_value(shown).unwrap();
        assert_eq!(read, *rule);
    }
}

#[test]
fn a_row_has_two_roles_or_more_from_the_lowest_to_the_highest() {
    let accepted = "write two or more of \"manager\", \"director\", \"vp\" and \"cfo\", each once, from the lowest to the highest";
    for (keys, expected) in [
        ("roles = [\"manager\"]", accepted),
        ("roles = []", accepted),
        ("roles = \"manager\"", accepted),
        ("roles = [\"cfo\", \"manager\"]", accepted),
        ("roles = [\"cfo\", \"cfo\"]", accepted),
        ("roles = [\"manager\", \"boss\"]", accepted),
        (
            "role = \"cfo\"\nroles = [\"manager\", \"cfo\"]",
            "`role` and `roles` are both given; write `role` for one person, or `roles` for several in a row",
        ),
        ("", "`role` is missing; write one of \"manager\""),
    ] {
        let message = policy(&[keys]).unwrap_err().to_string();
        assert!(message.contains(expected), "{keys}: {message}");
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Manager, Director, Vp, Cfo])
}

proptest! {
    #[test]
    fn an_approval_takes_the_highest_role_that_it_covers_out_of_the_row(
        row in prop::collection::btree_set(role(), 0..=4),
        given in role(),
    ) {
        let row: Vec<Role> = row.into_iter().collect();
        let left = still_to_approve(&row, given);
        let covered = row.iter().filter(|role| **role <= given).max();
        let expected = covered.map(|covered| {
            row.iter().filter(|role| *role != covered).copied().collect::<Vec<_>>()
        });
        prop_assert_eq!(left, expected);
    }

    /// Which rule is read first does not matter.
    #[test]
    fn the_order_of_rules_does_not_change_whom_they_ask(
        rules in prop::collection::vec(prop::collection::btree_set(role(), 1..=4), 0..5),
    ) {
        let asked = |rules: &mut dyn Iterator<Item = Vec<Role>>| {
            let mut approvers = Approvers::default();
            for roles in rules {
                approvers.ask(&match roles.as_slice() {
                    [role] => ApprovedBy::Role(*role),
                    _ => ApprovedBy::Roles(roles),
                });
            }
            approvers
        };
        let rules: Vec<Vec<Role>> = rules.into_iter().map(|roles| roles.into_iter().collect()).collect();
        let forward = asked(&mut rules.clone().into_iter());
        let backward = asked(&mut rules.into_iter().rev());
        prop_assert_eq!(forward.roles(), backward.roles());
        prop_assert!(!forward.lack(&backward));
    }
}
