//! What holds of the sources as a whole, read from the files themselves: who knows which library,
//! which files read the environment, where binary floats are not allowed, and how a file begins and
//! ends. What
//! the code does is tested elsewhere.

use std::fs;
use std::path::Path;

use regex::{Captures, Regex};

/// Lines of a file of `src`, and of one of `tests`: more are hard to proofread at one sitting.
const MAX_LINES: [(&str, usize); 2] = [("src", 400), ("tests", 500)];

/// OpenTelemetry in all its crates, the bridge from `tracing` included.
const OPENTELEMETRY: &str = r"\b(?:tracing_)?opentelemetry";
/// The OpenAI client.
const ASYNC_OPENAI: &str = r"\basync_openai\b";
/// Both ways to a database.
const DATABASE: &str = r"\b(?:sqlx|rusqlite)\b";
/// Everything that reads variables: paths into `std::env`, but not `env!`, which reads them when
/// compiling; and clap's `env`.
const ENVIRONMENT: &str = r"\benv\s*::|\bstd::env\s*[;,]|(?s:#\[arg\([^\]]*\benv\b)";
/// Everything that observes the business from outside.
const TELEMETRY: &str = r"\b(?:tracing|telemetry)\b";
/// Binary floats, and methods named after them.
const FLOAT: &str = r"f32|f64";
/// Errors without a type.
const ANYHOW: &str = r"\banyhow\b";

/// Folders that hold the business and nothing else.
const BUSINESS: [&str; 6] = [
    "src/domain/",
    "src/agent/",
    "src/policy/",
    "src/llm/",
    "src/offline/",
    "src/ledger/",
];

/// A file of the project, by its path from the root.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every file below a folder.
fn files(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(Source {
                text: fs::read_to_string(entry.path()).unwrap(),
                path,
            }),
        }
    }
    files
}

/// The Rust files below a folder.
pub(crate) fn rust_files(folder: &str) -> Vec<Source> {
    files(folder)
        .into_iter()
        .filter(|file| file.path.ends_with(".rs"))
        .collect()
}

/// The code of a Rust file. Comments and literals are taken out, because naming a thing is no use
/// of it; lines keep their numbers.
fn code(text: &str) -> String {
    let prose = Regex::new(
        r###"(?xs)
        //[^\n]* | /\*.*?\*/                                 # comments
        | \br\#\#".*?"\#\# | \br\#".*?"\# | \br"[^"]*"       # raw strings
        | "(?:\\.|[^"\\])*"                                  # strings
        | '(?:\\u\{[^}]*\}|\\.|[^'\\])'                      # characters, which lifetimes are not
        "###,
    );
    let blank = |prose: &Captures| "\n".repeat(prose[0].matches('\n').count());
    prose.unwrap().replace_all(text, blank).into_owned()
}

/// Where the code of a file matches a pattern, as `path:line: the line`.
fn uses(pattern: &str, file: &Source) -> Vec<String> {
    let code = code(&file.text);
    let place = |start: usize| {
        let n_line = code[..start].matches('\n').count();
        format!(
            "{}:{}: {}",
            file.path,
            n_line + 1,
            code.lines().nth(n_line).unwrap_or_default().trim()
        )
    };
    Regex::new(pattern)
        .unwrap()
        .find_iter(&code)
        .map(|found| place(found.start()))
        .collect()
}

/// Fails if the pattern is used in a file of `src` outside the places named, each a file or a
/// folder with its slash.
fn assert_used_only_in(pattern: &str, places: &[&str], rule: &str) {
    let is_outside = |file: &Source| !places.iter().any(|place| file.path.starts_with(place));
    let strays: Vec<_> = rust_files("src")
        .iter()
        .filter(|file| is_outside(file))
        .flat_map(|f| uses(pattern, f))
        .collect();
    assert!(strays.is_empty(), "{rule}:\n{}", strays.join("\n"));
}

#[test]
fn opentelemetry_is_known_under_telemetry_alone() {
    assert_used_only_in(
        OPENTELEMETRY,
        &["src/telemetry/"],
        "OpenTelemetry belongs behind src/telemetry",
    );
}

#[test]
fn async_openai_is_known_in_the_openai_file_alone() {
    assert_used_only_in(
        ASYNC_OPENAI,
        &["src/llm/openai.rs"],
        "async-openai belongs behind src/llm/openai.rs",
    );
}

