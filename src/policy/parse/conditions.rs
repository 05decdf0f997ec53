//! The conditions of a rule: its tables `when` and `unless`.

use crate::domain::facts::Form;
use crate::policy::condition::{Aspect, Conditions, Listed, Lists};
use crate::policy::parse::PHRASE;
use crate::policy::phrase::Phrase;
use crate::toml_reader::Source;
use crate::toml_reader::table::{Table, filled_list};
use crate::toml_reader::values::one_of;

/// Parses both tables; `None`, and a diagnostic, when a key or a value is not accepted.
pub(super) fn parse(source: &mut Source<'_>, table: &mut Table<'_, '_>) -> Option<Conditions> {
    let when = lists(source, table, "when");
    let unless = lists(source, table, "unless");
    Some(Conditions {
        when: when?,
        unless: unless?,
    })
}

fn lists(source: &mut Source<'_>, table: &mut Table<'_, '_>, key: &'static str) -> Option<Lists> {
    let Some((at, value)) = table.take(key) else {
        return Some(Lists::new());
    };
    let keys = one_of(&Aspect::keys());
    let Some(section) = value
        .get_ref()
        .as_table()
        .filter(|section| !section.is_empty())
    else {
        let message = format!(
            "`{key}` is {}; write a table such as {{ class = [\"business\"] }} with {keys}",
            source.excerpt(value)
        );
        source.report(at, message);
        return None;
    };
    let mut entries = Table::new(section, at);
    let mut lists = Some(Lists::new());
    for key in Aspect::keys() {
        if section.get(key).is_none() {
            entries.know(key);
            continue;
        }
        let listed = Aspect::parse(key).and_then(|aspect| {
            let listed = listed(source, &mut entries, key, aspect)?;
            Some((aspect, listed))
        });
        lists = lists.zip(listed).map(|(mut lists, (aspect, listed))| {
            lists.insert(aspect, listed);
            lists
        });
    }
    entries.finish(source);
    lists
}

/// The list of one aspect. Words that the aspect cannot have are told.
fn listed(
    source: &mut Source<'_>,
    entries: &mut Table<'_, '_>,
    key: &'static str,
    aspect: Aspect,
) -> Option<Listed> {
    let form = match aspect {
        Aspect::Fact(name) => Some(name.declaration().form),
        Aspect::Weekday(_) => None,
    };
    match (aspect.words(), form) {
        (Some(words), _) => {
            let accepted = one_of(words);
            let is_word = |word: &str| words.contains(&word).then(|| word.to_owned());
            filled_list(source, entries, key, &accepted, is_word).map(Listed::Words)
        }
        (None, Some(form @ Form::Country)) => {
            let accepted = "the two capital letters of an ISO 3166 country code, such as \"DE\"";
            let is_country = |code: &str| form.of_text(code).map(|_| code.to_owned());
            filled_list(source, entries, key, accepted, is_country).map(Listed::Words)
        }
        (None, _) => filled_list(source, entries, key, PHRASE, Phrase::parse).map(Listed::Phrases),
    }
}
