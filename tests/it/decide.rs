//! `decide`: every row of a file is answered, by a decision or by a word why there is none, and
//! nothing is decided twice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::harness::binary::{command, run, text};
use crate::harness::expenses::id_of;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::jaeger::skip;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::replies::{advice, category};
use crate::harness::server::Server;
use crate::harness::{assert_golden, policies_with, poll};

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");
const NO_METRICS: (&str, &str) = ("OTEL_METRICS_EXPORTER", "none");
/// How long a file may take: real ones have thousands of rows.
const PATIENCE: Duration = Duration::from_secs(900);
/// How the columns of `card.csv` are read.
const OF_CARD: [&str; 12] = [
    "--column",
    "date=Posted",
    "--column",
    "user_id=Cardholder",
    "--column",
    "merchant=Supplier",
    "--column",
    "amount=Gross",
    "--column",
    "transaction=Purpose",
    "--date-format",
    "%d/%m/%Y",
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A folder with files and a ledger.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Decides a file into the ledger of this folder.
    async fn decide(&self, file: &str, more: &[&str]) -> Decided {
        let data = self.path("data");
        let arguments = [&["decide", file, "--data", &data], more].concat();
        let mut program = command(&arguments, &[QUIET, NO_METRICS]);
        Decided::new(
            tokio::time::timeout(PATIENCE, program.output())
                .await
                .expect("the program ends")
                .unwrap(),
        )
    }

    /// The decisions that the ledger has.
    async fn recorded(&self) -> Vec<Value> {
        let data = self.path("data");
        let arguments = [
            "export",
            "--from",
            "2020-01-01",
            "--to",
            "2100-01-01",
            "--format",
            "ndjson",
            "--data",
            &data,
        ];
        let lines = text(run(&arguments, &[]).await.stdout);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// What came of a run.
#[derive(Debug)]
struct Decided {
    code: Option<i32>,
    answers: Vec<Value>,
    notes: String,
}

impl Decided {
    fn new(output: Output) -> Self {
        let answers = text(output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        Self {
            code: output.status.code(),
            answers,
            notes: text(output.stderr),
        }
    }

    fn ids(&self) -> Vec<&str> {
        self.answers
            .iter()
            .map(|answer| id_of(&answer["body"]))
            .collect()
    }

    fn n_replayed(&self) -> usize {
        self.answers
            .iter()
            .filter(|answer| answer["replayed"] == true)
            .count()
    }
}

#[tokio::test]
async fn every_row_of_a_table_is_decided_in_order_and_only_once() {
    let desk = Desk::new();
    let file = data("expenses.csv");
    let first = desk.decide(file.to_str().unwrap(), &[]).await;
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

    // Under another name, too.
    let copy = desk.write("copy.csv", &std::fs::read_to_string(file).unwrap());
    let again = desk.decide(&copy, &[]).await;
    assert_eq!((again.ids(), again.n_replayed()), (first.ids(), 8));
    assert!(
        again.notes.contains("8 of them had been decided before"),
        "{}",
        again.notes
    );
    let once_more = desk.decide(&copy, &["--key-prefix", "april"]).await;
    assert_eq!(
        (once_more.n_replayed(), desk.recorded().await.len()),
        (0, 16)
    );
}

#[tokio::test]
async fn a_row_that_is_no_expense_says_why_and_stops_none() {
    let desk = Desk::new();
    let decided = desk
        .decide(data("card.csv").to_str().unwrap(), &OF_CARD)
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
        [5, 422],
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
    let faults: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| answer["body"]["errors"][0]["field"].clone())
        .collect();
    assert_eq!(
        json!(faults),
        json!([
            null, null, "amount", "amount", "date", "amount", null, "row", "amount"
        ])
    );
    assert_golden("decided_card", &decided.notes);
    let (one, two) = (&decided.answers[0]["body"], &decided.answers[1]["body"]);
    assert_ne!(one["id"], two["id"], "two equal lunches are two expenses");

    // Put right, the rows are new; the others are not.
    let text = std::fs::read_to_string(data("card.csv"))
        .unwrap()
        .replace("31/02/2026", "01/03/2026");
    let corrected = desk.write("card.csv", &text.replace("18.40", "18.4"));
    let again = desk.decide(&corrected, &OF_CARD).await;
    let shown: Vec<_> = again
        .answers
        .iter()
        .map(|answer| (&answer["status"], &answer["replayed"]))
        .collect();
    let (old, new, bad) = (json!([201, true]), json!([201, null]), json!([422, null]));
    assert_eq!(
        json!(shown),
        json!([old, old, bad, bad, new, bad, old, bad, bad])
    );
    assert_eq!(desk.recorded().await.len(), 4);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_refused_before_anything_is_decided() {
    let desk = Desk::new();
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
            r#"no column is called "Gross"; there are "transaction", "amount""#,
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
            "amount is set, and read from the column \"amount\" as well",
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
            "are for tables",
        ),
    ] {
        let file = desk.write("table.csv", &format!("{header}\nTaxi,12.00,x\n"));
        let refused = desk.decide(&file, more).await;
        assert_eq!((refused.code, refused.answers.len()), (Some(1), 0));
        assert!(refused.notes.contains(said), "{}", refused.notes);
    }
    let empty = desk.decide(&desk.write("empty.csv", ""), &[]).await;
    assert!(
        empty
            .notes
            .contains("empty.csv is empty; the first row of a table names its columns"),
        "{}",
        empty.notes
    );
    let file = desk.write("table.txt", good);
    assert!(
        desk.decide(&file, &[])
            .await
            .notes
            .contains("say --format csv or --format ndjson")
    );
    let table = desk
        .decide(&file, &["--format", "csv", "--output", &file])
        .await;
    assert!(
        table
            .notes
            .contains("is the file to be read; name another one"),
        "{}",
        table.notes
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
    assert!(
        desk.decide(&desk.path("none.csv"), &[])
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
        let refused = desk.decide(&file, &more).await;
        assert_eq!(refused.code, Some(2), "{}", refused.notes);
        assert!(refused.notes.contains("write "), "{}", refused.notes);
    }
    assert_eq!(desk.recorded().await.len(), 0);
}

#[tokio::test]
async fn a_table_of_a_spreadsheet_is_read_as_it_is() {
    let desk = Desk::new();
    // A mark at its beginning, lines that end as on Windows, blanks around cells, and one letter
    // that is not UTF-8.
    let mut bytes = "\u{feff}transaction, amount ,receipt\r\nTaxi, 12.00 ,TRUE\r\n\r\n,,\r\nCaf"
        .as_bytes()
        .to_vec();
    bytes.extend_from_slice(b"\xe9,3.00,\r\nBus,2,false");
    std::fs::write(desk.path("table.csv"), bytes).unwrap();
    let decided = desk
        .decide(
            &desk.path("table.csv"),
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
    let fault = &decided.answers[2]["body"]["errors"][0];
    assert_eq!(
        fault,
        &json!({"field": "transaction", "message": "the cell is no UTF-8; save the file as UTF-8"})
    );
}

#[tokio::test]
async fn a_quote_that_is_never_closed_swallows_no_row_unseen() {
    let desk = Desk::new();
    for end in ["", "\n", "\r\n"] {
        let file = desk.write(
            "table.csv",
            &format!("amount,transaction\n9,Taxi\n10,\"Lunch\n20,Taxi\n30,Bus{end}"),
        );
        let decided = desk.decide(&file, &[]).await;
        assert_eq!(
            (decided.code, decided.answers.len()),
            (Some(3), 2),
            "{}",
            decided.notes
        );
        let fault = &decided.answers[1]["body"]["errors"][0];
        assert!(
            fault["message"]
                .as_str()
                .unwrap()
                .contains("opens a quote that is never closed"),
            "{fault}"
        );
        // As long as the last quote is closed, nothing is amiss.
        let file = desk.write(
            "closed.csv",
            &format!("amount,transaction\n9,Taxi\n10,\"Lunch, \"\"late\"\"\"{end}"),
        );
        let decided = desk.decide(&file, &[]).await;
        assert_eq!(
            decided.answers[1]["body"]["transaction"], "Lunch, \"late\"",
            "{}",
            decided.notes
        );
    }
    let header = desk
        .decide(
            &desk.write("header.csv", "amount,\"transaction\n9,Taxi\n"),
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
async fn json_lines_come_from_a_pipe_and_may_have_keys_of_their_own() {
    let desk = Desk::new();
    let taxi = json!({"transaction": "Taxi", "amount": 12.5});
    let keyed = json!({"idempotency_key": "card-17", "expense": taxi});
    // A mark at the beginning, as in tables.
    let lines = format!(
        "\u{feff}{keyed}\n\nnot json\n{taxi}\n{{\"transaction\": \"Taxi\", \"amount\": \"12.50\"}}\n{taxi}\n"
    );
    let arguments = [
        "decide",
        "-",
        "--format",
        "ndjson",
        "--data",
        &desk.path("data"),
    ];
    let mut child = command(&arguments, &[QUIET, NO_METRICS]);
    let mut child = child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
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

    let again = desk.decide(&desk.write("same.jsonl", &lines), &[]).await;
    assert_eq!((again.n_replayed(), desk.recorded().await.len()), (4, 4));
}

#[tokio::test]
async fn a_service_decides_for_the_tenant_of_the_key() {
    let keys = KeyFile::new(&[entry("acme", "acme", "ea_acme", "")]);
    let app = keys.app().await;
    let desk = Desk::new();
    let file = data("expenses.csv");
    let file = file.to_str().unwrap();
    let refused = desk.decide(file, &[&app.url]).await;
    assert_eq!((refused.code, refused.answers.len()), (Some(1), 0));
    assert!(
        refused.notes.contains("401 Unauthorized") && refused.notes.contains("API key"),
        "{}",
        refused.notes
    );
    let key = desk.write("key", "ea_acme\n");
    let output = desk.path("answers.ndjson");
    let decided = desk
        .decide(
            file,
            &[
                &app.url,
                "--api-key-file",
                &key,
                "--tenant",
                "zeta",
                "--output",
                &output,
            ],
        )
        .await;
    assert_eq!(
        (decided.code, decided.answers.len()),
        (Some(0), 0),
        "{}",
        decided.notes
    );
    let answers = std::fs::read_to_string(output).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 8);
    assert!(
        answers
            .iter()
            .all(|answer| answer["body"]["tenant_id"] == "acme")
    );
    assert!(
        !Path::new(&desk.path("data")).exists(),
        "nothing was decided here"
    );
    let gone = desk.decide(file, &["http://127.0.0.1:1"]).await;
    assert!(
        gone.notes.contains("is the service running there?"),
        "{}",
        gone.notes
    );
}

#[tokio::test]
async fn without_keys_a_tenant_can_be_named() {
    let desk = Desk::new();
    let decided = desk
        .decide(
            data("expenses.csv").to_str().unwrap(),
            &["--tenant", "ac/me, ltd"],
        )
        .await;
    assert!(
        decided
            .answers
            .iter()
            .all(|answer| answer["body"]["tenant_id"] == "ac/me, ltd"),
        "{:?}",
        decided.answers
    );
}

#[tokio::test]
async fn what_the_service_cannot_take_now_is_asked_again() {
    let n_asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&n_asked);
    // The first request is too much for it, but for its second line.
    let answer = async move |body: String| {
        let is_first = counting.fetch_add(1, Ordering::Relaxed) == 0;
        let one = |(index, _): (usize, &str)| match is_first && index != 1 {
            true => {
                json!({"line": index + 1, "status": 503, "body": {"detail": "overloaded"}})
                    .to_string()
                    + "\n"
            }
            false => {
                json!({"line": index + 1, "status": 201, "body": {"outcome": "approved"}})
                    .to_string()
                    + "\n"
            }
        };
        body.lines().enumerate().map(one).collect::<String>()
    };
    let server = Server::spawn(Router::new().route("/v1/expenses/batch", post(answer))).await;
    let decided = Desk::new()
        .decide(data("expenses.csv").to_str().unwrap(), &[&server.origin()])
        .await;
    let numbers: Vec<_> = decided
        .answers
        .iter()
        .map(|answer| answer["line"].clone())
        .collect();
    assert_eq!(
        json!(numbers),
        json!([2, 3, 4, 5, 6, 7, 8, 9]),
        "{}",
        decided.notes
    );
    assert_eq!(
        (decided.code, n_asked.load(Ordering::Relaxed)),
        (Some(0), 2)
    );
}

#[tokio::test]
async fn a_run_that_is_stopped_finishes_what_is_under_way_and_says_so() {
    let desk = Desk::new();
    let arguments = [
        "decide",
        "-",
        "--format",
        "ndjson",
        "--data",
        &desk.path("data"),
    ];
    let mut child = command(&arguments, &[QUIET, NO_METRICS]);
    let mut child = child
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A pipe that does not end holds it. It can be told to stop once it listens for that.
    poll::until(Duration::from_secs(30), "run under way", async || {
        let pid = child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap()
            .trim()
            .to_owned();
        // SIGTERM is the 15th signal, and the first one has the lowest bit.
        if u64::from_str_radix(&caught, 16).unwrap() & (1 << 14) != 0 {
            Ok(())
        } else {
            Err(caught)
        }
    })
    .await;
    let pid = child.id().unwrap();
    let killed = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("kill -TERM {pid}"))
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    let held = child.stdin.take();
    let output = child.wait_with_output().await.unwrap();
    drop(held);
    assert_eq!(output.status.code(), Some(1));
    let notes = text(output.stderr);
    assert!(
        notes.contains("interrupted; give the same command again to go on from here"),
        "{notes}"
    );
}

/// A model that takes everything for travel and approves it, so many times.
async fn lenient_model(n_rows: usize) -> FakeOpenAi {
    let fake = FakeOpenAi::spawn().await;
    fake.on_classify(vec![category("travel"); n_rows]);
    fake.on_decide(vec![advice("approved", "travel-trip-cap"); n_rows]);
    fake
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_and_decides_nothing_twice() {
    const N_ROWS: usize = 360;
    // Rows go out by so many, and their answers are written together.
    const N_TOGETHER: usize = 256;
    let rows: String = (0..N_ROWS)
        .map(|n| format!("Taxi {n:03},{}.00,2026-03-14\n", 1 + n % 40))
        .collect();
    let desk = Desk::new();
    let file = desk.write("rides.csv", &format!("transaction,amount,date\n{rows}"));
    let (data, output) = (desk.path("data"), desk.path("answers.ndjson"));
    let arguments = ["decide", &file, "--data", &data, "--output", &output];
    let lines_of = |path: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last one may be half written.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };

    // This model falls silent on the way.
    let silent = lenient_model(N_TOGETHER + 32).await;
    silent.on_classify(vec![Reply::hang(); N_ROWS]);
    let base_url = silent.base_url();
    let variables = [QUIET, NO_METRICS, ("OPENAI_BASE_URL", base_url.as_str())];
    // What a process that was killed had under way is free after twice the deadline.
    let mut killed = command(
        &[&arguments[..], &["--deadline", "4s"]].concat(),
        &variables,
    )
    .spawn()
    .unwrap();
    poll::until(
        Duration::from_secs(60),
        "first rows answered",
        async || match lines_of(&output).len() {
            N_TOGETHER => Ok(()),
            n => Err(n),
        },
    )
    .await;
    killed.kill().await.unwrap();
    let before = lines_of(&output);
    let recorded = desk.recorded().await;
    assert!(
        (N_TOGETHER..N_ROWS).contains(&recorded.len()),
        "{}",
        recorded.len()
    );

    let model = lenient_model(N_ROWS).await;
    let base_url = model.base_url();
    let variables = [QUIET, NO_METRICS, ("OPENAI_BASE_URL", base_url.as_str())];
    let resumed = run(&arguments, &variables).await;
    assert!(resumed.status.success(), "{}", text(resumed.stderr));
    let answers = lines_of(&output);
    let numbers: Vec<_> = answers
        .iter()
        .map(|answer| answer["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (2..).take(N_ROWS).collect::<Vec<_>>());
    let ids: HashSet<_> = answers
        .iter()
        .map(|answer| id_of(&answer["body"]))
        .collect();
    assert_eq!((ids.len(), desk.recorded().await.len()), (N_ROWS, N_ROWS));
    // What was answered before it was killed is answered again in the same words, and without the
    // model.
    assert!(
        before
            .iter()
            .zip(&answers)
            .all(|(before, now)| before["body"] == now["body"] && now["replayed"] == true)
    );
    let asked: String = model
        .requests()
        .iter()
        .map(|request| request.body.to_string())
        .collect();
    let again: Vec<_> = recorded
        .iter()
        .filter(|row| asked.contains(row["transaction"].as_str().unwrap()))
        .collect();
    assert!(again.is_empty(), "{again:?}");

    let n_asked = model.requests().len();
    assert!(run(&arguments, &variables).await.status.success());
    assert_eq!(
        model.requests().len(),
        n_asked,
        "the third time nobody is asked"
    );
}

/// Real tables of card transactions, where there are some: what is decided, and which rows say why
/// they are not.
#[tokio::test]
async fn every_real_card_transaction_is_answered() {
    let Ok(folder) = std::env::var("CARD_TRANSACTIONS") else {
        skip("no real card transactions; name a folder of them in CARD_TRANSACTIONS");
        return;
    };
    let rate = "[[rate]]\nfrom = \"GBP\"\nto = \"USD\"\neffective_from = \"2015-01-01\"\nrate = \"1.5\"\nsource = \"test\"\n";
    let policies = policies_with("tables/rates.toml", rate);
    let desk = Desk::new();
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
        let decided = desk.decide(file.to_str().unwrap(), &more).await;
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
                "" => (422, "the amount is zero"),
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
