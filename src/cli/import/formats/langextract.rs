//! LangExtract: one `AnnotatedDocument` of `langextract.io.save_annotated_documents` is one story.

use serde_json::Value;

use super::{
    class::ExtractionClass,
    converted::{Converted, Documents},
    draft::{Draft, Extraction, Order, Quote},
    json_node::{Node, child},
};
use crate::{
    cli::import::fault::Fault,
    model::text::quoted::quoted,
    pb::{Article, Extractor, extractor::Kind},
};

/// The keys of a document and of an extraction that are read.
const DOCUMENT: [&str; 3] = ["document_id", "text", "extractions"];
const EXTRACTION: [&str; 8] = [
    "extraction_class",
    "extraction_text",
    "char_interval",
    "alignment_status",
    "attributes",
    // The order of the list, and the runs of the model, say nothing about the article.
    "extraction_index",
    "group_index",
    "token_interval",
];

/// The story of a document.
pub fn story(value: &Value, documents: &Documents) -> Result<Converted, Fault> {
    let document = Node::root(value);
    document.object()?;
    let article = article(&document, documents)?;
    let mut warnings = document.others(&DOCUMENT);
    let mut draft = Draft::new(article, documents.unit, Order::Any);
    for extraction in document.get("extractions").map(|list| list.list()).transpose()?.unwrap_or_default() {
        extraction.object()?;
        warnings.extend(extraction.others(&EXTRACTION));
        draft.add(item(&extraction)?)?;
    }
    let extractor = Extractor { name: "langextract".into(), kind: Kind::Model.into(), ..Default::default() };
    Ok(Converted { story: draft.story(Some(extractor))?, warnings })
}

fn article(document: &Node<'_>, documents: &Documents) -> Result<Article, Fault> {
    let id = document.get("document_id").map(|id| id.text()).transpose()?;
    let mut article = match id.map(|id| (id, documents.articles.by_uri(id))) {
        Some((_, Some(article))) => article.clone(),
        // An id without a scheme is one that LangExtract made; it differs from run to run.
        Some((id, None)) if id.contains(':') => Article { uri: id.to_owned(), ..Default::default() },
        _ => documents
            .articles
            .only("document_id")
            .map_err(|fault| Fault {
                text: format!(
                    "{} (make it the uri of the article: lx.data.Document(text=…, document_id=uri))",
                    fault.text
                ),
                ..fault
            })?
            .clone(),
    };
    if let Some(text) = document.get("text") {
        let sent = text.text()?;
        if !article.text.is_empty() && article.text != sent {
            return Err(text.fault("differs from the text of the article in --articles"));
        }
        sent.clone_into(&mut article.text);
    }
    Ok(article)
}

fn item(extraction: &Node<'_>) -> Result<Extraction, Fault> {
    let class = extraction.need("extraction_class")?;
    let class = ExtractionClass::parse(class.text()?, &class.at)?;
    let words = extraction.need("extraction_text")?;
    let text = words.text()?;
    let attributes = match extraction.get("attributes") {
        Some(attributes) => {
            let values = attributes.object()?.iter();
            values.map(|(key, value)| (key.clone(), child(&attributes.at, key), value.clone())).collect()
        }
        None => Vec::new(),
    };
    let quote = match extraction.get("char_interval") {
        // The service looks the words up.
        None => Quote::of_words(words.at, text),
        Some(interval) => {
            let (start, end) = (interval.need("start_pos")?.number()?, interval.need("end_pos")?.number()?);
            let words = match extraction.get("alignment_status").map(|status| (status.text(), status)) {
                None => Some(text.to_owned()),
                Some((Ok("match_exact"), _)) => Some(text.to_owned()),
                // The interval has other words than the extraction: those of the article count.
                Some((Ok("match_greater" | "match_lesser" | "match_fuzzy"), _)) => None,
                Some((Ok(other), status)) => {
                    return Err(status.fault(&format!("is not a status of LangExtract: {}", quoted(other))));
                }
                Some((Err(fault), _)) => return Err(fault),
            };
            Quote { at: interval.at, words, range: Some(start..end), ..Default::default() }
        }
    };
    Ok(Extraction { at: extraction.at.clone(), class, text: Some(text.to_owned()), quotes: vec![quote], attributes })
}
