//! Evidence whose article gets another text: whether its words still stand there is said in the same write.

use std::time::SystemTime;

use uuid::Uuid;

use crate::{
    model::{
        article::keeps_text,
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

/// Whether the evidence of an article's reports is to be compared with the text that its next revision was sent with. One
/// that is empty, or not kept, leaves it as it is: it says nothing about the words.
pub fn is_another_text(former: &Article, next: &Article, text: &str) -> bool {
    next.text_sha256 != former.text_sha256 && keeps_text(next) && !text.is_empty()
}

/// The reports of an article that count.
pub async fn cited_in(api: &Api, article: Uuid) -> Result<Vec<Report>, ServiceError> {
    let docs = report::active_of(api.store.reads(), article).await?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}

/// Adds the next revisions of those reports to a write of their article alone, which gives it another text.
pub fn compare(write: &mut Write, reports: &[Report], text: &str, now: SystemTime) {
    let text = IndexedText::new(text);
    for former in reports {
        let mut next = former.clone();
        if mark_stale(&mut next.evidence, &text) {
            next.succeed(former, now);
            write.reports.push(Put::next(next.id().unwrap_or_default(), next, change::Kind::Updated));
        }
    }
    let compared: Vec<Uuid> = reports.iter().filter_map(Resource::id).collect();
    write.articles.iter_mut().for_each(|one| one.compared = Some(compared.clone()));
}
