//! A policies folder, parsed: one rulebook for each tenant. A tenant's rulebook is the shared one,
//! except for the categories for which the tenant has policies of its own, and for its table of
//! people. `files` reads the files;
//! `policy::parse`, `rates`, `prices` and `people` parse them.

pub mod files;
pub mod people;
pub mod prices;
pub mod rates;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::parse::common::is_common;
use crate::policy::places::{PlaceTables, Places};
use crate::policy::{Policies, parse};
use crate::spelling;
use crate::toml_reader::diagnostic::{Diagnostic, Diagnostics};
use files::{FolderFiles, Texts};
use people::People;
use prices::Prices;
use rates::Rates;

/// Everything that one expense is judged by, from its first step to its record; cheap to clone. It
/// is immutable, so a reload does not affect decisions that are being made.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// The rules.
    pub policies: Arc<Policies>,
    /// Exchange rates, for expenses in another currency than their policy.
    pub rates: Arc<Rates>,
    /// Prices of the tokens of models.
    pub prices: Arc<Prices>,
    /// Which group of employees each person belongs to, if there is a table of that.
    pub people: Option<Arc<People>>,
}

/// The rulebooks of all tenants.
#[derive(Debug)]
pub struct Rulebooks {
    /// The rulebook of every tenant without policies of its own.
    pub shared: Rulebook,
    /// The rulebooks of the other tenants.
    pub by_tenant: BTreeMap<String, Rulebook>,
    /// How many policy files there are, those of tenants included.
    pub n_policies: usize,
    /// Files of the folder that were not read, although they look like policies or tables.
    pub passed_over: Vec<Diagnostic>,
}

impl Rulebooks {
    /// Reads and parses a policies folder.
    ///
    /// # Errors
    /// With the diagnostics of all files.
    pub fn load(dir: &Path) -> Result<Self, Diagnostics> {
        Self::parse(&FolderFiles::read(dir))
    }

    /// Parses the files of a folder into rulebooks.
    ///
    /// # Errors
    /// With the diagnostics of all files.
    pub fn parse(files: &FolderFiles) -> Result<Self, Diagnostics> {
        let mut found = DiagnosticSet(files.diagnostics.clone());
        let shared: Vec<(&Path, &str)> = borrowed(&files.shared).collect();
        let categories: Vec<Option<String>> = shared
            .iter()
            .map(|(_, text)| parse::category(text))
            .collect();
        let rates = files.rates.as_ref();
        let rates = found.value(rates.map(|(file, text)| Rates::parse(file, text)));
        let prices = files.prices.as_ref();
        let prices = found.value(prices.map(|(file, text)| Prices::parse(file, text)));
        let mut people_in =
            |(file, text): &(PathBuf, String)| found.value(Some(People::parse(file, text)));
        let people = files.people.as_ref().map(&mut people_in);
        let mut people_by_tenant: BTreeMap<_, _> = files
            .people_by_tenant
            .iter()
            .map(|(tenant, table)| (tenant, people_in(table)))
            .collect();
        let (tables, unused) = tables(files, &mut found);
        let policies = found.value(Some(parse::parse_with(&files.dir, &shared, &tables)));
        let mut policies_by_tenant = BTreeMap::new();
        for (tenant, own) in &files.by_tenant {
            let texts = texts_of_tenant(&shared, &categories, own);
            let policies = found.value(Some(parse::parse_with(&files.dir, &texts, &tables)));
            policies_by_tenant.insert(tenant.clone(), policies);
        }
        Diagnostics::none_in(found.0)?;
        let shared = Rulebook {
            policies,
            rates,
            prices,
            people,
        };
        let mut of_tenant = |tenant: &String, policies| Rulebook {
            policies,
            people: people_by_tenant
                .remove(tenant)
                .or_else(|| shared.people.clone()),
            ..shared.clone()
        };
        let all_files = files.by_tenant.values().chain([&files.shared]);
        Ok(Self {
            by_tenant: policies_by_tenant
                .into_iter()
                .map(|(tenant, policies)| {
                    let rulebook = of_tenant(&tenant, policies);
                    (tenant, rulebook)
                })
                .collect(),
            passed_over: files.passed_over.iter().cloned().chain(unused).collect(),
            n_policies: all_files
                .flatten()
                .filter(|(file, _)| !is_common(file))
                .count(),
            shared,
        })
    }

    /// The rulebook of a tenant.
    pub fn rulebook(&self, tenant_id: &str) -> &Rulebook {
        let tenant = spelling::tenant(tenant_id);
        self.by_tenant.get(&*tenant).unwrap_or(&self.shared)
    }
}

/// The tables of places that rules name, and a note about each one that no rule names.
fn tables(files: &FolderFiles, found: &mut DiagnosticSet) -> (PlaceTables, Vec<Diagnostic>) {
    let texts = files
        .shared
        .iter()
        .chain(files.by_tenant.values().flatten());
    let named: BTreeSet<String> = texts
        .flat_map(|(_, text)| parse::table_names(text))
        .collect();
    let mut tables = PlaceTables::new();
    let mut unused = Vec::new();
    for (name, (file, text)) in &files.places {
        if named.contains(name) {
            let places = Places::parse(file, text).map(|places| Some(Arc::new(places)));
            tables.insert(name.clone(), (*found.value(Some(places))).clone());
        } else {
            unused.push(Diagnostic {
                file: file.clone(),
                line: None,
                message: format!(
                    "is not read, because no rule has `table = \"{name}\"`; name it in a rule, or remove it"
                ),
            });
        }
    }
    (tables, unused)
}

/// A summary for `/readyz?verbose`.
impl fmt::Display for Rulebooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.n_policies)
    }
}

/// The policy files of one tenant: the shared files, except those of categories for which the tenant
/// has files of its own and the common rules if the tenant has such rules of its own, followed by the tenant's own files. In this order, contradictions are
/// reported in the tenant's files.
fn texts_of_tenant<'a>(
    shared: &[(&'a Path, &'a str)],
    categories: &[Option<String>],
    own: &'a Texts,
) -> Vec<(&'a Path, &'a str)> {
    let replaced: HashSet<String> = borrowed(own)
        .filter_map(|(_, text)| parse::category(text))
        .collect();
    let has_common = own.iter().any(|(file, _)| is_common(file));
    let kept = shared
        .iter()
        .zip(categories)
        .filter(|((file, _), category)| {
            let is_replaced = match category {
                Some(name) => replaced.contains(name),
                None => has_common && is_common(file),
            };
            !is_replaced
        });
    kept.map(|(file, _)| *file).chain(borrowed(own)).collect()
}

fn borrowed(texts: &Texts) -> impl Iterator<Item = (&Path, &str)> {
    texts
        .iter()
        .map(|(path, text)| (path.as_path(), text.as_str()))
}

/// The diagnostics found so far, without duplicates: the shared files are parsed again with the
/// files of each tenant.
struct DiagnosticSet(Vec<Diagnostic>);

impl DiagnosticSet {
    /// The parsed value, or the default value when there was nothing to parse or when parsing
    /// failed; the diagnostics of a failure are kept.
    fn value<T: Default>(&mut self, parsed: Option<Result<T, Diagnostics>>) -> Arc<T> {
        let value = match parsed {
            Some(Ok(value)) => value,
            Some(Err(Diagnostics(found))) => {
                for diagnostic in found {
                    if !self.0.contains(&diagnostic) {
                        self.0.push(diagnostic);
                    }
                }
                T::default()
            }
            None => T::default(),
        };
        Arc::new(value)
    }
}
