//! Which amounts a sentence names, in every notation that a model may use for an invented one.

use expense_agent::agent::amounts::{named_amounts, value};
use rust_decimal::Decimal;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The values that a sentence names, `None` for one that cannot be parsed.
fn values(sentence: &str) -> Vec<Option<Decimal>> {
    named_amounts(sentence)
        .into_iter()
        .map(|named| named.value)
        .collect()
}

#[test]
fn an_amount_is_found_however_it_is_marked() {
    for sentence in [
        "$80",
        "$ 80",
        "$  80",
        "$**80**",
        "$-80",
        "$`80`",
        "USD ~80",
        "$(80)",
        "USD 80",
        "USD80",
        "usd 80",
        "USD: 80",
        "USD-80",
        "80 USD",
        "80USD",
        "80 (USD)",
        "80 usd",
        "80 dollars",
        "80 US dollars",
        "80 bucks",
        "€80",
        "80 €",
        "80€",
        "₩80",
        "SEK 80",
        "80 SEK",
        "CNY 80",
        "80 zł",
        "80 yen",
        "80 rupees",
        "80¢",
        "80.00",
        "80,00",
        "It costs 80.00.",
        "(80.00)",
        "EUR80",
    ] {
        assert_eq!(values(sentence), [Some(dec("80"))], "{sentence}");
    }
}

#[test]
fn group_separators_and_decimal_marks_are_distinguished() {
    for (sentence, expected) in [
        ("$1,000", "1000"),
        ("$1,000.50", "1000.50"),
        ("1.000,50 €", "1000.50"),
        ("1 000.00", "1000"),
        ("1'000.00", "1000"),
        ("1_000.00", "1000"),
        ("$1,000,000.00", "1000000"),
        ("KWD 1.234", "1.234"),
        ("$.80", "0.80"),
        ("$12 M&S lunch", "12"),
    ] {
        assert_eq!(values(sentence), [Some(dec(expected))], "{sentence}");
    }
}

#[test]
fn every_amount_of_a_sentence_is_found() {
    assert_eq!(values("10.00 $80"), [Some(dec("10")), Some(dec("80"))]);
    assert_eq!(values("10.00 USD 80"), [Some(dec("10")), Some(dec("80"))]);
    assert_eq!(values("500.00€80"), [Some(dec("500")), Some(dec("80"))]);
}

#[test]
fn a_mark_between_two_numbers_belongs_to_the_nearer_one() {
    for sentence in [
        "The ride of March 14 ($45.00) passes.",
        "The ride of 2026-03-14 (USD 45.00) passes.",
        "45.00 USD (2 nights)",
        "45.00 USD - 2 nights",
        "45.00 USD: 2 nights",
        "Trip 7 - $45",
        "(1) $45",
        "In 2026 $45 were used.",
    ] {
        assert_eq!(values(sentence), [Some(dec("45"))], "{sentence}");
    }
}

#[test]
fn an_amount_that_cannot_be_parsed_is_an_unknown_amount() {
    for sentence in [
        "80k dollars",
        "2.5 million dollars",
        "$80k",
        "$80K",
        "$80 million",
        "USD 80 thousand",
        "$2.5bn",
        "80.00k",
        "$８０",
        "٨٠ dollars",
    ] {
        assert_eq!(values(sentence), [None], "{sentence}");
    }
    assert_eq!(
        named_amounts("$80 million")[0].text,
        "80 million",
        "as written"
    );
}

#[test]
fn a_number_that_is_not_an_amount_is_ignored() {
    for sentence in [
        "2 nights",
        "99.99%",
        "99.99 %",
        "99.99 percent",
        "2026.03.14",
        "2026-03-14",
        "v2.10",
        "rule 7",
        "rule 7: USD only",
        "3 of 5",
        "1.5 hours",
    ] {
        assert_eq!(values(sentence), [], "{sentence}");
    }
}

/// `ALL` is the Albanian lek. A false alarm costs less than an invented amount that is missed.
#[test]
fn a_word_in_capitals_that_is_a_currency_code_marks_an_amount() {
    assert_eq!(values("ALL 3 items"), [Some(dec("3"))]);
}

#[test]
fn a_number_is_read_exactly() {
    assert_eq!(value("0.29"), Some(dec("0.29")));
    assert_eq!(value("999,999,999,999.99"), Some(dec("999999999999.99")));
    assert_eq!(value("٨٠"), None);
}
