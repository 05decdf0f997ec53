//! `policies check`: reads the policy files as the service would, so that a change can be checked
//! before it is rolled out. The other subcommands of `policies` have a file each.

mod cases;
pub mod explain;
mod judging;
pub mod new;
pub mod test;

use std::io::Write;
use std::path::Path;

use crate::policy::Policy;
use crate::rulebook::Rulebooks;

/// Checks a folder of policies and prints its content: the policies that all tenants share, then
/// those of single tenants. Warns of files that are not read, although they look like policies.
///
/// # Errors
/// With every problem of every file.
pub fn check(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let rulebooks = Rulebooks::load(dir)?;
    let shared = &rulebooks.shared.policies;
    for policy in shared.iter() {
        show(policy, out)?;
    }
    for (tenant, rulebook) in &rulebooks.by_tenant {
        writeln!(out, "tenant {tenant}:")?;
        let is_own = |policy: &&Policy| !shared.iter().any(|shared| shared.hash == policy.hash);
        for policy in rulebook.policies.iter().filter(is_own) {
            show(policy, out)?;
        }
    }
    for passed_over in &rulebooks.passed_over {
        writeln!(out, "warning: {passed_over}")?;
    }
    match rulebooks.passed_over.len() {
        0 => writeln!(out, "{}: no problems", dir.display())?,
        1 => writeln!(out, "{}: no errors, one warning", dir.display())?,
        n => writeln!(out, "{}: no errors, {n} warnings", dir.display())?,
    }
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
