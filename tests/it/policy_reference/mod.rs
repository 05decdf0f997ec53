//! The policy engine beside a slow reference, which is written from the documentation of the policies
//! and shares no code with it. Random expenses are judged by both under random policies, and everything
//! that a policy says has to agree.
//!
//! `policies`, `rules` and `expenses` draw what is judged. `reference` is the other judge, with its own
//! `folder`, `says`, `words`, `periods` and `history`. `engine` asks the service's own code.

mod chance;
mod engine;
mod expenses;
mod folder;
mod history;
mod periods;
mod policies;
mod reference;
mod rules;
mod says;
mod verdict;
mod words;

use std::collections::BTreeMap;

use chance::Chance;
use engine::Engine;
use folder::Folder;

const N_POLICIES: u64 = 500;
const N_EXPENSES: usize = 12;
/// Another number leads to other policies and expenses.
const FIRST_SEED: u64 = 10_000;

/// What a run has seen, so that a comparison of nothing does not pass.
#[derive(Default)]
struct Seen {
    rulings: BTreeMap<&'static str, usize>,
    broken: BTreeMap<String, usize>,
}

/// Judges expenses under one folder of policies.
fn compare(seed: u64, seen: &mut Seen) {
    let chance = &mut Chance::new(seed);
    let files = policies::folder(chance);
    let engine =
        Engine::load(&files).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{files:#?}"));
    let folder = Folder::parse(&files);
    for _ in 0..N_EXPENSES {
        let category = chance.pick(&rules::CATEGORIES);
        let currency = folder.currency(category);
        let (today, mut body) = expenses::expense(chance, &currency);
        let date = body["date"].as_str().unwrap().parse().unwrap();
        let mut history = expenses::history(chance, date, |category| folder.currency(category));
        if chance.percent(70) && body["currency"] == *currency {
            let answer = folder.question(category, today, &body, &history).answer();
            if let Some(amount) = expenses::beside(chance, &answer.edges, &currency) {
                body["amount"] = amount.into();
            }
        }
        history.extend(expenses::twin(chance, &body, category));
        let question = folder.question(category, today, &body, &history);
        let (expected, found) = (question.answer(), engine.answer(&question));
        assert_eq!(
            found.lines(),
            expected.lines(),
            "\nseed {seed}: the engine (left) and the reference (right) disagree\n\
             category {category}, today {today}\n{body:#}\nearlier: {history:#?}\n{files}",
        );
        *seen.rulings.entry(expected.ruling).or_default() += 1;
        for finding in &expected.findings {
            let kind = format!("{} per {}", finding.kind, finding.window);
            *seen.broken.entry(kind).or_default() += 1;
        }
    }
}

#[test]
fn engine_and_reference_agree_on_random_expenses_under_random_policies() {
    let mut seen = Seen::default();
    for n in 0..N_POLICIES {
        compare(FIRST_SEED + n, &mut seen);
    }
    let Seen { rulings, broken } = seen;
    assert!(
        rulings.len() == 4 && rulings.values().all(|n| *n > 100),
        "{rulings:?}"
    );
    assert!(
        broken.len() == 24 && broken.values().all(|n| *n > 5),
        "{broken:#?}"
    );
}
