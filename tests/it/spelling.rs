//! The spelling of people, tenants, trips, words and merchants, text by text and as properties. The
//! files `keys`, `resolutions`, `tenants`, `splits`, `duplicates` and `ledger` test that names are
//! compared by their spelling everywhere.

use expense_agent::policy::phrase::{Phrase, Readings, have_same_words, merchant_key};
use expense_agent::spelling::digit::digit;
use expense_agent::spelling::look_alike::look_alike_words;
use expense_agent::spelling::{is_same_person, is_visible, person, tenant, trip, words};
use proptest::prelude::*;
use regex::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// The ids of one person, as different keyboards, exports and copies write them.
const SAME_PEOPLE: [(&str, &str); 34] = [
    ("José", "Jose\u{301}"),
    ("José", "JOSÉ"),
    ("José", "Jos\u{e9}\u{200b}"),
    ("ana", "Ａｎａ"),
    ("ana", "a\u{ad}n\u{2060}a\u{feff}"),
    ("ana", "\u{202e}ana\u{202c}"),
    ("Jane Doe", "Jane\u{a0}Doe"),
    ("Jane Doe", "jane \u{200d} doe"),
    ("Straße", "STRASSE"),
    ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("ﬁona", "FIONA"),
    ("Nguyễn", "Nguye\u{302}\u{303}n"),
    ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
    ("ガ", "ｶﾞ"),
    ("Żaneta", "Z\u{307}aneta"),
    ("ana\u{fe0f}", "\u{e0041}ana\u{3164}"),
    // Phones and word processors choose other apostrophes and hyphens than keyboards.
    ("Mara O'Neil", "MARA O\u{2019}NEIL"),
    ("O'Neil", "O`Neil"),
    ("O'Neil", "O\u{b4}Neil"),
    ("O'Neil", "O\u{ff07}Neil"),
    ("O'Neil", "O\u{384}Neil"),
    ("'neil", "\u{149}eil"),
    ("Ann-Mary", "Ann\u{2010}Mary"),
    ("Ann-Mary", "ann\u{2011}mary"),
    ("Ann-Mary", "Ann\u{2013}Mary"),
    ("Ann-Mary", "Ann\u{fe63}Mary"),
    // The dot of an "i" comes and goes with the language of the program that changes the case.
    ("ipek", "\u{130}PEK"),
    ("\u{218}tefan \u{21b}", "\u{15f}tefan \u{163}"),
    ("Mara \"Mo\" Lee", "mara \u{201c}mo\u{201d} lee"),
    ("emp-42", "emp-\u{664}\u{662}"),
    ("emp-42", "EMP\u{2212}\u{96a}\u{968}"),
    ("\u{131}\u{15f}\u{131}k", "I\u{15e}IK"),
    ("ali", "ali\u{307}"),
    (
        "\u{645}\u{62d}\u{645}\u{62f}",
        "\u{645}\u{62d}\u{640}\u{640}\u{645}\u{62f}",
    ),
];

#[test]
fn different_spellings_of_one_person_are_the_same_person() {
    for (one, other) in SAME_PEOPLE {
        assert!(is_same_person(one, other), "{one:?} {other:?}");
    }
    for (one, other) in [
        ("José", "Jose"),
        ("ana", "anna"),
        ("a b", "ab"),
        ("ana", "аna"),
        ("ann-mary", "ann mary"),
        ("o'neil", "oneil"),
        ("ana", "a\u{307}na"),
        ("\u{642}", "\u{641}"),
    ] {
        assert!(!is_same_person(one, other), "{one:?} {other:?}");
    }
}

#[test]
fn tenants_and_trips_keep_their_case() {
    for spelling in [tenant, trip] {
        assert_eq!(spelling("Acme\u{301}\u{200b}"), "Acmé");
        assert_eq!(spelling("ＡＣＭＥ"), "ACME");
        assert_eq!(spelling("Acme\u{2013}O\u{2019}Neil"), "Acme-O'Neil");
        assert_ne!(spelling("ACME"), spelling("acme"));
    }
}

#[test]
fn a_text_of_invisible_characters_alone_is_invisible() {
    for text in [
        "\u{200b}",
        "\u{3164}",
        " \u{ad} ",
        "\u{2800}",
        "\u{e0020}\u{202e}",
    ] {
        assert!(!is_visible(text), "{text:?}");
    }
    assert!(is_visible("\u{200b}a"));
}

#[test]
fn default_ignorable_characters_of_unicode_are_invisible() {
    let ignorable = Regex::new(r"^\p{Default_Ignorable_Code_Point}$").unwrap();
    for c in characters() {
        let text = c.to_string();
        if ignorable.is_match(&text) {
            assert!(!is_visible(&text), "U+{:04X}", u32::from(c));
        } else if !c.is_whitespace() && !matches!(c, '\u{2800}' | '\u{fff9}'..='\u{fffb}') {
            assert!(is_visible(&text), "U+{:04X}", u32::from(c));
        }
    }
}

