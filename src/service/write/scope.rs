//! Keeps the writes of a caller with scopes to the articles in them.
//!
//! The check has three parts. The access layer closes methods whose writes have no article. Before a stored answer or a
//! preparation, the article of the request is checked as it is stored, so that repeated and validated requests are
//! refused alike. Then the prepared write is checked: every article that it writes, in its former and its next revision,
//! and every article that its reports belong to, in the revision that the committer compares at the commit. An article
//! that changes in between makes the write stale, and the next preparation is checked again.

use std::{collections::HashSet, sync::Arc};

use tonic::Request;
use uuid::Uuid;

use crate::{
    access::Principal,
    model::{
        resource::{Collection, Resource},
        role::Role,
        scope::Scopes,
    },
    pb::{Article, Report},
    service::{
        error::{ScopeSubject, ServiceError},
        method::Method,
    },
    store::{Store, docs, write::Write},
};

/// The article that a request writes, by which it is in scope.
#[derive(Debug, Clone)]
pub enum Subject {
    /// None: the write is out of every scope.
    None,
    /// An article to be created, as it was sent.
    New(Box<Article>),
    /// The stored article with this name.
    Stored(String),
    /// The article of the stored report with this name.
    OfReport(String),
}

impl Subject {
    /// The article of a request to create it. It has no name yet.
    pub fn of_new(article: Option<&Article>) -> Self {
        let article = article.cloned().unwrap_or_default();
        Self::New(Box::new(Article { name: String::new(), ..article }))
    }
}

/// The role and the scopes of the caller of a write.
#[derive(Debug, Clone)]
pub struct WriteScope {
    /// Some writes of a method need a higher role than the method.
    pub role: Role,
    /// `None` allows every write.
    scopes: Option<Arc<Scopes>>,
    /// Full name of the method.
    method: &'static str,
}

/// Rejects a caller with scopes, for a method whose writes have no article.
///
/// # Errors
/// `OutOfScope`.
pub fn require_open(principal: &Principal, path: &str) -> Result<(), ServiceError> {
    match &principal.scopes {
        // Paths that are no method of the contract, such as those of reflection, write nothing.
        Some(scopes) if Method::of(path).is_some_and(|method| !method.is_open_to_scoped()) => {
            Err(without_article(scopes, path.trim_start_matches('/')))
        }
        _ => Ok(()),
    }
}

fn without_article(scopes: &Scopes, method: &str) -> ServiceError {
    ServiceError::OutOfScope { scope: scopes.summary(), subject: ScopeSubject::Method(method.to_owned()) }
}

impl WriteScope {
    /// The scopes of the caller of a request.
    ///
    /// # Errors
    /// `Defect` for a request without a principal.
    pub fn of<T>(request: &Request<T>, method: &'static str) -> Result<Self, ServiceError> {
        // `layer::access` adds the principal to every request.
        let principal = request.extensions().get::<Principal>().ok_or(ServiceError::Defect)?;
        Ok(Self { role: principal.role, scopes: principal.scopes.clone(), method })
    }

    /// True if the caller has scopes.
    pub fn is_bound(&self) -> bool {
        self.scopes.is_some()
    }

    /// Rejects an article that is out of scope. Returns the article and its revision for `Write::read_articles`, if the
    /// caller has scopes.
    ///
    /// # Errors
    /// `OutOfScope`.
    pub fn require(&self, article: &Article) -> Result<Vec<(Uuid, i64)>, ServiceError> {
        let Some(scopes) = &self.scopes else { return Ok(Vec::new()) };
        match scopes.unmet(article) {
            None => Ok(article.id().map(|id| (id, article.revision)).into_iter().collect()),
            Some(scope) => {
                let subject = match article.name.is_empty() {
                    true => ScopeSubject::NewArticle(article.uri.clone()),
                    false => ScopeSubject::Article(article.name.clone()),
                };
                Err(ServiceError::OutOfScope { scope, subject })
            }
        }
    }

    /// As `require`, for the stored article with this name. A missing article is no error: the preparation reports it.
    ///
    /// # Errors
    /// `OutOfScope`, also for an empty name, or the database fails.
    pub async fn require_stored(&self, store: &Store, name: &str) -> Result<Vec<(Uuid, i64)>, ServiceError> {
        let Some(scopes) = &self.scopes else { return Ok(Vec::new()) };
        let Some(id) = Collection::Articles.id(name) else { return Err(without_article(scopes, self.method)) };
        match docs(store.reads(), Collection::Articles, &[id]).await?.first() {
            Some(doc) => self.require(&doc.decode()?),
            None => Ok(Vec::new()),
        }
    }

    /// Rejects a request whose article is out of scope as it is stored.
    ///
    /// # Errors
    /// `OutOfScope`, or the database fails.
    pub async fn require_subject(&self, store: &Store, subject: &Subject) -> Result<(), ServiceError> {
        let Some(scopes) = &self.scopes else { return Ok(()) };
        match subject {
            Subject::None => return Err(without_article(scopes, self.method)),
            Subject::New(article) => self.require(article)?,
            Subject::Stored(name) => self.require_stored(store, name).await?,
            Subject::OfReport(name) => {
                let Some(id) = Collection::Reports.id(name) else { return Ok(()) };
                let Some(doc) = docs(store.reads(), Collection::Reports, &[id]).await?.pop() else { return Ok(()) };
                self.require_stored(store, &doc.decode::<Report>()?.article).await?
            }
        };
        Ok(())
    }

    /// Rejects a prepared write that is out of scope: one with an article that is, with a report of an article that was
    /// not checked, or without an article.
    ///
    /// # Errors
    /// `OutOfScope`.
    pub fn check(&self, write: &Write) -> Result<(), ServiceError> {
        let Some(scopes) = &self.scopes else { return Ok(()) };
        let mut checked: HashSet<Uuid> = write.read_articles.iter().map(|(id, _)| *id).collect();
        for article in &write.articles {
            article.former.iter().try_for_each(|former| self.require(former).map(drop))?;
            self.require(&article.put.record)?;
            checked.insert(article.put.id);
        }
        let is_checked = |article: &str| Collection::Articles.id(article).is_some_and(|id| checked.contains(&id));
        let are_reports_checked = write.reports.iter().all(|report| is_checked(&report.record.article));
        match are_reports_checked && (write.change_count() == 0 || !checked.is_empty()) {
            true => Ok(()),
            false => Err(without_article(scopes, self.method)),
        }
    }
}
