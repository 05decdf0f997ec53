//! How `decide` reads tables and JSON lines, and what it reports about rows that it cannot read.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{CARD_COLUMNS, Decided, USD, Workspace, data};
use crate::harness::skip::skip;
use crate::harness::{assert_golden, policies_with};

#[tokio::test]
async fn every_row_of_a_table_is_decided_in_order_and_only_once() {
    let workspace = Workspace::new();
    let file = data("expenses.csv");
    let first = workspace.decide(file.to_str().unwrap(), &USD).await;
    assert_eq!(first.code, Some(0), "{}", first.notes);
    let shown = |field: &str| {
        first
            .answers
            .iter()
            .map(|answer| answer["body"][field].clone())
            .collect::<Vec<_>>()
    };
    let numbers: Vec<_> = first
        .answers
        .iter()
        .map(|answer| answer["line"].clone())
        .collect();
    assert_eq!(json!(numbers), json!([2, 3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(shown("transaction")[1], "Hotel, two nights");
    assert_eq!(
        (
            &shown("receipt")[0],
            &shown("receipt")[3],
            &shown("trip_id")[3]
        ),
        (&json!(true), &json!(false), &Value::Null)
    );
    assert_golden("decided_table", &first.notes);

    // The name of the file is not part of a row's key.
    let copy = workspace.write("copy.csv", &std::fs::read_to_string(file).unwrap());
    let again = workspace.decide(&copy, &USD).await;
    assert_eq!((again.ids(), again.n_replayed()), (first.ids(), 8));
    assert!(
        again.notes.contains("8 of them had been decided before"),
        "{}",
        again.notes
    );
    let once_more = workspace
        .decide(&copy, &[&USD[..], &["--key-prefix", "april"]].concat())
        .await;
    assert_eq!(
        (once_more.n_replayed(), workspace.recorded().await.len()),
        (0, 16)
    );
}

#[tokio::test]
async fn a_row_that_is_not_an_expense_is_reported_and_the_others_are_decided() {
    let workspace = Workspace::new();
    let decided = workspace
        .decide(data("card.csv").to_str().unwrap(), &CARD_COLUMNS)
        .await;
    assert_eq!(decided.code, Some(3));
    let shown: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| (&answer["line"], &answer["status"]))
        .collect();
    let expected = json!([
        [2, 201],
        [3, 201],
        [4, 422],
        [5, 200],
        [6, 422],
        [7, 422],
        [8, 201],
        [9, 422],
        [10, 422]
    ]);
    assert_eq!(json!(shown), expected);
    assert_eq!(
        decided.answers[6]["body"]["transaction"],
        "Taxi to the station,\nand back"
    );
    assert_eq!(decided.answers[6]["body"]["date"], "2026-03-07");
    let fields: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| answer["body"]["errors"][0]["field"].clone())
        .collect();
    assert_eq!(
        json!(fields),
        json!([
            null, null, "amount", null, "date", "amount", null, "row", "amount"
        ])
    );
    assert_golden("decided_card", &decided.notes);
    let (one, two) = (&decided.answers[0]["body"], &decided.answers[1]["body"]);
    assert_ne!(one["id"], two["id"], "two equal lunches are two expenses");

    // A corrected row is decided; rows that only look different are replayed.
    let text = std::fs::read_to_string(data("card.csv"))
        .unwrap()
        .replace("31/02/2026", "01/03/2026");
    let corrected = workspace.write("card.csv", &text.replace("18.40", "18.4"));
    let again = workspace.decide(&corrected, &CARD_COLUMNS).await;
    let shown: Vec<_> = again
        .answers
        .iter()
        .map(|answer| (&answer["status"], &answer["replayed"]))
        .collect();
    let (old, new, bad) = (json!([201, true]), json!([201, null]), json!([422, null]));
    let zero = json!([200, null]);
    assert_eq!(
        json!(shown),
        json!([old, old, bad, zero, new, bad, old, bad, bad])
    );
    assert_eq!(workspace.recorded().await.len(), 4);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_refused_before_anything_is_decided() {
    let workspace = Workspace::new();
    let good = "transaction,amount\nTaxi,12.00\n";
    for (header, more, said) in [
        (
            "transaction,Gross",
            &[][..],
            r#"no column is called "amount"; name it with --column amount=COLUMN, one of "transaction", "Gross""#,
        ),
        (
            "transaction,amount",
            &["--column", "amount=Gross"],
            r#"no column is called "Gross"; the columns are "transaction", "amount""#,
        ),
        (
            "transaction,amount,curency",
            &[],
            r#"no field is called "curency"; the fields are transaction, amount, currency"#,
        ),
        (
            "transaction,amount,amount",
            &[],
            r#"two columns are called "amount""#,
        ),
        (
            "transaction,amount",
            &["--set", "amount=5"],
            "amount is set by --set and also read from the column \"amount\"",
        ),
        (
            "transaction,amount,Net,Gross",
            &["--column", "amount=Net", "--column", "amount=Gross"],
            "--column is given twice for amount; choose one",
        ),
        (
            "transaction,amount",
            &["--set", "currency=USD", "--set", "currency=GBP"],
            "--set is given twice for currency; choose one",
        ),
        (
            "transaction,amount",
            &["--format", "ndjson", "--set", "currency=GBP"],
            "apply to tables",
        ),
    ] {
        let file = workspace.write("table.csv", &format!("{header}\nTaxi,12.00,x\n"));
        let refused = workspace.decide(&file, more).await;
        assert_eq!((refused.code, refused.answers.len()), (Some(1), 0));
        assert!(refused.notes.contains(said), "{}", refused.notes);
    }
    let empty = workspace
        .decide(&workspace.write("empty.csv", ""), &[])
        .await;
    assert!(
        empty
            .notes
            .contains("empty.csv is empty; the first row of a table names its columns"),
        "{}",
        empty.notes
    );
    let file = workspace.write("table.txt", good);
    assert!(
        workspace
            .decide(&file, &[])
            .await
            .notes
            .contains("add --format csv or --format ndjson")
    );
    let table = workspace
        .decide(
            &file,
            &[&USD[..], &["--format", "csv", "--output", &file]].concat(),
        )
        .await;
    assert!(
        table.notes.contains("is the input file; name another one"),
        "{}",
        table.notes
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
    assert!(
        workspace
            .decide(&workspace.path("none.csv"), &[])
            .await
            .notes
            .contains("none.csv cannot be read")
    );
    for more in [
        ["--date-format", "%d/%m"],
        ["--column", "vat=VAT"],
        ["--set", "currency"],
        ["--tenant", " acme"],
        ["--key-prefix", "no blank"],
    ] {
        let refused = workspace.decide(&file, &more).await;
        assert_eq!(refused.code, Some(2), "{}", refused.notes);
        assert!(refused.notes.contains("write "), "{}", refused.notes);
    }
    assert_eq!(workspace.recorded().await.len(), 0);
}

#[tokio::test]
async fn a_table_that_a_spreadsheet_wrote_is_read_without_changes() {
    let workspace = Workspace::new();
    // A byte order mark, Windows line endings, blanks around cells, and one letter that is not
    // UTF-8.
    let mut bytes = "\u{feff}transaction, amount ,receipt\r\nTaxi, 12.00 ,TRUE\r\n\r\n,,\r\nCaf"
        .as_bytes()
        .to_vec();
    bytes.extend_from_slice(b"\xe9,3.00,\r\nBus,2,false");
    std::fs::write(workspace.path("table.csv"), bytes).unwrap();
    let decided = workspace
        .decide(
            &workspace.path("table.csv"),
            &["--set", "currency=EUR", "--set", "user_id=ana"],
        )
        .await;
    let shown: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| (&answer["line"], &answer["status"]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([[2, 201], [3, 422], [4, 422], [5, 201]]),
        "{}",
        decided.notes
    );
    let bus = &decided.answers[3]["body"];
    assert_eq!(
        (&bus["amount"], &bus["currency"], &bus["user_id"]),
        (&json!("2.00"), &json!("EUR"), &json!("ana"))
    );
    let error = &decided.answers[2]["body"]["errors"][0];
    assert_eq!(
        error,
        &json!({"field": "transaction", "message": "the cell is not UTF-8; save the file as UTF-8, or name its encoding with --encoding, such as windows-1252"})
    );
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_reported() {
    let workspace = Workspace::new();
    for end in ["", "\n", "\r\n"] {
        let file = workspace.write(
            "table.csv",
            &format!("amount,transaction\n9,Taxi\n10,\"Lunch\n20,Taxi\n30,Bus{end}"),
        );
        let decided = workspace.decide(&file, &USD).await;
        assert_eq!(
            (decided.code, decided.answers.len()),
            (Some(3), 2),
            "{}",
            decided.notes
        );
        let error = &decided.answers[1]["body"]["errors"][0];
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("opens a quote that is never closed"),
            "{error}"
        );
        // A quote that is closed at the very end of the file is no problem.
        let file = workspace.write(
            "closed.csv",
            &format!("amount,transaction\n9,Taxi\n10,\"Lunch, \"\"late\"\"\"{end}"),
        );
        let decided = workspace.decide(&file, &USD).await;
        assert_eq!(
            decided.answers[1]["body"]["transaction"], "Lunch, \"late\"",
            "{}",
            decided.notes
        );
    }
    let header = workspace
        .decide(
            &workspace.write("header.csv", "amount,\"transaction\n9,Taxi\n"),
            &[],
        )
        .await;
    assert!(
        header
            .notes
            .contains("the first row opens a quote that is never closed"),
        "{}",
        header.notes
    );
}

#[tokio::test]
async fn a_stray_quote_does_not_give_a_row_the_amount_of_another_row() {
    // Many rows, because the text is read far ahead of the row that is decided.
    let many = "\"Check of a \"\"card\"\"\",0\n".repeat(2_000);
    for (rows, statuses) in [
        (
            "\"Taxi,1.00\nBus,2.00\n\"Tram\",3.00\nFerry,4.00\n",
            json!([422, 201]),
        ),
        ("\"24\" monitor\",1.00\nBus,2.00\n", json!([422, 201])),
        ("\"Taxi \\\"home\\\"\",1.00\nBus,2.00\n", json!([422, 201])),
        ("\"Taxi\" \"home\",1.00\nBus,2.00\n", json!([422, 201])),
        // Quotes in places where they are allowed.
        ("\"Taxi \"\"home\"\"\",1.00\r\nBus,2.00", json!([201, 201])),
        ("\"Taxi\" ,1.00\n\"Bus\",\"2.00\"", json!([201, 201])),
        ("Monitor 24\",1.00\nBus \"2\",2.00\n", json!([201, 201])),
        (
            "\"\"\"Taxi\"\"\r\nhome\",1.00\n\"Bus\",2.00\n",
            json!([201, 201]),
        ),
    ] {
        let workspace = Workspace::new();
        let file = workspace.write("table.csv", &format!("transaction,amount\n{many}{rows}"));
        let decided = workspace.decide(&file, &USD).await;
        let (_, last) = decided.answers.split_at(2_000);
        let found: Vec<_> = last.iter().map(|row| &row["status"]).collect();
        assert_eq!(json!(found), statuses, "{rows} {}", decided.notes);
        let said = "goes on after its closing quote";
        let is_refused = statuses[0] == 422;
        assert_eq!(
            decided.notes.contains(said),
            is_refused,
            "{}",
            decided.notes
        );
    }
    let workspace = Workspace::new();
    let file = workspace.write("table.csv", "\"transaction\"x,amount\nTaxi,1.00\n");
    let header = workspace.decide(&file, &USD).await;
    assert!(
        header.notes.contains("the first row has a cell"),
        "{}",
        header.notes
    );
}

#[tokio::test]
async fn json_lines_are_read_from_a_pipe_and_may_have_idempotency_keys() {
    let workspace = Workspace::new();
    let taxi = json!({"transaction": "Taxi", "amount": 12.5});
    let keyed = json!({"idempotency_key": "card-17", "expense": taxi});
    // With a byte order mark, which tables can have as well.
    let lines = format!(
        "\u{feff}{keyed}\n\nnot json\n{taxi}\n{{\"transaction\": \"Taxi\", \"amount\": \
         \"12.50\"}}\n{taxi}\n"
    );
    let mut child = workspace.decide_piped();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .await
        .unwrap();
    let decided = Decided::new(child.wait_with_output().await.unwrap());
    let shown: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| (&answer["line"], &answer["status"]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([[1, 201], [3, 400], [4, 201], [5, 201], [6, 201]]),
        "{}",
        decided.notes
    );

    let again = workspace
        .decide(&workspace.write("same.jsonl", &lines), &[])
        .await;
    assert_eq!(
        (again.n_replayed(), workspace.recorded().await.len()),
        (4, 4)
    );
}

/// Runs only if `CARD_TRANSACTIONS` names a folder with real tables of card transactions.
#[tokio::test]
async fn every_real_card_transaction_is_answered() {
    let Ok(folder) = std::env::var("CARD_TRANSACTIONS") else {
        skip("no real card transactions; name a folder of them in CARD_TRANSACTIONS");
        return;
    };
    let rate = "[[rate]]\nfrom = \"GBP\"\nto = \"USD\"\neffective_from = \"2015-01-01\"\nrate = \
                \"1.5\"\nsource = \"test\"\n";
    let policies = policies_with("tables/rates.toml", rate);
    let workspace = Workspace::new();
    let mut n_files = 0;
    for file in std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
    {
        let mut table = csv::Reader::from_path(&file).unwrap();
        let place = table
            .headers()
            .unwrap()
            .iter()
            .position(|column| column == "Amount")
            .unwrap();
        let amounts: Vec<_> = table
            .records()
            .map(|row| row.unwrap()[place].to_owned())
            .collect();
        let more = [
            "--column",
            "transaction=Expenditure Purpose",
            "--column",
            "merchant=Benificiary (Merchant)",
            "--column",
            "amount=Amount",
            "--column",
            "date=Transaction Date",
            "--column",
            "user_id=Local Authority Establishment",
            "--set",
            "currency=GBP",
            "--date-format",
            "%d/%m/%Y",
            "--policies",
            policies.path().to_str().unwrap(),
        ];
        let decided = workspace.decide(file.to_str().unwrap(), &more).await;
        assert_eq!(
            (decided.code, decided.answers.len()),
            (Some(3), amounts.len()),
            "{}",
            decided.notes
        );
        for (index, (amount, answer)) in amounts.iter().zip(&decided.answers).enumerate() {
            assert_eq!(answer["line"], index + 2);
            let said = answer["body"]["errors"][0]["message"]
                .as_str()
                .unwrap_or_default();
            let (status, why) = match amount.trim_matches(['-', '0', '.']) {
                "" => (200, ""),
                _ if amount.starts_with('-') => (422, "name the purchase it refunds"),
                _ => (201, ""),
            };
            assert_eq!(answer["status"], status, "{answer}");
            assert!(said.contains(why), "{answer}");
        }
        n_files += 1;
    }
    assert!(n_files > 0);
}
