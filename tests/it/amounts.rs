//! Which amounts a sentence names, in every notation that a model may use for an invented one.

use expense_agent::amounts::{Given, named_amounts, numbers};
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
        "80 lakh rupees",
        "80 Mio. Euro",
        "80万元",
        "80 тыс. руб.",
        "25.00.00",
        "75,00,00",
        "25 00 000",
        "007.50",
        "7e3",
        "80½",
    ] {
        let values = values(sentence);
        assert!(values.contains(&None), "{sentence}: {values:?}");
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
        "3 of 5 nights",
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
    assert_eq!(numbers("0.29"), [dec("0.29")]);
    assert_eq!(numbers("999,999,999,999.99"), [dec("999999999999.99")]);
    assert_eq!(
        numbers("1.000"),
        [dec("1.000"), dec("1000")],
        "a point has two readings"
    );
}

#[test]
fn digits_of_every_script_are_read() {
    for sentence in [
        "$８０",
        "٨٠ dollars",
        "८०",
        "৮০",
        "๘๐ บาท",
        "۸۰٫۰۰",
        "𝟖𝟎 USD",
    ] {
        assert_eq!(values(sentence), [Some(dec("80"))], "{sentence}");
    }
}

/// The amounts that are known for a meal of 18.40 under a cap of 75.00, and a large one.
fn given() -> Given {
    let mut given = Given::default();
    given.add(["18.40", "75.00", "56.60", "1840000", "0"].map(dec));
    given.add_text("Lunch near the M25, invoice INV-2026-0042");
    given.add_text("meals-day-cap");
    given
}

/// The amounts that a sentence names although they are not given.
fn invented(sentence: &str) -> Vec<String> {
    let given = given();
    let named = named_amounts(sentence).into_iter();
    named
        .filter(|named| !given.contains(named))
        .map(|named| named.text)
        .collect()
}

/// Reasons with `{}` in place of an amount, and beside it numbers that are not amounts.
const REASONS: &[&str] = &[
    "The meal of {} on 3 Feb is within the cap.",
    "On 03.02. the meal of {} is within the cap.",
    "At 12.30 the meal of {} is within the cap.",
    "At 12:30, 2 people had lunch; {} remain of the day.",
    "Of the cap of {} a day, 25 % is used on February 3rd, 2026.",
    "{} is within the cap of 30 days (rule 4, section 4.2).",
    "(1) {} is below the cap; (2) a receipt came within 5 business days.",
    "Policy version 2 (v1.2) allows at most {} a day for MCC 5812.",
    "Submitted on 2026-02-05, 2 days after 02/03/2026: {} is allowed.",
    "Rules 1, 2 and 3 hold: {} is left after 2-3 nights.",
    "The 2026 policy allows {}; your 3rd claim in 2026 was at 9:15 am.",
    "INV-2026-0042 near the M25 comes to {}, for 2 of 3 guests.",
    "Nobody asks for a receipt (a 30-day rule), so {} is fine 24/7.",
    "{} is one meal for twelve guests, within two days.",
    "From 2026-02-03T12:30:00Z on, {} are left for 1.5 hours of parking.",
    "Am 3. Februar 2026 um 12:30 Uhr: {} liegt unter der Grenze.",
    "Das Essen am 03.02. kostet {} für 2 Personen, also unter Regel 4.",
    "Vom 03.02. bis 05.02. bleiben {} für 3 Nächte und 2 Tage.",
    "Bei 50 Prozent Auslastung um 9 Uhr bleiben {}, Nr. 7.",
    "Le 3 février, le repas de {} pour 2 personnes reste sous le plafond.",
    "Il reste {} pour 3 nuits, soit 50 % du plafond de l'article 4.",
    "El 3 de febrero la comida de {} para 2 personas cumple la regla 4.",
    "Il 3 febbraio 2026 il pasto di {} per 2 persone rispetta la regola 4.",
    "Op 3 februari kostte het diner {} voor 2 personen.",
    "Em 3 de fevereiro a refeição de {} para 2 pessoas cabe no limite.",
    "Den 3 februari kostade lunchen {} för 2 personer.",
    "Dnia 3 lutego posiłek za {} dla 2 osób mieści się w limicie.",
    "3 февраля обед за {} на 2 дня укладывается в лимит.",
    "2月3日の2名の食事は {} で上限内です。",
    "2026年2月3日2人用餐 {} ，在限额之内。",
    "2월 3일 식사 {} 는 한도 이내입니다.",
];

/// Notations of an amount, such as 18.40.
const NOTATIONS: &[&str] = &[
    "{}",
    "${}",
    "$ {}",
    "US${}",
    "{} USD",
    "USD {}",
    "€{}",
    "{} €",
    "CHF {}",
    "Fr. {}",
    "{} kr",
    "{} Kč",
    "Rs. {}",
    "RM{}",
    "R {}",
    "₹{}",
    "{} zł",
    "{} 元",
    "{} dollars",
    "**{}**",
    "`{}`",
    "~{}",
    "({})",
];

