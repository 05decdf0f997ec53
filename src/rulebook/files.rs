//! The files of a policies folder as they are read, before anybody asks what they mean:
//!
//! ```text
//! *.toml                    policies of every tenant
//! tenants/TENANT/*.toml     policies of one tenant's own
//! tables/rates.toml         exchange rates; may be absent
//! tables/prices.toml        what models cost
//! ```
//!
//! Names that begin with a dot are passed over: a mounted ConfigMap keeps its versions under such
//! names, and editors their locks. Everything else may be a symbolic link.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::tenant::{self, TENANT};
use crate::toml_reader::{Fault, FileFaults, read};

/// The texts of some files, with their paths, in the order of these.
pub type Texts = Vec<(PathBuf, String)>;

/// A policies folder as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderFiles {
    /// The folder.
    pub dir: PathBuf,
    /// Policies of every tenant.
    pub shared: Texts,
    /// Policies of tenants' own.
    pub by_tenant: BTreeMap<String, Texts>,
    /// The table of exchange rates, if there is one.
    pub rates: Option<(PathBuf, String)>,
    /// The table of prices, if it can be read.
    pub prices: Option<(PathBuf, String)>,
    /// What cannot be read, or stands where nobody reads it.
    pub faults: Vec<Fault>,
}

impl FolderFiles {
    /// Reads a folder; what cannot be read is among the faults.
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
            files.rates = files.text(rates, "leave it out when there are no rates");
        }
        files.prices = files.text(
            dir.join("tables").join("prices.toml"),
            "every policies folder has a tables/prices.toml",
        );
        files
    }

    /// Reads the folders of tenants. No path is ever made of a tenant's name: only folders that are
    /// there are read, and a tenant whose name no folder can have has no policies of its own.
    fn read_tenants(&mut self, dir: &Path) {
        if matches!(std::fs::read_dir(dir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return;
        }
        for path in self.list(
            dir,
            "make it a folder that holds one for each tenant with policies of its own",
        ) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(tenant::parse_id);
            match name {
                Some(tenant) if path.is_dir() => {
                    let entries = self.list(&path, "make it a folder of policy files");
                    let policies = self.policies(entries);
                    self.by_tenant.insert(tenant, policies);
                }
                Some(_) => self.fault(
                    &path,
                    "is no tenant's; put it into a folder that is called like the tenant",
                ),
                None => self.fault(
                    &path,
                    &format!("is called like no tenant; name it with {TENANT}"),
                ),
            }
        }
    }

    /// What a folder holds, sorted; `hint` says what to do about one that cannot be read.
    fn list(&mut self, dir: &Path, hint: &str) -> Vec<PathBuf> {
        let list = || {
            std::fs::read_dir(dir)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        };
        let mut entries = list().unwrap_or_else(|error| {
            self.fault(dir, &format!("cannot be read: {error}; {hint}"));
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
            .filter_map(|path| self.text(path, "write a text file in UTF-8"))
            .collect()
    }

    fn text(&mut self, path: PathBuf, hint: &str) -> Option<(PathBuf, String)> {
        let text = read(&path, hint)
            .map_err(|FileFaults(faults)| self.faults.extend(faults))
            .ok()?;
        Some((path, text))
    }

    fn fault(&mut self, path: &Path, message: &str) {
        self.faults.push(Fault {
            file: path.to_owned(),
            line: None,
            message: message.to_owned(),
        });
    }
}
