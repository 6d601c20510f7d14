//! Web Annotations of the W3C: annotations, pages and collections of them. All annotations of one `target.source` in a
//! file are one story. The tags of an annotation are its class and its attributes: `participant`, `roles=HOST`.

use serde_json::Value;

use super::{
    class::ExtractionClass,
    converted::{Converted, Documents, Stories},
    draft::{Draft, Extraction, Order, Quote},
    json_node::{Node, child, fault},
};
use crate::{
    cli::import::{fault::Fault, reader::Location},
    model::text::quoted::quoted,
};

/// The keys of an annotation, of a page, and of a body. Apart from target, body and items they describe the annotation
/// itself, and not the article.
const ANNOTATION: [&str; 16] = [
    "@context",
    "id",
    "type",
    "target",
    "body",
    "bodyValue",
    "motivation",
    "created",
    "modified",
    "generated",
    "creator",
    "generator",
    "rights",
    "canonical",
    "via",
    "audience",
];
const PAGE: [&str; 12] =
    ["@context", "id", "type", "items", "first", "last", "next", "prev", "partOf", "startIndex", "total", "label"];
const BODY: [&str; 5] = ["id", "type", "value", "purpose", "format"];
const TARGET: [&str; 4] = ["id", "type", "source", "selector"];

/// The purposes of a body that is a class or an attribute.
const TAGS: [&str; 3] = ["tagging", "classifying", "identifying"];

/// The annotations of a file, by their article.
#[derive(Debug, Default)]
pub struct Annotations {
    sources: Vec<Annotated>,
    /// The line of the first refused annotation without a source: it may be of any article.
    lost: Option<u64>,
}

/// The annotations of an article.
#[derive(Debug)]
struct Annotated {
    source: String,
    /// The message of the first one.
    location: Location,
    items: Vec<Extraction>,
    warnings: Vec<String>,
    /// The lines of annotations that are refused.
    refused: Vec<u64>,
}

impl Annotations {
    /// Adds the annotations of a message. Returns those that are refused.
    pub fn add(&mut self, value: &Value, location: &Location) -> Stories {
        let mut faults = Vec::new();
        self.add_all(&Node::root(value), location, &mut faults);
        faults.into_iter().map(|fault| (location.clone(), Err(fault))).collect()
    }

    fn add_all(&mut self, node: &Node<'_>, location: &Location, faults: &mut Vec<Fault>) {
        let kinds = node.get("type").map(|kind| kind.items()).unwrap_or_default();
        let is_a = |name: &str| kinds.iter().any(|kind| kind.value == name);
        if is_a("AnnotationCollection") {
            match node.get("first").filter(|first| first.value.is_object()) {
                Some(first) => self.add_all(&first, location, faults),
                None => faults.push(fault(&child(&node.at, "first"), "must be a page with its items")),
            }
            return;
        }
        if is_a("AnnotationPage") {
            match node.need("items").and_then(|items| items.list()) {
                Ok(items) => items.iter().for_each(|item| self.add_all(item, location, faults)),
                Err(fault) => faults.push(fault),
            }
            let warnings = node.others(&PAGE);
            if let Some(last) = self.sources.last_mut() {
                last.warnings.extend(warnings);
            }
            return;
        }
        if !is_a("Annotation") {
            faults.push(fault(&child(&node.at, "type"), "must be Annotation, AnnotationPage or AnnotationCollection"));
            return;
        }
        // The source of a refused annotation is known if its target is right.
        let source = target(node).map(|target| target.1);
        match annotation(node, location) {
            Ok((source, item, warnings)) => {
                let annotated = self.annotated(source, location);
                annotated.items.push(item);
                annotated.warnings.extend(warnings);
            }
            Err(fault) => {
                faults.push(fault);
                match source {
                    Ok(source) => self.annotated(source, location).refused.push(location.line),
                    Err(_) => self.lost = self.lost.or(Some(location.line)),
                }
            }
        }
    }

    fn annotated(&mut self, source: String, location: &Location) -> &mut Annotated {
        let index = self.sources.iter().position(|annotated| annotated.source == source).unwrap_or_else(|| {
            let (location, items) = (location.clone(), Vec::new());
            self.sources.push(Annotated { source, location, items, warnings: Vec::new(), refused: Vec::new() });
            self.sources.len() - 1
        });
        &mut self.sources[index]
    }

    /// The stories of all annotations.
    pub fn stories(self, documents: &Documents) -> Stories {
        let lost = self.lost;
        let story = |mut annotated: Annotated| {
            annotated.refused.extend(lost);
            (annotated.location.clone(), annotated.story(documents))
        };
        self.sources.into_iter().map(story).collect()
    }
}

