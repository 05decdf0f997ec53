//! The settings of notifications: what is accepted, and what every message says that is not.

use clap::Parser;
use expense_agent::cli::Cli;
use expense_agent::config::{Config, ConfigErrors};
use expense_agent::telemetry::settings::Variables;

use crate::harness::webhook_receiver::SECRET;

/// The configuration that flags and variables make.
pub(super) fn built(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let cli = Cli::try_parse_from([&["expense-agent"], flags].concat()).unwrap();
    let variables: Variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::build(cli.settings, &variables)
}

fn with_secret(flags: &[&str], secret: &str) -> Result<Config, String> {
    let variables = [("EXPENSE_AGENT_NOTIFY_SECRET", secret)];
    built(flags, &variables).map_err(|errors| errors.0.join("\n"))
}

#[test]
fn receivers_are_of_one_tenant_or_of_all_others_and_sign_with_their_own_secret() {
    let both = [
        "--notify",
        "https://hooks.example/all?a=b,acme=http://10.0.0.7:8080/x",
    ];
    let other = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdHM=";
    let secrets = format!("{SECRET},acme={other},acme={SECRET}");
    let notify = with_secret(&both, &secrets).unwrap().notify;
    let shown: Vec<_> = notify
        .receivers
        .iter()
        .map(|receiver| {
            (
                receiver.tenant_id.as_deref(),
                receiver.url.as_str(),
                receiver.to_string(),
                receiver.secrets.len(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                None,
                "https://hooks.example/all?a=b",
                "https://hooks.example".to_owned(),
                1
            ),
            (
                Some("acme"),
                "http://10.0.0.7:8080/x",
                "http://10.0.0.7:8080".to_owned(),
                2
            ),
        ]
    );
    // Without a receiver the secret is not even read.
    assert!(
        with_secret(&[], "nonsense")
            .unwrap()
            .notify
            .receivers
            .is_empty()
    );
    assert!(
        with_secret(&["--notify", ""], "nonsense")
            .unwrap()
            .notify
            .receivers
            .is_empty()
    );
}

#[test]
fn the_secret_is_read_from_a_file_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    let variables = [(
        "EXPENSE_AGENT_NOTIFY_SECRET_FILE",
        file.path().to_str().unwrap(),
    )];
    let config = built(&["--notify", "https://hooks.example"], &variables).unwrap();
    assert_eq!(config.notify.receivers.len(), 1);
}

#[test]
fn a_secret_that_cannot_be_read_is_told_by_the_variable_that_it_comes_from() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "T0KEN\n").unwrap();
    let path = file.path().to_str().unwrap();
    for (name, value) in [
        ("EXPENSE_AGENT_NOTIFY_SECRET", "T0KEN"),
        ("EXPENSE_AGENT_NOTIFY_SECRET_FILE", path),
    ] {
        let errors = built(&["--notify", "https://hooks.example"], &[(name, value)]).unwrap_err();
        let expected = format!("{name} holds something that is no secret");
        let errors = errors.0;
        assert!(
            errors.iter().any(|error| error.starts_with(&expected)),
            "{errors:?}"
        );
    }
}

#[test]
fn a_comma_separates_receivers_only_where_another_one_begins() {
    for (text, urls) in [
        (
            "https://a.example/x?tags=b,c",
            &["https://a.example/x?tags=b,c"][..],
        ),
        (
            " https://a.example/1,2 , acme = http://b.example/3,4,beta=https://c.example ",
            &[
                "https://a.example/1,2",
                "http://b.example/3,4",
                "https://c.example/",
            ],
        ),
        (",https://a.example,", &["https://a.example/"]),
    ] {
        let notify = with_secret(&["--notify", text], SECRET).unwrap().notify;
        let receivers = notify.receivers.iter();
        let read: Vec<_> = receivers.map(|receiver| receiver.url.as_str()).collect();
        assert_eq!(read, urls, "{text}");
    }
}

#[test]
fn a_message_says_what_is_wrong_and_repeats_neither_url_nor_secret() {
    let secret_of = |n_bytes: usize| {
        use base64::Engine;
        format!(
            "whsec_{}",
            base64::engine::general_purpose::STANDARD.encode(vec![7; n_bytes])
        )
    };
    let hook = "https://hooks.example/T0KEN";
    for (notify, secret, expected) in [
        (
            hook,
            "",
            "--notify for all tenants has no secret to sign with; set EXPENSE_AGENT_NOTIFY_SECRET: write \"whsec_\"",
        ),
        (
            "acme=https://hooks.example/T0KEN",
            "beta=SECRET",
            "--notify for the tenant acme has no secret to sign with",
        ),
        (
            hook,
            "T0KEN",
            "EXPENSE_AGENT_NOTIFY_SECRET holds something that is no secret",
        ),
        (
            hook,
            "=SECRET",
            "EXPENSE_AGENT_NOTIFY_SECRET holds something that is no secret",
        ),
        (hook, &secret_of(23), "holds something that is no secret"),
        (hook, &secret_of(65), "holds something that is no secret"),
        (hook, &secret_of(24), ""),
        (hook, &secret_of(64), ""),
        (
            "hooks.example/T0KEN",
            "SECRET",
            "--notify for all tenants is not a URL",
        ),
        (
            "=https://hooks.example/T0KEN",
            "SECRET",
            "--notify names no tenant before the \"=\"",
        ),
        (
            "ftp://hooks.example/T0KEN",
            "SECRET",
            "--notify for all tenants is not a URL of http or https; write a URL, or TENANT=URL",
        ),
        (
            "acme=T0KEN",
            "SECRET",
            "--notify for the tenant acme is not a URL",
        ),
        (
            "https://T0KEN:x@hooks.example/",
            "SECRET",
            "--notify for all tenants contains a user or a password",
        ),
        (
            "https://a.example,https://b.example/T0KEN",
            "SECRET",
            "--notify names two URLs for all tenants; leave one out",
        ),
        (
            "acme=https://a.example,acme=https://b.example/T0KEN",
            "SECRET",
            "--notify names two URLs for the tenant acme",
        ),
    ] {
        let secret = secret.replace("SECRET", SECRET);
        let result = with_secret(&["--notify", notify], &secret);
        let message = result.err().unwrap_or_default();
        match expected {
            "" => assert_eq!(message, "", "{notify}"),
            _ => assert!(message.contains(expected), "{notify} {secret}:\n{message}"),
        }
        assert!(!message.contains("T0KEN"), "{message}");
        assert!(secret.is_empty() || !message.contains(&secret), "{message}");
    }
}
