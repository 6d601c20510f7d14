//! Near copies: compares new texts with those that were published in about the same week.

use crate::{
    model::article_copies::near::Shingles,
    service::Api,
    store::{StoreError, article_copies::near},
};

/// Maximum number of texts that are compared before other tasks of the settler.
const CHUNK: usize = 16;

/// Compares the next texts, and enqueues the articles of near copies. Returns true if there may be more.
///
/// # Errors
/// The database fails.
pub(super) async fn compare_next(api: &Api) -> Result<bool, StoreError> {
    let pool = api.store.reads();
    let sketches = near::to_compare(pool, CHUNK).await?;
    for sketch in &sketches {
        let (mut keys, mut pairs) = (Vec::new(), Vec::new());
        if let Some(shingles) = shingles(api, &sketch.text_key).await? {
            // Stored before the search: of two texts that are compared at the same time, one finds the other.
            keys = shingles.stored_keys(sketch.week);
            near::store_keys(pool, sketch, &keys).await?;
            for other in near::candidates(pool, sketch, &shingles.sought_keys(sketch.week)).await? {
                let overlap = self::shingles(api, &other).await?.and_then(|other| shingles.overlap(&other));
                pairs.extend(overlap.map(|overlap| (other, overlap)));
            }
        }
        near::store(pool, sketch, &keys, &pairs).await?;
    }
    Ok(sketches.len() == CHUNK)
}

/// The shingles of a stored text; `None` if it is gone or has too few words.
async fn shingles(api: &Api, text_key: &[u8]) -> Result<Option<Shingles>, StoreError> {
    let Some(text) = near::text(api.store.reads(), text_key).await? else { return Ok(None) };
    // A text of 1 MiB takes tens of milliseconds.
    Ok(tokio::task::spawn_blocking(move || Shingles::of(&text)).await.unwrap_or_default())
}
