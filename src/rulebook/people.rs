//! Which group of employees each person belongs to, from the table `tables/people.toml`. People are
//! compared in their one spelling, as everywhere (see `spelling`). Who else may name a group, and
//! which one counts, is decided in `http::employee_group`.

use std::collections::HashMap;
use std::path::Path;

use crate::domain::tenant::{GROUP, USER, parse_group, parse_user};
use crate::spelling;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::{self, Source};

/// Groups by person.
#[derive(Clone, Debug, Default)]
pub struct People {
    groups: HashMap<String, String>,
}

impl People {
    /// Parses a table of people.
    ///
    /// # Errors
    /// With all diagnostics of the table.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let groups = toml_reader::parse(file, text, parse_people)?;
        Ok(Self {
            groups: groups.into_iter().collect(),
        })
    }

    /// The group of a person, if the table has one.
    pub fn group(&self, user_id: &str) -> Option<&str> {
        let group = self.groups.get(&*spelling::person(user_id));
        group.map(String::as_str)
    }
}

fn parse_people(source: &mut Source<'_>) -> Option<Vec<(String, String)>> {
    let mut claims = Claims::default();
    source.tables_of("person", |source, table, at| {
        let user = table.required(source, "user", USER, |value| parse_user(value.as_str()?));
        let group = table.required(source, "group", GROUP, |value| parse_group(value.as_str()?));
        let user = user?;
        let person = spelling::person(&user).into_owned();
        claims.claim_as(source, at, &person, &format!("the group of {user:?}"), "");
        Some((person, group?))
    })
}
