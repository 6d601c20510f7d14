//! `readout admin`: maintenance of the database by an operator, with or without running services.

pub mod token;

use anyhow::{Context, bail};
use uuid::Uuid;

use crate::{
    config,
    database::with_store,
    model::resource::Collection,
    pb::Article,
    store::{
        Store, StoreError, article, article_text,
        epoch::{self, KnownHead},
        origin::{NewEvent, Origin},
        retention::{self, Retention},
        schema::{migrate::require_known_folding, reindex},
        write::{BatchOutcome, Write, clock, commit::commit},
    },
};

/// The actor that is recorded for these writes.
const ACTOR: &str = "admin";
/// Attempts to commit a write that conflicts with concurrent writes.
const MAX_ATTEMPTS: usize = 100;

/// Starts a new epoch of the change feed, and prints it.
///
/// # Errors
/// If the database cannot be opened, or has no change feed.
pub async fn new_epoch(config: config::Database) -> anyhow::Result<()> {
    let renewed = with_store(&config, async |store| Ok(epoch::renew(store.writes()).await?));
    println!("{}", renewed.await.context("the database has no change feed to start a new epoch of")?);
    Ok(())
}

/// Erases the texts of articles from all their revisions, and prints a line for each article.
///
/// # Errors
/// If an article does not exist (then nothing is erased), or the database fails.
pub async fn expunge(config: config::Expunge) -> anyhow::Result<()> {
    with_store(&config.database, async |store| {
        let known = store.existing::<Article>(&config.articles).await?;
        if let Some(unknown) = config.articles.iter().find(|id| !known.contains(id)) {
            bail!("there is no {}: nothing was erased", Collection::Articles.name(*unknown));
        }
        for &id in &config.articles {
            let name = Collection::Articles.name(id);
            let is_erased = expunge_text(store, id, &config.reason).await;
            let is_erased = is_erased.with_context(|| format!("{name} was not expunged"))?;
            println!("{name}: {}", if is_erased { "erased" } else { "no text is stored, there is nothing to erase" });
        }
        Ok(())
    })
    .await
}

/// Rebuilds all rows that are derived from the records, and prints the number of records of each collection.
///
/// # Errors
/// If the folding of the database is unknown to this version, or the database fails.
pub async fn reindex(config: config::Database) -> anyhow::Result<()> {
    with_store(&config, async |store| {
        require_known_folding(&mut *store.feed().acquire().await?).await?;
        for of in Collection::ALL {
            let count = reindex::collection(store.feed(), of).await?;
            println!("{}: {count}", of.as_str());
        }
        Ok(())
    })
    .await
    .context("the records were not reindexed")
}

/// Erases the texts of all revisions of an article, as EraseArticleText does. Returns `false` if none is stored.
async fn expunge_text(store: &Store, id: Uuid, reason: &str) -> anyhow::Result<bool> {
    for _ in 0..MAX_ATTEMPTS {
        let docs = article::get(store.reads(), &[id]).await?;
        let former: Article = docs.first().context("it is gone")?.decode_to_rewrite()?;
        if !article_text::is_kept(store.reads(), id).await? {
            return Ok(false);
        }
        let articles = vec![article_text::erasure(former, clock::now())];
        let audit = Some(Origin { reason: reason.to_owned(), ..Origin::command("readout/ExpungeText") });
        let write = Write { actor: ACTOR.into(), audit, reason: reason.to_owned(), articles, ..Default::default() };
        match commit(store.commits(), &[&write], &KnownHead::default()).await {
            Ok(BatchOutcome::Committed(.., events)) => {
                events.iter().for_each(NewEvent::print);
                return Ok(true);
            }
            Ok(BatchOutcome::Lost(_)) | Err(StoreError::Contention(_)) => {}
            Err(StoreError::NoRange) => {
                retention::extend(store.writes(), Retention::default(), write.change_count()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("concurrent writes to it did not stop: try again")
}
