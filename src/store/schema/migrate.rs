//! Brings the database's schema to this binary's, and what it derives from the docs. Instances that start together take
//! turns.

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

/// Why a schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer binary has migrated the database.
    #[error(
        "the database has schema version {found}, this readout knows versions up to {known}: start a newer readout"
    )]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version of this binary.
        known: i64,
    },
    /// The database is older than this binary, and cannot be written to.
    #[error(
        "the database is read-only and has schema version {found}, this readout needs version {known}: migrate it \
         where it can be written to"
    )]
    ReadOnly {
        /// The database's version.
        found: i64,
        /// The newest version of this binary.
        known: i64,
    },
    /// A newer binary has folded the words that the database holds.
    #[error(
        "the database's words are folded by version {found}, this readout folds by version {known}: start a newer readout"
    )]
    NewerFolding {
        /// The database's version.
        found: i32,
        /// The version of this binary.
        known: i32,
    },
    /// The server is too old.
    #[error("the database server is PostgreSQL {0}, readout needs 14 or newer")]
    OldServer(String),
    /// A statement failed, or the database cannot be reached.
    #[error("the database's schema cannot be brought up to date")]
    Failed(#[from] MigrateError),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[from] sqlx::Error),
    /// What is derived from the docs could not be made.
    #[error("the database's index tables cannot be brought up to date")]
    Reindex(#[from] StoreError),
}

/// Applies the migrations that the database does not have yet, under sqlx's lock.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), MigrationError> {
    // sqlx asks for its table whether or not it is there, and the server would remark on that at every start.
    let name = options.get_application_name().unwrap_or("readout-migrate").to_owned();
    let options = options.clone().application_name(&name).options([("client_min_messages", "warning")]);
    let mut connection = options.connect().await?;
    let result = migrate_on(&mut connection).await;
    // An error on the way out changes nothing.
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
    let (found, known) = (applied_version(connection).await?, known());
    if found < known {
        tracing::info!(from = found, to = known, "bringing the database's schema up to date");
    }
    match MIGRATIONS.run_direct(None, &mut *connection, false).await {
        // The database has a migration that this binary has not.
        Err(MigrateError::VersionMissing(_)) => {
            return Err(MigrationError::Newer { found, known });
        }
        other => other?,
    }
    connection.lock().await?;
    let reindexed = reindex(connection).await;
    connection.unlock().await?;
    reindexed
}

/// Brings to this binary what the database derives from the docs.
async fn reindex(connection: &mut PgConnection) -> Result<(), MigrationError> {
    require_known_folding(connection).await?;
    Ok(reindex::pending(connection).await?)
}

/// Refuses a database whose words a newer binary has folded: this one would not find all of them, and would write old
/// ones. Answers how its version compares with that of this binary.
pub async fn require_known_folding(connection: &mut PgConnection) -> Result<Ordering, MigrationError> {
    match folding::compare(connection).await? {
        (Ordering::Greater, found) => Err(MigrationError::NewerFolding { found, known: letters::VERSION }),
        (ordering, _) => Ok(ordering),
    }
}

/// The newest version of this binary.
fn known() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0)
}

/// The database's version; 0 where no readout has been yet.
async fn applied_version(connection: &mut PgConnection) -> Result<i64, MigrationError> {
    let has_schema: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !has_schema {
        return Ok(0);
    }
    let applied = connection.list_applied_migrations("_sqlx_migrations").await?;
    Ok(applied.iter().map(|one| one.version).max().unwrap_or(0))
}

/// A standby, or a database that somebody has closed to writers.
async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select current_setting('transaction_read_only')::boolean").fetch_one(connection).await
}

/// What can only be read can be served from, if there is nothing to be brought up to date.
async fn require_up_to_date(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let (found, known) = (applied_version(connection).await?, known());
    match found.cmp(&known) {
        Ordering::Less => Err(MigrationError::ReadOnly { found, known }),
        Ordering::Greater => Err(MigrationError::Newer { found, known }),
        Ordering::Equal => {
            tracing::warn!("the database is read-only: nothing can be written");
            if require_known_folding(connection).await? == Ordering::Less {
                tracing::warn!("not all words are found until a service starts where the database can be written to");
            }
            Ok(())
        }
    }
}
