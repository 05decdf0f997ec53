//! Reading JSON of which only some fields matter: a field that has another type than expected counts
//! as absent, and nothing beside it is lost. `completion` and `failure` read responses with it.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The members of a JSON object, each as the text it was written with. Of members with the same name
/// the last one counts. A value is parsed only when it is asked for, so a number that no type can
/// hold does no harm unless it is needed.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Members(HashMap<String, Box<RawValue>>);

impl Members {
    /// The members of an object; `None` when the text is not an object.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether there is a member of this name, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of a member; `None` when it is absent, `null`, `false`, or empty.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name)?.get().trim();
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
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A member that is a text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|text: &String| !text.is_empty())
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
        self.get(name)
    }

    /// A member that is a list, or one item that stands for a list of itself.
    pub(super) fn items(&self, name: &str) -> Vec<Box<RawValue>> {
        self.get(name).unwrap_or_else(|| {
            let item = self
                .raw(name)
                .and_then(|raw| serde_json::from_str(raw).ok());
            item.into_iter().collect()
        })
    }
}
