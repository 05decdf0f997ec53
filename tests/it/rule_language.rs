//! Rules that look at facts: conditions, required facts, forms of receipts, words, lists of what is
//! allowed, and effects that a policy file chooses. Each rule is written as a policy file writes it.

use expense_agent::domain::approvers::ApprovedBy;
use expense_agent::domain::facts::{FactName, Facts};
use expense_agent::domain::receipt::Receipt;
use expense_agent::domain::ruling::{Role, Ruling};
use expense_agent::policy::evaluate::{CapUsage, RuleFacts, Verdict, evaluate};
use expense_agent::policy::subject::Subject;
use jiff::civil::date;

use crate::policy::expense;
use crate::rules::parsed;

/// Facts by their names and the texts of their values.
fn facts(known: &[(FactName, &str)]) -> Facts {
    let value = |(name, text): &(FactName, &str)| {
        let value = name.declaration().form.of_text(text);
        (
            *name,
            value.unwrap_or_else(|| panic!("{text} is no {name}")),
        )
    };
    known.iter().map(value).collect()
}

/// The verdict of a rule on an expense: none of its conditions may speak against it.
fn verdict_of(lines: &str, subject: &Subject<'_>) -> Option<Verdict> {
    let rule = parsed(lines);
    let holds = rule.conditions.hold(subject);
    holds.then(|| evaluate(&[RuleFacts::new(&rule, &CapUsage::default())], subject))
}

/// Ruling, approver and what is missing, in one line.
fn told(verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else {
        return "does not hold".to_owned();
    };
    let mut told = verdict.ruling.to_string();
    if let Some(role) = verdict.approvers.highest() {
        told += &format!(" by {role}");
    }
    for missing in &verdict.missing {
        told += &format!(", lacks {missing}");
    }
    told
}

#[test]
fn a_rule_holds_when_every_fact_is_in_its_list_and_a_fact_that_is_not_known_is_in_none() {
    use FactName::{Class, Country, EmployeeGroup, Place};
    let always = "kind = \"approval_always\"\nrole = \"director\"\n";
    let asks = "needs_approval by director";
    let no = "does not hold";
    for (conditions, known, expected) in [
        (
            "when = { class = [\"business\", \"first\"] }",
            vec![(Class, "business")],
            asks,
        ),
        (
            "when = { class = [\"business\", \"first\"] }",
            vec![(Class, "economy")],
            no,
        ),
        ("when = { class = [\"business\", \"first\"] }", vec![], no),
        (
            "unless = { place = [\"london\"] }",
            vec![(Place, "London")],
            no,
        ),
        (
            "unless = { place = [\"london\"] }",
            vec![(Place, "London Heathrow")],
            no,
        ),
        (
            "unless = { place = [\"london\"] }",
            vec![(Place, "Londonderry")],
            asks,
        ),
        ("unless = { place = [\"london\"] }", vec![], asks),
        (
            "when = { place = [\"new york*\"] }",
            vec![(Place, "NEW-YORK")],
            asks,
        ),
        (
            "when = { country = [\"DE\"], class = [\"first\"] }",
            vec![(Country, "DE"), (Class, "first")],
            asks,
        ),
        (
            "when = { country = [\"DE\"], class = [\"first\"] }",
            vec![(Country, "DE")],
            no,
        ),
        (
            "unless = { country = [\"DE\"], class = [\"first\"] }",
            vec![(Country, "DE")],
            asks,
        ),
        (
            "unless = { country = [\"DE\"], class = [\"first\"] }",
            vec![(Country, "DE"), (Class, "first")],
            no,
        ),
        (
            "when = { employee_group = [\"first year\"] }",
            vec![(EmployeeGroup, "First Year")],
            asks,
        ),
        (
            "when = { weekday = [\"saturday\", \"sunday\"] }",
            vec![],
            asks,
        ),
        ("when = { weekday = [\"monday\"] }", vec![], no),
        (
            "when = { class = [\"first\"] }\nunless = { country = [\"DE\"] }",
            vec![(Class, "first"), (Country, "DE")],
            no,
        ),
    ] {
        let facts = facts(&known);
        // 14 March 2026 is a Saturday.
        let subject = Subject {
            facts: &facts,
            ..expense("45.00")
        };
        let verdict = verdict_of(&format!("{always}{conditions}"), &subject);
        assert_eq!(
            told(verdict.as_ref()),
            expected,
            "{conditions} with {known:?}"
        );
    }
}

