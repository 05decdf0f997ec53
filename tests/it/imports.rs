//! Imports run down: a layer, which is a folder of `src` or a file directly in it, imports only from
//! layers below it, and no two files import each other, directly or in a circle. A folder's `mod.rs`
//! and the files that it declares are exempt, because they are one module in several files. The
//! imports are read from the sources with `syn`; `architecture` checks which files may use which
//! library.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use crate::architecture::rust_files;

/// The layers, lowest first. A folder that is not listed belongs to the layer of the folder around
/// it.
const LAYERS: &[&str] = &[
    "base_url",
    "clock",
    "error_chain",
    "lock",
    "retry_after",
    "connections",
    "spelling",
    "redact",
    "telemetry/names",
    "domain",
    "demo",
    "amounts",
    "telemetry/scrub",
    "toml_reader",
    "telemetry/sampling",
    "policy",
    "reload",
    "telemetry/settings",
    "keys",
    "rulebook",
    "ledger",
    "export",
    "llm",
    "telemetry/export",
    "telemetry/metrics",
    "telemetry/spans",
    "telemetry",
    "notify",
    "agent",
    "offline",
    "config",
    "telemetry/projections",
    "http",
    "page",
    "app",
    "cli",
    "main",
];

/// The modules of `src`, each with the file it is in, and the imports between these files.
struct Imports {
    /// From a module's path, such as `["ledger", "seal"]`, to its file without `src/` and `.rs`.
    files: BTreeMap<Vec<String>, String>,
    /// From a file to those it imports from.
    edges: BTreeMap<String, BTreeSet<String>>,
}

/// Every path that the code of one file names, at its `use` items and elsewhere.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.leaves(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.0.push(names.collect());
        syn::visit::visit_path(self, path);
    }
}

impl Paths {
    fn leaves(&mut self, tree: &syn::UseTree, above: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                above.push(path.ident.to_string());
                self.leaves(&path.tree, above);
                above.pop();
            }
            syn::UseTree::Name(name) => self.leaf(above, &name.ident),
            syn::UseTree::Rename(rename) => self.leaf(above, &rename.ident),
            syn::UseTree::Glob(_) => self.0.push(above.clone()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.leaves(tree, above);
                }
            }
        }
    }

    fn leaf(&mut self, above: &[String], name: &syn::Ident) {
        self.0.push([above, &[name.to_string()]].concat());
    }
}

impl Imports {
    /// Reads every file below a folder.
    fn of(folder: &str) -> Self {
        let mut sources = BTreeMap::new();
        for file in rust_files(folder) {
            let name = file.path[folder.len() + 1..]
                .trim_end_matches(".rs")
                .to_owned();
            let module: Vec<String> = name
                .split('/')
                .map(str::to_owned)
                .filter(|part| part != "mod")
                .collect();
            sources.insert(module, (name, file.text));
        }
        let files: BTreeMap<_, _> = sources
            .iter()
            .map(|(module, (name, _))| (module.clone(), name.clone()))
            .collect();
        let mut edges = BTreeMap::new();
        for (module, (name, text)) in &sources {
            let mut paths = Paths::default();
            paths.visit_file(&syn::parse_file(text).unwrap());
            let targets = paths
                .0
                .into_iter()
                .filter_map(|path| resolve(&files, module, &path));
            let targets: BTreeSet<_> = targets.filter(|target| target != name).collect();
            edges.insert(name.clone(), targets);
        }
        Self { files, edges }
    }

    /// Imports from a layer that is not below the importing one, as `file -> file`.
    fn upward(&self) -> Vec<String> {
        let mut upward = Vec::new();
        for (from, targets) in &self.edges {
            for to in targets {
                let (here, there) = (level(from), level(to));
                if here < there && !is_declared_beside(from, to) {
                    upward.push(format!("{from} -> {to}"));
                }
            }
        }
        upward
    }

    /// Files that import themselves through other files.
    fn circular(&self) -> Vec<String> {
        let next = |file: &String| -> Vec<&String> {
            self.edges[file]
                .iter()
                .filter(|to| !is_declared_beside(file, to))
                .collect()
        };
        let reaches_itself = |start: &&String| {
            let (mut seen, mut ahead) = (BTreeSet::new(), next(start));
            while let Some(file) = ahead.pop() {
                if file == *start {
                    return true;
                }
                if seen.insert(file) {
                    ahead.extend(next(file));
                }
            }
            false
        };
        self.edges.keys().filter(reaches_itself).cloned().collect()
    }
}

/// The file that declares what a path in a module names; `None` when it is in another crate.
fn resolve(
    files: &BTreeMap<Vec<String>, String>,
    module: &[String],
    path: &[String],
) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let mut whole = match first.as_str() {
        "crate" | "expense_agent" => rest.to_vec(),
        "self" => [module, rest].concat(),
        "super" => [&module[..module.len().checked_sub(1)?], rest].concat(),
        _ => [module, path].concat(),
    };
    // The last names of a path may be items of a module, so the longest prefix that is a module is
    // the one. A path such as `std::sync::Arc` must not be shortened to the module that names it.
    let n_min = if matches!(first.as_str(), "crate" | "expense_agent" | "self" | "super") {
        1
    } else {
        module.len() + 1
    };
    while whole.len() >= n_min {
        if let Some(file) = files.get(&whole) {
            return Some(file.clone());
        }
        whole.pop();
    }
    None
}

/// The position of a file's layer.
fn level(file: &str) -> usize {
    let folders = std::iter::successors(Some(file), |place| {
        place.rsplit_once('/').map(|(folder, _)| folder)
    });
    let place = |layer: &str| LAYERS.iter().position(|known| *known == layer);
    folders
        .filter_map(place)
        .next()
        .unwrap_or_else(|| panic!("{file} belongs to no layer: add its folder to LAYERS"))
}

/// Whether one of the two is the `mod.rs` of a folder that holds the other.
fn is_declared_beside(one: &str, other: &str) -> bool {
    let holds = |one: &str, other: &str| {
        one.strip_suffix("mod")
            .is_some_and(|folder| other.starts_with(folder))
    };
    one == "lib" || other == "lib" || holds(one, other) || holds(other, one)
}

#[test]
fn imports_run_down_from_layer_to_layer() {
    let upward = Imports::of("src").upward();
    assert!(
        upward.is_empty(),
        "a layer imports only from those below it:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_files_import_each_other() {
    for folder in ["src", "benches/chain"] {
        let circular = Imports::of(folder).circular();
        assert!(
            circular.is_empty(),
            "these files of {folder} import each other:\n{}",
            circular.join("\n")
        );
    }
}

#[test]
fn an_import_is_found_wherever_it_is_written() {
    let imports = Imports::of("src");
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let from = |module: &str, target: &str| resolve(&imports.files, &path(module), &path(target));
    assert_eq!(
        from("agent::decide", "crate::ledger::Ledger").as_deref(),
        Some("ledger/mod")
    );
    assert_eq!(
        from("agent::decide", "super::lookup::Found").as_deref(),
        Some("agent/lookup")
    );
    assert_eq!(
        from("agent", "decide::decide").as_deref(),
        Some("agent/decide")
    );
    assert_eq!(from("agent", "std::sync::Arc"), None);
    assert!(imports.edges["agent/mod"].contains("telemetry/spans/step"));
}
