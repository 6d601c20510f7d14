//! Reports that calls submit: completed and checked before they are stored.

use std::sync::Arc;

use uuid::Uuid;

use super::size_limits::check_report_size;
use crate::{
    model::{
        evidence,
        participant::Persons,
        report::{Aliases, content, content_hash, has_content, participants},
        resource::{Collection, Deletable, Resource},
        rules::{Path, Violations},
    },
    pb::{Article, OffsetEncoding, Report, report::State},
    service::{Api, error::ServiceError, require_live_people},
    store::{
        Doc, StoreError, article,
        report::{self, ExistingReport},
    },
};

/// The article of a report, with its text.
pub struct ReportArticle {
    /// The article.
    pub article: Article,
    stored: Arc<article::ArticleWithText>,
}

impl ReportArticle {
    /// The first article of the article's group of copies.
    pub fn origin(&self) -> Uuid {
        self.stored.origin
    }
}

/// Loads the article of a report.
///
/// # Errors
/// `NotFound`, and `Deleted` if the article is not live.
pub async fn load_source(api: &Api, name: &str) -> Result<ReportArticle, ServiceError> {
    let missing = || ServiceError::NotFound(name.to_owned());
    let id = Collection::Articles.id(name).ok_or_else(missing)?;
    let stored = api.store.by_id().sources.get(id).await?.ok_or_else(missing)?;
    let article: Article = stored.doc.decode()?;
    if article.is_deleted() {
        return Err(ServiceError::Deleted(article.name));
    }
    Ok(ReportArticle { article, stored })
}

/// Completes a submitted report: sets its hash, state and article revision, and checks and completes its evidence.
/// `offsets` is the unit of its offsets, `at` the path of the evidence in the request. Also returns the aliases among the
/// participants that it names, and the facts about those that they are settled as.
///
/// # Errors
/// `Invalid` for evidence that the text does not have, `NotFound` or `Deleted` for a participant, `DuplicateReport` if
/// the article has a report with the same content.
pub async fn complete_report(
    api: &Api,
    mut report: Report,
    source: &ReportArticle,
    offsets: OffsetEncoding,
    at: &Path<'_>,
) -> Result<(Report, Aliases, Persons), ServiceError> {
    let index = |text| evidence::IndexedText::new(text).with_offsets_in(offsets, None);
    let text = source.stored.text.as_deref().map(index);
    report.article_revision = source.article.revision;
    report.set_state(State::Active);
    let mut violations = Violations::default();
    let account = report.account.get_or_insert_default();
    evidence::check(&mut report.evidence, account, text.as_ref(), at, &mut violations);
    violations.into_result()?;
    let named: Vec<Uuid> = participants(account).collect();
    // The hash is that of the evidence as it is stored: it does not depend on the spelling of quotes.
    let content = content(&report, text.as_ref());
    report.content_hash = content_hash(&content);
    check_report_size(api.message_bound, &report)?;
    let article = source.article.id().unwrap_or_default();
    let key = (article, report.content_hash.clone());
    let (people, existing) = tokio::join!(require_live_people(&api.store, &named), api.store.by_id().contents.get(key));
    let (aliases, persons) = people?;
    let same = match existing?.as_deref() {
        Some(ExistingReport::Same(id)) => Some(*id),
        Some(ExistingReport::Former) => {
            let former = report::hashed_before(api.store.reads(), &[article]).await?;
            find_same_content(&former, &content)?
        }
        None => None,
    };
    match same {
        Some(same) => Err(ServiceError::DuplicateReport(Collection::Reports.name(same))),
        None => Ok((report, aliases, persons)),
    }
}

/// Finds the oldest of these reports with this content, which has no `#keys`.
fn find_same_content(former: &[(Uuid, Doc)], content: &Report) -> Result<Option<Uuid>, StoreError> {
    for (_, doc) in former {
        if has_content(&doc.decode()?, content, |_, _| false) {
            return Ok(Some(doc.id));
        }
    }
    Ok(None)
}
