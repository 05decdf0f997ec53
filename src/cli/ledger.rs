//! `ledger verify` and `ledger erase`: proving that no record was changed, and erasing personal
//! texts. The work itself is in `ledger::verify` and `ledger::erase`.

use std::io::Write;

use anyhow::bail;
use clap::Args;

use crate::config::Config;
use crate::ledger::verify::Walk;
use crate::ledger::{Ledger, LedgerError, Store};

/// Hexadecimal digits of a record's hash, which is SHA-256.
const HASH_DIGITS: usize = 64;

/// Which chains to verify.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    /// Verify only the chain of this tenant
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// Also fail unless a chain contains this hash, taken from a trace (`expense.record.hash`):
    /// shows that no record up to it was cut off
    #[arg(long, value_name = "HASH", value_parser = record_hash)]
    pub head: Option<String>,
}

/// The hash of a record as the ledger writes it, so that a hash that was mistyped or cut off is not
/// taken for a record that was removed.
fn record_hash(text: &str) -> Result<String, &'static str> {
    let hash = text.trim().to_ascii_lowercase();
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash
        .then_some(hash)
        .ok_or("this is not a whole hash; write its 64 hexadecimal digits")
}

/// Whose personal texts to erase.
#[derive(Args, Clone, Debug)]
pub struct Erase {
    /// The id of the employee
    #[arg(long, value_name = "USER")]
    pub user: String,

    /// The tenant that the employee belongs to
    #[arg(long, value_name = "TENANT", default_value = "default")]
    pub tenant: String,
}

/// The ledger has no record in a hash chain, so nothing was verified.
#[derive(Debug, thiserror::Error)]
#[error("{0}, so nothing was verified{1}")]
pub struct NothingToVerify(String, &'static str);

/// Walks the chains and prints a line for each.
///
/// # Errors
/// When a record was changed, the wanted hash is in no chain, or the ledger cannot be read;
/// [`NothingToVerify`] when no chain has a record.
pub fn verify(config: &Config, wanted: &Verify, out: &mut dyn Write) -> anyhow::Result<()> {
    reading_ledger(config, async |ledger| {
        let tenants = match &wanted.tenant {
            Some(tenant_id) => ledger.recorded_tenants.names_of(tenant_id),
            None => ledger.tenants().await?,
        };
        let (mut n_broken, mut has_head) = (0, wanted.head.is_none());
        let (mut n_records, mut n_unchained) = (0, 0);
        for tenant_id in tenants {
            let walk = ledger.walk(&tenant_id, wanted.head.as_deref()).await?;
            has_head |= walk.has_hash;
            n_broken += usize::from(walk.broken.is_some());
            (n_records, n_unchained) = (n_records + walk.n_records, n_unchained + walk.n_unchained);
            if walk.broken.is_some() || walk.n_records + walk.n_unchained > 0 {
                writeln!(out, "{}", summary(&walk))?;
            }
        }
        match (n_broken, &wanted.head) {
            (0, Some(head)) if !has_head => {
                let of_tenant = of_tenant(wanted);
                bail!(
                    "no record{of_tenant} has the hash {head}: its record was removed or changed, or is in another \
                     ledger"
                )
            }
            (0, _) if n_records == 0 => Err(nothing_to_verify(config, wanted, n_unchained).into()),
            (0, _) => Ok(()),
            (1, _) => bail!("one chain is broken"),
            (n, _) => bail!("{n} chains are broken"),
        }
    })
}

/// What to say when no chain has a record; `n_unchained` decisions are in none.
fn nothing_to_verify(config: &Config, wanted: &Verify, n_unchained: i64) -> NothingToVerify {
    let of_tenant = of_tenant(wanted);
    match n_unchained {
        0 => NothingToVerify(
            format!("the ledger {} holds no record{of_tenant}", config.store),
            lost_log(&config.store),
        ),
        _ => NothingToVerify(format!("no record{of_tenant} is in a hash chain"), ""),
    }
}

fn of_tenant(wanted: &Verify) -> String {
    let tenant_id = wanted.tenant.as_ref();
    tenant_id.map_or_else(String::new, |tenant_id| {
        format!(" of the tenant {tenant_id}")
    })
}

/// Why a ledger may be empty that should not be.
fn lost_log(store: &Store) -> &'static str {
    match store {
        Store::Sqlite(_) => {
            "; if this is a copy, copy the `ledger.sqlite-wal` too, which holds the newest records"
        }
        Store::Postgres(_) => "",
    }
}

