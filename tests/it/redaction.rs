//! What redaction replaces and what it leaves as it is, text by text and as properties. `leaks` shows
//! that every way out of the service is redacted.

use std::path::Path;

use expense_agent::redact::pseudonym::Pseudonyms;
use expense_agent::redact::{WITHHELD, redact};
use proptest::prelude::*;

/// Texts with sensitive data, and what redaction makes of them.
const SENSITIVE: [(&str, &str); 66] = [
    ("jane.doe@example.com", "[EMAIL]"),
    (
        "write to <o'brien+x@mail.example.co.uk>.",
        "write to <[EMAIL]>.",
    ),
    ("josé@exämple.de,ana@b.org", "[EMAIL],[EMAIL]"),
    ("4111111111111111", "[CARD]"),
    ("card4111111111111111, 12/26", "card[CARD], 12/26"),
    ("5555-5555-5555-4444 for 45.00", "[CARD] for 45.00"),
    (
        "5812 4111 1111 1111 1111 2026-03-14",
        "5812 [CARD] 2026-03-14",
    ),
    ("4111.1111.1111.1111", "[CARD]"),
    ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[CARD]"),
    ("4111  1111\n1111 - 1111", "[CARD]"),
    ("3782 822463 10005", "[CARD]"),
    ("6011000990139424 and 30569309025904", "[CARD] and [CARD]"),
    ("DE89 3704 0044 0532 0130 00", "[IBAN]"),
    ("gb29nwbk60161331926819.", "[IBAN]."),
    ("NL91-ABNA-0417-1643-00", "[IBAN]"),
    ("BE68539007547034", "[IBAN]"),
    ("NO93 8601 1117 947", "[IBAN]"),
    ("MT84MALT011000012345MTLCAST001S", "[IBAN]"),
    ("RM69 DE89370400440532013000", "RM69 [IBAN]"),
    ("+44 20 7946 0958", "[PHONE]"),
    ("+1 (212) 555-0123 45.00", "[PHONE] 45.00"),
    ("+49 (0)30 1234567", "[PHONE]"),
    ("0044 20 7946 0958", "[PHONE]"),
    ("(555) 234-5678", "[PHONE]"),
    ("call 1-800-555-0199.", "call [PHONE]."),
    ("555.234.5678", "[PHONE]"),
    ("01392 383000", "[PHONE]"),
    ("030/1234567", "[PHONE]"),
    ("07700900123", "[PHONE]"),
    ("06 12 34 56 78", "[PHONE]"),
    ("tel. no 5552345678", "tel. no [PHONE]"),
    ("phone: 555-0123", "phone: [PHONE]"),
    ("078-05-1120", "[SSN]"),
    ("my SSN is 078051120", "my SSN is [SSN]"),
    ("sk-proj-abcdEFGH1234567890abcd", "[SECRET]"),
    ("sk_live_abcdEFGH1234567890", "[SECRET]"),
    ("ea_0123456789abcdef0123456789abcdef", "[SECRET]"),
    ("AKIAIOSFODNN7EXAMPLE", "[SECRET]"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[SECRET]"),
    ("Bearer abc.def-ghi1234", "Bearer [SECRET]"),
    (
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "Authorization: Basic [SECRET]",
    ),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "[SECRET]"),
    (r#"{"api_key":"abcd1234efgh"}"#, r#"{"api_key":"[SECRET]"}"#),
    ("password is hunter2hunter2", "password is [SECRET]"),
    (
        "postgres://expense:hunter2@localhost/db",
        "postgres://expense:[SECRET]@localhost/db",
    ),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAxgNSg8qfAQ==\n-----END RSA PRIVATE \
         KEY-----",
        "[SECRET]",
    ),
    // Look-alikes: full-width, mathematical and Arabic digits, blanks and dashes of all kinds, and
    // invisible characters.
    ("４１１１１１１１１１１１１１１１", "[CARD]"),
    ("𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏", "[CARD]"),
    ("٤١١١١١١١١١١١١١١١", "[CARD]"),
    ("4111\u{a0}1111\u{2009}1111‑1111", "[CARD]"),
    ("4111\u{200b}1111\u{ad}1111\u{200d}1111", "[CARD]"),
    ("4111\u{fffa}1111\u{1d173}1111\u{2063}1111", "[CARD]"),
    ("\u{1e954}\u{1e951}\u{1e951}\u{1e951}111111111111", "[CARD]"),
    ("4\u{336}1\u{336}1\u{336}1\u{336}111111111111", "[CARD]"),
    ("ana＠example．com", "[EMAIL]"),
    ("０７８–05–1120", "[SSN]"),
    // Escapes, however often they are nested.
    (r"jane\u0040example.com", "[EMAIL]"),
    (r"jane\\\\u0040example.com", "[EMAIL]"),
    ("/v1/jane%40example.com", "/v1/[EMAIL]"),
    ("/v1/jane%2540example.com", "/v1/[EMAIL]"),
    ("/%EF%BC%94111111111111111", "/[CARD]"),
    (r"paid\nDE89370400440532013000\n", r"paid\n[IBAN]\n"),
    ("cashback 5%4111111111111111", "cashback 5%[CARD]"),
    (
        "\u{1b}[2m=\u{1b}[0mDE89370400440532013000",
        "\u{1b}[2m=\u{1b}[0m[IBAN]",
    ),
    ("\u{1b}[1;é jane@example.com", "\u{1b}[1;é [EMAIL]"),
    ("4111\u{1b}[１111 1111 1111", "[CARD]"),
];

