//! How cells write amounts and dates, and when an empty cell is an error.

use serde_json::{Value, json};

use super::{USD, decide_bytes, decide_table, messages, shown};

#[tokio::test]
async fn amounts_are_read_only_with_the_separators_that_flags_name() {
    let columns = [
        "--column",
        "date=Datum",
        "--column",
        "user_id=Karte",
        "--column",
        "merchant=Händler",
        "--column",
        "transaction=Zweck",
        "--column",
        "amount=Betrag",
        "--set",
        "currency=EUR",
        "--date-format",
        "%d.%m.%Y",
    ];
    let with_flags = [
        &columns[..],
        &["--decimal", ",", "--thousands", ".", "--match-refunds"],
    ]
    .concat();
    let decided = decide_table("semicolons.csv", &with_flags).await;
    assert_eq!(
        shown(&decided, "amount"),
        json!([[201, "18.40"], [201, "1018.40"], [201, "-1018.40"]]),
        "{}",
        decided.notes
    );
    let without_flags = decide_table("semicolons.csv", &columns).await;
    assert_eq!(without_flags.code, Some(3));
    assert!(
        without_flags
            .notes
            .contains("name its separators with --decimal and --thousands"),
        "{}",
        without_flags.notes
    );
    for (cell, more, read) in [
        ("12", &[][..], Some("12.00")),
        ("-0.5", &[], None),
        ("1,018.40", &["--thousands", ","], Some("1018.40")),
        ("1018.40", &["--thousands", ","], Some("1018.40")),
        ("1,234,567.8", &["--thousands", "comma"], Some("1234567.80")),
        ("18,40,000.50", &["--thousands", ","], Some("1840000.50")),
        (
            "1 018,40",
            &["--decimal", ",", "--thousands", "space"],
            Some("1018.40"),
        ),
        (
            "1\u{a0}018,40",
            &["--decimal", ",", "--thousands", " "],
            Some("1018.40"),
        ),
        (
            "1\u{202f}018,4",
            &["--decimal", ",", "--thousands", " "],
            Some("1018.40"),
        ),
        ("\u{a0}12.01\u{a0}", &[], Some("12.01")),
        ("1\u{2019}018.40", &["--thousands", "'"], Some("1018.40")),
        ("-18.40", &["--negate-amounts"], Some("18.40")),
        ("\u{2212}18.40", &["--negate-amounts"], Some("18.40")),
        (
            "\u{2212}1 018,40",
            &["--negate-amounts", "--decimal", ",", "--thousands", " "],
            Some("1018.40"),
        ),
        ("18.40", &["--negate-amounts"], None),
        ("+18.40", &["--negate-amounts"], None),
        ("=\"\"18.40\"\"", &[], Some("18.40")),
        // These could be read in several ways or are no plain number, and are never guessed.
        ("1,018.40", &[], None),
        ("18,40", &[], None),
        ("18,40", &["--thousands", ","], None),
        ("0,123", &["--thousands", ","], None),
        ("1,23,45", &["--thousands", ","], None),
        ("1018,400.00", &["--thousands", ","], None),
        ("1.018", &["--decimal", ","], None),
        ("1.018.40", &["--decimal", ",", "--thousands", "."], None),
        ("1,018,40", &["--decimal", ",", "--thousands", "."], None),
        ("1 018.40", &["--thousands", "'"], None),
        ("(12.01)", &[], None),
        ("12.01-", &[], None),
        ("+12.01", &[], None),
        ("\u{2013}12.01", &["--negate-amounts"], None),
        ("--12.01", &["--negate-amounts"], None),
        ("12.01 CR", &[], None),
        ("\u{200b}12.01", &[], None),
        ("$12.01", &[], None),
        ("12.01 EUR", &[], None),
        ("12.", &[], None),
        (".5", &[], None),
        ("1e3", &[], None),
        ("١٢", &[], None),
        ("12.01\u{0}", &[], None),
    ] {
        let table = format!("transaction,amount\nTaxi,\"{cell}\"\n");
        let decided = decide_bytes(table.as_bytes(), more).await;
        let answer = &decided.answers[0];
        let amount = answer["body"]["amount"].as_str();
        assert_eq!(amount, read, "{cell:?} {more:?} {answer}");
        assert!(
            read.is_some() || (answer["status"] == 422 && messages(&decided)[0].contains("amount")),
            "{cell:?} {answer}"
        );
    }
}

