//! How the decision on a row depends on the rows before it: they use up caps, and a credit refunds a
//! purchase among them. Also rows of amount zero, which are skipped.

use serde_json::{Value, json};

use super::{USD, Workspace, data};

#[tokio::test]
async fn rows_of_one_employee_are_decided_in_the_order_of_the_file() {
    // Each employee has more rows than the cap of a day holds, so the outcome of a row shows which
    // rows were decided before it. One id is written in two ways.
    let rows: String = (0..12)
        .flat_map(|n| ["ana", "ben", "Ana", "cleo"].map(|user| (n, user)))
        .map(|(n, user)| format!("Team lunch,{}.50,2026-02-03,{user},true\n", 7 + n))
        .collect();
    let table = format!("transaction,amount,date,user_id,receipt\n{rows}");
    let outcomes = async || -> Vec<Value> {
        let workspace = Workspace::new();
        let file = workspace.write("table.csv", &table);
        let decided = workspace.decide(&file, &USD).await;
        let rows = decided.answers.iter();
        rows.map(|answer| json!([answer["body"]["outcome"], answer["body"]["findings"]]))
            .collect()
    };
    let first = outcomes().await;
    assert_eq!(first.len(), 48);
    assert_eq!(outcomes().await, first);
    let denied: Vec<usize> = (0..12)
        .filter(|n| first[n * 4 + 1][0] == "denied")
        .collect();
    assert_eq!(
        denied,
        (7..12).collect::<Vec<_>>(),
        "the first seven fit below 75.00"
    );
}

#[tokio::test]
async fn a_credit_refunds_the_only_purchase_that_fits_and_otherwise_waits_for_a_person() {
    let workspace = Workspace::new();
    let file = data("tables").join("refunds.csv");
    let more = [&USD[..], &["--match-refunds"]].concat();
    let decided = workspace.decide(file.to_str().unwrap(), &more).await;
    let body = |line: usize| &decided.answers[line - 2]["body"];
    assert_eq!(body(6)["refunds"], body(2)["id"], "{}", decided.notes);
    assert_eq!(body(6)["amount"], "-31.00");
    // Two equal coffees, another person's taxi, and a taxi that was refunded already.
    let coffees = json!([body(5)["id"], body(4)["id"]]);
    for (line, said, candidates) in [
        (7, "2 earlier purchases", coffees),
        (8, "no earlier purchase", json!([])),
        (9, "no earlier purchase", json!([])),
    ] {
        let answer = &decided.answers[line - 2];
        assert_eq!(
            (&answer["line"], &answer["status"]),
            (&json!(line), &json!(200))
        );
        let review = answer["body"]["review"].as_str().unwrap();
        assert!(
            review.starts_with(said) && review.contains("`refunds`"),
            "{review}"
        );
        assert_eq!(answer["body"]["candidates"], candidates);
    }
    assert_eq!(decided.code, Some(3));
    let again = workspace.decide(file.to_str().unwrap(), &more).await;
    let bodies = |answers: &[Value]| -> Vec<Value> {
        answers
            .iter()
            .map(|answer| answer["body"].clone())
            .collect()
    };
    assert_eq!(bodies(&again.answers), bodies(&decided.answers));
    assert_eq!(again.n_replayed(), 5);

    // Without the flag, a credit has to name its purchase, as in every other request.
    let without_flag = [&USD[..], &["--key-prefix", "b"]].concat();
    let unmatched = workspace
        .decide(file.to_str().unwrap(), &without_flag)
        .await;
    assert_eq!(unmatched.answers[4]["status"], 422);
}

#[tokio::test]
async fn a_purchase_of_an_earlier_file_can_be_refunded() {
    let workspace = Workspace::new();
    let lines = [
        json!({"transaction": "Toner", "amount": "24.99", "merchant": "Paper and Pens", "date": "2026-01-30", "user_id": "ana"}),
        json!({"transaction": "Toner sent back", "amount": -24.99, "merchant": "Paper and Pens", "date": "2026-02-03", "user_id": "ana"}),
        json!({"transaction": "Toner sent back", "amount": -24.99, "currency": "EUR", "merchant": "Paper and Pens", "date": "2026-02-03", "user_id": "ana"}),
        json!({"transaction": "Toner sent back", "amount": -24.99, "merchant": "Paper and Pens", "date": "2026-01-03", "user_id": "ana"}),
    ];
    let january = workspace.write("january.ndjson", &lines[0].to_string());
    let bought = workspace.decide(&january, &[]).await;
    let february: Vec<String> = lines[1..].iter().map(Value::to_string).collect();
    let february = workspace.write("february.ndjson", &february.join("\n"));
    let decided = workspace.decide(&february, &["--match-refunds"]).await;
    assert_eq!(
        decided.answers[0]["body"]["refunds"],
        bought.ids()[0],
        "{}",
        decided.notes
    );
    for other in &decided.answers[1..] {
        assert_eq!(
            other["body"]["candidates"],
            json!([]),
            "another currency, or too early"
        );
    }
}

#[tokio::test]
async fn rows_of_amount_zero_are_skipped_and_fail_no_run() {
    let workspace = Workspace::new();
    let table = "transaction,amount,currency,date\nCard check,0.00,EUR,2026-02-03\nCard check,-0,,\n\
                 Taxi,12.01,EUR,2026-02-03\n";
    let file = workspace.write("table.csv", table);
    let decided = workspace.decide(&file, &[]).await;
    let statuses: Vec<&Value> = decided
        .answers
        .iter()
        .map(|answer| &answer["status"])
        .collect();
    assert_eq!(json!(statuses), json!([200, 200, 201]));
    assert!(decided.answers[0]["body"]["skipped"].is_string());
    assert_eq!(decided.code, Some(0), "{}", decided.notes);
    assert!(
        decided.notes.contains("2 skipped (amount zero)"),
        "{}",
        decided.notes
    );
    let lines = "{\"transaction\": \"Card check\", \"amount\": 0.00}\n\
                 {\"idempotency_key\": \"a\", \"expense\": {\"transaction\": \"Check\", \"amount\": \"0\"}}\n";
    let decided = workspace
        .decide(&workspace.write("lines.ndjson", lines), &[])
        .await;
    assert_eq!(
        (decided.code, decided.answers.len()),
        (Some(0), 2),
        "{}",
        decided.notes
    );
}
