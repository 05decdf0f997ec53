//! The files of a policies folder, read but not parsed:
//!
//! ```text
//! *.toml                    policies of every tenant
//! common.toml               rules of every category; optional
//! tenants/TENANT/*.toml     policies of one tenant, and its common.toml
//! tables/rates.toml         exchange rates; optional
//! tables/prices.toml        prices of models
//! tables/NAME.toml          amounts by place, for the rules that name this table
//! tables/people.toml        groups of employees; optional, also in the folder of a tenant
//! ```
//!
//! Cases that test a policy stand beside it in files such as `meals.test.toml`. They are no part of the
//! policies, so they are not read here: [`case_files`] lists them for `policies test`.
//!
//! Names that begin with a dot are skipped: a mounted ConfigMap keeps its versions under such names,
//! and editors keep their lock files there. Other names that look like one of the above, such as
//! `meals.TOML` or `meals.toml~`, are not read either, but reported: a policy that is passed over in
//! silence would be missed only when it should have applied. Files and folders may be symbolic links.
//! The parent module parses the texts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::tenant::{self, TENANT};
use crate::toml_reader::diagnostic::{Diagnostic, Diagnostics};
use crate::toml_reader::read;
use crate::toml_reader::values::name as name_of;

/// The end of the name of a file of cases.
pub const CASES: &str = ".test.toml";

/// The tables with a meaning of their own.
const NAMED_TABLES: [&str; 3] = ["rates.toml", "prices.toml", PEOPLE];
/// The name of the table of people.
const PEOPLE: &str = "people.toml";

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
    /// All other tables, by their names: amounts by place.
    pub places: BTreeMap<String, (PathBuf, String)>,
    /// The table of people, if there is one.
    pub people: Option<(PathBuf, String)>,
    /// The tables of people that single tenants have, by tenant.
    pub people_by_tenant: BTreeMap<String, (PathBuf, String)>,
    /// What cannot be read, or is in a place where it would be ignored.
    pub diagnostics: Vec<Diagnostic>,
    /// Files that are not read, although their names look like those of policies or tables.
    pub passed_over: Vec<Diagnostic>,
}

impl FolderFiles {
    /// Reads a folder; what cannot be read becomes a diagnostic.
    pub fn read(dir: &Path) -> Self {
        let mut files = Self {
            dir: dir.to_owned(),
            ..Self::default()
        };
        let entries = files.list(dir, "name a folder of policy files such as travel.toml");
        files.pass_over_folders(&entries, &["tenants", "tables"]);
        files.shared = files.policies(entries);
        files.read_tenants(&dir.join("tenants"));
        files.read_places(&dir.join("tables"));
        files.people = files.people(dir);
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
                    self.pass_over_folders(&entries, &["tables"]);
                    self.pass_over_tables(&path.join("tables"));
                    let people = self.people(&path).map(|people| (tenant.clone(), people));
                    self.people_by_tenant.extend(people);
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
        let (policies, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .filter(|path| !path.is_dir() && !has_cases(path))
            .partition(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            });
        for path in others.iter().filter(|path| looks_like_toml(path)) {
            self.pass_over(path, "give it a name that ends in `.toml`, or remove it");
        }
        policies
            .into_iter()
            .filter_map(|path| self.text(path, "save it as UTF-8 text"))
            .collect()
    }

    /// Reports folders with files that look like policies, other than those that are read.
    fn pass_over_folders(&mut self, entries: &[PathBuf], read: &[&str]) {
        for path in entries {
            let is_read = path
                .file_name()
                .is_some_and(|name| read.iter().any(|read| name == *read));
            if !is_read && path.is_dir() && names_in(path).iter().any(|path| looks_like_toml(path))
            {
                self.pass_over(
                    path,
                    "move its policies into the folder above, or into tenants/TENANT",
                );
            }
        }
    }

    /// Reads the tables whose names are for the author to choose. Reports files beside them that look
    /// like a table.
    fn read_places(&mut self, dir: &Path) {
        for path in names_in(dir)
            .into_iter()
            .filter(|path| looks_like_toml(path))
        {
            if NAMED_TABLES.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name
                .and_then(|name| name.strip_suffix(".toml"))
                .and_then(name_of);
            match name {
                Some(name) => {
                    let text = self.text(path, "save it as UTF-8 text");
                    self.places.extend(text.map(|text| (name, text)));
                }
                None => self.pass_over(
                    &path,
                    "the name of a table is lower-case letters, digits, `-` and `_`, and ends in `.toml`; \
                     rename or remove it",
                ),
            }
        }
    }

    /// Reports files in the folder of a tenant's tables that look like one.
    fn pass_over_tables(&mut self, dir: &Path) {
        for path in names_in(dir) {
            if looks_like_toml(&path) && !path.ends_with(PEOPLE) {
                self.pass_over(
                    &path,
                    "the one table that a tenant has is people.toml; rename or remove it",
                );
            }
        }
    }

    /// The table of people of all tenants or of one, from their folder.
    fn people(&mut self, dir: &Path) -> Option<(PathBuf, String)> {
        let people = dir.join("tables").join(PEOPLE);
        people
            .exists()
            .then(|| self.text(people, "save it as UTF-8 text"))?
    }

    fn pass_over(&mut self, path: &Path, repair: &str) {
        self.passed_over.push(Diagnostic {
            file: path.to_owned(),
            line: None,
            message: format!("is not read; {repair}"),
        });
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

/// The files of cases in a policies folder, sorted, each with the tenant whose policies it tests; no
/// tenant for those beside the shared policies.
pub fn case_files(dir: &Path) -> Vec<(Option<String>, PathBuf)> {
    let cases_in = |dir: &Path| names_in(dir).into_iter().filter(|path| has_cases(path));
    let mut files: Vec<_> = cases_in(dir).map(|path| (None, path)).collect();
    for folder in names_in(&dir.join("tenants")) {
        let tenant = folder.file_name().and_then(|name| name.to_str());
        if let Some(tenant) = tenant.and_then(tenant::parse_tenant) {
            files.extend(cases_in(&folder).map(|path| (Some(tenant.clone()), path)));
        }
    }
    files
}

/// Whether a file holds cases instead of a policy.
fn has_cases(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.ends_with(CASES) && !name.starts_with('.'))
}

/// Whether a name has the extension of a policy in any case and at any place, such as that of a
/// backup. Hidden files do not count.
fn looks_like_toml(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && name.to_lowercase().contains(".toml")
}

/// The entries of a folder, sorted; empty when it cannot be read.
fn names_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