/// Every reason with an amount in every notation: with a decimal point, with a decimal comma, and in
/// the digits of three other scripts.
fn reasons(amount: &str) -> impl Iterator<Item = String> {
    let in_script = |zero: u32| -> String {
        let digit = |c: char| c.to_digit(10).and_then(|n| char::from_u32(zero + n));
        amount.chars().map(|c| digit(c).unwrap_or(c)).collect()
    };
    let amounts = [
        amount.to_owned(),
        amount.replace('.', ","),
        in_script(0xff10),
        in_script(0x660).replace('.', "٫"),
        in_script(0x966),
    ];
    amounts.into_iter().flat_map(|amount| {
        NOTATIONS.iter().flat_map(move |notation| {
            let written = notation.replace("{}", &amount);
            REASONS
                .iter()
                .map(move |reason| reason.replace("{}", &written))
        })
    })
}

#[test]
fn given_amounts_cause_no_false_alarm() {
    let mut n_reasons = 0;
    for amount in ["18.40", "75.00", "56.60"] {
        for reason in reasons(amount) {
            assert_eq!(invented(&reason), <[&str; 0]>::default(), "{reason}");
            n_reasons += 1;
        }
    }
    assert!(n_reasons > 10_000, "{n_reasons}");
}

#[test]
fn an_invented_amount_is_found_in_every_reason() {
    for amount in ["90.00", "12.10", "18.41", "5.50"] {
        for reason in reasons(amount) {
            assert_eq!(invented(&reason).len(), 1, "{reason}");
        }
    }
}

#[test]
fn a_given_amount_is_recognised_with_any_group_separator() {
    for written in [
        "1,840,000",
        "1.840.000,00",
        "1 840 000.00",
        "1'840'000.-",
        "1’840’000.00",
        "18,40,000.00",
        "1\u{a0}840\u{a0}000,00",
        "1_840_000",
        "Rs 18,40,000",
        "$1,840,000.00",
    ] {
        let reason = format!("It leaves {written} of the year.");
        assert_eq!(invented(&reason), <[&str; 0]>::default(), "{reason}");
    }
}

#[test]
fn an_invented_amount_is_found_in_every_notation() {
    for written in [
        // Currencies that are in no list, and amounts without a currency
        "90 kr",
        "Rs. 90",
        "90 Kč",
        "RM90",
        "90 元",
        "90 Ft",
        "R 90",
        "90,-",
        "90:-",
        "৳90",
        "90 Br",
        "KSh 90",
        "S/ 90",
        "90 lv",
        "NT$90",
        "90 ден",
        "90",
        "９０",
        "९०",
        "٩٠ ريال",
        "9\u{200b}0",
        // Given amounts with other groups, or multiplied
        "18,40,001",
        "$75.00 lakh",
        "75 crore",
        "75.00 Mio.",
        "75 mln",
        "75 тыс.",
        "75k",
        "75万",
        "75 mila",
        "75 miles de euros",
        "75 hundred",
        "18.40.000",
        "18 40 000",
        "75'00",
        "75..00",
        "7.5e1",
        "75/00",
        "1.840",
        "75,000",
        "18.400",
        // Similar to a count, a date, a time, a share or a name
        "90 a day",
        "90 per trip",
        "90 and 2 nights",
        "90 of 75.00",
        "90 in 30 days",
        "12.10",
        "32.01.",
        "25:61",
        "90 may",
        "2027",
        "rule USD 4",
        "$30 days",
        "4.20 nights",
        "12.30 EUR",
        "12:30 kr",
        "0.90",
        ".90",
        // Words
        "ninety dollars",
        "ninety",
        "a hundred bucks",
        "one hundred and ten euros",
        "twelve US dollars",
        "one euro",
        "seventy-six",
        "fifty cents",
        "five twenty dollars",
        "two grand",
        "九十元",
    ] {
        let reason = format!("It leaves {written} of it.");
        assert!(!invented(&reason).is_empty(), "{reason}");
    }
    for reason in [
        "It leaves 12.10.",
        "It leaves 12.10. Anything above is not paid.",
        "The limit is based on 12.10. It is kept.",
        "The cap stands at 12.30 and is kept.",
        "At 12.30 EUR the meal is within the cap.",
        "On 03.02 EUR the meal is within the cap.",
        "The limit is ₹18,40,001.",
    ] {
        assert!(!invented(reason).is_empty(), "{reason}");
    }
}

#[test]
fn a_given_amount_in_english_words_is_known() {
    for reason in [
        "At most seventy-five dollars a day.",
        "The cap of seventy five US dollars is kept by one receipt for ninety days.",
        "One million eight hundred and forty thousand euros are left for twenty guests.",
        "On the twenty-first, one of two meals is paid to one hundred percent.",
    ] {
        assert_eq!(invented(reason), <[&str; 0]>::default(), "{reason}");
    }
}

#[test]
fn a_sentence_of_numbers_is_read_in_linear_time() {
    for part in [
        "1,",
        "1 000 ",
        "9.",
        "rules 1, ",
        "$",
        "(1) ",
        "ninety ",
        "3 Feb ",
        "1",
    ] {
        // In quadratic time, this would take far too long.
        assert!(named_amounts(&part.repeat(50_000)).len() <= 100_000);
    }
}