#[test]
fn databases_are_known_in_the_ledger_alone() {
    assert_used_only_in(DATABASE, &["src/ledger/"], "SQL belongs behind src/ledger");
}

#[test]
fn the_environment_is_read_in_config_alone() {
    assert_used_only_in(
        ENVIRONMENT,
        &["src/config/"],
        "variables are read in src/config and handed on",
    );
}

#[test]
fn errors_have_a_type_outside_the_command_line() {
    assert_used_only_in(
        ANYHOW,
        &["src/main.rs", "src/cli/"],
        "an error that a caller may tell apart needs a type",
    );
}

#[test]
fn the_business_knows_of_telemetry_only_the_step() {
    let business = rust_files("src")
        .into_iter()
        .filter(|file| BUSINESS.iter().any(|dir| file.path.starts_with(dir)));
    let strays: Vec<_> = business
        .flat_map(|file| uses(TELEMETRY, &file))
        .filter(|place| {
            !(place.starts_with("src/agent/")
                && place.ends_with(": use crate::telemetry::spans::step::step;"))
        })
        .collect();
    assert!(
        strays.is_empty(),
        "telemetry looks at the business, not the other way round:\n{}",
        strays.join("\n")
    );
}

#[test]
fn no_binary_float_touches_an_amount() {
    let holds_amounts = |file: &Source| {
        ["src/domain/money.rs", "src/policy/", "src/ledger/"]
            .iter()
            .any(|place| file.path.starts_with(place))
    };
    let rust = rust_files("src");
    let mut strays: Vec<_> = rust
        .iter()
        .filter(|file| holds_amounts(file))
        .flat_map(|f| uses(FLOAT, f))
        .collect();
    // A column of a database can be a binary float as well.
    let column = Regex::new(r"(?im)^[^-\n]*\b(?:real|float\d*|double)\b").unwrap();
    for file in files("src/ledger")
        .iter()
        .filter(|file| file.path.ends_with(".sql"))
    {
        strays.extend(
            column
                .find_iter(&file.text)
                .map(|line| format!("{}: {}", file.path, line.as_str().trim())),
        );
    }
    assert!(
        strays.is_empty(),
        "amounts are decimals, or whole minor units:\n{}",
        strays.join("\n")
    );
}

#[test]
fn no_source_is_too_long_to_proofread() {
    for (folder, max_lines) in MAX_LINES {
        for file in rust_files(folder) {
            let n_lines = file.text.lines().count();
            assert!(
                n_lines <= max_lines,
                "{} has {n_lines} lines; split it by concern before {max_lines}",
                file.path
            );
        }
    }
}

#[test]
fn every_file_says_first_what_lives_in_it() {
    for file in rust_files("src").iter().chain(&rust_files("tests")) {
        assert!(
            file.text.starts_with("//! "),
            "{} does not open with `//! ` and what lives in it",
            file.path
        );
    }
}

#[test]
fn a_use_is_found_and_a_mention_is_not() {
    let mentions = r##"
        // async_openai::Client, opentelemetry, std::env::var
        /* tracing:: */ let text = "opentelemetry=\"off\" env::var f64"; let raw = r#"async_openai "f32""#;
        let quote = '"'; let version = env!("CARGO_PKG_VERSION");
    "##;
    let mentions = Source {
        path: "mentions.rs".to_owned(),
        text: mentions.to_owned(),
    };
    for (pattern, used) in [
        (OPENTELEMETRY, "use opentelemetry_sdk::Resource;"),
        (OPENTELEMETRY, "tracing_opentelemetry::layer()"),
        (ASYNC_OPENAI, "fn of(client: &'a async_openai::Client) {}"),
        (DATABASE, "let row: rusqlite::Row = row;"),
        (ENVIRONMENT, "std::env::var(NAME)"),
        (ENVIRONMENT, "use std::env;"),
        (ENVIRONMENT, "#[arg(long, env = NAME)]"),
        (TELEMETRY, "tracing::info!()"),
        (TELEMETRY, "use crate::telemetry::names;"),
        (FLOAT, "amount.to_f64()"),
        (ANYHOW, "use anyhow::Context;"),
    ] {
        assert_eq!(uses(pattern, &mentions), Vec::<String>::new());
        let text = format!("// A comment.\nlet text = \"two\nlines\";\n{used}\n");
        let file = Source {
            path: "uses.rs".to_owned(),
            text,
        };
        assert_eq!(
            uses(pattern, &file),
            [format!("uses.rs:4: {used}")],
            "{pattern}"
        );
    }
}