#[test]
fn every_decimal_digit_of_unicode_is_a_digit() {
    let decimal = Regex::new(r"^\p{Nd}$").unwrap();
    let mut text = [0; 4];
    for c in characters() {
        let is_decimal = decimal.is_match(c.encode_utf8(&mut text));
        assert!(
            !is_decimal || digit(c).is_some(),
            "{c:?} U+{:X}",
            u32::from(c)
        );
        // The tables of `regex` may lack digits that the list has, but these have to be numeric.
        assert!(
            digit(c).is_none() || c.is_numeric(),
            "{c:?} U+{:X}",
            u32::from(c)
        );
    }
    let digits: Vec<char> = characters().filter_map(digit).collect();
    assert!(
        digits
            .chunks(10)
            .all(|ten| ten.iter().copied().eq('0'..='9'))
    );
}

#[test]
fn apostrophes_and_combining_marks_do_not_split_a_word() {
    let apostrophes = "'`\u{b4}\u{2018}\u{2019}\u{201b}\u{2bc}\u{2bb}\u{2b9}\u{2032}\u{2035}\u{ff07}\
                       \u{ff40}\u{55a}\u{5f3}\u{a78c}\u{1fef}\u{1ffd}\u{1fbf}\u{384}";
    for apostrophe in apostrophes.chars() {
        let name = format!("McDonald{apostrophe}s");
        assert_eq!(
            words(&name),
            ["mcdonalds"],
            "U+{:04X}",
            u32::from(apostrophe)
        );
    }
    assert_eq!(words("Cafe\u{301} Royal"), ["café", "royal"]);
    assert_eq!(words("हिन्दी भोजन").len(), 2);
    assert_eq!(words("Bo\u{323}\u{302}n"), ["bộn"]);
    assert_eq!(words("b\u{336}a\u{336}r").len(), 1);
    assert_eq!(words("\u{301} \u{301}- ."), [""; 0]);
}

#[test]
fn look_alikes_do_not_hide_a_blocked_merchant() {
    for (phrase, name) in [
        ("casino*", "Сasino Royal"),
        ("casino*", "CASІNO"),
        ("casino*", "саѕіnо"),
        ("nike", "ΝIKE"),
        ("visa", "νisa"),
        ("coco", "СОСО"),
        ("betway", "ВЕТWАY"),
        ("betway", "betωay Вetwаy"),
        ("microsoft*", "Ꮇicrosoft"),
        ("citroën", "Citroёn"),
        ("wine bar", "ԝine Ьar"),
        ("казино", "Kазинo"),
        ("casino*", "c\u{200b}a\u{301}sino ｃａｓｉｎｏ"),
        ("casino*", "CAS\u{130}NO"),
        ("casino*", "cas\u{131}no"),
        ("casino*", "\u{3f2}asino"),
        ("casino*", "\u{3f9}ASINO"),
        ("casino*", "ᴄᴀsɪɴᴏ"),
        ("quiz king", "ꞯᴜɪᴢ ᴋɪɴɢ"),
        ("casino*", "🅒🅐🅢🅘🅝🅞 royal"),
        ("casino*", "🅲🅰🆂🅸🅽🅾"),
        ("casino*", "⒞⒜⒮⒤⒩⒪"),
        ("casino*", "ⒸⒶⓈⒾⓃⓄ"),
        (
            "casino*",
            "c\u{336}a\u{336}s\u{336}i\u{336}n\u{336}o\u{336}",
        ),
        ("casino*", "c\u{332}asino"),
        ("casino*", "ca\u{20dd}sino"),
        ("casino*", "c\u{489}asino"),
        ("casino*", "ꓚꓮꓢꓲꓠꓳ"),
        ("lisa", "ꓡꓲꓢꓮ"),
        ("casino*", "casi\u{578}\u{585}"),
        ("paypal", "PayPa\u{4c0}"),
        ("paypal", "PayPa\u{a4f2}"),
        ("casino*", "ca\u{640}sino"),
    ] {
        let phrase = Phrase::parse(phrase).unwrap();
        assert!(phrase.is_hidden_in(&Readings::of(name)), "{phrase} {name}");
    }
    // A plain Latin letter is never a look-alike of another one.
    for (phrase, name) in [
        ("bam*", "Barnes"),
        ("modem", "Modern"),
        ("paypal", "PayPaI"),
        ("101", "lol"),
        ("cafe", "Café"),
        ("ilil", "lili"),
        ("vino", "νῖνο\u{345}"),
    ] {
        let phrase = Phrase::parse(phrase).unwrap();
        assert!(!phrase.is_hidden_in(&Readings::of(name)), "{phrase} {name}");
    }
}

