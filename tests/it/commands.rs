//! The program as a person runs it: subcommands, exit codes, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use clap::{Command, CommandFactory, FromArgMatches};
use expense_agent::cli::{Cli, help};
use reqwest::header::HeaderValue;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use crate::harness::assert_golden;
use crate::harness::binary::{Service, run, text};
use crate::harness::expenses::taxi;
use crate::harness::fake_openai::{FakeOpenAi, Reply};
use crate::harness::policy_folder::{PolicyFolder, copy_shipped};
use crate::harness::poll;
use crate::harness::replies::category;

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

#[tokio::test]
async fn the_demo_shows_each_decision_as_a_tree() {
    let output = run(&["demo"], &[QUIET]).await;
    assert!(output.status.success(), "{}", text(output.stderr));
    let trace_ids = regex::Regex::new("[0-9a-f]{32}").unwrap();
    assert_golden(
        "demo",
        &trace_ids.replace_all(&text(output.stdout), "<trace_id>"),
    );
}

#[tokio::test]
async fn misclassify_at_a_rate_of_12_percent_fails_a_check_in_one_decision_of_eight() {
    let output = run(&["demo", "--model-fault", "misclassify:0.12"], &[QUIET]).await;
    let shown = text(output.stdout);
    assert_eq!(shown.matches('✗').count(), 5, "{shown}");
    assert!(
        shown.contains("semantic error rate: 12.5 % (5 of 40 decisions"),
        "{shown}"
    );
    let again = run(&["demo", "--model-fault", "misclassify:0.12"], &[QUIET]).await;
    let red = |text: &str| {
        text.lines()
            .filter(|line| line.contains('✗'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        red(&text(again.stdout)),
        red(&shown),
        "the same seed affects the same questions"
    );
}

#[tokio::test]
async fn the_demo_uses_no_proxy_for_the_service_in_its_own_process() {
    let output = run(&["demo"], &[QUIET, ("http_proxy", "http://127.0.0.1:1")]).await;
    assert!(output.status.success(), "{}", text(output.stderr));
}

#[tokio::test]
async fn the_demo_posts_to_a_running_service() {
    let service = Service::start(&[], &[QUIET]).await;
    for _ in 0..2 {
        let output = run(&["demo", &service.url], &[QUIET]).await;
        assert!(text(output.stdout).contains("semantic error rate: 0.0 % (0 of 40 decisions"));
    }
    let refused = run(
        &["demo", &service.url, "--model-fault", "garbage:1"],
        &[QUIET],
    )
    .await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(refused.stderr).contains("start the service"));
    let unreachable = run(&["demo", "http://127.0.0.1:1"], &[QUIET]).await;
    assert!(text(unreachable.stderr).contains("is the service running there?"));
}

#[tokio::test]
async fn files_that_only_look_like_policies_are_named_in_a_warning() {
    let folder = PolicyFolder::shipped();
    let dir = folder.path();
    let passed_over = [
        "Meals.toml.bak",
        "meals.TOML",
        "meals.toml.txt",
        "meals.toml~",
        "old/meals.toml",
        "tables/rates.Toml",
        "tenants/acme/drafts/meals.toml",
        "tenants/acme/meals.toml.disabled",
    ];
    for name in passed_over
        .iter()
        .chain(&["README.md", "docs/rules.md", ".meals.toml.swp"])
    {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "not a policy").unwrap();
    }
    let output = run(&["policies", "check", dir.to_str().unwrap()], &[]).await;
    let said = text(output.stdout);
    assert!(output.status.success(), "{said}");
    let warned: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warned.len(), passed_over.len(), "{said}");
    for name in passed_over {
        let folder = name.strip_suffix("/meals.toml").unwrap_or(name);
        assert!(
            warned
                .iter()
                .any(|line| line.contains(&format!("{folder}: is not read"))),
            "{name}: {said}"
        );
    }
    assert!(said.ends_with("no errors, 8 warnings\n"), "{said}");
    let service = Service::start(&["--policies", dir.to_str().unwrap()], &[]).await;
    let (_, log) = service.stop().await;
    assert!(log.contains("meals.TOML: is not read"), "{log}");
}

