//! The files of a folder as plain TOML, as the reference reads them.

use jiff::civil::Date;
use serde_json::Value as Json;
use toml::Table;

use super::history::Earlier;
use super::policies::Files;
use super::reference::{Question, text};

/// The parsed files.
pub(super) struct Folder {
    policies: Vec<Table>,
    common: Option<Table>,
    places: Table,
    rates: Table,
}

impl Folder {
    /// Parses the files.
    pub(super) fn parse(files: &Files) -> Self {
        let (mut policies, mut common) = (Vec::new(), None);
        for (name, text) in &files.policies {
            match name.as_str() {
                "common.toml" => common = Some(text.parse().unwrap()),
                _ => policies.push(text.parse().unwrap()),
            }
        }
        Self {
            policies,
            common,
            places: files.places.parse().unwrap(),
            rates: files.rates.parse().unwrap(),
        }
    }

    /// The currency of a category, which is the same in all its versions.
    pub(super) fn currency(&self, category: &str) -> String {
        let mut files = self.policies.iter();
        let file = files.find(|file| text(file, "category") == Some(category));
        text(file.unwrap(), "currency").unwrap().to_owned()
    }

    /// A question about an expense under these files.
    pub(super) fn question<'a>(
        &'a self,
        category: &'a str,
        today: Date,
        body: &'a Json,
        history: &'a [Earlier],
    ) -> Question<'a> {
        Question {
            files: &self.policies,
            common: self.common.as_ref(),
            places: &self.places,
            rates: &self.rates,
            category,
            today,
            body,
            history,
        }
    }
}
