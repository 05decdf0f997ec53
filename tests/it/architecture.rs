//! Rules for the sources as a whole, checked by reading the files: which files may use which library,
//! which may read environment variables, where binary floats are not allowed, and how long a file may
//! be and how it begins. What the code does is tested elsewhere.

use std::fs;
use std::path::Path;

use regex::{Captures, Regex};

/// Lines of a file of `src`, and of one of `tests`: more are hard to proofread at one sitting.
const MAX_LINES: [(&str, usize); 2] = [("src", 400), ("tests", 500)];

/// OpenTelemetry in all its crates, the bridge from `tracing` included.
const OPENTELEMETRY: &str = r"\b(?:tracing_)?opentelemetry";
/// The OpenAI client.
const ASYNC_OPENAI: &str = r"\basync_openai\b";
/// The libraries for databases.
const DATABASE: &str = r"\b(?:sqlx|rusqlite)\b";
/// Everything that reads variables: paths into `std::env`, but not `env!`, which reads them when
/// compiling; and clap's `env`.
const ENVIRONMENT: &str = r"\benv\s*::|\bstd::env\s*[;,]|(?s:#\[arg\([^\]]*\benv\b)";
/// Everything that observes the business code from outside.
const TELEMETRY: &str = r"\b(?:tracing|telemetry)\b";
/// Binary floats, and methods named after them.
const FLOAT: &str = r"f32|f64";
/// The library for errors without a type of their own.
const ANYHOW: &str = r"\banyhow\b";

/// The folders of the business code.
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

/// The code of a Rust file, without comments and literals: a library that they mention is not used.
/// Lines keep their numbers.
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

/// Fails if a file of `src` outside `places` uses the pattern. A place is a file, or a folder with a
/// slash at its end.
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
fn only_telemetry_uses_opentelemetry() {
    assert_used_only_in(
        OPENTELEMETRY,
        &["src/telemetry/"],
        "OpenTelemetry belongs behind src/telemetry",
    );
}

#[test]
fn only_openai_rs_uses_async_openai() {
    assert_used_only_in(
        ASYNC_OPENAI,
        &["src/llm/openai.rs"],
        "async-openai belongs behind src/llm/openai.rs",
    );
}

#[test]
fn only_the_ledger_uses_databases() {
    assert_used_only_in(DATABASE, &["src/ledger/"], "SQL belongs behind src/ledger");
}

#[test]
fn only_config_reads_environment_variables() {
    assert_used_only_in(
        ENVIRONMENT,
        &["src/config/"],
        "environment variables are read only in src/config",
    );
}

#[test]
fn only_the_command_line_uses_anyhow() {
    assert_used_only_in(
        ANYHOW,
        &["src/main.rs", "src/cli/"],
        "an error that a caller may tell apart needs a type",
    );
}

#[test]
fn business_code_uses_nothing_of_telemetry_but_step() {
    let business = rust_files("src")
        .into_iter()
        .filter(|file| BUSINESS.iter().any(|dir| file.path.starts_with(dir)));
    let strays: Vec<_> = business
        .flat_map(|file| uses(TELEMETRY, &file))
        .filter(|place| {
            !(place.starts_with("src/agent/")
                && (place.ends_with(": use crate::telemetry::spans::step::step;")
                    || place.ends_with(": use crate::telemetry::spans::step::{span_id, step};")))
        })
        .collect();
    assert!(
        strays.is_empty(),
        "business code uses nothing of telemetry but `step` and the id of its span:\n{}",
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
fn every_file_begins_with_a_module_comment() {
    for file in rust_files("src").iter().chain(&rust_files("tests")) {
        assert!(
            file.text.starts_with("//! "),
            "{} does not begin with a `//! ` comment that says what is in it",
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
