//! The articles of `--articles`, to which the messages of extractors refer.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result, bail};

use super::json_node::fault;
use crate::{
    cli::{
        console::Console,
        import::{fault::Fault, reader::Reader},
        json,
    },
    model::text::quoted::quoted,
    pb::Article,
};

/// The articles, in the order of the file.
#[derive(Debug, Default)]
pub struct Articles {
    all: Vec<Article>,
    by_uri: HashMap<String, usize>,
}

impl Articles {
    /// Reads a file of articles in ProtoJSON.
    ///
    /// # Errors
    /// The file cannot be read, a message is no article, or two articles share a uri.
    pub async fn read(path: &Path, console: &Console) -> Result<Self> {
        let mut reader = Reader::open(path, console).with_context(|| format!("cannot read {}", path.display()))?;
        let mut articles = Self::default();
        while let Some(message) = reader.next().await {
            let location = message.location;
            let text = match message.text {
                Ok(text) => text,
                Err(fault) => bail!("{location}: {}", fault.line()),
            };
            let article = json::parse::<Article>("readout.v1.Article", &text);
            let article = article.map_err(|mismatch| anyhow::anyhow!("{location}: {mismatch}"))?;
            if let Some(uri) = articles.add(article) {
                bail!("{location}: {uri} is the uri of an earlier article, too");
            }
        }
        Ok(articles)
    }

    /// Adds an article. Returns a uri that an earlier article has.
    pub fn add(&mut self, article: Article) -> Option<String> {
        let at = self.all.len();
        for uri in std::iter::once(&article.uri).chain(&article.alternate_uris) {
            if self.by_uri.insert(uri.clone(), at).is_some_and(|earlier| earlier != at) {
                return Some(uri.clone());
            }
        }
        self.all.push(article);
        None
    }

    /// The article with a uri.
    pub fn by_uri(&self, uri: &str) -> Option<&Article> {
        self.by_uri.get(uri).map(|at| &self.all[*at])
    }

    /// The only article.
    ///
    /// # Errors
    /// If there is none, or there are several. `at` is the field of the message that would name it.
    pub fn only(&self, at: &str) -> Result<&Article, Fault> {
        match self.all.as_slice() {
            [article] => Ok(article),
            [] => Err(fault(at, "is required without --articles")),
            several => Err(fault(at, &format!("is required, because --articles has {} articles", several.len()))),
        }
    }

    /// The article that a document is: by its uri or title, or else by its index.
    ///
    /// # Errors
    /// If there is no such article. `at` is the citation.
    pub fn document(&self, title: Option<&str>, index: u64, at: &str) -> Result<&Article, Fault> {
        if let Some(title) = title {
            let titled: Vec<&Article> = self.all.iter().filter(|article| article.title == title).collect();
            return match (self.by_uri(title), titled.as_slice()) {
                (Some(article), _) => Ok(article),
                (None, [article]) => Ok(*article),
                (None, []) => {
                    let problem = format!(
                        "has the document {}, and no article of --articles has that uri or title",
                        quoted(title)
                    );
                    Err(fault(at, &problem))
                }
                (None, _) => {
                    Err(fault(at, &format!("has the document {}, the title of several articles", quoted(title))))
                }
            };
        }
        let article = usize::try_from(index).ok().and_then(|index| self.all.get(index));
        article.ok_or_else(|| {
            fault(at, &format!("has the document {index}, and --articles has {} articles", self.all.len()))
        })
    }
}