#[test]
fn every_character_that_looks_like_a_latin_letter_is_read_as_that_letter() {
    for c in characters().filter(|c| c.is_alphanumeric()) {
        // A character whose compatibility form is in ASCII is read as that form instead.
        if std::iter::once(c).nfkc().all(|plain| plain.is_ascii()) {
            continue;
        }
        let prototype: String = skeleton(&c.to_string()).collect();
        let letter = match prototype.as_str() {
            "rn" => "m".to_owned(),
            text => text.to_lowercase(),
        };
        if letter.len() != 1 || !letter.chars().all(|c| c.is_ascii_alphabetic()) {
            continue;
        }
        let phrase = Phrase::parse(&format!("zz{letter}zz")).unwrap();
        let name = format!("zz{c}zz");
        assert!(
            phrase.is_hidden_in(&Readings::of(&name)),
            "U+{:04X} {letter}",
            u32::from(c)
        );
    }
}

#[test]
fn a_merchant_is_recognised_in_every_spelling_and_with_look_alikes() {
    for (one, other) in [
        ("Amazon", "Аmаzоn"),
        ("Bôn", "BO\u{302}N"),
        ("Весна", "ВЕСНА"),
        ("Νίκη", "ΝΊΚΗ"),
        ("Straße 7", "STRASSE-7"),
        ("McDonald's", "McDonald\u{b4}s"),
        ("PayPal", "PayPaӏ"),
        ("Casino", "CAS\u{a4f2}NO"),
        ("Casino", "\u{3f2}asino"),
        ("Işıl", "IŞIL"),
        ("Trattoria", "Trattoria 🇮🇹"),
        ("\u{643}\u{627}\u{641}", "\u{643}\u{640}\u{627}\u{641}"),
    ] {
        assert_eq!(merchant_key(one), merchant_key(other), "{one} {other}");
        assert!(have_same_words(one, other), "{one} {other}");
    }
    assert_ne!(merchant_key("Весна"), merchant_key("Весны"));
    assert_eq!(merchant_key("\u{200b} -"), None);
}

/// The planes of Unicode that have letters of living alphabets or invisible characters.
fn characters() -> impl Iterator<Item = char> {
    ('\0'..='\u{1ffff}').chain('\u{e0000}'..='\u{e1000}')
}

proptest! {
    #[test]
    fn spelling_is_idempotent(text in "\\PC{0,12}") {
        let (person_id, tenant_id) = (person(&text), tenant(&text));
        prop_assert_eq!(person(&person_id), &*person_id);
        prop_assert_eq!(tenant(&tenant_id), &*tenant_id);
        prop_assert_eq!(words(&words(&text).join(" ")), words(&text));
    }

    #[test]
    fn unicode_normal_forms_do_not_make_another_person(text in "\\PC{1,12}") {
        let decomposed: String = text.nfd().collect();
        let compatible: String = text.nfkc().collect();
        prop_assert!(is_same_person(&text, &decomposed));
        prop_assert!(is_same_person(&text, &compatible));
        prop_assert_eq!(words(&text), words(&decomposed));
        prop_assert_eq!(look_alike_words(&text), look_alike_words(&decomposed));
    }

    #[test]
    fn invisible_characters_do_not_change_a_spelling(
        text in "[a-zA-Zéßяж ]{1,10}",
        hidden in "[\u{ad}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{2069}\u{fe00}-\u{fe0f}\u{feff}]",
        place in 0_usize..10,
    ) {
        let mut letters: Vec<char> = text.chars().collect();
        letters.splice(place.min(letters.len())..place.min(letters.len()), hidden.chars());
        let with_hidden: String = letters.into_iter().collect();
        prop_assert!(is_same_person(&text, &with_hidden));
        prop_assert_eq!(words(&text), words(&with_hidden));
        prop_assert_eq!(look_alike_words(&text), look_alike_words(&with_hidden));
    }

    #[test]
    fn ascii_words_have_no_look_alikes_and_ignore_case(text in "[ -~]{0,16}") {
        prop_assert_eq!(look_alike_words(&text), words(&text));
        prop_assert_eq!(words(&text), words(&text.to_uppercase()));
    }
}

#[test]
fn every_character_has_a_stable_spelling() {
    for c in characters() {
        let alone = words(&c.to_string());
        assert_eq!(words(&alone.join(" ")), alone, "U+{:04X}", u32::from(c));
        let text = format!("a{c}");
        assert_eq!(
            person(&person(&text)),
            person(&text),
            "U+{:04X}",
            u32::from(c)
        );
        assert_eq!(
            tenant(&tenant(&text)),
            tenant(&text),
            "U+{:04X}",
            u32::from(c)
        );
        let upper = c.to_uppercase().to_string();
        if !c.is_lowercase() || upper.chars().count() == 1 {
            assert!(
                is_same_person(&c.to_string(), &upper),
                "U+{:04X}",
                u32::from(c)
            );
        }
    }
}
