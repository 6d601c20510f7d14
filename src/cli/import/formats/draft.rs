//! A story that is made of items: each is one extraction with its class, its words, its quotes and its attributes.

use std::ops::Range;

use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::{
    attributes::{date, set},
    class::ExtractionClass,
    json_node::fault,
    text_units::TextUnits,
};
use crate::{
    cli::import::fault::Fault,
    config::OffsetUnit,
    model::{evidence::is_respelled, text::quoted::quoted},
    pb::{
        self, Account, Article, DateSpan, Evidence, Extractor, Outcome, Participation, Place, Statement, Story,
        StoryReport, report::Prominence,
    },
};

/// The attribute that names the meeting of an item, and becomes the key of its report.
const MEETING: &str = "meeting";

/// Maximum number of characters of `DateSpan.literal`. The contract declares it.
const MAX_LITERAL_CHARS: usize = 256;

/// An extraction of any format.
#[derive(Debug)]
pub struct Extraction {
    /// The path in the message.
    pub at: String,
    pub class: ExtractionClass,
    /// The words of the main field of the class; `None` if an attribute has them.
    pub text: Option<String>,
    pub quotes: Vec<Quote>,
    /// The attributes: their names, their paths and their values.
    pub attributes: Vec<(String, String, Value)>,
}

/// Words of the article that an item cites.
#[derive(Debug, Default)]
pub struct Quote {
    /// The path in the message.
    pub at: String,
    /// The words; `None` for those of the article at `range`.
    pub words: Option<String>,
    /// The offsets, if the extractor knows them.
    pub range: Option<Range<u64>>,
    pub prefix: String,
    pub suffix: String,
}

impl Quote {
    /// A quote that the service looks up.
    pub fn of_words(at: String, words: &str) -> Self {
        Self { at, words: Some(words.to_owned()), ..Self::default() }
    }
}

/// The meeting of an item that names none, if the story has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The last meeting before it.
    AsWritten,
    /// None: the items have another order.
    Any,
}

/// A story in the making.
#[derive(Debug)]
pub struct Draft {
    article: Article,
    unit: OffsetUnit,
    order: Order,
    meetings: Vec<Extraction>,
    /// The other items, each with the number of meetings before it.
    parts: Vec<(usize, Extraction)>,
}

impl Draft {
    pub fn new(article: Article, unit: OffsetUnit, order: Order) -> Self {
        Self { article, unit, order, meetings: Vec::new(), parts: Vec::new() }
    }

    /// Adds an item.
    ///
    /// # Errors
    /// If it is empty.
    pub fn add(&mut self, item: Extraction) -> Result<(), Fault> {
        let is_empty = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        if is_empty(&item.text) && item.attributes.is_empty() && item.quotes.is_empty() {
            return Err(fault(&item.at, "has neither words nor attributes nor quotes"));
        }
        match item.class {
            ExtractionClass::Meeting => self.meetings.push(item),
            _ => self.parts.push((self.meetings.len(), item)),
        }
        Ok(())
    }

    /// The story.
    ///
    /// # Errors
    /// For the first item that cannot be mapped.
    pub fn story(self, extractor: Option<Extractor>) -> Result<Story, Fault> {
        let Self { article, unit, order, meetings, parts } = self;
        if article.text.is_empty()
            && meetings.iter().chain(parts.iter().map(|(_, item)| item)).any(|item| !item.quotes.is_empty())
        {
            let problem =
                format!("the article {} has no text to look quotes up in: name it in --articles", quoted(&article.uri));
            return Err(Fault::new("an article without a text", problem).about(article.uri.clone()));
        }
        let units = TextUnits::new(&article.text, unit);
        let mut reports: Vec<Report> = Vec::new();
        for item in meetings {
            let key = meeting_of(&item)?;
            if !key.is_empty() && reports.iter().any(|report| report.key == key) {
                return Err(fault(&item.at, &format!("repeats the meeting {}", quoted(&key))));
            }
            let mut report = Report { key, ..Default::default() };
            report.add(item, &units)?;
            reports.push(report);
        }
        // The key is that of an earlier meeting, or of a meeting that no item describes.
        let described = reports.len();
        for (before, item) in parts {
            let key = meeting_of(&item)?;
            let named = reports.iter().position(|report| !key.is_empty() && report.key == key);
            let index = match (named, reports.len()) {
                (Some(index), _) => index,
                (None, 1) if key.is_empty() => 0,
                // The key of the only meeting, which its own extraction does not have.
                (None, 1) if described == 1 && reports[0].key.is_empty() => {
                    reports[0].key = key;
                    0
                }
                (None, 2..) if key.is_empty() && order == Order::AsWritten && before > 0 => before - 1,
                (None, 2..) if key.is_empty() => {
                    let problem = format!("must have the attribute {MEETING}: there are {} meetings", reports.len());
                    return Err(fault(&item.at, &problem));
                }
                (None, _) => {
                    reports.push(Report { key, ..Default::default() });
                    reports.len() - 1
                }
            };
            reports[index].add(item, &units)?;
        }
        let reports = reports.into_iter().map(Report::finish).collect();
        Ok(Story { article: Some(article), reports, extractor, ..Default::default() })
    }
}

