//! What a policies folder holds: for each tenant the rulebook by which its expenses are judged.
//! That is everybody's, but for the categories of which the tenant has policies of its own. How the
//! files are read stands in `files`, what they say in `policy::parse`, `policy::rates` and
//! `llm::cost`.

pub mod files;
pub mod prices;
pub mod rates;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::policy::{Policies, parse};
use crate::toml_reader::{Fault, FileFaults};
use files::{FolderFiles, Texts};
use prices::Prices;
use rates::Rates;

/// What one expense is judged by, from its first step to its record; cheap to clone. It never
/// changes: whoever holds it is not touched by a reload.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// The rules.
    pub policies: Arc<Policies>,
    /// What foreign money is in the currency of a policy.
    pub rates: Arc<Rates>,
    /// What the models' tokens cost.
    pub prices: Arc<Prices>,
}

/// The rulebooks of all tenants.
#[derive(Debug)]
pub struct Folder {
    /// What holds for every tenant without policies of its own.
    pub shared: Rulebook,
    /// What holds for the others.
    pub by_tenant: BTreeMap<String, Rulebook>,
    /// Policy files that were read, those of tenants included.
    pub n_policies: usize,
}

impl Folder {
    /// Reads a policies folder.
    ///
    /// # Errors
    /// With every fault of every file.
    pub fn load(dir: &Path) -> Result<Self, FileFaults> {
        Self::parse(&FolderFiles::read(dir))
    }

    /// Makes rulebooks of the files of a folder.
    ///
    /// # Errors
    /// With every fault of every file.
    pub fn parse(files: &FolderFiles) -> Result<Self, FileFaults> {
        let mut faults = Faults(files.faults.clone());
        let shared: Vec<(&Path, &str)> = borrowed(&files.shared).collect();
        let categories: Vec<Option<String>> = shared
            .iter()
            .map(|(_, text)| parse::category(text))
            .collect();
        let rates = faults.take(
            files
                .rates
                .as_ref()
                .map(|(file, text)| Rates::parse(file, text)),
        );
        let prices = faults.take(
            files
                .prices
                .as_ref()
                .map(|(file, text)| Prices::parse(file, text)),
        );
        let policies = faults.take(Some(parse::parse(&files.dir, &shared)));
        let mut policies_by_tenant = BTreeMap::new();
        for (tenant, own) in &files.by_tenant {
            let replaced: HashSet<_> = own
                .iter()
                .filter_map(|(_, text)| parse::category(text))
                .collect();
            let stays = |category: &Option<String>| {
                category
                    .as_ref()
                    .is_none_or(|name| !replaced.contains(name))
            };
            let kept = shared
                .iter()
                .zip(&categories)
                .filter(|(_, category)| stays(category))
                .map(|(file, _)| *file);
            // The tenant's files come last, so that what contradicts the others is named there.
            let effective: Vec<_> = kept.chain(borrowed(own)).collect();
            policies_by_tenant.insert(
                tenant.clone(),
                faults.take(Some(parse::parse(&files.dir, &effective))),
            );
        }
        FileFaults::none_of(faults.0)?;
        let shared = Rulebook {
            policies,
            rates,
            prices,
        };
        let of_tenant = |policies| Rulebook {
            policies,
            ..shared.clone()
        };
        Ok(Self {
            by_tenant: policies_by_tenant
                .into_iter()
                .map(|(tenant, policies)| (tenant, of_tenant(policies)))
                .collect(),
            n_policies: files.shared.len() + files.by_tenant.values().map(Vec::len).sum::<usize>(),
            shared,
        })
    }

    /// What a tenant's expenses are judged by.
    pub fn rulebook(&self, tenant_id: &str) -> &Rulebook {
        self.by_tenant.get(tenant_id).unwrap_or(&self.shared)
    }
}

/// In a few words.
impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.n_policies)
    }
}

fn borrowed(texts: &Texts) -> impl Iterator<Item = (&Path, &str)> {
    texts
        .iter()
        .map(|(path, text)| (path.as_path(), text.as_str()))
}

/// Faults that were found so far, each once: everybody's files are looked at again beside each
/// tenant's.
struct Faults(Vec<Fault>);

impl Faults {
    /// What was made of something, or nothing in its place while its faults are noted.
    fn take<T: Default>(&mut self, parsed: Option<Result<T, FileFaults>>) -> Arc<T> {
        let found =
            parsed
                .unwrap_or_else(|| Ok(T::default()))
                .unwrap_or_else(|FileFaults(faults)| {
                    for fault in faults {
                        if !self.0.contains(&fault) {
                            self.0.push(fault);
                        }
                    }
                    T::default()
                });
        Arc::new(found)
    }
}