#[tokio::test]
async fn policies_can_be_checked_before_they_are_rolled_out() {
    let output = run(&["policies", "check"], &[]).await;
    assert!(output.status.success());
    assert!(
        text(output.stdout)
            .contains("travel-trip-cap: One trip costs at most 500.00, limit included.")
    );

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("meals.toml"),
        "category = \"meals\"\nversion = 1\n",
    )
    .unwrap();
    let output = run(&["policies", "check", folder.path().to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(output.stderr).contains("meals.toml:2: `version` is 1; write a version such as \"1\"")
    );
}

#[tokio::test]
async fn the_healthcheck_answers_with_its_exit_code() {
    let service = Service::start(&[], &[QUIET]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    assert!(
        run(&["healthcheck", "--listen", &address], &[])
            .await
            .status
            .success()
    );
    service.stop().await;
    let output = run(&["healthcheck", "--listen", &address], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output.stderr).contains("no answer from"));
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--listen",
        &address,
        "--data",
        folder.path().to_str().unwrap(),
    ];
    let output = run(&arguments, &[QUIET]).await;
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("cannot listen on {address}; choose another address with --listen");
    assert!(text(output.stderr).contains(&expected));
}

#[tokio::test]
async fn a_stop_signal_lets_requests_finish_and_turns_new_ones_away() {
    let (fake, gate) = (FakeOpenAi::spawn().await, Arc::new(Notify::new()));
    fake.script([Reply::held(&gate, category("travel"))]);
    fake.always(category("travel"));
    let base_url = fake.base_url();
    let service = Service::start(&[], &[QUIET, ("OPENAI_BASE_URL", &base_url)]).await;
    let (url, client) = (service.url.clone(), reqwest::Client::new());
    let body = taxi();
    let under_way = tokio::spawn(client.post(format!("{url}/v1/expenses")).json(&body).send());
    fake.wait_for_requests(1).await;
    service.signal("TERM").await;
    poll::until(
        Duration::from_secs(10),
        "refused connection",
        async || match reqwest::get(format!("{url}/readyz")).await {
            Err(_) => Ok(()),
            Ok(response) => Err(response.status()),
        },
    )
    .await;
    gate.notify_one();
    let answer = under_way.await.unwrap().unwrap();
    assert_eq!(answer.status(), 201);
    let (ended, log) = service.ended().await;
    assert!(ended.success(), "{log}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_endless_file() {
    let folder = tempfile::tempdir().unwrap();
    copy_shipped(folder.path());
    let service = Service::start(&["--policies", folder.path().to_str().unwrap()], &[QUIET]).await;
    let pipe = folder.path().join("pipe.toml");
    assert!(
        tokio::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .await
            .unwrap()
            .success()
    );
    service.signal("HUP").await;
    // The pipe can be opened for writing once the service reads it. As long as the writer is open, the
    // read does not end.
    let _writer = poll::until(Duration::from_secs(10), "reader of the pipe", async || {
        pipe::OpenOptions::new().open_sender(&pipe)
    })
    .await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
}

#[tokio::test]
async fn a_lingering_service_answers_and_closes_its_connections() {
    let service = Service::start(&["--linger", "10min"], &[QUIET]).await;
    let client = reqwest::Client::new();
    let body = taxi();
    let answer = async || {
        client
            .post(format!("{}/v1/expenses", service.url))
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let before = answer().await;
    assert_eq!(before.headers().get("connection"), None);
    before.bytes().await.unwrap();
    service.signal("TERM").await;
    poll::until(
        Duration::from_secs(10),
        "503 after the signal",
        async || {
            let ready = reqwest::get(format!("{}/readyz", service.url))
                .await
                .unwrap();
            if ready.status() == 503 {
                Ok(())
            } else {
                Err(ready.status())
            }
        },
    )
    .await;
    // The first request uses the connection that was kept alive, the second a new one.
    for _ in 0..2 {
        let answer = answer().await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["connection"]),
            (201, &HeaderValue::from_static("close"))
        );
        answer.bytes().await.unwrap();
    }
    service.signal("KILL").await;

    let service = Service::start(&["--linger", "10ms"], &[QUIET]).await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
}