/// The key of the meeting that an item names; empty if it names none.
fn meeting_of(item: &Extraction) -> Result<String, Fault> {
    match item.attributes.iter().find(|(name, ..)| name == MEETING) {
        None => Ok(String::new()),
        Some((_, _, Value::Null)) => Ok(String::new()),
        Some((_, _, Value::String(key))) => Ok(key.trim().to_owned()),
        Some((_, at, value)) => Err(fault(at, &format!("must be a string, not {value}"))),
    }
}

/// A report in the making.
#[derive(Debug, Default)]
struct Report {
    key: String,
    account: Account,
    prominence: Prominence,
    evidence: Vec<Evidence>,
}

impl Report {
    /// Adds an item of this meeting.
    fn add(&mut self, item: Extraction, units: &TextUnits<'_>) -> Result<(), Fault> {
        let Extraction { at, class, text, quotes, attributes } = item;
        let mut evidence = Vec::with_capacity(quotes.len());
        for quote in quotes {
            evidence.push(cited(quote, units)?);
        }
        // Without words of its own an item has those that it cites. The attributes of a place say more than they do.
        let cited_words = evidence.first().map(|cited| cited.quote.clone());
        let has_cited_words = class != ExtractionClass::Place || attributes.is_empty();
        let text =
            text.filter(|text| !text.trim().is_empty()).or_else(|| cited_words.clone().filter(|_| has_cited_words));
        let field = match class {
            ExtractionClass::Meeting => {
                let (own, account) = attributes.into_iter().partition(|(name, ..)| name == "prominence");
                let report: pb::StoryReport = message("readout.v1.StoryReport", None, own)?;
                self.prominence = report.prominence();
                self.account = message(class.message(), text.map(|text| ("title", text)), account)?;
                "title".to_owned()
            }
            ExtractionClass::Participant => {
                let part: Participation =
                    message(class.message(), text.map(|text| (class.main_field(), text)), attributes)?;
                let index = self.participant(part, &at)?;
                format!("participations[{index}].name_as_written")
            }
            ExtractionClass::Date => {
                if self.account.date.is_some() {
                    return Err(fault(&at, "repeats the date of its meeting"));
                }
                let start = text.as_deref().and_then(date);
                // A date in figures is not in the words of the article.
                let literal = if start.is_some() { cited_words } else { text };
                let literal = literal.filter(|text| text.chars().count() <= MAX_LITERAL_CHARS);
                let mut span: DateSpan = message(class.message(), literal.map(|text| ("literal", text)), attributes)?;
                span.start = span.start.or(start);
                self.account.date = Some(span);
                "date".to_owned()
            }
            ExtractionClass::Place => {
                if self.account.place.is_some() {
                    return Err(fault(&at, "repeats the place of its meeting"));
                }
                let mut place: Place = message(class.message(), None, attributes)?;
                if place.venue.is_empty() && place.locality.is_empty() && place.location.is_none() {
                    place.locality = text.unwrap_or_default();
                }
                self.account.place = Some(place);
                "place".to_owned()
            }
            ExtractionClass::Statement => {
                let (own, fields): (Vec<_>, _) = attributes.into_iter().partition(|(name, ..)| name == "speaker");
                let mut statement: Statement = message(class.message(), text.map(|text| ("text", text)), fields)?;
                if let Some((_, at, speaker)) = own.into_iter().next() {
                    let speaker = speaker.as_str().ok_or_else(|| fault(&at, "must be a string"))?;
                    speaker.clone_into(&mut statement.speaker_as_written);
                }
                self.account.statements.push(statement);
                format!("statements[{}].text", self.account.statements.len() - 1)
            }
            ExtractionClass::Outcome => {
                let outcome: Outcome = message(class.message(), text.map(|text| ("title", text)), attributes)?;
                self.account.outcomes.push(outcome);
                format!("outcomes[{}].title", self.account.outcomes.len() - 1)
            }
        };
        self.evidence.extend(evidence.into_iter().map(|cited| Evidence { field: field.clone(), ..cited }));
        Ok(())
    }

