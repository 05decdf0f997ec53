//! `policies check`: reads the policy files as the service would, so that a change can be checked
//! before it is rolled out.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crate::policy::parse::common::is_common;
use crate::policy::{Policies, Policy, lint};
use crate::rulebook::Rulebooks;
use crate::rulebook::files::{FolderFiles, Texts};
use crate::toml_reader::diagnostic::Diagnostic;

/// Checks a folder of policies and prints its content: the policies that all tenants share, then
/// those of single tenants. Warns of files that are not read, although they look like policies, and
/// of rules that can never matter.
///
/// # Errors
/// With every problem of every file.
pub fn check(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let files = FolderFiles::read(dir);
    let rulebooks = Rulebooks::parse(&files)?;
    let shared = &rulebooks.shared.policies;
    for policy in shared.iter() {
        show(policy, out)?;
    }
    let mut warnings = rulebooks.passed_over.clone();
    warnings.extend(doubts(shared, &[&files.shared]));
    for (tenant, rulebook) in &rulebooks.by_tenant {
        writeln!(out, "tenant {tenant}:")?;
        let is_own = |policy: &&Policy| !shared.iter().any(|shared| shared.hash == policy.hash);
        for policy in rulebook.policies.iter().filter(is_own) {
            show(policy, out)?;
        }
        let texts: Vec<&Texts> = files.by_tenant.get(tenant).into_iter().collect();
        let texts = [&texts[..], &[&files.shared]].concat();
        warnings.extend(doubts(&rulebook.policies, &texts));
    }
    warnings.extend(unknown_excepted(&files, &rulebooks));
    // Tenants share policies, and so their doubts.
    let mut known = BTreeSet::new();
    warnings.retain(|warning| known.insert(warning.to_string()));
    for warning in &warnings {
        writeln!(out, "warning: {warning}")?;
    }
    match warnings.len() {
        0 => writeln!(out, "{}: no problems", dir.display())?,
        1 => writeln!(out, "{}: no errors, one warning", dir.display())?,
        n => writeln!(out, "{}: no errors, {n} warnings", dir.display())?,
    }
    Ok(())
}

/// The rules that are in doubt, each at its line in the first of some files that holds it.
fn doubts(policies: &Policies, files: &[&Texts]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in policies.iter() {
        for lint::Warning { rule, message } in lint::warnings(policy) {
            let files = files.iter().flat_map(|texts| texts.iter());
            let place = files
                .filter_map(|(file, text)| Some((file, lint::line_of_rule(text, policy, &rule)?)))
                .next();
            let Some((file, line)) = place else {
                continue;
            };
            found.push(Diagnostic {
                file: file.clone(),
                line: Some(line),
                message: format!("`{rule}` {message}"),
            });
        }
    }
    found
}

/// The exceptions from common rules that concern no category of any tenant.
fn unknown_excepted(files: &FolderFiles, rulebooks: &Rulebooks) -> Vec<Diagnostic> {
    let books = rulebooks.by_tenant.values().chain([&rulebooks.shared]);
    let categories: BTreeSet<&str> = books.flat_map(|book| book.policies.categories()).collect();
    let texts = files.by_tenant.values().chain([&files.shared]).flatten();
    let common = texts.filter(|(file, _)| is_common(file));
    let unknown = common.filter_map(|(file, text)| {
        let (line, message) = lint::unknown_excepted(text, &categories)?;
        Some(Diagnostic {
            file: file.clone(),
            line: Some(line),
            message,
        })
    });
    unknown.collect()
}

fn show(policy: &Policy, out: &mut dyn Write) -> std::io::Result<()> {
    let ends = policy
        .effective_to
        .map(|to| format!(" to {to}"))
        .unwrap_or_default();
    writeln!(
        out,
        "{} version {} in force from {}{ends}, sha256 {}",
        policy.category, policy.version, policy.effective_from, policy.hash
    )?;
    for rule in &policy.rules {
        writeln!(out, "  {}: {}", rule.id, rule.text)?;
    }
    Ok(())
}