impl Annotated {
    fn story(self, documents: &Documents) -> Result<Converted, Fault> {
        let Self { source, items, warnings, refused, .. } = self;
        if let Some(line) = refused.first() {
            let problem = format!(
                "is not imported, because an annotation of it is refused, or one without a source, in line {line}"
            );
            return Err(Fault::new("an annotation of the article is refused", problem).about(source));
        }
        let about = |fault: Fault| fault.about(source.clone());
        let article = documents.articles.by_uri(&source);
        let article = article.ok_or_else(|| {
            let problem = "is not among the articles of --articles, which have the texts of annotations";
            about(Fault::new("an article that is not in --articles", problem))
        })?;
        let mut draft = Draft::new(article.clone(), documents.unit, Order::Any);
        for item in items {
            draft.add(item).map_err(about)?;
        }
        Ok(Converted { story: draft.story(None).map_err(about)?, warnings })
    }
}

/// The target of an annotation, and its source.
fn target<'a>(node: &Node<'a>) -> Result<(Node<'a>, String), Fault> {
    let targets = node.need("target")?.items();
    let [target] = targets.as_slice() else {
        return Err(fault(&child(&node.at, "target"), "must be one target"));
    };
    if target.value.is_string() {
        return Err(target.fault("must have a source and a selector: the whole article supports nothing"));
    }
    target.object()?;
    Ok((target.clone(), target.need("source")?.text()?.to_owned()))
}

/// The source of an annotation, its item, and warnings.
fn annotation(node: &Node<'_>, location: &Location) -> Result<(String, Extraction, Vec<String>), Fault> {
    let mut warnings = node.others(&ANNOTATION);
    let (target, source) = target(node)?;
    warnings.extend(target.others(&TARGET));
    let mut tags: Vec<(String, String)> = Vec::new();
    if let Some(value) = node.get("bodyValue") {
        tags.push((value.at.clone(), value.text()?.to_owned()));
    }
    for body in node.get("body").map(|body| body.items()).unwrap_or_default() {
        if let Some(tag) = tag(&body, &mut warnings)? {
            tags.push(tag);
        }
    }
    let at =
        format!("line {}{}", location.line, if node.at.is_empty() { String::new() } else { format!(", {}", node.at) });
    let (mut class, mut attributes) = (None, Vec::new());
    for (path, tag) in tags {
        match tag.split_once('=') {
            Some((name, value)) => {
                attributes.push((name.trim().to_owned(), path, Value::String(value.trim().to_owned())));
            }
            None if class.is_none() => class = Some(ExtractionClass::parse(&tag, &path)?),
            None => return Err(fault(&path, "is a second class; an attribute is written as name=value")),
        }
    }
    let class = class.ok_or_else(|| fault(&child(&node.at, "body"), "has no tag that is a class"))?;
    let quote = quote(&target, &mut warnings)?;
    let text = quote.words.clone();
    Ok((source, Extraction { at, class, text, quotes: vec![quote], attributes }, warnings))
}

/// The tag of a body, with its path. `None` with a warning for another body.
fn tag(body: &Node<'_>, warnings: &mut Vec<String>) -> Result<Option<(String, String)>, Fault> {
    let purposes = body.get("purpose").map(|purpose| purpose.items()).unwrap_or_default();
    let is_tag = purposes.is_empty() || purposes.iter().any(|purpose| TAGS.iter().any(|tag| purpose.value == tag));
    match body.get("value").filter(|_| is_tag && body.value.is_object()) {
        Some(value) => {
            warnings.extend(body.others(&BODY));
            Ok(Some((value.at.clone(), value.text()?.to_owned())))
        }
        None => {
            warnings.push(format!("{} is not imported, because it is not a tag", body.at));
            Ok(None)
        }
    }
}

/// The quote of a target: of its TextQuoteSelector and its TextPositionSelector. They select the same words.
fn quote(target: &Node<'_>, warnings: &mut Vec<String>) -> Result<Quote, Fault> {
    let selectors = target.need("selector")?;
    let mut quote = Quote { at: selectors.at.clone(), ..Default::default() };
    for selector in selectors.items() {
        selector.object()?;
        if let Some(refined) = selector.get("refinedBy") {
            return Err(refined.fault("is not supported: select the words themselves"));
        }
        match selector.need("type")?.text()? {
            "TextQuoteSelector" => {
                let part = |key| -> Result<String, Fault> {
                    Ok(selector.get(key).map(|part| part.text()).transpose()?.unwrap_or_default().to_owned())
                };
                quote.words = Some(selector.need("exact")?.text()?.to_owned());
                (quote.prefix, quote.suffix) = (part("prefix")?, part("suffix")?);
            }
            "TextPositionSelector" => {
                quote.range = Some(selector.need("start")?.number()?..selector.need("end")?.number()?);
            }
            other => warnings.push(format!("{} is not imported, a {other}", selector.at)),
        }
    }
    match quote.words.is_none() && quote.range.is_none() {
        true => Err(selectors.fault(&format!(
            "must have a {} or a {}",
            quoted("TextQuoteSelector"),
            quoted("TextPositionSelector")
        ))),
        false => Ok(quote),
    }
}
