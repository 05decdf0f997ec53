//! Policies that change while the service runs: the next expense is judged by the new policies, a
//! decision in progress by those with which it began, and a folder with any error is never used.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use expense_agent::config::Config;
use expense_agent::reload::{ReloadRequests, Reloaded};
use expense_agent::rulebook::Rulebooks;
use expense_agent::rulebook::files::FolderFiles;
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::binary::Service;
use crate::harness::expenses::{meal, of_user};
use crate::harness::fake_openai::{self, FakeOpenAi};
use crate::harness::policy_folder::{
    PolicyFolder, copy_shipped, shipped_with, wait_for_policies_check, wait_for_policy_text,
};
use crate::harness::replies::{advice, category};
use crate::harness::{TestApp, openai, poll};

const QUIET: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

/// The shipped meals policy with another cap.
fn meals_up_to(amount: &str) -> String {
    shipped_with(
        "meals.toml",
        "max = \"75.00\"",
        &format!("max = \"{amount}\""),
    )
}

#[tokio::test]
async fn an_edited_policy_is_used_from_the_next_expense_on() {
    let folder = PolicyFolder::shipped();
    let app = folder.app().await;
    let before = app.decide(of_user(meal("60.00"), "ana")).await;
    assert_eq!(before["outcome"], "approved");
    folder.write("meals.toml", &meals_up_to("50.00"));
    wait_for_policy_text(&app, "default", "50.00").await;
    let after = app.decide(of_user(meal("60.00"), "ben")).await;
    assert_eq!(
        (&after["outcome"], &after["findings"][0]["limit"]),
        (&json!("denied"), &json!("50.00"))
    );
    assert_ne!(after["policy"]["hash"], before["policy"]["hash"]);

    std::fs::remove_file(folder.path().join("meals.toml")).unwrap();
    wait_for_policies_check(&app.url, "3 loaded").await;
    assert_eq!(
        app.decide(of_user(meal("60.00"), "cleo")).await["policy"]["id"],
        "other",
        "the category is gone"
    );
}

