//! The migrations of both databases, one SQL file each in `migrations/`, and running them.
//!
//! Numbers are unique over both folders, because a database remembers them in one table:
//! `migrations/` holds those that both databases run, `migrations/sqlite/` those of SQLite alone
//! (such as 0010), and `migrations/postgres/` would hold those of Postgres alone. The next one gets
//! the next free number, in either folder, and goes to the end of its list. Each database runs its
//! migrations in the order of the lists. What SQL cannot do, such as folding the case of a name,
//! `respell` does after the migrations.
//!
//! A migration that was released never changes: its checksum is in every database. It takes nothing
//! away that the version before needs, so two versions can run on one ledger side by side.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr as _, SqliteConnection};

/// The first migrations, in SQL that both databases understand: version, description and text. The
/// lists replace `sqlx::migrate!`, whose crate of macros would build sqlx and SQLite a second time.
const FIRST: [(i64, &str, &str); 9] = [
    (
        1,
        "decisions",
        include_str!("migrations/0001_decisions.sql"),
    ),
    (
        2,
        "idempotency",
        include_str!("migrations/0002_idempotency.sql"),
    ),
    (
        3,
        "duplicates",
        include_str!("migrations/0003_duplicates.sql"),
    ),
    (
        4,
        "merchants",
        include_str!("migrations/0004_merchants.sql"),
    ),
    (5, "chain", include_str!("migrations/0005_chain.sql")),
    (
        6,
        "resolutions",
        include_str!("migrations/0006_resolutions.sql"),
    ),
    (7, "pending", include_str!("migrations/0007_pending.sql")),
    (8, "lists", include_str!("migrations/0008_lists.sql")),
    (
        9,
        "fewer indexes",
        include_str!("migrations/0009_fewer_indexes.sql"),
    ),
];

/// Migrations of SQLite alone.
const FOR_SQLITE: [(i64, &str, &str); 1] = [(
    10,
    "clustered",
    include_str!("migrations/sqlite/0010_clustered.sql"),
)];

/// Migrations of both databases since 0010, which rebuilds tables of SQLite: they may need its
/// tables, and it would drop columns that they add.
const LATER: &[(i64, &str, &str)] = &[
    (11, "spelling", include_str!("migrations/0011_spelling.sql")),
    (13, "credited", include_str!("migrations/0013_credited.sql")),
    (
        14,
        "superseded",
        include_str!("migrations/0014_superseded.sql"),
    ),
    (15, "feedback", include_str!("migrations/0015_feedback.sql")),
    (16, "outbox", include_str!("migrations/0016_outbox.sql")),
    (17, "figures", include_str!("migrations/0017_figures.sql")),
    (
        18,
        "submitters",
        include_str!("migrations/0018_submitters.sql"),
    ),
    (
        21,
        "keyed usage",
        include_str!("migrations/0021_keyed_usage.sql"),
    ),
    (
        22,
        "approvals",
        include_str!("migrations/0022_approvals.sql"),
    ),
    (24, "plans", include_str!("migrations/0024_plans.sql")),
];

/// The lists of migrations, in order, of an SQLite file.
pub(super) const SQLITE_VERSIONS: &[&[(i64, &str, &str)]] = &[&FIRST, &FOR_SQLITE, LATER];
/// The lists of migrations, in order, of Postgres.
pub(super) const POSTGRES_VERSIONS: &[&[(i64, &str, &str)]] = &[&FIRST, LATER];

/// Migrates the tables of Postgres.
pub(super) async fn migrate_postgres(connection: &mut PgConnection) -> Result<(), MigrateError> {
    for migrations in POSTGRES_VERSIONS {
        migrator(migrations).run(&mut *connection).await?;
    }
    Ok(())
}

/// Migrates the tables of an SQLite file.
pub(super) async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    for migrations in SQLITE_VERSIONS {
        migrator(migrations).run(&mut *connection).await?;
    }
    Ok(())
}

/// A migrator of the given versions. It ignores versions in the database that it does not know,
/// because a newer version of the service may have been here: no migration takes away what an
/// earlier version needs, so the two can run side by side.
fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, description, sql)| {
        let sql = sql.into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}
