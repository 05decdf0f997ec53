//! The many ways in which banks and spreadsheets write tables: delimiters, encodings, lines before the
//! header, and rows that are longer or shorter than it. `cells` tests what cells may contain.

use serde_json::json;

use super::{USD, Workspace, decide_bytes, decide_table, messages, shown};

#[tokio::test]
async fn the_delimiter_is_detected_or_named_by_a_flag() {
    for (name, transaction) in [
        ("tabs.tsv", "Lunch, late"),
        ("pipes.csv", "Taxi; two rides, one receipt"),
        ("sep.csv", "Taxi; there and back"),
    ] {
        let decided = decide_table(name, &USD).await;
        let rows = shown(&decided, "transaction");
        assert_eq!(
            rows,
            json!([[201, transaction]]),
            "{name} {}",
            decided.notes
        );
    }
    for (text, more) in [
        (
            "transaction^amount\nTaxi^12.01\n",
            &["--delimiter", "^"][..],
        ),
        (
            "transaction;amount\nTaxi;12.01\n",
            &["--delimiter", "semicolon"],
        ),
        ("sep=^\ntransaction^amount\nTaxi^12.01\n", &[]),
        ("SEP=\t\ntransaction\tamount\nTaxi\t12.01\n", &[]),
        ("sep=;;;\ntransaction;amount\nTaxi;12.01\n", &[]),
        // A single row without a line break, and cells that contain other delimiters.
        ("transaction;amount\nTaxi;12.01", &[]),
        ("amount|transaction\n12.01|Taxi\n13|a;b;c\n14|d;e;f\n", &[]),
        ("transaction,amount\n\"a;b\",12.01\n\"c;d\",13\n", &[]),
    ] {
        let decided = decide_bytes(text.as_bytes(), more).await;
        let rows = shown(&decided, "amount");
        assert_eq!(rows[0], json!([201, "12.01"]), "{text} {}", decided.notes);
    }
    let unknown = decide_bytes(b"transaction^amount\nTaxi^12.01\n", &[]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown
            .notes
            .contains("name the delimiter with --delimiter"),
        "{}",
        unknown.notes
    );
}

#[tokio::test]
async fn a_table_without_a_currency_is_an_invalid_command_line() {
    let decided = decide_table("tabs.tsv", &[]).await;
    assert_eq!((decided.code, decided.answers.len()), (Some(2), 0));
    assert!(
        decided.notes.contains("--set currency=USD"),
        "{}",
        decided.notes
    );
}

