//! What the program prints when it starts, and the settings that say how people reach the page.

use std::process::Stdio;

use regex::Regex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::built;
use crate::harness::binary::command;
use crate::harness::key_file::{KeyFile, entry};

/// What a service on loopback prints until it is stopped, with its port as `PORT` and its key as `KEY`.
async fn printed(flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(flags, &[("OTEL_TRACES_EXPORTER", "none")])
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).await.unwrap();
    let pid = child.id().unwrap();
    let kill = ["-TERM", &pid.to_string()];
    tokio::process::Command::new("kill")
        .args(kill)
        .status()
        .await
        .unwrap();
    stdout.read_to_string(&mut text).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    let port = Regex::new(r"127\.0\.0\.1:[0-9]+").unwrap();
    let key = Regex::new("ea_[0-9a-f]{64}").unwrap();
    let text = port.replace_all(&text, "127.0.0.1:PORT");
    key.replace_all(&text, "KEY").into_owned()
}

#[tokio::test]
async fn the_program_prints_where_the_page_is_and_the_local_key_once() {
    let keys = KeyFile::new(&[entry("ana", "acme", "ea_ana", "")]);
    let with_keys = ["--api-keys", keys.name()];
    let public = ["--public-url", "https://expenses.example.com"];
    for (flags, expected) in [
        (vec![], "Page: http://127.0.0.1:PORT/ui/#key=KEY\n"),
        (vec!["--no-page"], "Local key: KEY\n"),
        (
            public.to_vec(),
            "Page: https://expenses.example.com/ui/#key=KEY\n",
        ),
        (with_keys.to_vec(), "Page: http://127.0.0.1:PORT/ui/\n"),
        (
            [&with_keys[..], &["--local-key"]].concat(),
            "Page: http://127.0.0.1:PORT/ui/\n",
        ),
        (
            [with_keys, public].concat(),
            "Page: https://expenses.example.com/ui/\n",
        ),
        ([&with_keys[..], &["--no-page"]].concat(), ""),
    ] {
        let first = "listening on http://127.0.0.1:PORT; POST /v1/expenses, or open http://127.0.0.1:PORT/docs\n";
        assert_eq!(
            printed(&flags).await,
            format!("{first}{expected}"),
            "{flags:?}"
        );
    }
}

#[test]
fn a_local_key_is_made_on_loopback_or_when_it_is_asked_for() {
    for (flags, is_made) in [
        (&[][..], true),
        (&["--listen", "127.0.0.9:8000"], true),
        (&["--listen", "[::1]:8000"], true),
        (&["--listen", "0.0.0.0:8000", "--allow-anonymous"], false),
        (
            &[
                "--listen",
                "0.0.0.0:8000",
                "--allow-anonymous",
                "--local-key",
            ],
            true,
        ),
        (&["--listen", "192.0.2.1:8000", "--allow-anonymous"], false),
    ] {
        assert_eq!(
            built(flags).unwrap().http.makes_local_key,
            is_made,
            "{flags:?}"
        );
    }
}

#[test]
fn a_local_key_does_not_open_a_service_to_the_network() {
    let errors = built(&["--listen", "0.0.0.0:8000", "--local-key"]).unwrap_err();
    assert!(errors.to_string().contains("--allow-anonymous"), "{errors}");
}

#[test]
fn links_begin_with_the_public_url_or_on_loopback_with_the_address() {
    let public = ["--public-url", " https://Expenses.Example.com:443/ "];
    for (address, flags, expected) in [
        ("127.0.0.1:8000", &[][..], Some("http://127.0.0.1:8000")),
        ("[::1]:8000", &[], Some("http://[::1]:8000")),
        ("0.0.0.0:8000", &[], None),
        ("192.0.2.1:8000", &[], None),
        (
            "0.0.0.0:8000",
            &public,
            Some("https://expenses.example.com"),
        ),
        (
            "127.0.0.1:8000",
            &public,
            Some("https://expenses.example.com"),
        ),
        (
            "127.0.0.1:8000",
            &["--public-url", " "],
            Some("http://127.0.0.1:8000"),
        ),
        ("127.0.0.1:8000", &["--no-page"], None),
    ] {
        let origin = built(flags)
            .unwrap()
            .http
            .page_origin(address.parse().unwrap());
        assert_eq!(origin.as_deref(), expected, "{address} {flags:?}");
    }
}

#[test]
fn blanks_around_a_trace_url_do_not_belong_to_it() {
    for text in [" http://h/{trace_id}\n", "http://h/{trace_id}"] {
        let config = built(&["--trace-url", text]).unwrap();
        assert_eq!(config.http.trace_url.unwrap().of("abc"), "http://h/abc");
    }
    assert_eq!(built(&["--trace-url", " "]).unwrap().http.trace_url, None);
}

#[test]
fn a_public_url_is_a_scheme_and_a_host_alone_and_its_host_is_allowed() {
    for (text, host) in [
        ("https://expenses.example.com", Some("expenses.example.com")),
        (
            "http://EXPENSES.example.com.:8080/",
            Some("expenses.example.com"),
        ),
        ("https://b\u{fc}cher.example", Some("xn--bcher-kva.example")),
        // Every address is allowed anyway.
        ("http://192.0.2.1:8000", None),
        ("http://[2001:db8::1]", None),
    ] {
        let http = built(&["--public-url", text]).unwrap().http;
        let allowed = http.allowed_hosts.iter().map(|host| host.as_str());
        assert_eq!(allowed.collect::<Vec<_>>(), Vec::from_iter(host), "{text}");
    }
    for text in [
        "expenses.example.com",
        "ftp://expenses.example.com",
        "https://expenses.example.com/app",
        "https://expenses.example.com/?a=b",
        "https://expenses.example.com/#a",
        "https://ana:secret@expenses.example.com",
        "https://ana@expenses.example.com",
        "https://",
        "*",
    ] {
        let errors = built(&["--public-url", text]).unwrap_err().to_string();
        assert!(
            errors.starts_with("--public-url is not"),
            "{text}: {errors}"
        );
        assert!(!errors.contains("secret"), "{errors}");
    }
}
