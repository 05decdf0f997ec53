//! Reads JSON of which only some fields matter: a field of an unexpected type counts as absent, and
//! the fields beside it are still read. `completion` and `failure` read responses with it.
//!
//! Everything borrows from the text, and a value is parsed only if it begins like a value of the
//! type that is asked for: building the error of serde_json takes longer than reading most values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of a JSON object, each as the text it was written with. Of members with the same
/// name the last one counts. A value is parsed only when it is asked for, so a number that no type
/// can hold does no harm unless it is needed. Names are found however their words are joined:
/// `Error` is `error`, and `errorCode` is `error_code`.
///
/// A list, because a response has few members, and most are never asked for.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of an object; `None` when the text is not an object.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        begins(text, '{')
            .then(|| serde_json::from_str(text).ok())
            .flatten()
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        let mut members = self.0.iter().rev();
        let (_, value) = members.find(|(known, _)| is_same_name(known, name))?;
        Some(value.get())
    }

    /// Whether there is a member of this name, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The text of a member; `None` when it is absent, `null`, `false`, or empty.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let text = self.value(name)?.trim();
        let inside = |open, close| text.strip_prefix(open)?.strip_suffix(close);
        let is_empty = matches!(text, "null" | "false")
            || [inside('{', '}'), inside('[', ']'), inside('"', '"')]
                .into_iter()
                .flatten()
                .any(|inside: &str| inside.trim().is_empty());
        (!is_empty).then_some(text)
    }

    /// A member of a type; `None` when it is absent or of another type.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.value(name)?).ok()
    }

    /// A member that is a text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        text(self.value(name)?).filter(|text| !text.is_empty())
    }

    /// A member that is a label: a text, or a number as it was written.
    pub(super) fn label(&self, name: &str) -> Option<String> {
        self.text(name).or_else(|| {
            let raw = self.raw(name)?;
            raw.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                .then(|| raw.to_owned())
        })
    }

    /// A member that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.value(name)?)
    }

    /// The first item of a member that is a list, or the member itself, if that is an object.
    pub(super) fn first_object(&self, name: &str) -> Option<Self> {
        let value = self.value(name)?;
        match begins(value, '[') {
            true => serde_json::from_str(value)
                .ok()
                .map(|FirstItem(object)| object),
            false => Self::parse(value),
        }
    }

    /// The members that are objects.
    pub(super) fn objects(&self) -> impl Iterator<Item = Self> {
        let values = self.0.iter().map(|(_, value)| value.get());
        values.filter_map(Self::parse)
    }

    /// The items of a member that is a list; a member of another type counts as a list of one item.
    pub(super) fn items(&self, name: &str) -> Vec<&'a RawValue> {
        self.value(name).and_then(items).unwrap_or_else(|| {
            let item = self
                .raw(name)
                .and_then(|raw| serde_json::from_str(raw).ok());
            item.into_iter().collect()
        })
    }
}

/// A JSON text; `None` when the value is of another type.
pub(super) fn text(raw: &str) -> Option<String> {
    begins(raw, '"')
        .then(|| serde_json::from_str(raw).ok())
        .flatten()
}

/// The items of a list; `None` when the value is of another type.
pub(super) fn items(raw: &str) -> Option<Vec<&RawValue>> {
    begins(raw, '[')
        .then(|| serde_json::from_str(raw).ok())
        .flatten()
}

fn is_same_name(known: &str, name: &str) -> bool {
    known == name || letters(known).eq(letters(name))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    let letters = name.bytes().filter(|byte| *byte != b'_');
    letters.map(|byte| byte.to_ascii_lowercase())
}

fn begins(raw: &str, sign: char) -> bool {
    raw.trim_start().starts_with(sign)
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A name, which borrows from the text unless it is escaped there.
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The first item of a list of objects; no list of [`RawValue`] is made for the others.
struct FirstItem<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for FirstItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = FirstItem<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstItem<'de>, A::Error> {
                let first = list.next_element()?.unwrap_or_default();
                while let Some(IgnoredAny) = list.next_element()? {}
                Ok(FirstItem(first))
            }
        }

        deserializer.deserialize_seq(ListVisitor)
    }
}
