//! Messages with citations: the `content` of a message of Anthropic's API, as its clients write it. The lines of the
//! answer are the items: `participant: Kerim Veliyev | participant_kind=PERSON`. A line without a class is the title of a
//! meeting. The citations of a block are the quotes of each line that it has words of.

use std::ops::Range;

use serde_json::Value;

use super::{
    class::ExtractionClass,
    converted::{Converted, Documents},
    draft::{Draft, Extraction, Order, Quote},
    json_node::{Node, fault},
};
use crate::{
    cli::import::fault::Fault,
    model::text::quoted::quoted,
    pb::{Article, Extractor, extractor::Kind},
};

/// The keys of a message. Those after `model` describe the call.
const MESSAGE: [&str; 10] =
    ["content", "model", "id", "type", "role", "container", "stop_reason", "stop_sequence", "usage", "stop_details"];
const BLOCK: [&str; 3] = ["type", "text", "citations"];

/// A citation with its article.
struct Citation {
    article: Article,
    quote: Quote,
}

/// A block of text, in the text of all blocks.
struct Block<'a> {
    node: Node<'a>,
    span: Range<usize>,
}

/// The stories of a message: one for each article that it cites.
pub fn stories(value: &Value, documents: &Documents) -> Vec<Result<Converted, Fault>> {
    match read(value, documents) {
        Ok(stories) => stories.into_iter().map(Ok).collect(),
        Err(fault) => vec![Err(fault)],
    }
}

fn read(value: &Value, documents: &Documents) -> Result<Vec<Converted>, Fault> {
    let message = Node::root(value);
    message.object()?;
    let mut warnings = message.others(&MESSAGE);
    let (mut answer, mut blocks) = (String::new(), Vec::new());
    for node in message.need("content")?.list()? {
        match node.need("type")?.text()? {
            "text" => {
                warnings.extend(node.others(&BLOCK));
                let start = answer.len();
                answer.push_str(node.need("text")?.text()?);
                blocks.push(Block { node, span: start..answer.len() });
            }
            // The reasoning of a model is not its answer.
            "thinking" | "redacted_thinking" => {}
            other => warnings.push(format!("{} is not imported, a block of type {other}", node.at)),
        }
    }
    let mut drafts: Vec<(String, Draft)> = Vec::new();
    let mut current: Option<usize> = None;
    let mut start = 0;
    for (number, line) in answer.split('\n').enumerate() {
        let span = start..start + line.len();
        start = span.end + 1;
        let at = format!("line {} of the answer", number + 1);
        let words = line.trim().trim_start_matches(['-', '*', '•']).trim();
        if words.is_empty() {
            continue;
        }
        let citations = citations(&answer, &blocks, &span, documents)?;
        let Some(mut item) = item(&at, words, !citations.is_empty())? else {
            warnings.push(format!(
                "{at} is not imported, because it has neither a class nor a citation: {}",
                quoted(words)
            ));
            continue;
        };
        let article = match citations.first() {
            Some(first) if citations.iter().any(|other| other.article.uri != first.article.uri) => {
                return Err(fault(&at, "cites several documents: write a line for each"));
            }
            Some(first) => Some(first.article.clone()),
            None => None,
        };
        let index = match (article, current) {
            (Some(article), _) => match drafts.iter().position(|(uri, _)| *uri == article.uri) {
                Some(index) => index,
                None => {
                    let uri = article.uri.clone();
                    drafts.push((uri, Draft::new(article, documents.unit, Order::AsWritten)));
                    drafts.len() - 1
                }
            },
            (None, Some(current)) => current,
            (None, None) => {
                let article = documents.articles.only(&format!("{at}: a citation"))?.clone();
                drafts.push((article.uri.clone(), Draft::new(article, documents.unit, Order::AsWritten)));
                drafts.len() - 1
            }
        };
        current = Some(index);
        item.quotes = citations.into_iter().map(|citation| citation.quote).collect();
        drafts[index].1.add(item)?;
    }
    if drafts.is_empty() {
        return Err(fault("content", "has no line with a class or a citation"));
    }
    let name = message.get("model").map(|model| model.text()).transpose()?.unwrap_or_default();
    let extractor =
        || (!name.is_empty()).then(|| Extractor { name: name.into(), kind: Kind::Model.into(), ..Default::default() });
    let stories = drafts.into_iter().map(|(_, draft)| draft.story(extractor()));
    let mut stories: Vec<Converted> =
        stories.map(|story| Ok(Converted { story: story?, warnings: Vec::new() })).collect::<Result<_, Fault>>()?;
    if let Some(first) = stories.first_mut() {
        first.warnings = warnings;
    }
    Ok(stories)
}

/// The citations of the blocks that a line has words of.
fn citations(
    answer: &str,
    blocks: &[Block<'_>],
    line: &Range<usize>,
    documents: &Documents,
) -> Result<Vec<Citation>, Fault> {
    let mut found = Vec::new();
    for Block { node, span } in blocks {
        let shared = span.start.max(line.start)..span.end.min(line.end);
        let has_words = answer.get(shared).is_some_and(|shared| shared.contains(char::is_alphanumeric));
        if let Some(list) = node.get("citations").filter(|_| has_words) {
            for citation in list.list()? {
                found.push(read_citation(&citation, documents)?);
            }
        }
    }
    Ok(found)
}

fn read_citation(citation: &Node<'_>, documents: &Documents) -> Result<Citation, Fault> {
    let kind = citation.need("type")?;
    let range = match kind.text()? {
        "char_location" => {
            Some(citation.need("start_char_index")?.number()?..citation.need("end_char_index")?.number()?)
        }
        // Pages and blocks have no offsets in the text: the service looks the words up.
        "page_location" | "content_block_location" => None,
        other => return Err(kind.fault(&format!("must be the location in a document, not {}", quoted(other)))),
    };
    let title = citation.get("document_title").map(|title| title.text()).transpose()?;
    let index = citation.need("document_index")?.number()?;
    let article = documents.articles.document(title, index, &citation.at)?.clone();
    let words = citation.need("cited_text")?.text()?.to_owned();
    let quote = Quote { at: citation.at.clone(), words: Some(words), range, ..Default::default() };
    Ok(Citation { article, quote })
}

/// The item of a line. `None` for a line without a class that cites nothing.
fn item(at: &str, line: &str, is_cited: bool) -> Result<Option<Extraction>, Fault> {
    let (class, rest) = match line.split_once(':') {
        Some((class, rest)) if ExtractionClass::of(class).is_some() => (ExtractionClass::parse(class, at)?, rest),
        // A title may have a colon, and a word in lower case before it is meant as a class.
        Some((word, rest)) if is_word(word) && rest.starts_with(' ') => {
            return ExtractionClass::parse(word, at).map(|_| None);
        }
        _ if is_cited => (ExtractionClass::Meeting, line),
        _ => return Ok(None),
    };
    let mut parts = rest.split(" | ").map(str::trim);
    let text = parts.next().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut attributes = Vec::new();
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            return Err(fault(at, &format!("must have attributes such as roles=HOST, not {}", quoted(part))));
        };
        let name = name.trim().to_owned();
        let path = format!("{at}, attribute {name}");
        attributes.push((name, path, Value::String(value.trim().to_owned())));
    }
    Ok(Some(Extraction { at: at.to_owned(), class, text, quotes: Vec::new(), attributes }))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
