//! `policies check`: what a change to the policy files would come to, before it is rolled out.

use std::io::Write;
use std::path::Path;

use crate::policy::Policy;
use crate::rulebook::Folder;

/// Checks a policies folder and prints what it holds: the policies of every tenant, then those of
/// tenants' own.
///
/// # Errors
/// With every fault of every file.
pub fn check(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = Folder::load(dir)?;
    let shared = &folder.shared.policies;
    for policy in shared.iter() {
        show(policy, out)?;
    }
    for (tenant, rulebook) in &folder.by_tenant {
        writeln!(out, "tenant {tenant}:")?;
        let is_own = |policy: &&Policy| !shared.iter().any(|shared| shared.hash == policy.hash);
        for policy in rulebook.policies.iter().filter(is_own) {
            show(policy, out)?;
        }
    }
    writeln!(out, "{}: no faults", dir.display())?;
    Ok(())
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
