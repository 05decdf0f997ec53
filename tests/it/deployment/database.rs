//! Postgres: the URLs that the files show lead to the one that they run, and it runs only when it is asked for.

use super::{COMPOSE, Files, VARIABLES, assert_check, compose, list, text};

/// The name of its service in Compose.
const IN_COMPOSE: &str = "postgres";

/// What a URL has to name: host, user, database and password.
fn coordinates(files: &Files) -> [String; 4] {
    let own = |value: &str| value.to_owned();
    let given = &compose::service(files, IN_COMPOSE)["environment"];
    let value = |name: &str| own(text(&given[name]));
    let password = text(&given["POSTGRES_PASSWORD"]);
    let password = password.strip_prefix("${POSTGRES_PASSWORD:-").and_then(|default| default.strip_suffix('}'));
    [own(IN_COMPOSE), value("POSTGRES_USER"), value("POSTGRES_DB"), own(password.unwrap_or_default())]
}

fn urls(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for file in [COMPOSE, VARIABLES] {
        if files.database_urls[file].is_empty() {
            faults.push(format!("{file} shows no URL of a Postgres"));
        }
        let [host, user, database, password] = coordinates(files);
        for shown in &files.database_urls[file] {
            let agreed = format!("postgres://{user}:{password}@{host}/{database}");
            if *shown != agreed {
                faults.push(format!("{file} shows {shown}, and Postgres is at {agreed}"));
            }
        }
    }
    faults
}

#[test]
fn every_url_that_is_shown_leads_to_postgres() {
    let shown = "docker-compose.yml shows postgres://expense:expense@postgres/expense, and Postgres is at \
                 postgres://expense:secret@postgres/expense";
    let user = "docker-compose.yml shows postgres://expense:expense@postgres/expense, and Postgres is at \
                postgres://agent:expense@postgres/expense";
    assert_check(
        urls,
        COMPOSE,
        &[("PASSWORD:-expense", "PASSWORD:-secret", shown), ("POSTGRES_USER: expense", "POSTGRES_USER: agent", user)],
    );
    let example = ".env.example shows postgres://expense@postgres/expense, and Postgres is at \
                   postgres://expense:expense@postgres/expense";
    let broken = [
        ("expense:expense@", "expense@", example),
        ("postgres://", "mysql://", ".env.example shows no URL of a Postgres"),
    ];
    assert_check(urls, VARIABLES, &broken);
}

fn profile(files: &Files) -> Vec<String> {
    let postgres = compose::service(files, IN_COMPOSE);
    let mut faults = Vec::new();
    if list(&postgres["profiles"]).is_empty() {
        faults.push("Postgres starts without being asked for".to_owned());
    }
    if !postgres["ports"].is_null() {
        faults.push("Postgres is published".to_owned());
    }
    if compose::variable(files, "DATABASE_URL") != Some("${DATABASE_URL:-}") {
        faults.push("the agent does not take DATABASE_URL from the shell, or takes one when none is given".to_owned());
    }
    faults
}

#[test]
fn compose_starts_and_uses_postgres_when_it_is_asked_to() {
    let passed_on = "${DATABASE_URL:-}";
    let url = "the agent does not take DATABASE_URL from the shell, or takes one when none is given";
    assert_check(
        profile,
        COMPOSE,
        &[
            ("    profiles: [postgres]\n", "", "Postgres starts without being asked for"),
            ("profiles: [postgres]", "ports: [\"127.0.0.1:5432:5432\"]", "Postgres is published"),
            (passed_on, "postgres://expense:expense@postgres/expense", url),
        ],
    );
}
