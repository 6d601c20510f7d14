//! The words that a replaced text lost, in the changes of kind EVIDENCE_STALE. They are not stored: they follow from the
//! two revisions of the report, as long as the text that had them is shown.

use prost::Message;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, parse_text_hash},
        message_bound::MessageBound,
        resource::{self, Collection},
    },
    pb::{Article, Change, Evidence, Report},
    store::{
        StoreError, article_text,
        change::{Kind, StoredChange},
        write::revision::{self, Version},
    },
};

/// Maximum number of quotes in a change, and their maximum bytes with their paths.
const MAX_QUOTES: usize = 100;
const MAX_BYTES: usize = 64 * 1024;

/// Adds the evidence that became stale to a change of this kind, and leaves other changes as they are. Quotes stay empty
/// if the text that had them is hidden or erased.
///
/// # Errors
/// `Damaged` for a record that cannot be decoded, or the database fails.
pub(super) async fn add(
    pool: &PgPool,
    logged: &StoredChange,
    change: &mut Change,
    bound: MessageBound,
) -> Result<(), StoreError> {
    if logged.kind != Kind::EvidenceStale {
        return Ok(());
    }
    let version = |revision| Version { collection: Collection::Reports, id: logged.id, revision };
    let versions = [version(logged.revision - 1), version(logged.revision)];
    let [Some(before), Some(after)] = reports(pool, &versions).await? else { return Ok(()) };
    let was_stale = |index: usize| before.evidence.get(index).is_some_and(|cited| cited.stale);
    let stale = after.evidence.iter().enumerate().filter(|(index, cited)| cited.stale && !was_stale(*index));
    let stale: Vec<&Evidence> = stale.map(|(_, cited)| cited).collect();
    let is_shown = is_shown(pool, &after).await?;
    // Beside a large report there may be no room.
    let max_bytes = MAX_BYTES.min(bound.wrapped().saturating_sub(change.encoded_len()));
    let mut bytes = 0;
    for cited in stale.iter().take(MAX_QUOTES) {
        let quote = if is_shown { cited.quote.clone() } else { String::new() };
        let cited = Evidence { quote, ..(*cited).clone() };
        bytes += cited.encoded_len();
        if bytes > max_bytes {
            break;
        }
        change.stale_evidence.push(cited);
    }
    // A report has at most 5,000 quotes.
    change.stale_evidence_count = stale.len() as i32;
    Ok(())
}

async fn reports(pool: &PgPool, versions: &[Version; 2]) -> Result<[Option<Report>; 2], StoreError> {
    let docs = revision::docs(pool, versions, i64::MAX).await?;
    let report = |index: usize| {
        let doc = docs.get(index).and_then(Option::as_ref);
        let report = doc.map(|doc| resource::decode::<Report>(doc)).transpose();
        report.map_err(|_| StoreError::Damaged(versions[index].collection.name(versions[index].id)))
    };
    Ok([report(0)?, report(1)?])
}

/// True if the text that the report was checked against is stored and shown.
async fn is_shown(pool: &PgPool, report: &Report) -> Result<bool, StoreError> {
    let Some(article) = Collection::Articles.id(&report.article) else { return Ok(false) };
    let Some(text) = text_of(pool, article, report.article_revision).await? else { return Ok(false) };
    article_text::is_shown(pool, article, &text).await
}

async fn text_of(pool: &PgPool, article: Uuid, revision: i64) -> Result<Option<TextHash>, StoreError> {
    // No article has revision 0: `docs` takes at least two versions.
    let version = |revision| Version { collection: Collection::Articles, id: article, revision };
    let docs = revision::docs(pool, &[version(revision), version(0)], i64::MAX).await?;
    let Some(doc) = docs.into_iter().next().flatten() else { return Ok(None) };
    let cited = resource::decode::<Article>(&doc);
    let cited = cited.map_err(|_| StoreError::Damaged(Collection::Articles.name(article)))?;
    Ok(parse_text_hash(&cited.text_sha256))
}