/// Texts of this service and of its callers without sensitive data.
const HARMLESS: [&str; 58] = [
    "",
    "1,234.56",
    "123,456,789,012.00 USD",
    "1.234.567,89 EUR",
    "45.00 75.00 30.00 12.00 500.00",
    "+12.50",
    "2026-03-14",
    "14.03.2026",
    "03/14/2026 12:30",
    "2026-03-14T12:30:45.123456Z",
    "2026-03-14 12:30:45+02:00",
    "call 2026-03-14",
    "1750000000000",
    "1750000000123456789",
    "5812",
    "0742 1234.50",
    "0742 0010 1000.00",
    "01a1fc4c-b0a4-76c5-bc76-e915e219efa3",
    "36d35f93-5827-49d3-be90-68751ede7bcd",
    "0af7651916cd43dd8448eb211c80319c",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "span_id=b4222222222222ab 2026-03-14T12:30:45Z",
    "f4111111-1111-4111-8111-411111111111",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "bbe70bc5b0640657",
    "key-1a2b3c4d",
    "1.95.0-nightly.20260314",
    "gpt-4o-mini-2024-07-18",
    "chatcmpl-AbC123dEf456GhI789",
    "u-1042",
    "user-00012345",
    "INV-2026-000123",
    "ord_2026_03_14_0001234567",
    "PREMIER INN 44029195",
    "STARBUCKS STORE 10234 SEATTLE WA",
    "HOTELS COM123571953822",
    "AMAZON.CO.UK M60C33134 AM",
    "2MAA009565929 TD E-PMT",
    "B.com 2314961-RM69Y The R",
    "CO-OP GROUP 070527",
    "DCC-RATCLIFFE SCH-C- 0503860",
    "12@5.99",
    "3 @ 4.50 EUR, lunch @ noon",
    "@home and a@b",
    "20% of 1,250.00",
    "Flight to Chicago, $650",
    "4111 1111 1111 1112",
    "41111111111111111111111",
    "DE88370400440532013000",
    "000-12-3456",
    "12-078-05-1120-7",
    "send it as `Authorization: Bearer KEY`",
    "the secret is patience",
    "token: please",
    "input_tokens: 12345678",
    "http://localhost:16686/trace/0af7651916cd43dd8448eb211c80319c",
    "One trip costs at most 500.00, limit included. 150.00 of this expense is above the 500.00 \
     that the limit still allows.",
    "[EMAIL] [CARD] [IBAN] [PHONE] [SSN] [SECRET] [WITHHELD]",
];

#[test]
fn sensitive_data_are_replaced_by_their_kind() {
    for (text, redacted) in SENSITIVE {
        assert_eq!(redact(text), redacted, "{text}");
    }
}