/// The settings that the help of a subcommand shows.
fn settings_shown_by(subcommand: &[&str]) -> Vec<String> {
    let all: Vec<String> = Cli::command()
        .get_arguments()
        .filter_map(|setting| Some(format!("--{}", setting.get_long()?)))
        .collect();
    let arguments = [&["expense-agent"], subcommand, &["--help"]].concat();
    let help = help::command().try_get_matches_from(arguments).unwrap_err();
    let is_option = |line: &&str| line.trim_start().starts_with('-');
    help.to_string()
        .lines()
        .filter(is_option)
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .filter(|flag| all.iter().any(|setting| setting == flag))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_help_of_a_subcommand_shows_only_the_settings_that_it_reads() {
    for (subcommand, expected) in [
        (&["keys", "new"][..], &[][..]),
        (&["healthcheck"], &["--listen"]),
        (&["policies", "check"], &["--policies"]),
        (&["ledger", "verify"], &["--data"]),
        (&["ledger", "erase"], &["--data"]),
        (&["export"], &["--data"]),
        (&["audit"], &["--deadline", "--trace-url", "--data"]),
        (&["pseudonym"], &["--data", "--pseudonym-key"]),
    ] {
        assert_eq!(settings_shown_by(subcommand), expected, "{subcommand:?}");
    }
    let (served, decided) = (
        settings_shown_by(&["serve"]),
        settings_shown_by(&["decide"]),
    );
    assert_eq!(served, settings_shown_by(&[]));
    assert!(served.contains(&"--listen".to_owned()));
    assert!(decided.contains(&"--model".to_owned()) && !decided.contains(&"--listen".to_owned()));
}

/// Calls `seen` with each subcommand and the names that lead to it.
fn for_each_subcommand(command: &Command, path: &[&str], seen: &mut impl FnMut(&Command, &[&str])) {
    for subcommand in command.get_subcommands() {
        let path = [path, &[subcommand.get_name()]].concat();
        seen(subcommand, &path);
        for_each_subcommand(subcommand, &path, seen);
    }
}

#[test]
fn the_help_of_a_subcommand_shows_every_setting_that_its_texts_name() {
    let flag = regex::Regex::new("--[a-z][a-z-]+").unwrap();
    let settings = settings_shown_by(&[]);
    let mut n_named = 0;
    for_each_subcommand(&help::command(), &[], &mut |subcommand, path| {
        let shown = settings_shown_by(path);
        let own = subcommand
            .get_arguments()
            .filter(|argument| !argument.is_global_set());
        let texts = own
            .flat_map(|argument| [argument.get_help(), argument.get_long_help()])
            .chain([subcommand.get_about(), subcommand.get_long_about()])
            .flatten()
            .map(ToString::to_string);
        for text in texts {
            let named = flag.find_iter(&text).map(|found| found.as_str().to_owned());
            for setting in named.filter(|flag| settings.contains(flag)) {
                n_named += 1;
                assert!(
                    shown.contains(&setting),
                    "{path:?}: {setting} in \"{text}\""
                );
            }
        }
    });
    assert!(n_named >= 3, "{n_named}");
}

#[test]
fn a_subcommand_accepts_settings_that_it_does_not_read_before_and_after_its_name() {
    let listen = ["--listen", "127.0.0.1:9"];
    for arguments in [
        [&listen[..], &["policies", "check"]].concat(),
        [&["policies"], &listen[..], &["check"]].concat(),
        [&["policies", "check"], &listen[..]].concat(),
    ] {
        let arguments = [&["expense-agent"], &arguments[..]].concat();
        let matches = help::command().try_get_matches_from(arguments).unwrap();
        let settings = Cli::from_arg_matches(&matches).unwrap().settings;
        assert_eq!(settings.http.listen.port(), 9);
    }
}