#[test]
fn a_fact_is_required_only_above_the_sum_and_each_that_is_missing_is_named() {
    use FactName::{Attendees, Purpose};
    for (lines, amount, known, expected) in [
        (
            "facts = [\"purpose\"]\nabove = \"45.00\"",
            "45.00",
            vec![],
            "approved",
        ),
        (
            "facts = [\"purpose\"]\nabove = \"45.00\"",
            "45.01",
            vec![],
            "needs_approval by manager, lacks purpose",
        ),
        (
            "facts = [\"purpose\", \"attendees\"]",
            "0.01",
            vec![],
            "needs_approval by manager, lacks attendees, lacks purpose",
        ),
        (
            "facts = [\"purpose\", \"attendees\"]\nrole = \"cfo\"",
            "45.00",
            vec![(Purpose, "Client dinner")],
            "needs_approval by cfo, lacks attendees",
        ),
        (
            "facts = [\"purpose\", \"attendees\"]",
            "45.00",
            vec![(Purpose, "Client dinner"), (Attendees, "4")],
            "approved",
        ),
        (
            "facts = [\"purpose\"]\neffect = \"denied\"",
            "45.00",
            vec![],
            "denied, lacks purpose",
        ),
    ] {
        let facts = facts(&known);
        let subject = Subject {
            facts: &facts,
            ..expense(amount)
        };
        let verdict = verdict_of(&format!("kind = \"required\"\n{lines}"), &subject);
        assert_eq!(
            told(verdict.as_ref()),
            expected,
            "{lines} of {amount} with {known:?}"
        );
    }
}

#[test]
fn a_receipt_of_the_right_form_is_asked_for_or_its_lack_denies() {
    let itemized = "form = \"itemized\"";
    for (lines, receipt, expected) in [
        (
            "",
            Receipt::Absent,
            "needs_approval by manager, lacks receipt",
        ),
        ("", Receipt::Attached, "approved"),
        ("", Receipt::Itemized, "approved"),
        ("form = \"any\"", Receipt::Attached, "approved"),
        (
            itemized,
            Receipt::Absent,
            "needs_approval by manager, lacks itemized_receipt",
        ),
        (
            itemized,
            Receipt::Attached,
            "needs_approval by manager, lacks itemized_receipt",
        ),
        (itemized, Receipt::Itemized, "approved"),
        (
            "effect = \"denied\"",
            Receipt::Absent,
            "denied, lacks receipt",
        ),
        ("effect = \"denied\"", Receipt::Attached, "approved"),
        (
            "role = \"vp\"",
            Receipt::Absent,
            "needs_approval by vp, lacks receipt",
        ),
    ] {
        let subject = Subject {
            receipt,
            ..expense("75.01")
        };
        let rule = format!("kind = \"receipt\"\nabove = \"75.00\"\n{lines}");
        assert_eq!(
            told(verdict_of(&rule, &subject).as_ref()),
            expected,
            "{lines} {receipt}"
        );
        let at_the_limit = Subject {
            amount: crate::policy::dec("75.00"),
            ..subject
        };
        assert_eq!(told(verdict_of(&rule, &at_the_limit).as_ref()), "approved");
    }
}

#[test]
fn a_blocked_word_counts_in_both_texts_and_a_longer_phrase_disarms_it() {
    let rule = "kind = \"blocked_words\"\nwords = [\"minibar\", \"gift card*\", \"whisk*\", \"parking fine*\", \"wine\"]\n\
                but = [\"gift card holder*\", \"alcohol free wine\"]";
    for (merchant, transaction, expected) in [
        (None, "Hotel, minibar", "denied"),
        (Some("The Minibar"), "Dinner", "denied"),
        (Some("Caffe Nero"), "Whiskey", "denied"),
        (Some("Caffe Nero"), "wh\u{131}skey", "denied"),
        (None, "Gift cards for the team", "denied"),
        (None, "Gift card holders", "approved"),
        (None, "Gift card holder and a gift card", "denied"),
        (None, "Alcohol-free wine", "approved"),
        (None, "Alcohol-free wine and wine", "denied"),
        (None, "A parking ticket, fine by me", "approved"),
        (None, "PARKING-FINE", "denied"),
        (None, "Winery tour", "approved"),
    ] {
        let subject = Subject {
            merchant,
            transaction,
            ..expense("45.00")
        };
        let verdict = verdict_of(rule, &subject);
        assert_eq!(
            told(verdict.as_ref()),
            expected,
            "{merchant:?} {transaction}"
        );
    }
    let asked = verdict_of(
        &format!("{rule}\nrole = \"manager\""),
        &Subject {
            transaction: "A bottle of wine",
            ..expense("45.00")
        },
    )
    .unwrap();
    assert_eq!(told(Some(&asked)), "needs_approval by manager");
    assert_eq!(asked.findings[0].message, "Not paid. It says \"wine\".");
}

