//! The article of a story: new, stored already, or to be changed.

use std::time::SystemTime;

use uuid::Uuid;

use super::{lookup::ChunkLookup, validated::ValidatedStory};
use crate::{
    model::{
        article::{carry_withheld_text, may_store_text, same_content, uris},
        article_copies::{CopyCandidate, affects_copy_group},
        resource::{Collection, Deletable, Resource},
        rules::{Check, Path, Violations},
    },
    pb::{Article, ingest_story_response::Outcome},
    service::{
        article::{put_new, put_next, text::require_may_show},
        error::{ServiceError, require_live},
        write::{revise::require_no_cycle, stale_evidence::mark_stale_evidence},
    },
    store::{change, write::Write},
};

/// The article of a story, compared with the stored article that has its uri.
pub enum ArticleMatch<'a> {
    New(Uuid),
    Same(Uuid, &'a Article),
    /// The next revision, not yet numbered and sealed, and the current one.
    Changed(Uuid, Box<(Article, Article)>),
}

/// Finds the stored article with one of a story's uris, and compares it.
///
/// # Errors
/// `DuplicateArticle` if the uris belong to several articles, `ArticleDiffers` if an update is needed and not allowed,
/// `TextHidden` if the update shows a hidden text and the caller may not, and those of the source that the article is syndicated from.
pub fn find_article<'a>(story: &ValidatedStory, lookup: &'a ChunkLookup) -> Result<ArticleMatch<'a>, ServiceError> {
    let source = Collection::Articles.id(&story.article.syndicated_from);
    if let Some(source) = source {
        let live = lookup.articles.get(&source).map(|(article, _)| !article.is_deleted());
        require_live(Collection::Articles, source, live)?;
    }
    let mut owners = uris(&story.article).filter_map(|uri| Some((uri, *lookup.uris.get(uri)?)));
    let Some((uri, id)) = owners.next() else { return Ok(ArticleMatch::New(Uuid::now_v7())) };
    if let Some((uri, other)) = owners.find(|(_, other)| *other != id) {
        let name = Collection::Articles.name(other);
        return Err(ServiceError::DuplicateArticle { name, uri: uri.to_owned() });
    }
    let missing = || ServiceError::NotFound(Collection::Articles.name(id));
    let (stored, doc) = lookup.stored(story).ok_or_else(missing)?;
    let article = lookup.merged_article(story);
    if same_content(&article, stored) {
        return Ok(ArticleMatch::Same(id, stored));
    }
    if !story.allow_update {
        return Err(ServiceError::ArticleDiffers { name: stored.name.clone(), uri: uri.to_owned() });
    }
    require_may_show(story.call.scope.role, stored, &article)?;
    let at = Path::ROOT.field("story");
    let at = at.field("article");
    if let Some(source) = source {
        require_no_cycle(&lookup.sources, source, id, &at.field("syndicated_from"))?;
    }
    // The merged uris or external ids may be more than the rules allow.
    let mut violations = Violations::default();
    article.check(&at, &mut violations);
    violations.into_result()?;
    Ok(ArticleMatch::Changed(id, Box::new((article.into_owned(), doc.decode_to_rewrite()?))))
}

impl ArticleMatch<'_> {
    /// The article.
    pub fn id(&self) -> Uuid {
        match *self {
            Self::New(id) | Self::Same(id, _) | Self::Changed(id, _) => id,
        }
    }

    /// The outcome for the answer.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::New(_) => Outcome::Created,
            Self::Same(..) => Outcome::Matched,
            Self::Changed(..) => Outcome::Updated,
        }
    }

    /// Adds the article to the write if it is new or changed. Returns it as it will be stored, and the first article
    /// of its group of copies.
    pub fn put(
        self,
        story: &ValidatedStory,
        lookup: &ChunkLookup,
        now: SystemTime,
        write: &mut Write,
    ) -> (Article, Uuid) {
        let id = self.id();
        let stored_origin = lookup.origins.get(&id).copied().unwrap_or(id);
        let text = (story.text.as_str(), story.text_key);
        match self {
            Self::Same(_, stored) => (stored.clone(), stored_origin),
            Self::New(_) => {
                let mut article = story.article.clone();
                let first = lookup.first(&CopyCandidate::of(id, &article, story.text_key));
                first.set(&mut article);
                article.make_first_revision(id, now);
                write.articles.push(put_new(id, article.clone(), text));
                (article, first.place.id)
            }
            Self::Changed(_, revisions) => {
                let (mut article, former) = *revisions;
                if !may_store_text(&article) && story.text.is_empty() {
                    carry_withheld_text(&mut article, &former);
                }
                let origin = match affects_copy_group(&former, &article) {
                    true => {
                        let first = lookup.first(&CopyCandidate::of(id, &article, lookup.text_key(story)));
                        first.set(&mut article);
                        first.place.id
                    }
                    false => {
                        article.origin = Collection::Articles.name(stored_origin);
                        article.origin_overlap = former.origin_overlap;
                        stored_origin
                    }
                };
                article.make_next_revision(&former, now);
                write.articles.push(put_next((article.clone(), former), text, change::Kind::Updated));
                lookup
                    .cited
                    .get(&id)
                    .into_iter()
                    .for_each(|reports| mark_stale_evidence(write, reports, &story.text, now));
                (article, origin)
            }
        }
    }
}
