//! Where evidence stands in a text: the words that a view marks are the words that the agent saw.

use std::sync::{Arc, LazyLock};

use expense_agent::policy::Policies;
use expense_agent::policy::evidence::EvidenceSource;
use expense_agent::rulebook::Rulebooks;
use expense_agent::spelling::{placed_words, words};
use proptest::prelude::*;

use crate::harness::shipped_policies;

/// The shipped policies, read once for all cases.
static SHIPPED: LazyLock<Arc<Policies>> = LazyLock::new(|| {
    let rulebooks = Rulebooks::load(&shipped_policies()).unwrap();
    rulebooks.shared.policies
});

#[test]
fn a_phrase_is_marked_where_it_is_written_however_it_is_written() {
    let policies = &*SHIPPED;
    for (text, marked) in [
        ("Taxi to the airport", "Taxi"),
        ("A FLIGHT, and back", "FLIGHT"),
        ("late ｄｉｎｎｅｒ alone", "ｄｉｎｎｅｒ"),
        ("team lu\u{200b}nch", "lu\u{200b}nch"),
        ("docking\n station", "docking\n station"),
        ("Zürich (Hotel)", "Hotel"),
    ] {
        let pointers = policies.pointers(None, None, text, None);
        let places: Vec<&str> = pointers
            .iter()
            .map(|pointer| &text[pointer.place.clone()])
            .collect();
        assert!(places.contains(&marked), "{text:?}: {places:?}");
    }
    let pointers = policies.pointers(Some("5812"), Some("Uber Eats"), "-", Some("Airlines"));
    let sources: Vec<_> = pointers
        .iter()
        .map(|pointer| (pointer.source, &*pointer.category))
        .collect();
    assert!(
        sources.contains(&(EvidenceSource::Mcc, "meals")),
        "{sources:?}"
    );
    assert!(
        sources.contains(&(EvidenceSource::Merchant, "meals")),
        "{sources:?}"
    );
    assert!(
        !sources.contains(&(EvidenceSource::Merchant, "travel")),
        "{sources:?}"
    );
}

/// Texts of words that the policies list, between all kinds of characters.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("taxi".to_owned()),
        Just("Uber eats ".to_owned()),
        Just(" GYM, ".to_owned()),
        Just("lunch".to_owned()),
        Just("´".to_owned()),
        Just("ﬁ".to_owned()),
        "\\PC{0,6}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_words_of_a_text_keep_their_order_and_their_places(text in texts()) {
        let placed = placed_words(&text);
        let found: Vec<String> = placed.iter().map(|(word, _)| word.clone()).collect();
        prop_assert_eq!(found, words(&text));
        for (_, place) in placed {
            prop_assert!(text.get(place).is_some());
        }
    }

    #[test]
    fn the_marked_categories_are_those_of_the_evidence(text in texts(), merchant in texts()) {
        let policies = &*SHIPPED;
        let evidence = policies.evidence(None, Some(&merchant), &text, None);
        let mut marked: Vec<(EvidenceSource, String)> = Vec::new();
        for pointer in policies.pointers(None, Some(&merchant), &text, None) {
            let found = (pointer.source, pointer.category);
            if !marked.contains(&found) {
                marked.push(found);
            }
        }
        let marked: Vec<&str> = marked.iter().map(|(_, category)| category.as_str()).collect();
        prop_assert_eq!(marked, evidence.categories().collect::<Vec<_>>());
    }
}
