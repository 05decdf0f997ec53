//! `policies check`: what a change to the policy files would come to, before it is rolled out.

use std::io::Write;
use std::path::Path;

use crate::app::Folder;

/// Checks a policies folder and prints what it holds.
///
/// # Errors
/// With every fault of every file.
pub fn check(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let Folder { policies, .. } = Folder::load(dir)?;
    for policy in policies.iter() {
        let ends = policy.effective_to.map(|to| format!(" to {to}")).unwrap_or_default();
        writeln!(
            out,
            "{} version {} in force from {}{ends}, sha256 {}",
            policy.category, policy.version, policy.effective_from, policy.hash
        )?;
        for rule in &policy.rules {
            writeln!(out, "  {}: {}", rule.id, rule.text)?;
        }
    }
    writeln!(out, "{}: no faults", dir.display())?;
    Ok(())
}
