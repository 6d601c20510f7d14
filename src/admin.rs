//! What an operator does to the database, whether or not services run on it.

pub mod token;

use std::time::SystemTime;

use anyhow::{Context, bail};
use uuid::Uuid;

use crate::{
    config,
    database::with_store,
    model::{
        article::keeps_text,
        resource::{Collection, Resource},
    },
    pb::{Article, article::TextRights},
    store::{
        Store, StoreError, article, change,
        retention::{self, Retention},
        schema::{migrate::require_known_folding, reindex},
        write::{Outcome, Put, PutArticle, Write, commit::commit},
    },
};

/// Who is said to have asked for what is written here.
const ACTOR: &str = "admin";
/// How often a write is prepared anew when others come first.
const ROUNDS: usize = 100;

/// Begins a new epoch of the change feed, and prints it.
pub async fn new_epoch(config: config::Database) -> anyhow::Result<()> {
    let renewed = with_store(&config, async |store| {
        let ended = change::extent(store.feed()).await?.epoch;
        Ok(change::renew_epoch(store.feed(), &ended).await?)
    });
    println!("{}", renewed.await.context("the database has no change feed that could begin anew")?);
    Ok(())
}

/// Erases the texts of articles from all their revisions, and prints of each whether there was one.
pub async fn expunge(config: config::Expunge) -> anyhow::Result<()> {
    with_store(&config.database, async |store| {
        let known = store.existing::<Article>(&config.articles).await?;
        if let Some(unknown) = config.articles.iter().find(|id| !known.contains(id)) {
            bail!("there is no {}: nothing was erased", Collection::Articles.name(*unknown));
        }
        for &id in &config.articles {
            let name = Collection::Articles.name(id);
            let is_erased = expunge_text(store, id).await.with_context(|| format!("{name} was not expunged"))?;
            println!("{name}: {}", if is_erased { "erased" } else { "withheld already, there is nothing to erase" });
        }
        Ok(())
    })
    .await
}

/// Makes anew all that is derived from the records, and prints how many there are.
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

/// Writes the revision of an article that has no text to show, and takes it from all others.
async fn expunge_text(store: &Store, id: Uuid) -> anyhow::Result<bool> {
    for _ in 0..ROUNDS {
        let docs = article::get(store.reads(), &[id]).await?;
        let former: Article = docs.first().context("it is gone")?.decode_to_rewrite()?;
        if !keeps_text(&former) {
            return Ok(false);
        }
        let mut next = former.clone();
        next.set_text_rights(TextRights::Withheld);
        next.succeed(&former, SystemTime::now());
        let put = Put::next(id, next, change::Kind::Expunged);
        let put = PutArticle { put, text: None, text_key: None, former: Some(former), compared: None };
        let write = Write { actor: ACTOR.into(), articles: vec![put], ..Default::default() };
        match commit(store.writes(), &[&write]).await {
            Ok(Outcome::Committed(..)) => return Ok(true),
            Ok(Outcome::Lost(_)) | Err(StoreError::Contention(_)) => {}
            Err(StoreError::NoRange) => {
                retention::extend(store.writes(), Retention::default(), write.change_count()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("others write to it all the time: try again")
}