#[tokio::test]
async fn the_error_of_an_amount_names_its_reason() {
    const SEPARATORS: &str = "name its separators with --decimal and --thousands";
    const TEXT: &str = "without a currency or other text";
    const SIGN: &str = "without a sign, or with a minus before its digits";
    for (cell, said) in [
        ("18,40", SEPARATORS),
        ("1\u{202f}018.40", SEPARATORS),
        ("1'018.40", SEPARATORS),
        ("18.", SEPARATORS),
        ("€18.40", TEXT),
        ("18,40 €", TEXT),
        ("18.40 CR", TEXT),
        ("1.8E1", TEXT),
        ("１８", TEXT),
        ("=18.40", TEXT),
        ("(18.40)", SIGN),
        ("18.40-", SIGN),
        ("18.40 \u{2212}", SIGN),
        ("+18.40", SIGN),
    ] {
        let table = format!("transaction,amount\nTaxi,\"{cell}\"\n");
        let refused = decide_bytes(table.as_bytes(), &[]).await;
        assert!(
            messages(&refused)[0].contains(said),
            "{cell} {}",
            refused.notes
        );
    }
}

#[tokio::test]
async fn purchases_below_zero_are_read_with_a_flag_and_otherwise_a_note_names_the_flag() {
    let table = "date,transaction,merchant,amount,user_id\n\
                 2026-02-03,Taxi,Cab,-12.01,ana\n2026-02-03,Check of the card,Cab,0.00,ana\n\
                 2026-02-04,Taxi,Cab,+12.01,ana\n2026-02-05,Bus,Line,-2.00,ana\n";
    let negating = ["--negate-amounts", "--match-refunds"];
    let decided = decide_bytes(table.as_bytes(), &negating).await;
    assert_eq!(
        shown(&decided, "amount"),
        json!([[201, "12.01"], [200, null], [201, "-12.01"], [201, "2.00"]]),
        "{}",
        decided.notes
    );
    let table = table.replace(",+12.01", ",-12.01");
    for more in [&[][..], &["--match-refunds"]] {
        let without_negating = decide_bytes(table.as_bytes(), more).await;
        assert_eq!(without_negating.code, Some(3));
        assert!(
            without_negating.notes.contains("add --negate-amounts"),
            "{}",
            without_negating.notes
        );
    }
}

#[tokio::test]
async fn equal_separators_and_invalid_formats_are_an_invalid_command_line() {
    let both = ["--decimal", ",", "--thousands", ","];
    let decided = decide_table("tabs.tsv", &[&USD[..], &both].concat()).await;
    assert_eq!(decided.code, Some(2), "{}", decided.notes);
    for more in [
        ["--decimal", "x"],
        ["--thousands", "3"],
        ["--delimiter", "ab"],
        ["--delimiter", "\""],
        ["--encoding", "latin-17"],
        ["--skip-lines", "few"],
        ["--date-format", "%H:%M"],
    ] {
        let decided = decide_table("tabs.tsv", &[&USD[..], &more].concat()).await;
        assert_eq!(decided.code, Some(2), "{more:?} {}", decided.notes);
    }
}