#[test]
fn only_what_is_listed_is_allowed_and_what_is_not_known_is_asked_about() {
    let mcc = "kind = \"allowed_mcc\"\nmcc = [\"3000-3350\", \"4722\"]";
    let merchant = "kind = \"allowed_merchant\"\nmerchant = [\"navan*\"]";
    for (rule, code, name, expected) in [
        (mcc, Some("3350"), None, "approved"),
        (mcc, Some("4722"), None, "approved"),
        (mcc, Some("3351"), None, "denied"),
        (mcc, None, None, "needs_approval by manager, lacks mcc"),
        (merchant, None, Some("NAVAN Inc."), "approved"),
        (merchant, None, Some("Expedia"), "denied"),
        (
            merchant,
            None,
            None,
            "needs_approval by manager, lacks merchant",
        ),
    ] {
        let subject = Subject {
            mcc: code,
            merchant: name,
            transaction: "Navan",
            ..expense("45.00")
        };
        assert_eq!(
            told(verdict_of(rule, &subject).as_ref()),
            expected,
            "{rule} {code:?} {name:?}"
        );
    }
}

#[test]
fn a_journey_booked_on_the_last_day_in_time_passes() {
    let rule = "kind = \"advance\"\ndays = 14\nrole = \"director\"";
    for (travel_date, expected) in [
        (Some("2026-03-28"), "approved"),
        (Some("2026-03-27"), "needs_approval by director"),
        (Some("2026-03-13"), "needs_approval by director"),
        (None, "needs_approval by director, lacks travel_date"),
    ] {
        let facts = facts(
            &travel_date
                .map(|day| (FactName::TravelDate, day))
                .into_iter()
                .collect::<Vec<_>>(),
        );
        let subject = Subject {
            facts: &facts,
            ..expense("45.00")
        };
        assert_eq!(
            told(verdict_of(rule, &subject).as_ref()),
            expected,
            "{travel_date:?}"
        );
    }
}

#[test]
fn a_late_expense_is_asked_about_if_the_policy_says_so() {
    let late = Subject {
        date: date(2026, 1, 1),
        ..expense("45.00")
    };
    let told = |lines: &str| {
        told(verdict_of(&format!("kind = \"max_age\"\ndays = 60\n{lines}"), &late).as_ref())
    };
    assert_eq!(told(""), "denied");
    assert_eq!(told("role = \"cfo\""), "needs_approval by cfo");
    assert_eq!(
        told("effect = \"needs_approval\"\nrole = \"cfo\""),
        "needs_approval by cfo"
    );
}

#[test]
fn the_shipped_effects_are_those_of_the_kinds() {
    let kind = |lines: &str| parsed(lines).kind.effect();
    assert_eq!(
        kind("kind = \"max_age\"\ndays = 60").ruling(),
        Ruling::Denied
    );
    let receipt = kind("kind = \"receipt\"\nabove = \"25.00\"");
    assert_eq!(receipt.asks(), Some(&ApprovedBy::Role(Role::Manager)));
}

#[test]
fn a_cap_grows_with_people_nights_and_distance_and_includes_its_limit() {
    use FactName::{Attendees, Distance, DistanceUnit, Nights};
    let head = "unit = \"attendee\"\nmax = \"50.00\"";
    let night = "unit = \"night\"\nmax = \"150.00\"\nmost = 3";
    let km = "unit = \"km\"\nmax = \"0.2985\"";
    let driven = |far, unit| vec![(Distance, far), (DistanceUnit, unit)];
    for (lines, amount, known, expected) in [
        (head, "200.00", vec![(Attendees, "4")], "approved"),
        (head, "200.01", vec![(Attendees, "4")], "denied"),
        (
            head,
            "0.01",
            vec![],
            "needs_approval by manager, lacks attendees",
        ),
        (night, "450.00", vec![(Nights, "3")], "approved"),
        (night, "450.01", vec![(Nights, "3")], "denied"),
        (night, "450.00", vec![(Nights, "4")], "approved"),
        (night, "450.01", vec![(Nights, "4")], "denied"),
        // 12.5 km are 3.73125, which is rounded up to 3.74.
        (km, "3.74", driven("12.5", "km"), "approved"),
        (km, "3.75", driven("12.5", "km"), "denied"),
        (
            km,
            "3.74",
            driven("12.5", "mile"),
            "needs_approval by manager, lacks distance",
        ),
        (
            km,
            "3.74",
            vec![],
            "needs_approval by manager, lacks distance",
        ),
    ] {
        let facts = facts(&known);
        let subject = Subject {
            facts: &facts,
            ..expense(amount)
        };
        let verdict = verdict_of(&format!("kind = \"cap\"\n{lines}"), &subject);
        let lacking = verdict.iter().filter(|verdict| !verdict.missing.is_empty());
        for message in lacking.map(|verdict| &verdict.findings[0].message) {
            assert!(
                message.starts_with("Not paid. The expense does not state: "),
                "{message}"
            );
        }
        assert_eq!(
            told(verdict.as_ref()),
            expected,
            "{lines} of {amount} with {known:?}"
        );
    }
}
