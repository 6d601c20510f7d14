//! Stale evidence: when an article's text is replaced, the same write marks the quotations that the text no longer has.

use std::time::SystemTime;

use uuid::Uuid;

use crate::{
    model::{
        article::may_store_text,
        evidence::{IndexedText, mark_stale},
        resource::Resource,
    },
    pb::{Article, Report},
    service::{Api, error::ServiceError},
    store::{
        Doc, change, report,
        write::{Put, Write},
    },
};

/// True if the next revision of an article brings another text to compare evidence with. An empty text, or one that is
/// not to be kept, leaves the evidence as it is.
pub fn replaces_text(former: &Article, next: &Article, text: &str) -> bool {
    next.text_sha256 != former.text_sha256 && may_store_text(next) && !text.is_empty()
}

/// Loads the active reports of an article.
///
/// # Errors
/// `NewerContract` or `Damaged` for a report, or the database fails.
pub async fn load_cited_reports(api: &Api, article: Uuid) -> Result<Vec<Report>, ServiceError> {
    let docs = report::active_reports_of_article(api.store.reads(), article).await?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}

/// Compares the evidence of an article's reports with its new text, and adds a revision of each report whose evidence
/// became stale, or is found again, to the write. The write must be of this article alone.
pub fn mark_stale_evidence(write: &mut Write, reports: &[Report], text: &str, now: SystemTime) {
    let text = IndexedText::new(text);
    for former in reports {
        let mut next = former.clone();
        if mark_stale(&mut next.evidence, &text) {
            let pairs = || former.evidence.iter().zip(&next.evidence);
            let kind = match pairs().any(|(former, next)| next.stale && !former.stale) {
                true => change::Kind::EvidenceStale,
                false => change::Kind::Updated,
            };
            next.make_next_revision(former, now);
            write.reports.push(Put::next(next.id().unwrap_or_default(), next, kind));
        }
    }
    let compared: Vec<Uuid> = reports.iter().filter_map(Resource::id).collect();
    write.articles.iter_mut().for_each(|article| article.compared = Some(compared.clone()));
}
