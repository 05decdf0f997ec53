//! The files of a policies folder, read but not parsed:
//!
//! ```text
//! *.toml                    policies of every tenant
//! tenants/TENANT/*.toml     policies of one tenant
//! tables/rates.toml         exchange rates; optional
//! tables/prices.toml        prices of models
//! ```
//!
//! Names that begin with a dot are skipped: a mounted ConfigMap keeps its versions under such names,
//! and editors keep their lock files there. Files and folders may be symbolic links. The parent
//! module parses the texts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::tenant::{self, TENANT};
use crate::toml_reader::diagnostic::{Diagnostic, Diagnostics};
use crate::toml_reader::read;

/// The paths and texts of some files, sorted by path.
pub type Texts = Vec<(PathBuf, String)>;

/// The content of a policies folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderFiles {
    /// The folder.
    pub dir: PathBuf,
    /// Policies of every tenant.
    pub shared: Texts,
    /// Policies of single tenants, by tenant.
    pub by_tenant: BTreeMap<String, Texts>,
    /// The table of exchange rates, if there is one.
    pub rates: Option<(PathBuf, String)>,
    /// The table of prices, if it can be read.
    pub prices: Option<(PathBuf, String)>,
    /// What cannot be read, or is in a place where it would be ignored.
    pub diagnostics: Vec<Diagnostic>,
}

impl FolderFiles {
    /// Reads a folder; what cannot be read becomes a diagnostic.
    pub fn read(dir: &Path) -> Self {
        let mut files = Self {
            dir: dir.to_owned(),
            ..Self::default()
        };
        let entries = files.list(dir, "name a folder of policy files such as travel.toml");
        files.shared = files.policies(entries);
        files.read_tenants(&dir.join("tenants"));
        let rates = dir.join("tables").join("rates.toml");
        if rates.exists() {
            files.rates = files.text(rates, "remove it when there are no rates");
        }
        files.prices = files.text(
            dir.join("tables").join("prices.toml"),
            "every policies folder needs a tables/prices.toml",
        );
        files
    }

    /// Reads the folders of tenants. Paths are never built from the name of a tenant: only existing
    /// folders are read. A tenant whose name cannot be the name of a folder has no policies of its
    /// own.
    fn read_tenants(&mut self, dir: &Path) {
        if matches!(std::fs::read_dir(dir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return;
        }
        for path in self.list(
            dir,
            "make it a folder with one folder for each tenant that has policies of its own",
        ) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(tenant::parse_tenant);
            match name {
                Some(tenant) if path.is_dir() && self.by_tenant.contains_key(&tenant) => self.report(
                    &path,
                    "belongs to a tenant that has another folder, whose name is written differently; \
                     move the files into one of them",
                ),
                Some(tenant) if path.is_dir() => {
                    let entries = self.list(&path, "make it a folder of policy files");
                    let policies = self.policies(entries);
                    self.by_tenant.insert(tenant, policies);
                }
                Some(_) => self.report(
                    &path,
                    "does not belong to a tenant; move it into a folder named after the tenant",
                ),
                None => self.report(&path, &format!("is not the name of a tenant; use {TENANT}")),
            }
        }
    }

    /// The entries of a folder, sorted; `hint` says what to do when they cannot be read.
    fn list(&mut self, dir: &Path, hint: &str) -> Vec<PathBuf> {
        let list = || {
            std::fs::read_dir(dir)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        };
        let mut entries = list().unwrap_or_else(|error| {
            self.report(dir, &format!("cannot be read: {error}; {hint}"));
            Vec::new()
        });
        entries.retain(|path| {
            path.file_name()
                .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        });
        entries.sort();
        entries
    }

    /// The policy files among the entries of a folder.
    fn policies(&mut self, entries: Vec<PathBuf>) -> Texts {
        let is_policy = |path: &PathBuf| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
                && !path.is_dir()
        };
        let files = entries.into_iter().filter(is_policy);
        files
            .filter_map(|path| self.text(path, "save it as UTF-8 text"))
            .collect()
    }

    fn text(&mut self, path: PathBuf, hint: &str) -> Option<(PathBuf, String)> {
        let text = read(&path, hint)
            .map_err(|Diagnostics(found)| self.diagnostics.extend(found))
            .ok()?;
        Some((path, text))
    }

    fn report(&mut self, path: &Path, message: &str) {
        self.diagnostics.push(Diagnostic {
            file: path.to_owned(),
            line: None,
            message: message.to_owned(),
        });
    }
}
