//! Opens the database that a command works on: the configured one, or the embedded one.

use sqlx::postgres::PgConnectOptions;

use crate::{
    config,
    embedded::{self, Embedded, EmbeddedError},
    store::{Store, schema::migrate::migrate as migrate_database},
};

/// An open database: the configured one, or the embedded one.
pub struct Database {
    options: PgConnectOptions,
    embedded: Option<Embedded>,
}

impl Database {
    /// Opens the configured database, or starts the embedded one.
    ///
    /// # Errors
    /// If the URL is not valid, the server does not answer in time, or the embedded database does not start.
    pub async fn open(config: &config::Database) -> anyhow::Result<Self> {
        if let Some(target) = config.target()? {
            target.wait().await?;
            return Ok(Self { options: target.options, embedded: None });
        }
        let options = embedded::Options { postgres_bin: config.postgres_bin.clone(), ..embedded::Options::default() };
        let embedded = Embedded::start(&config.data_dir, options).await?;
        tracing::info!(url = embedded.url(), "the embedded database runs");
        Ok(Self { options: embedded.connect_options(), embedded: Some(embedded) })
    }

    /// Opens the database. If a running service holds the embedded database, joins it.
    ///
    /// # Errors
    /// The cases of [`open`](Self::open), except that the embedded database is in use.
    pub async fn open_or_join(config: &config::Database) -> anyhow::Result<Self> {
        match Self::open(config).await {
            Err(error) if matches!(error.downcast_ref(), Some(EmbeddedError::InUse { .. })) => {
                Ok(Self { options: embedded::running(&config.data_dir)?, embedded: None })
            }
            opened => opened,
        }
    }

    /// The options for connections to the database.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Stops the embedded database, if this process started it.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Migrates the database to the schema of this version.
///
/// # Errors
/// If the database cannot be opened, or a migration fails.
pub async fn migrate(config: config::Database) -> anyhow::Result<()> {
    let database = Database::open_or_join(&config).await?;
    let result = migrate_database(&database.options).await;
    database.close().await;
    result?;
    tracing::info!("the database is up to date");
    Ok(())
}

/// Runs `work` on a store of the database, then closes both.
///
/// # Errors
/// If the database cannot be opened, or `work` fails.
pub async fn with_store<T>(
    config: &config::Database,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let database = Database::open_or_join(config).await?;
    let store = Store::new(database.options.clone());
    let result = work(&store).await;
    store.close().await;
    database.close().await;
    result
}