#[test]
fn amounts_dates_codes_and_ids_are_left_alone() {
    for text in HARMLESS {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn the_shipped_policies_and_prompts_are_left_alone() {
    for path in [
        "policies/meals.toml",
        "policies/office.toml",
        "policies/other.toml",
        "policies/travel.toml",
        "src/agent/prompts/classify.md",
        "src/agent/prompts/decide.md",
        "src/demo.ndjson",
    ] {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        assert_eq!(redact(&text), text, "{path}");
    }
}

#[test]
fn a_text_that_cannot_be_searched_is_withheld() {
    let long = format!("jane@example.com{}", " ".repeat(1 << 20));
    assert_eq!(redact(&long), WITHHELD);
}

#[test]
fn a_pseudonym_depends_on_the_id_and_the_key_alone() {
    let pseudonyms = Pseudonyms::new("a key of sixteen characters".into());
    let pseudonym = pseudonyms.name("user", "jane@example.com");
    assert_eq!(
        pseudonym,
        Pseudonyms::new("a key of sixteen characters".into()).name("user", "jane@example.com")
    );
    assert!(
        pseudonym.starts_with("user-") && pseudonym.len() == "user-".len() + 16,
        "{pseudonym}"
    );
    assert_ne!(pseudonym, pseudonyms.name("user", "john@example.com"));
    assert_ne!(
        pseudonym,
        Pseudonyms::new("another key of the same kind".into()).name("user", "jane@example.com")
    );
    assert_eq!(pseudonyms.name("user", "u-1042"), "u-1042");
}

/// A card number of sixteen digits with this beginning; the last digit is the checksum.
fn card(beginning: &str, digits: &[u32]) -> Vec<u32> {
    let given = beginning.chars().filter_map(|c| c.to_digit(10));
    let mut number: Vec<u32> = given.chain(digits.iter().copied()).take(15).collect();
    let double = |n: usize, digit: u32| {
        if n.is_multiple_of(2) {
            digit * 2 / 10 + digit * 2 % 10
        } else {
            digit
        }
    };
    let sum: u32 = number
        .iter()
        .enumerate()
        .map(|(n, digit)| double(n, *digit))
        .sum();
    number.push((10 - sum % 10) % 10);
    number
}

proptest! {
    #[test]
    fn no_card_survives_in_any_spacing(
        beginning in prop::sample::select(vec!["4", "51", "55", "2221", "2720", "3528", "3589", "50", "58", "60", "65", "62", "81"]),
        digits in prop::collection::vec(0..10u32, 15),
        gaps in prop::collection::vec("[ \u{a0}\u{2009}\t\u{200b}–-]{0,3}", 15),
        zero in prop::sample::select(vec!['0', '０', '٠', '۰', '०']),
        around in "[a-z ,;:.]{0,9}",
    ) {
        let number = card(beginning, &digits);
        let shown = number.iter().map(|digit| char::from_u32(u32::from(zero) + digit).unwrap());
        let spaced: String = shown.zip(gaps.iter().map(String::as_str).chain([""])).map(|(digit, gap)| format!("{digit}{gap}")).collect();
        let text = format!("{around}{spaced}{around}");
        let redacted = redact(&text);
        prop_assert!(!redacted.contains(|c: char| c.is_numeric()), "{text} -> {redacted}");
    }

    #[test]
    fn ids_survive_alone_and_in_a_text(digits in "[0-9]{63}", letter in "[a-f]", at in 0..64usize) {
        let mut hash = digits;
        hash.insert_str(at, &letter);
        for n in [32, 64] {
            let id = &hash[64 - n..];
            let uuid = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]].join("-");
            for id in [id, &uuid].into_iter().filter(|id| id.contains(&letter)) {
                // Alone, an id is recognised by its form; in a text, by the search.
                for text in [id.to_owned(), format!("id {id}")] {
                    prop_assert_eq!(redact(&text), text.as_str());
                }
            }
        }
    }

    #[test]
    fn amounts_survive(amount in "[1-9][0-9]{0,2}(,[0-9]{3}){0,3}\\.[0-9]{2}", plain in "[1-9][0-9]{0,11}(\\.[0-9]{2})?", mark in "(USD |\\$|€)?") {
        for text in [format!("{mark}{amount}"), format!("{mark}{plain}"), format!("{plain} {mark}{amount}")] {
            prop_assert_eq!(redact(&text), text.as_str());
        }
    }

    #[test]
    fn dates_codes_and_uuids_survive(
        (year, month, day) in (1990..2100, 1..13, 1..29), mcc in "[0-9]{4}", id in any::<u128>(), amount in "[1-9][0-9]{0,4}\\.[0-9]{2}",
    ) {
        let id = uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid();
        for text in [
            format!("{year}-{month:02}-{day:02}"),
            format!("{day:02}.{month:02}.{year}"),
            format!("{month:02}/{day:02}/{year}"),
            format!("{year}-{month:02}-{day:02} {mcc} {amount}"),
            format!("{id} {mcc}"),
            format!("{{\"id\":\"{id}\",\"mcc\":\"{mcc}\",\"amount\":\"{amount}\",\"date\":\"{year}-{month:02}-{day:02}\"}}"),
        ] {
            prop_assert_eq!(redact(&text), text.as_str());
        }
    }

    #[test]
    fn redaction_is_idempotent(
        parts in prop::collection::vec(prop::sample::select(SENSITIVE.map(|(text, _)| text).to_vec()).prop_union(prop::sample::select(HARMLESS.to_vec())), 0..6),
        noise in prop::collection::vec("[\\PC\\\\%@+0-9 .-]{0,12}", 6),
    ) {
        let text: String = parts.iter().zip(&noise).map(|(part, noise)| format!("{part}{noise}")).collect();
        let once = redact(&text);
        let twice = redact(&once);
        prop_assert_eq!(&twice, &once);
    }

    #[test]
    fn no_text_makes_redaction_fail(
        text in any::<String>(), digits in "[0-9 ()+./@%\\\\u-]{0,60}", escapes in "([\\\\%\u{1b}][\\[u%]?[0-9a-f;]{0,4}[é４m]?){0,9}",
    ) {
        // A panic inside would withhold the text.
        prop_assert_ne!(redact(&text), WITHHELD);
        prop_assert_ne!(redact(&digits), WITHHELD);
        prop_assert_ne!(redact(&escapes), WITHHELD);
    }
}