#[tokio::test]
async fn a_date_is_the_written_day_regardless_of_its_time_and_zone() {
    let decided = decide_table("times.csv", &USD).await;
    let day = json!([201, "2026-02-03"]);
    assert_eq!(
        shown(&decided, "date"),
        json!([day, day, day, day, [422, null]]),
        "{}",
        decided.notes
    );
    for (cell, format, read) in [
        ("2026-02-03 23:52:23", "%Y-%m-%d %H:%M:%S", true),
        ("2026-02-03T23:52:23Z", "%Y-%m-%dT%H:%M:%S%z", true),
        ("2026-02-03T23:52:23-08:00", "%Y-%m-%dT%H:%M:%S%:z", true),
        ("2026-02-03T23:52:23.5+0100", "%Y-%m-%dT%H:%M:%S", false),
        ("2026-02-03T23:52:23.5+0100", "%Y-%m-%dT%H:%M:%S%.f", true),
        ("2026-02-03 23:52:23 CET", "%Y-%m-%d %H:%M:%S", true),
        ("03.02.26", "%d.%m.%y", true),
        ("3.2.26 9:05", "%d.%m.%y", true),
        ("03/Feb/2026 11:52 PM", "%d/%b/%Y", true),
        ("11:52 03.02.2026", "%H:%M %d.%m.%Y", true),
        ("03/02/2026", "%-d/%-m/%Y", true),
        ("3/02/2026", "%-d/%-m/%Y", true),
        ("20260203", "%Y%m%d", true),
        ("20260203235223", "%Y%m%d%H%M%S", true),
        ("Tue, 3 Feb 2026", "%a, %d %b %Y", true),
        // A year in another form than the format's, and dates that can be read in two ways.
        ("03/02/26", "%d/%m/%Y", false),
        ("03/02/26 12:00", "%d/%m/%Y", false),
        ("03.02.2026", "%d.%m.%y", false),
        ("03.02.6", "%d.%m.%y", false),
        ("0026-02-03", "%Y-%m-%d", false),
        ("2026203", "%Y%m%d", false),
        ("30226", "%d%m%y", false),
        ("2026-02-03 TOTAL", "%Y-%m-%d", false),
        ("2026-02-03 7", "%Y-%m-%d", false),
        ("2026-02-30", "%Y-%m-%d", false),
        ("Mon, 3 Feb 2026", "%a, %d %b %Y", false),
    ] {
        let table = format!("transaction,amount,date\nTaxi,1.00,\"{cell}\"\n");
        let decided = decide_bytes(table.as_bytes(), &["--date-format", format]).await;
        let answer = &decided.answers[0];
        let expected = if read {
            json!("2026-02-03")
        } else {
            Value::Null
        };
        assert_eq!(answer["body"]["date"], expected, "{cell} {format} {answer}");
    }
    for (cell, format, said) in [
        (
            "2026-02-03 12h30",
            "%Y-%m-%d",
            "the text after the date is not a time",
        ),
        (
            "03/02/2026 12:30:59",
            "%d/%m/%Y %H:%M",
            "the text after the date is not a time",
        ),
        (
            "03-févr.-2026",
            "%d-%b-%Y",
            "such as 14-Mar-2026, with names in English",
        ),
        ("30/02/2026", "%d/%m/%Y", "such as 14/03/2026"),
    ] {
        let table = format!("transaction,amount,date\nTaxi,1.00,{cell}\n");
        let refused = decide_bytes(table.as_bytes(), &["--date-format", format]).await;
        assert!(messages(&refused)[0].contains(said), "{}", refused.notes);
    }
    let short = decide_bytes(
        b"transaction,amount,date\nTaxi,1.00,03/02/26\n",
        &["--date-format", "%d/%m/%Y"],
    )
    .await;
    assert!(
        messages(&short)[0].contains("write --date-format \"%d/%m/%y\""),
        "{}",
        short.notes
    );
}

#[tokio::test]
async fn apostrophes_between_thousands_and_years_of_two_digits_are_read_with_flags() {
    let more = [
        "--column",
        "date=Datum",
        "--column",
        "transaction=Text",
        "--column",
        "amount=Betrag CHF",
        "--set",
        "currency=CHF",
        "--date-format",
        "%d.%m.%y",
        "--thousands",
        "apostrophe",
    ];
    let decided = decide_table("swiss.csv", &more).await;
    assert_eq!(
        shown(&decided, "amount"),
        json!([
            [201, "1018.40"],
            [201, "1018.40"],
            [201, "18.40"],
            [422, null]
        ]),
        "{}",
        decided.notes
    );
}

#[tokio::test]
async fn a_text_written_as_a_formula_keeps_its_zeros() {
    let table = "transaction,amount,user_id,mcc\nTaxi,1.00,\"=\"\"0012\"\"\",=\"0742\"\n\
                 Taxi,1.00,=A1,\n\"=\"\"\"\"\",1.00,ana,\n";
    let decided = decide_bytes(table.as_bytes(), &[]).await;
    assert_eq!(
        shown(&decided, "user_id"),
        json!([[201, "0012"], [201, "=A1"], [422, null]])
    );
    assert_eq!(shown(&decided, "mcc")[0], json!([201, "0742"]));
    assert!(
        messages(&decided)[2].contains("is empty"),
        "{}",
        decided.notes
    );
}

#[tokio::test]
async fn an_empty_cell_is_an_error_where_a_default_would_change_amount_date_or_employee() {
    let decided = decide_table("empty_cells.csv", &[]).await;
    let fields = [
        "",
        "date",
        "transaction",
        "amount",
        "currency",
        "user_id",
        "currency",
    ];
    let found = messages(&decided);
    for (field, message) in fields.iter().zip(&found) {
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    assert_eq!(
        (decided.code, found.len(), &decided.answers[0]["status"]),
        (Some(3), fields.len(), &json!(201)),
        "{}",
        decided.notes
    );
    let total = decided.answers[6]["body"]["errors"].as_array().unwrap();
    assert_eq!(total.len(), 3, "all empty cells are reported: {total:?}");
}