/// Says in `notes` that a ledger holds no record at all, if that is so: whoever reads nothing from it
/// may have named another one.
///
/// # Errors
/// When the ledger cannot be read, or the note cannot be written.
pub(super) async fn note_if_empty(
    config: &Config,
    ledger: &Ledger,
    notes: &mut dyn Write,
) -> anyhow::Result<()> {
    if ledger.tenants().await?.is_empty() {
        let store = &config.store;
        writeln!(
            notes,
            "note: the ledger {store} holds no record{}",
            lost_log(store)
        )?;
    }
    Ok(())
}

/// The line for one chain.
fn summary(walk: &Walk) -> String {
    let Walk {
        tenant_id,
        n_records,
        head,
        n_unchained,
        broken,
        ..
    } = walk;
    let Some(broken) = broken else {
        // Without a chain, none of them can be said to be from before it.
        if *n_records == 0 {
            return format!("{tenant_id}: decisions in no hash chain: {n_unchained}");
        }
        let before = match n_unchained {
            0 => String::new(),
            1 => "; 1 decision is from before the chain began".to_owned(),
            n => format!("; {n} decisions are from before the chain began"),
        };
        let valid = records_are(*n_records, "");
        return format!("{tenant_id}: {valid} valid, head {head}{before}");
    };
    let record = if broken.record_id.is_empty() {
        String::new()
    } else {
        format!(" ({})", broken.record_id)
    };
    let valid = records_are(*n_records, " before it");
    format!(
        "{tenant_id}: record {}{record}: {}; {valid} valid",
        broken.seq, broken.problem
    )
}

/// `1 record is` or `2 records are`, with what says which records.
fn records_are(n_records: i64, which: &str) -> String {
    match n_records {
        1 => format!("1 record{which} is"),
        n => format!("{n} records{which} are"),
    }
}

/// Erases the personal texts of an employee.
///
/// # Errors
/// When the ledger cannot be written to.
pub fn erase(config: &Config, wanted: &Erase, out: &mut dyn Write) -> anyhow::Result<()> {
    with_ledger(config, async |ledger| {
        let mut n_erased = 0;
        for tenant_id in ledger.recorded_tenants.names_of(&wanted.tenant) {
            n_erased += ledger.erase(&tenant_id, &wanted.user).await?;
        }
        writeln!(
            out,
            "erased the personal texts of {n_erased} records of {} (tenant {})",
            wanted.user, wanted.tenant
        )?;
        Ok(())
    })
}

/// Opens the ledger of a configuration, works with it and closes it. Does not create a ledger.
///
/// # Errors
/// When there is no ledger, or the work fails.
pub fn with_ledger(
    config: &Config,
    work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    opened(config, Ledger::open(&config.store), work)
}

/// Opens the ledger of a configuration, which may be on a read-only medium, reads from it and closes
/// it.
///
/// # Errors
/// When there is no ledger, or the work fails.
pub fn reading_ledger(
    config: &Config,
    work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    opened(config, Ledger::open_to_read(&config.store), work)
}

fn opened(
    config: &Config,
    open: impl Future<Output = Result<Ledger, LedgerError>>,
    work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !config.store.exists() {
        bail!(
            "there is no ledger {}; name its folder with --data, or its Postgres in DATABASE_URL",
            config.store
        );
    }
    let runtime = crate::cli::runtime()?;
    runtime.block_on(async {
        let ledger = open.await?;
        let result = work(&ledger).await;
        ledger.close().await;
        result
    })
}
