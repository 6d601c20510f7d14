//! Brings the database's schema to this binary's, and what it derives from the docs. Instances that start together take
//! turns.

use sqlx::{
    ConnectOptions, PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
    postgres::PgConnectOptions,
};

use super::{StoreError, reindex};

static MIGRATIONS: Migrator = sqlx::migrate!();

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
    let options = options.clone().application_name("readout-migrate").options([("client_min_messages", "warning")]);
    let mut connection = options.connect().await?;
    let result = migrate_on(&mut connection).await;
    // An error on the way out changes nothing.
    let _ = sqlx::Connection::close(connection).await;
    result
}

async fn migrate_on(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let (version, number): (String, i32) =
        sqlx::query_as("select current_setting('server_version'), current_setting('server_version_num')::int")
            .fetch_one(&mut *connection)
            .await?;
    if number < 140_000 {
        return Err(MigrationError::OldServer(version));
    }
    match MIGRATIONS.run_direct(None, &mut *connection, false).await {
        // The database has a migration that this binary has not.
        Err(MigrateError::VersionMissing(_)) => {
            let known = MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0);
            let applied = connection.list_applied_migrations("_sqlx_migrations").await?;
            let found = applied.iter().map(|one| one.version).max().unwrap_or(0);
            return Err(MigrationError::Newer { found, known });
        }
        other => other?,
    }
    connection.lock().await?;
    let reindexed = reindex::marked(connection).await;
    connection.unlock().await?;
    Ok(reindexed?)
}
