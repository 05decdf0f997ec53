//! `DATABASE_URL`: a URL that could be read in two ways is refused, whatever its password and host
//! look like, and no message and no log line shows its secrets.

use expense_agent::ledger::database_url::{DatabaseUrlError, parse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use crate::harness::binary;

/// The secret in the URLs of this file, which no message may show.
const SECRET: &str = "Tr0ub4dor";

#[test]
fn an_ipv6_address_is_read_without_its_brackets() {
    for (url, host) in [
        ("postgres://u:p@[::1]:1/d", "::1"),
        ("postgres://[2001:db8::7]/d", "2001:db8::7"),
        ("postgresql://u@[::ffff:10.0.0.1]:5433/d", "::ffff:a00:1"),
        ("postgres://u@h/d?host=[::1]", "::1"),
        ("postgres://u@h/d?host=::1", "::1"),
        ("postgres://u@h/d?hostaddr=::1", "::1"),
        ("postgres://u:p@127.0.0.1/d", "127.0.0.1"),
        ("postgres://u:p@db.example/d", "db.example"),
    ] {
        assert_eq!(parse(&url.into()).unwrap().get_host(), host, "{url}");
    }
}

#[test]
fn a_url_that_can_be_read_in_two_ways_is_refused() {
    use DatabaseUrlError::{InvalidValue, NotPostgres, Unencoded};
    for (url, error) in [
        ("postgres://u:/7M+r?Etoi@127.0.0.1:1/d", Unencoded),
        ("postgres://u:12/Tr0ub4dor@h/d", Unencoded),
        ("postgres://u:1?host=Tr0ub4dor@h/d", Unencoded),
        ("postgres://u:1#Tr0ub4dor@h/d", Unencoded),
        ("postgres://u:p@Tr0ub4dor@h/d", Unencoded),
        ("postgres://u:p@Tr0ub4dor/x@h/d", Unencoded),
        ("postgres://u:100%Tr0ub4dor@h/d", Unencoded),
        ("postgres://u:Tr0ub4dor%@h/d", Unencoded),
        ("postgres://u:Tr0 ub4dor@h/d", Unencoded),
        ("postgres://u:Tr0\tub4dor@h/d", Unencoded),
        ("postgres://u:p@h/d#Tr0ub4dor", Unencoded),
        ("postgres://u:Tr0ub4dor/x", NotPostgres),
        ("mysql://u:Tr0ub4dor@h/d", NotPostgres),
        ("postgres:u:Tr0ub4dor@h/d", NotPostgres),
        ("postgres:/Tr0ub4dor", NotPostgres),
        ("postgresql+psycopg://u:Tr0ub4dor@h/d", NotPostgres),
        (
            "jdbc:postgresql://h/d?user=u&password=Tr0ub4dor",
            NotPostgres,
        ),
        ("'postgres://u:Tr0ub4dor@h/d'", NotPostgres),
        ("postgres://u:Tr0ub4dor@h1:1,h2:2/d", NotPostgres),
        ("postgres://u:Tr0ub4dor@h:99999/d", NotPostgres),
        ("Tr0ub4dor", NotPostgres),
        ("postgres://u:p@h/d?sslmode=Tr0ub4dor", InvalidValue),
        ("postgres://u:p@h/d?port=Tr0ub4dor", InvalidValue),
        ("postgres://u:p@h/d?Tr0ub4dor", InvalidValue),
        ("postgres://u:p@h/d?options[Tr0ub4dor=1", InvalidValue),
    ] {
        let got = parse(&url.into()).unwrap_err();
        assert_eq!(got, error, "{url}");
        assert!(!got.to_string().contains(SECRET), "{got}");
    }
}

#[test]
fn an_unknown_parameter_is_refused_by_its_name() {
    for name in ["passwd", "connect_timeout", "channel_binding", "SSLMODE"] {
        let url = format!("postgres://u:p@h/d?sslmode=prefer&{name}={SECRET}");
        let error = parse(&url.into()).unwrap_err();
        assert_eq!(error, DatabaseUrlError::UnknownParameter(name.to_owned()));
        let said = error.to_string();
        assert!(
            said.contains(&format!("`{name}`")) && !said.contains(SECRET),
            "{said}"
        );
    }
    for query in [
        "sslmode=require&application_name=agent",
        "options=-c%20search_path%3Dx",
        "options[statement_timeout]=5s",
        "host=/run/postgresql",
        "password=p%40ss",
        "statement-cache-capacity=0&ssl-mode=disable",
    ] {
        parse(&format!("postgres://u@h/d?{query}").into()).unwrap();
    }
}

proptest! {
    #[test]
    fn an_unencoded_password_never_becomes_a_host_or_the_name_of_a_parameter(password in "[!-~]{1,24}") {
        let url = format!("postgres://u:{password}@127.0.0.1:1/d");
        match parse(&url.into()) {
            Ok(options) => prop_assert_eq!((options.get_host(), options.get_port()), ("127.0.0.1", 1)),
            Err(error) => prop_assert!(!matches!(error, DatabaseUrlError::UnknownParameter(_))),
        }
    }

    #[test]
    fn every_percent_encoded_password_is_accepted(password in "\\PC{1,24}") {
        let password = utf8_percent_encode(&password, NON_ALPHANUMERIC);
        let options = parse(&format!("postgres://u:{password}@[::1]:1/d").into()).unwrap();
        prop_assert_eq!(options.get_host(), "::1");
    }
}

#[tokio::test]
async fn no_secret_of_a_database_url_is_printed_at_any_log_level() {
    for (url, said) in [
        (
            "postgres://u:/Tr0ub4dor?Tr0ub4dor@127.0.0.1:1/d",
            "percent-encode",
        ),
        ("postgres://u:p@127.0.0.1:1/d?passwd=Tr0ub4dor", "`passwd`"),
        ("postgres://u:Tr0ub4dor@127.0.0.1:1/d", "refused"),
    ] {
        for arguments in [&["ledger", "verify"][..], &["serve"][..]] {
            let variables = [
                ("DATABASE_URL", url),
                ("RUST_LOG", "trace"),
                ("OTEL_SDK_DISABLED", "true"),
                ("EXPENSE_AGENT_LISTEN", "127.0.0.1:0"),
            ];
            let output = binary::run(arguments, &variables).await;
            let printed = binary::text([output.stdout, output.stderr].concat());
            assert!(!output.status.success());
            assert!(printed.contains(said), "{url}: {printed}");
            assert!(!printed.contains(SECRET), "{url}: {printed}");
        }
    }
}
