//! Reasons in thirty languages, from `tests/data/reasons.tsv`: a reason that names only given
//! amounts passes the check of amounts, and every invented amount is found. `amounts` tests the
//! notations of amounts.

use std::collections::BTreeMap;

use expense_agent::amounts::{Given, named_amounts};

/// How amounts are written in a language; `{}` has a decimal point, `{,}` a comma.
const WRITINGS: &[(&str, &[&str])] = &[
    ("en", &["€{}", "{} EUR", "${}", "USD {}", "£{}"]),
    ("de", &["{,} €", "{,} EUR", "{,} Euro", "CHF {}"]),
    ("fr", &["{,} €", "{,} euros", "{,} EUR"]),
    ("es", &["{,} €", "{,} euros", "${}"]),
    ("it", &["{,} €", "{,} euro", "€ {,}"]),
    ("pt", &["R$ {,}", "{,} €", "{,} euros"]),
    ("nl", &["€ {,}", "{,} euro", "€{,}"]),
    ("pl", &["{,} zł", "{,} PLN", "{,} euro"]),
    ("sv", &["{,} kr", "{,} kronor", "{,} SEK"]),
    ("da", &["{,} kr.", "{,} kroner", "{,} DKK"]),
    ("no", &["{,} kr", "kr {,}", "{,} kroner"]),
    ("fi", &["{,} €", "{,} euroa"]),
    ("cs", &["{,} Kč", "{,} korun", "{,} EUR"]),
    ("hu", &["{,} Ft", "{,} forint"]),
    ("ro", &["{,} lei", "{,} RON", "{,} de lei"]),
    ("tr", &["{,} TL", "₺{,}", "{,} lira"]),
    ("ru", &["{,} ₽", "{,} руб.", "{,} рублей", "{,} евро"]),
    ("uk", &["{,} грн", "{,} гривень", "{,} ₴"]),
    ("el", &["{,} €", "{,} ευρώ"]),
    ("ar", &["{} دولار", "{} يورو", "{} ر.س"]),
    ("he", &["{} ₪", "{} ש\"ח", "{} שקלים"]),
    ("fa", &["{} یورو", "{} دلار", "{} ریال"]),
    ("hi", &["₹{}", "{} रुपये", "रु. {}"]),
    ("bn", &["৳{}", "{} টাকা"]),
    ("th", &["{} บาท", "฿{}"]),
    ("vi", &["{,} đồng", "{,} ₫", "{,} EUR"]),
    ("id", &["Rp {,}", "Rp{,}", "{,} rupiah"]),
    ("zh", &["{}元", "{}欧元", "¥{}", "人民币{}元"]),
    ("ja", &["{}円", "{}ユーロ", "¥{}"]),
    ("ko", &["{}원", "{}유로", "₩{}"]),
];

/// The sentences of one kind, each with its language.
fn sentences(kind: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("../data/reasons.tsv").lines();
    lines.filter_map(move |line| {
        let mut cells = line.splitn(3, '\t');
        let (kind_of_line, language, sentence) = (cells.next()?, cells.next()?, cells.next()?);
        (kind_of_line == kind).then_some((language, sentence))
    })
}

/// A sentence with its amounts, such as `{18.40}`, in every writing of its language.
fn written(language: &str, sentence: &str) -> Vec<String> {
    if !sentence.contains('{') {
        return vec![sentence.to_owned()];
    }
    let found = WRITINGS.iter().find(|(name, _)| *name == language);
    let (_, writings) = found.unwrap_or_else(|| panic!("{language} has no writings"));
    let write = |writing: &&str| {
        let mut written = sentence.to_owned();
        for amount in ["18.40", "75.00", "56.60", "25.00"] {
            let amount_written = writing
                .replace("{,}", &amount.replace('.', ","))
                .replace("{}", amount);
            written = written.replace(&format!("{{{amount}}}"), &amount_written);
        }
        written
    };
    writings.iter().map(write).collect()
}

/// The amounts that are given for a meal of 18.40 under a policy that pays 75.00 a day.
fn given() -> Given {
    let mut given = Given::default();
    given.add(["18.40", "75.00", "56.60", "25.00", "0"].map(|amount| amount.parse().unwrap()));
    given.add_text("Lunch near the M25, invoice INV-2026-0042, flight LH1234, room 512");
    given.add_text(
        "Meals are paid up to 75.00 EUR a day. A receipt is needed above 25.00 EUR. Claims within 30 \
         days.",
    );
    given
}

/// The amounts of a sentence that are not given.
fn invented(given: &Given, sentence: &str) -> Vec<String> {
    let named = named_amounts(sentence).into_iter();
    named
        .filter(|named| !given.contains(named))
        .map(|named| named.text)
        .collect()
}

/// Fails if any sentence is wrong, or if fewer than `n_expected` were tried; shows the wrong ones,
/// and how many were tried in each language.
fn assert_none(wrong: &[String], n_tried: &BTreeMap<&str, usize>, n_expected: usize) {
    let n_all: usize = n_tried.values().sum();
    assert!(wrong.is_empty(), "{n_tried:?}\n{}", wrong.join("\n"));
    assert!(n_all >= n_expected, "{n_tried:?}");
}

#[test]
fn no_honest_reason_in_any_language_is_a_false_alarm() {
    let given = given();
    let (mut wrong, mut n_tried) = (Vec::new(), BTreeMap::new());
    for (language, sentence) in sentences("honest") {
        for sentence in written(language, sentence) {
            *n_tried.entry(language).or_default() += 1;
            let found = invented(&given, &sentence);
            if !found.is_empty() {
                wrong.push(format!("{language}: {sentence} {found:?}"));
            }
        }
    }
    assert_none(&wrong, &n_tried, 1_600);
}

#[test]
fn an_invented_amount_is_found_in_every_language() {
    let given = given();
    let (mut missed, mut n_tried) = (Vec::new(), BTreeMap::new());
    for (language, sentence) in sentences("invented") {
        *n_tried.entry(language).or_default() += 1;
        if invented(&given, sentence).is_empty() {
            missed.push(format!("{language}: {sentence}"));
        }
    }
    assert_none(&missed, &n_tried, 590);
}

/// A reason may not name the 30 of `30 days` as an amount.
#[test]
fn a_count_in_the_policy_is_not_a_given_amount() {
    let given = given();
    for sentence in ["30 EUR are left.", "€30.00 are left.", "$30 are left."] {
        assert_eq!(invented(&given, sentence).len(), 1, "{sentence}");
    }
    for sentence in ["Handed in within 30 sunrises.", "Room 512 costs €75.00."] {
        assert_eq!(
            invented(&given, sentence),
            <[&str; 0]>::default(),
            "{sentence}"
        );
    }
}

#[test]
fn a_given_amount_in_words_is_known_in_several_languages() {
    let given = given();
    for sentence in [
        "At most seventy-five euros a day.",
        "Höchstens fünfundsiebzig Euro am Tag.",
        "Au plus soixante-quinze euros par jour.",
        "Como máximo setenta y cinco euros al día.",
        "Al massimo settantacinque euro al giorno.",
        "No máximo setenta e cinco euros por dia.",
        "Hoogstens vijfenzeventig euro per dag.",
        "Högst sjuttiofem kronor om dagen.",
        "Højst femoghalvfjerds kroner om dagen.",
        "Najwyżej siedemdziesiąt pięć złotych dziennie.",
        "Не более семьдесят пять рублей в день.",
        "每天最多七十五元。",
        "一日の上限は七十五円です。",
    ] {
        assert_eq!(
            invented(&given, sentence),
            <[&str; 0]>::default(),
            "{sentence}"
        );
    }
}