#[tokio::test]
async fn rates_and_prices_are_reloaded_like_policies() {
    let folder = PolicyFolder::shipped();
    let fake = FakeOpenAi::spawn().await;
    let app = TestApp::with(Config {
        model: openai(&fake),
        ..folder.config()
    })
    .await;
    let ride = || {
        fake.on_classify([category("travel")]);
        fake.on_decide([advice("approved", "travel-trip-cap")]);
        app.decide(json!({
            "transaction": "Taxi",
            "amount": "10.00",
            "currency": "EUR",
            "date": "2026-01-02",
        }))
    };
    let before = ride().await;
    assert_eq!(
        (&before["converted_amount"]["rate"], &before["cost_usd"]),
        (&json!("1.085"), &json!("0.000054"))
    );
    folder.write(
        "tables/rates.toml",
        &shipped_with("tables/rates.toml", "rate = \"1.0850\"", "rate = \"2\""),
    );
    let doubled = shipped_with(
        "tables/prices.toml",
        "output_per_million = \"0.60\"",
        "output_per_million = \"1.20\"",
    );
    folder.write("tables/prices.toml", &doubled);
    poll::until(
        Duration::from_secs(20),
        "another rate and another price",
        async || {
            let after = ride().await;
            let said = (
                after["converted_amount"]["rate"].clone(),
                after["cost_usd"].clone(),
            );
            if said == (json!("2"), json!("0.000078")) {
                Ok(())
            } else {
                Err(said)
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_invalid_folder_is_rejected_as_a_whole_and_logged_once() {
    let folder = PolicyFolder::mounted();
    let arguments = ["--policies", folder.name(), "--reload-interval", "10ms"];
    let service = Service::start(&arguments, &[QUIET]).await;
    wait_for_policies_check(&service.url, "4 loaded").await;
    let outcome =
        async |user: &str| service.post(of_user(meal("60.00"), user)).await.1["outcome"].clone();
    // Publishes a valid change of the meals policy together with what `spoil` changes.
    let publish = |version: &str, spoil: &dyn Fn(&Path)| {
        folder.publish(version, |next| {
            copy_shipped(next);
            std::fs::write(next.join("meals.toml"), meals_up_to("50.00")).unwrap();
            spoil(next);
        });
    };
    let stale = |file: &str| format!("stale: {}/{file}:", folder.name());

    publish("..faulty", &|next| {
        let travel = shipped_with("travel.toml", "max = \"500.00\"", "max = \"500,00\"");
        std::fs::write(next.join("travel.toml"), travel).unwrap();
        std::fs::write(next.join("tables/rates.toml"), "[[rate]]\n").unwrap();
    });
    wait_for_policies_check(
        &service.url,
        &format!("{}1: `from` is missing", stale("tables/rates.toml")),
    )
    .await;
    // The files are read many times meanwhile.
    for n in 0..20 {
        assert_eq!(
            outcome(&format!("before-{n}")).await,
            "approved",
            "the policies in use do not change"
        );
    }
    publish("..unreadable", &|next| {
        std::fs::write(next.join("travel.toml"), b"\xff").unwrap()
    });
    let unreadable = wait_for_policies_check(
        &service.url,
        &format!("{} cannot be read", stale("travel.toml")),
    )
    .await;
    assert!(
        unreadable.ends_with("save it as UTF-8 text"),
        "{unreadable}"
    );
    // When a file is removed from a ConfigMap, the link to it disappears a moment later. A broken
    // link must not be mistaken for a policy that was deleted.
    publish("..lost", &|next| {
        std::fs::remove_file(next.join("travel.toml")).unwrap()
    });
    wait_for_policies_check(
        &service.url,
        &format!("{} cannot be read: No such file", stale("travel.toml")),
    )
    .await;
    publish("..repaired", &|_| ());
    wait_for_policies_check(&service.url, "4 loaded").await;
    assert_eq!(
        outcome("after").await,
        "denied",
        "all of the repaired policies are in use"
    );

    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
    let warnings: Vec<&str> = log.split("policies cannot be reloaded").skip(1).collect();
    assert_eq!(warnings.len(), 3, "one for each change: {log}");
    for mistake in [
        "`from` is missing",
        "`to` is missing",
        "`max` is \"500,00\"",
    ] {
        assert!(warnings[0].contains(mistake), "{mistake} in {log}");
    }
    assert_eq!(log.matches("policies reloaded").count(), 1, "{log}");
}

#[tokio::test]
async fn a_mounted_config_map_that_swaps_its_links_is_followed() {
    let folder = PolicyFolder::mounted();
    let app = folder.app().await;
    wait_for_policies_check(&app.url, "4 loaded").await;
    assert_eq!(
        app.decide(of_user(meal("60.00"), "ana")).await["outcome"],
        "approved"
    );
    folder.publish("..second", |next| {
        copy_shipped(next);
        std::fs::write(next.join("meals.toml"), meals_up_to("50.00")).unwrap();
        std::fs::create_dir_all(next.join("tenants/acme")).unwrap();
        std::fs::write(next.join("tenants/acme/meals.toml"), meals_up_to("55.00")).unwrap();
    });
    wait_for_policies_check(&app.url, "5 loaded").await;
    for (tenant, limit) in [("zeta", "50.00"), ("acme", "55.00")] {
        let reply = app
            .post_with(
                of_user(meal("60.00"), "ben"),
                &[("baggage", &format!("tenant.id={tenant}"))],
            )
            .await;
        assert_eq!(
            (reply.status, &reply.body["findings"][0]["limit"]),
            (201, &json!(limit)),
            "{tenant}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_of_files_is_never_half_applied() {
    const N_VERSIONS: usize = 200;
    let folder = PolicyFolder::mounted();
    let dir = folder.path().to_owned();
    let interval = Duration::from_millis(1);
    let read = move || FolderFiles::read(&dir);
    let policies = Reloaded::start(
        "policies",
        read,
        Rulebooks::parse,
        interval,
        &ReloadRequests::default(),
    )
    .unwrap();
    let versions = || -> Vec<String> {
        policies
            .now()
            .value
            .shared
            .policies
            .iter()
            .map(|policy| policy.version.clone())
            .collect()
    };
    for n in 1..=N_VERSIONS {
        folder.publish(&format!("..version-{n}"), |next| {
            copy_shipped(next);
            for file in ["meals.toml", "office.toml", "other.toml", "travel.toml"] {
                let text = shipped_with(file, "version = \"1\"", &format!("version = \"{n}\""));
                std::fs::write(next.join(file), text).unwrap();
            }
        });
        for _ in 0..500 {
            let versions = versions();
            assert!(
                versions.iter().all(|version| *version == versions[0]),
                "{versions:?}"
            );
            tokio::task::yield_now().await;
        }
    }
    poll::until(Duration::from_secs(20), "the last version", async || {
        let versions = versions();
        if versions == vec![N_VERSIONS.to_string(); 4] {
            Ok(())
        } else {
            Err(versions)
        }
    })
    .await;
}

#[tokio::test]
async fn sighup_reloads_the_policies_at_once() {
    let folder = PolicyFolder::shipped();
    let arguments = ["--policies", folder.name(), "--reload-interval", "1h"];
    let service = Service::start(&arguments, &[QUIET]).await;
    folder.write("tenants/acme/meals.toml", &meals_up_to("50.00"));
    service.signal("HUP").await;
    wait_for_policies_check(&service.url, "5 loaded").await;
    let (ended, log) = service.stop().await;
    assert!(ended.success(), "{log}");
}

#[tokio::test]
async fn a_decision_in_progress_keeps_its_policies_even_when_a_cap_moves() {
    let folder = PolicyFolder::shipped();
    let fake = FakeOpenAi::spawn().await;
    let app = Arc::new(
        TestApp::with(Config {
            model: openai(&fake),
            ..folder.config()
        })
        .await,
    );
    let gate = Arc::new(Notify::new());
    let approved = advice("approved", "meals-day-cap");
    fake.on_classify([category("meals"), category("meals")]);
    fake.on_decide([fake_openai::Reply::held(&gate, approved.clone()), approved]);
    let under_way = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.decide(of_user(meal("60.00"), "ana")).await }
    });
    // The policies were looked up before the model is asked for advice.
    fake.wait_for_requests(2).await;
    assert_eq!(
        app.decide(of_user(meal("30.00"), "ana")).await["outcome"],
        "approved"
    );
    folder.write("meals.toml", &meals_up_to("500.00"));
    wait_for_policy_text(&app, "default", "500.00").await;
    gate.notify_one();
    let decision = under_way.await.unwrap();
    let expected = (json!("denied"), json!(true), json!("75.00"), json!("30.00"));
    let finding = &decision["findings"][0];
    let got = (
        &decision["outcome"],
        &decision["cap_moved"],
        &finding["limit"],
        &finding["used"],
    );
    assert_eq!(got, (&expected.0, &expected.1, &expected.2, &expected.3));
}

#[tokio::test]
async fn a_half_written_change_is_not_applied() {
    // The content of the files at each read; it stays the same at the end.
    const CONTENTS: [&str; 6] = ["old", "old", "half", "faulty half", "new", "new"];
    let n_reads = AtomicUsize::new(0);
    let read = move || {
        CONTENTS[n_reads
            .fetch_add(1, Ordering::Relaxed)
            .min(CONTENTS.len() - 1)]
    };
    let parse = |content: &&'static str| {
        assert!(!content.contains("half"), "{content} must not be parsed");
        Ok(*content)
    };
    let requests = ReloadRequests::default();
    let value =
        Reloaded::start("words", read, parse, Duration::from_secs(3600), &requests).unwrap();
    poll::until(Duration::from_secs(20), "the new word", async || {
        requests.ask();
        let now = *value.now().value;
        if now == "new" { Ok(()) } else { Err(now) }
    })
    .await;
}
