//! Migrates the database to the schema version of this binary, then rebuilds derived data that is out of date.
//! Concurrent instances are serialised by sqlx's migration lock.

use std::{cmp::Ordering, sync::LazyLock};

use sqlx::{
    ConnectOptions, PgConnection, SqlStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};

use super::{folding, reindex};
use crate::{model::text::letters, store::StoreError};

/// Version, description and statements of each migration in `migrations/`.
const FILES: &[(i64, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |&(version, description, statements): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(statements), false)
    };
    Migrator::with_migrations(FILES.iter().map(migration).collect())
});

/// The reason why a database could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer binary has migrated the database.
    #[error(
        "the database has schema version {found}, this readout knows versions up to {known}: start a newer readout"
    )]
    Newer {
        /// The database's schema version.
        found: i64,
        /// This binary's schema version.
        known: i64,
    },
    /// The database is older than this binary, and read-only.
    #[error(
        "the database is read-only and has schema version {found}, this readout needs version {known}: migrate it \
         where it can be written to"
    )]
    ReadOnly {
        /// The database's schema version.
        found: i64,
        /// This binary's schema version.
        known: i64,
    },
    /// A newer binary has folded the stored search words.
    #[error(
        "the database's words are folded by version {found}, this readout folds by version {known}: start a newer readout"
    )]
    NewerFolding {
        /// The database's folding version.
        found: i32,
        /// This binary's folding version.
        known: i32,
    },
    /// The server is too old.
    #[error("the database server is PostgreSQL {0}, readout needs 14 or newer")]
    OldServer(String),
    /// A migration failed, or the database became unreachable during one.
    #[error("the database schema cannot be migrated")]
    Failed(#[from] MigrateError),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[from] sqlx::Error),
    /// Derived data could not be rebuilt.
    #[error("the index tables of the database cannot be rebuilt")]
    Reindex(#[from] StoreError),
}

/// Applies the missing migrations and rebuilds derived data, under sqlx's lock. On a read-only database it only checks
/// that the schema is up to date.
///
/// # Errors
/// `OldServer`, `Newer`, `NewerFolding` or `ReadOnly` if the database does not match this binary; the others if it
/// fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), MigrationError> {
    // sqlx creates its table `if not exists`, for which the server would send a notice at every start.
    let name = options.get_application_name().unwrap_or("readout-migrate").to_owned();
    let options = options.clone().application_name(&name).options([("client_min_messages", "warning")]);
    let mut connection = options.connect().await?;
    let result = migrate_on(&mut connection).await;
    // An error while closing does not change the result.
    let _ = sqlx::Connection::close(connection).await;
    result
}

async fn migrate_on(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let (server, number): (String, i32) =
        sqlx::query_as("select current_setting('server_version'), current_setting('server_version_num')::int")
            .fetch_one(&mut *connection)
            .await?;
    if number < 140_000 {
        return Err(MigrationError::OldServer(server));
    }
    if is_read_only(connection).await? {
        return require_up_to_date(connection).await;
    }
    let (found, known) = (applied_version(connection).await?, known_version());
    if found < known {
        tracing::info!(from = found, to = known, "migrating the database schema");
    }
    match MIGRATIONS.run_direct(None, &mut *connection, false).await {
        // The database has a migration that this binary does not know.
        Err(MigrateError::VersionMissing(_)) => {
            return Err(MigrationError::Newer { found, known });
        }
        result => result?,
    }
    connection.lock().await?;
    let reindexed = reindex(connection).await;
    connection.unlock().await?;
    reindexed
}

/// Rebuilds derived data that is out of date.
async fn reindex(connection: &mut PgConnection) -> Result<(), MigrationError> {
    require_known_folding(connection).await?;
    Ok(reindex::pending(connection).await?)
}

/// Rejects a database whose words a newer binary has folded: this binary would not find all of them, and would write
/// outdated ones. Returns how the database's folding version compares with this binary's.
///
/// # Errors
/// `NewerFolding` if the database's version is newer.
pub async fn require_known_folding(connection: &mut PgConnection) -> Result<Ordering, MigrationError> {
    match folding::compare(connection).await? {
        (Ordering::Greater, found) => Err(MigrationError::NewerFolding { found, known: letters::VERSION }),
        (ordering, _) => Ok(ordering),
    }
}

/// The schema version of this binary.
fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The database's schema version; 0 for an empty database.
async fn applied_version(connection: &mut PgConnection) -> Result<i64, MigrationError> {
    let has_schema: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !has_schema {
        return Ok(0);
    }
    let applied = connection.list_applied_migrations("_sqlx_migrations").await?;
    Ok(applied.iter().map(|migration| migration.version).max().unwrap_or(0))
}

/// True for a standby, or a database with `default_transaction_read_only`.
async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select current_setting('transaction_read_only')::boolean").fetch_one(connection).await
}

/// Checks that a read-only database needs no migration: then reads can be served from it.
async fn require_up_to_date(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let (found, known) = (applied_version(connection).await?, known_version());
    match found.cmp(&known) {
        Ordering::Less => Err(MigrationError::ReadOnly { found, known }),
        Ordering::Greater => Err(MigrationError::Newer { found, known }),
        Ordering::Equal => {
            tracing::warn!("the database is read-only: writes are refused");
            if require_known_folding(connection).await? == Ordering::Less {
                tracing::warn!("searches may miss words until a service starts while the database is writable");
            }
            Ok(())
        }
    }
}
