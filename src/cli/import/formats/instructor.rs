//! Instructor: an answer with `substring_quote` (the example of exact citations) or `substring_quotes` (`CitationMixin`)
//! is one story. A list or an object in it is of the class that its key names, else of meetings.

use serde_json::Value;

use super::{
    class::ExtractionClass,
    converted::{Converted, Documents},
    draft::{Draft, Extraction, Order, Quote},
    json_node::Node,
};
use crate::{
    cli::import::fault::Fault,
    pb::{Article, Extractor, extractor::Kind},
};

/// The keys of quotes: of the example, of `CitationMixin`, and of the first releases.
const QUOTES: [&str; 3] = ["substring_quote", "substring_quotes", "substring_phrase"];

/// The keys of the article, which the application adds to its model.
const ARTICLE: [&str; 2] = ["uri", "text"];

/// The story of an answer.
pub fn story(value: &Value, documents: &Documents) -> Result<Converted, Fault> {
    let answer = Node::root(value);
    answer.object()?;
    let article = article(&answer, documents)?;
    let mut draft = Draft::new(article, documents.unit, Order::AsWritten);
    let mut warnings = Vec::new();
    if QUOTES.iter().any(|key| answer.get(key).is_some()) || answer.get("class").is_some() {
        add(&answer, ExtractionClass::Meeting, &mut draft, &ARTICLE)?;
    } else {
        for key in answer.object()?.keys().filter(|key| !ARTICLE.contains(&key.as_str())) {
            let Some(part) = answer.get(key) else { continue };
            let items = part.items();
            if items.iter().any(|item| !item.value.is_object()) {
                warnings.push(format!("{} is not imported", part.at));
                continue;
            }
            for item in items {
                add(&item, ExtractionClass::of(key).unwrap_or(ExtractionClass::Meeting), &mut draft, &[])?;
            }
        }
    }
    let extractor = Extractor { name: "instructor".into(), kind: Kind::Model.into(), ..Default::default() };
    Ok(Converted { story: draft.story(Some(extractor))?, warnings })
}

fn article(answer: &Node<'_>, documents: &Documents) -> Result<Article, Fault> {
    let mut article = match answer.get("uri") {
        Some(uri) => match documents.articles.by_uri(uri.text()?) {
            Some(article) => article.clone(),
            None => Article { uri: uri.text()?.to_owned(), ..Default::default() },
        },
        None => documents.articles.only("uri")?.clone(),
    };
    if let Some(text) = answer.get("text").filter(|_| article.text.is_empty()) {
        text.text()?.clone_into(&mut article.text);
    }
    Ok(article)
}

/// Adds an object, then the objects in it whose keys are classes: they belong to the same meeting.
fn add(object: &Node<'_>, class: ExtractionClass, draft: &mut Draft, known: &[&str]) -> Result<(), Fault> {
    let class = match object.get("class") {
        Some(name) => ExtractionClass::parse(name.text()?, &name.at)?,
        None => class,
    };
    let mut item = Extraction { at: object.at.clone(), class, text: None, quotes: Vec::new(), attributes: Vec::new() };
    let mut parts = Vec::new();
    for key in object.object()?.keys() {
        let Some(value) = object.get(key) else { continue };
        match key.as_str() {
            "class" => {}
            key if known.contains(&key) => {}
            "fact" => item.text = Some(value.text()?.to_owned()),
            "name" if class == ExtractionClass::Participant => item.text = Some(value.text()?.to_owned()),
            key if QUOTES.contains(&key) => {
                for quote in value.items() {
                    item.quotes.push(Quote::of_words(quote.at.clone(), quote.text()?));
                }
            }
            key => match ExtractionClass::of(key) {
                Some(part)
                    if class == ExtractionClass::Meeting && value.items().iter().all(|item| item.value.is_object()) =>
                {
                    parts.extend(value.items().into_iter().map(|item| (item, part)));
                }
                _ => item.attributes.push((key.to_owned(), value.at.clone(), value.value.clone())),
            },
        }
    }
    draft.add(item)?;
    parts.into_iter().try_for_each(|(object, class)| add(&object, class, draft, &[]))
}