#[tokio::test]
async fn lines_before_the_header_are_skipped_and_still_counted() {
    let decided = decide_table("preamble.csv", &[&USD[..], &["--skip-lines", "3"]].concat()).await;
    assert_eq!(
        (&decided.answers[0]["line"], &decided.answers[0]["status"]),
        (&json!(5), &json!(201)),
        "{}",
        decided.notes
    );
    let unskipped = decide_table("preamble.csv", &USD).await;
    assert!(
        unskipped.notes.contains("--skip-lines"),
        "{}",
        unskipped.notes
    );
    for text in [
        "Account 1\rtransaction,amount\rTaxi,1.00\r",
        "sep=,\nAccount 1\ntransaction,amount\nTaxi,1.00",
        "Account 1\nsep=;\ntransaction;amount\nTaxi;1.00",
    ] {
        let decided = decide_bytes(text.as_bytes(), &["--skip-lines", "1"]).await;
        assert_eq!(
            shown(&decided, "amount"),
            json!([[201, "1.00"]]),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn trailing_empty_cells_may_be_missing_or_superfluous() {
    let decided = decide_table("uneven.csv", &USD).await;
    assert_eq!(
        shown(&decided, "amount"),
        json!([
            [201, "1.00"],
            [201, "2.00"],
            [201, "3.00"],
            [422, null],
            [422, null]
        ]),
        "{}",
        decided.notes
    );
    let messages = messages(&decided);
    assert!(
        messages[3].contains("\"amount\" is empty"),
        "{}",
        messages[3]
    );
    assert!(
        messages[4].contains("the row has 7 cells, and the first row has 4"),
        "{}",
        messages[4]
    );
    for (text, is_read) in [
        ("date,transaction,amount\n2026-02-03,Taxi,12.01,,\n", true),
        ("date,transaction,amount,,\n2026-02-03,Taxi,12.01\n", true),
        (
            "date,transaction,amount,receipt\n2026-02-03,Taxi,12.01",
            true,
        ),
        // Columns without a name.
        (
            "date,transaction,amount,\"\",\"\"\n2026-02-03,Taxi,12.01,Cab,Leeds\n",
            true,
        ),
        ("date,transaction,amount,,\n2026-02-03,Taxi,12,01\n", false),
        ("date,transaction,amount,\n2026-02-03,Taxi,12,01,\n", false),
        // An unquoted decimal comma, and a file that ends inside an amount.
        ("date,transaction,amount\n2026-02-03,Taxi,12,01\n", false),
        ("date,transaction,amount,receipt\n2026-02-03,Taxi,1", false),
        ("date,transaction,amount\n,,\n", false),
        ("date,transaction,amount\ndate,transaction,amount\n", false),
    ] {
        let decided = decide_bytes(text.as_bytes(), &[]).await;
        let status = if is_read { 201 } else { 422 };
        assert_eq!(
            decided.answers[0]["status"], status,
            "{text:?} {}",
            decided.notes
        );
    }
}

#[tokio::test]
async fn the_encoding_comes_from_the_byte_order_mark_or_from_a_flag() {
    let with_flag = ["--encoding", "windows-1252"];
    // The letters are not UTF-8, and ISO 8859-1 has neither the dash nor the euro sign.
    let table = b"date,transaction,amount,currency\r\n2026-02-03,Taxi \xE0 Z\xFCrich \x96 2 \x80,12.01,USD\r\n";
    let workspace = Workspace::new();
    let file = workspace.path("table.csv");
    std::fs::write(&file, table).unwrap();
    let decided = workspace.decide(&file, &with_flag).await;
    let expected = json!([[201, "Taxi à Zürich – 2 €"]]);
    assert_eq!(
        shown(&decided, "transaction"),
        expected,
        "{}",
        decided.notes
    );
    let without_flag = workspace.decide(&file, &[]).await;
    assert!(
        messages(&without_flag)[0].contains("--encoding"),
        "{}",
        without_flag.notes
    );

    let utf_16 = |big: bool| -> Vec<u8> {
        let text = "transaction,amount\nTaxi,12.01\n";
        let unit = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(unit).collect()
    };
    for (is_big, name) in [(false, "utf-16le"), (true, "utf-16be")] {
        let mark: &[u8] = if is_big { b"\xFE\xFF" } else { b"\xFF\xFE" };
        let marked = decide_bytes(&[mark, &utf_16(is_big)].concat(), &[]).await;
        let rows = shown(&marked, "amount");
        assert_eq!(rows, json!([[201, "12.01"]]), "{}", marked.notes);
        let unmarked = decide_bytes(&utf_16(is_big), &[]).await;
        let hint = format!("--encoding {name}");
        assert!(unmarked.notes.contains(&hint), "{}", unmarked.notes);
        let with_flag = decide_bytes(&utf_16(is_big), &["--encoding", name]).await;
        assert_eq!(
            shown(&with_flag, "amount"),
            json!([[201, "12.01"]]),
            "{}",
            with_flag.notes
        );
    }
    let wrong = decide_bytes(
        b"transaction,amount\nTaxi \x81,12.01\n",
        &["--encoding", "shift_jis"],
    );
    assert!(messages(&wrong.await)[0].contains("not Shift_JIS"));
}

#[tokio::test]
async fn a_file_that_is_not_text_is_refused_and_its_type_is_named() {
    let zip = |name: &str| [b"PK\x03\x04", &[0; 26][..], name.as_bytes()].concat();
    let utf_16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(u16::to_be_bytes).collect()
    };
    for (bytes, name) in [
        (zip("[Content_Types].xml"), "an Excel workbook (.xlsx)"),
        (
            zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"),
            "(.ods)",
        ),
        (zip("march.csv"), "a zip archive"),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
            "an Excel workbook (.xls)",
        ),
        (b"%PDF-1.7\n".to_vec(), "a PDF document"),
        (b"\x1F\x8B\x08\0".to_vec(), "compressed (.gz)"),
        (b"BZh91AY&SY\0".to_vec(), "compressed (.bz2)"),
        (zip("Index/Document.iwa"), "a Numbers workbook"),
        (b"\n<!DOCTYPE html><table>".to_vec(), "a web page"),
        (b"<?xml version=\"1.0\"?>\n<note/>".to_vec(), "a web page or XML"),
        (
            b"<?xml version=\"1.0\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\">"
                .to_vec(),
            "a CAMT statement",
        ),
        (
            b"\xEF\xBB\xBF<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.052.001.08\">".to_vec(),
            "a CAMT statement",
        ),
        (utf_16("<?xml version=\"1.0\"?><note/>"), "a web page or XML"),
        (b"OFXHEADER:100\nDATA:OFXSGML\n".to_vec(), "an OFX statement"),
        (b"<?xml version=\"1.0\"?><?OFX?><OFX>".to_vec(), "an OFX statement"),
        (b"<OFX>\n<SIGNONMSGSRSV1>".to_vec(), "an OFX statement"),
        (b"!Type:CCard\nD02/03/2026\n".to_vec(), "a QIF statement"),
        (b"\r\n:20:STARTUMS\r\n:25:1/2\r\n".to_vec(), "an MT940 statement"),
        (b"{1:F01BANKDEFF}{2:O940}{4:\n:20:1\n".to_vec(), "an MT940 statement"),
    ] {
        let workspace = Workspace::new();
        for file in ["march.csv", "march.xlsx", "march"] {
            let file = workspace.path(file);
            std::fs::write(&file, &bytes).unwrap();
            let refused = workspace.decide(&file, &USD).await;
            assert_eq!((refused.code, refused.answers.len()), (Some(1), 0));
            assert!(
                refused.notes.contains(name)
                    && refused.notes.contains("save the table as CSV UTF-8"),
                "{}",
                refused.notes
            );
        }
    }
}

#[tokio::test]
async fn json_is_refused_unless_each_line_is_an_object() {
    let object = r#"{"transaction": "Taxi", "amount": "1.00", "currency": "USD"}"#;
    let pretty = "{\n  \"transaction\": \"Taxi\",\n  \"amount\": \"1.00\"\n}\n".to_owned();
    for text in [
        format!("[{object}]"),
        format!("[\n  {object},\n  {object}\n]\n"),
        "\u{feff} [ ]\n".to_owned(),
        pretty,
    ] {
        let workspace = Workspace::new();
        for file in ["march.ndjson", "march.csv", "march.json"] {
            let refused = workspace.decide(&workspace.write(file, &text), &[]).await;
            assert_eq!(
                (refused.code, refused.answers.len()),
                (Some(1), 0),
                "{text}"
            );
            let said = "as an object on a line of its own";
            assert!(refused.notes.contains(said), "{}", refused.notes);
        }
    }
    let lines = decide_bytes(format!("{object}\n").as_bytes(), &[]).await;
    assert!(
        lines.notes.contains("add --format ndjson"),
        "{}",
        lines.notes
    );
}

#[tokio::test]
async fn a_file_in_another_encoding_than_the_flag_names_is_refused() {
    let table = "transaction,amount\nTaxi à Zürich,12.01\n";
    let single_bytes = &b"transaction,amount\nTaxi \xE0 Z\xFCrich,12.01\n"[..];
    for (bytes, name) in [
        (table.as_bytes(), "windows-1252"),
        (table.as_bytes(), "iso-8859-15"),
        (table.as_bytes(), "macintosh"),
        (b"transaction,amount\nTaxi,12.01\n", "utf-16le"),
    ] {
        let refused = decide_bytes(bytes, &["--encoding", name]).await;
        assert_eq!(refused.code, Some(1), "{name} {}", refused.notes);
        assert!(
            refused.notes.contains("leave out --encoding"),
            "{}",
            refused.notes
        );
    }
    let marked = format!("\u{feff}{table}");
    for (bytes, name) in [
        (marked.as_bytes(), "windows-1252"),
        (single_bytes, "latin-9"),
        (single_bytes, "Latin1"),
    ] {
        let decided = decide_bytes(bytes, &["--encoding", name]).await;
        let expected = json!([[201, "Taxi à Zürich"]]);
        assert_eq!(
            shown(&decided, "transaction"),
            expected,
            "{name} {}",
            decided.notes
        );
    }
}

#[tokio::test]
async fn a_first_row_without_names_is_refused() {
    for (text, more, said) in [
        (
            "\"\"\ntransaction,amount\n",
            &[][..],
            "the first row names no columns",
        ),
        ("   \n", &[], "the first row names no columns"),
        (
            "transaction,amount\n",
            &["--skip-lines", "9"],
            "no row after the 9 lines",
        ),
        ("\0\0\0\0", &[], "contains control characters"),
        ("PAR1\u{15}\u{4}", &[], "contains control characters"),
    ] {
        let refused = decide_bytes(text.as_bytes(), more).await;
        assert_eq!(refused.code, Some(1), "{text:?}");
        assert!(refused.notes.contains(said), "{text:?} {}", refused.notes);
    }
}

#[tokio::test]
async fn names_of_columns_are_compared_in_one_spelling_and_unnamed_columns_are_ignored() {
    for header in [
        "H\u{e4}ndler,Buchungs tag,transaction,amount",
        "Ha\u{308}ndler,Buchungs\u{a0}tag,transaction,amount",
        "\u{200b}H\u{e4}ndler,\"Buchungs\ntag\",transaction,amount",
        "H\u{e4}ndler,Buchungs tag,transaction,amount,,",
        "H\u{e4}ndler,Buchungs  tag,transaction,amount,,x",
    ] {
        let table = format!("{header}\nRyanair,2026-02-03,Flight,12.01\n");
        let more = [
            "--column",
            "merchant=Händler",
            "--column",
            "date=Buchungs tag",
        ];
        let decided = decide_bytes(table.as_bytes(), &more).await;
        let row = &decided.answers[0]["body"];
        assert_eq!(
            (&row["merchant"], &row["date"]),
            (&json!("Ryanair"), &json!("2026-02-03")),
            "{header} {}",
            decided.notes
        );
    }
    let decided = decide_bytes(b"transaction,,amount\nTaxi,x,12.01\n", &[]).await;
    assert_eq!(
        shown(&decided, "amount"),
        json!([[201, "12.01"]]),
        "{}",
        decided.notes
    );
}

#[tokio::test]
async fn each_row_of_joined_files_is_read_and_each_further_header_reported() {
    let table = "transaction,amount\nTaxi,1.00\n\u{feff}transaction,amount\nBus,2.00\n\
                 transaction,amount,,\n\u{feff}Tram,3.00\n";
    let decided = decide_bytes(table.as_bytes(), &[]).await;
    let rows = shown(&decided, "transaction");
    assert_eq!(
        rows,
        json!([
            [201, "Taxi"],
            [422, null],
            [201, "Bus"],
            [422, null],
            [201, "Tram"]
        ]),
        "{}",
        decided.notes
    );
    for row in [1, 3] {
        assert!(
            messages(&decided)[row].contains("repeats the first row"),
            "{}",
            decided.notes
        );
    }
}

#[tokio::test]
async fn a_table_without_dates_or_employees_is_decided_with_a_note() {
    let table = b"transaction,amount\nTaxi,1.00\n";
    let decided = decide_bytes(table, &[]).await;
    for said in [
        "no column for date: every row is dated today",
        "no column for user_id",
    ] {
        assert!(decided.notes.contains(said), "{}", decided.notes);
    }
    let named = ["--set", "date=2026-02-03", "--set", "user_id=ana"];
    let decided = decide_bytes(table, &named).await;
    assert!(
        !decided.notes.contains("no column for"),
        "{}",
        decided.notes
    );
}

#[tokio::test]
async fn a_header_without_rows_decides_nothing() {
    for text in [
        "transaction,amount",
        "transaction,amount\r\n",
        "\u{feff}transaction;amount\n\n",
    ] {
        let decided = decide_bytes(text.as_bytes(), &[]).await;
        assert_eq!(
            (decided.code, decided.answers.len()),
            (Some(0), 0),
            "{}",
            decided.notes
        );
    }
}

#[tokio::test]
async fn the_category_hint_of_a_card_statement_is_evidence() {
    let table = "transaction,amount,category_hint\nCard 0815,12.01,Restaurants and lunch\n\
                 Card 0815,12.02,Direct sales\nTaxi to the fair,12.03,Restaurants and lunch\n";
    let decided = decide_bytes(table.as_bytes(), &[]).await;
    let corroborated = shown(&decided, "category_corroborated");
    assert_eq!(
        corroborated,
        json!([[201, true], [201, false], [201, true]]),
        "{}",
        decided.notes
    );
    let category = |row: usize| decided.answers[row]["body"]["category"].clone();
    assert_eq!(
        (category(0), category(1), category(2)),
        (json!("meals"), json!("other"), json!("travel"))
    );
    let hint = &decided.answers[2]["body"];
    assert_eq!(
        (&hint["category_hint"], &hint["outcome"]),
        (&json!("Restaurants and lunch"), &json!("needs_review")),
        "sources that disagree go to a person"
    );
}