    /// Adds a participation, or finds the one with its name: an extractor may cite a name more than once.
    fn participant(&mut self, part: Participation, at: &str) -> Result<usize, Fault> {
        let participations = &mut self.account.participations;
        let bare = |part: &Participation| Participation {
            name_as_written: part.name_as_written.clone(),
            ..Default::default()
        };
        let index = participations
            .iter()
            .position(|other| !part.name_as_written.is_empty() && other.name_as_written == part.name_as_written);
        match index {
            None => {
                participations.push(part);
                Ok(participations.len() - 1)
            }
            Some(index) if part == bare(&part) || part == participations[index] => Ok(index),
            Some(index) if participations[index] == bare(&part) => {
                participations[index] = part;
                Ok(index)
            }
            Some(_) => Err(fault(
                at,
                &format!("repeats the participant {} with other attributes", quoted(&part.name_as_written)),
            )),
        }
    }

    /// The report, with the speakers of its statements.
    fn finish(mut self) -> StoryReport {
        for statement in &mut self.account.statements {
            let is_speaker = |part: &&Participation| part.name_as_written == statement.speaker_as_written;
            if let Some(part) = self
                .account
                .participations
                .iter()
                .find(is_speaker)
                .filter(|_| statement.speakers.is_empty() && !statement.speaker_as_written.is_empty())
            {
                // A participation without an id has its name as its id.
                let id = if part.id.is_empty() { &part.name_as_written } else { &part.id };
                statement.speakers.push(id.trim().to_owned());
            }
        }
        let Self { key, account, prominence, evidence } = self;
        let mut report = StoryReport { key, account: Some(account), evidence, ..Default::default() };
        report.set_prominence(prominence);
        report
    }
}

/// The evidence of a quote, without its field.
fn cited(quote: Quote, units: &TextUnits<'_>) -> Result<Evidence, Fault> {
    let Quote { at, words, range, prefix, suffix } = quote;
    let Some(range) = range else {
        return Ok(Evidence { quote: words.unwrap_or_default(), prefix, suffix, ..Default::default() });
    };
    let found = units.words(range.clone()).map_err(|problem| fault(&at, &problem))?;
    let quote = match words {
        Some(words) if !is_respelled(&words, found) => {
            let problem = format!("has the words {}, and the article has {} there", quoted(&words), quoted(found));
            return Err(fault(&at, &problem));
        }
        Some(words) => words,
        None => found.to_owned(),
    };
    let offset = |offset| i32::try_from(offset).map_err(|_| fault(&at, "has an offset over 2,147,483,647"));
    // The service takes both offsets as 0 for none, and the interval is not empty.
    let (start, end) = (offset(range.start)?, offset(range.end)?);
    Ok(Evidence { quote, start, end, prefix, suffix, ..Default::default() })
}

/// A message with a main field and attributes.
fn message<M: prost::Message + Default>(
    full_name: &str,
    main: Option<(&str, String)>,
    attributes: Vec<(String, String, Value)>,
) -> Result<M, Fault> {
    let of = pb::pool().get_message_by_name(full_name).ok_or_else(|| fault("", "the contract has no such message"))?;
    let mut message = DynamicMessage::new(of);
    if let Some((field, text)) = main {
        set(&mut message, field, &Value::String(text)).map_err(|problem| fault(field, &problem))?;
    }
    for (name, at, value) in attributes.into_iter().filter(|(name, ..)| name != MEETING) {
        set(&mut message, &name, &value).map_err(|problem| fault(&at, &problem))?;
    }
    message.transcode_to().map_err(|error| fault("", &error.to_string()))
}
