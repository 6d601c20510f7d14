use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use super::{
    attributes::{date, set},
    class::ExtractionClass,
    draft::{Draft, Extraction, Order, Quote},
    text_units::TextUnits,
    *,
};
use crate::pb::{self, Account, Article, Date, participation::Role};

fn documents(text: &str) -> Documents {
    let mut articles = Articles::default();
    articles.add(Article { uri: "urn:a".into(), title: "A".into(), text: text.into(), ..Default::default() });
    Documents { articles, unit: OffsetUnit::CodePoint }
}

fn item(class: &str, words: &str, attributes: &[(&str, &str)]) -> Extraction {
    let attribute = |(name, value): &(&str, &str)| ((*name).to_owned(), (*name).to_owned(), json!(value));
    Extraction {
        at: words.to_owned(),
        class: ExtractionClass::parse(class, "class").unwrap(),
        text: Some(words.to_owned()),
        quotes: Vec::new(),
        attributes: attributes.iter().map(attribute).collect(),
    }
}

/// The reports of items: their keys, titles and names.
fn reports(order: Order, items: Vec<Extraction>) -> Result<Vec<(String, String, Vec<String>)>, String> {
    let mut draft = Draft::new(Article::default(), OffsetUnit::CodePoint, order);
    for item in items {
        draft.add(item).map_err(|fault| fault.text)?;
    }
    let story = draft.story(None).map_err(|fault| fault.text)?;
    let reports = story.reports.into_iter().map(|report| (report.key, report.account.unwrap_or_default()));
    let names = |account: Account| account.participations.into_iter().map(|part| part.name_as_written).collect();
    Ok(reports.map(|(key, account)| (key, account.title.clone(), names(account))).collect())
}

#[test]
fn set_reads_values_as_extractors_write_them() {
    let of = pb::pool().get_message_by_name("readout.v1.Participation").unwrap();
    let mut message = DynamicMessage::new(of);
    for (name, value) in [
        ("roles", json!("head of delegation, SPEAKER")),
        ("presence", json!("present")),
        ("office.title", json!("Minister")),
        ("office", json!({"seniority": "2", "region_code": null})),
        ("regionCode", json!("AZ")),
        ("rank", json!("")),
    ] {
        set(&mut message, name, &value).unwrap_or_else(|problem| panic!("{name} {problem}"));
    }
    let part: pb::Participation = message.transcode_to().unwrap();
    assert_eq!(part.roles, [Role::HeadOfDelegation as i32, Role::Speaker as i32]);
    let office = part.office.unwrap();
    assert_eq!((office.title.as_str(), office.seniority, part.region_code.as_str()), ("Minister", 2, "AZ"));

    let of = pb::pool().get_message_by_name("readout.v1.Account").unwrap();
    for (name, value, problem) in [
        ("kind", json!("party"), "must be one of TALKS"),
        ("date", json!("May"), "must be a date such as 2020-09-03"),
        ("date.start", json!("2020-13-01-1"), "must be a date"),
        ("date.start_time", json!("25:00"), "must be a time"),
        ("participations", json!([{"id": "a"}]), "must name a field of Participation"),
        ("participations.id", json!("a"), "must be extractions of their own"),
        ("title.text", json!("a"), "has a part"),
        ("title", json!({"a": 1}), "must not be an object"),
        ("titel", json!("a"), "is not a field of Account; did you mean \"title\"?"),
    ] {
        let found = set(&mut DynamicMessage::new(of.clone()), name, &value).unwrap_err();
        assert!(found.starts_with(problem), "{name}: {found}");
    }
}

#[test]
fn dates_are_days_months_or_years() {
    let of = |year, month, day| Some(Date { year, month, day });
    assert_eq!(date("2020-09-03"), of(2020, 9, 3));
    assert_eq!(date(" 2020-09 "), of(2020, 9, 0));
    assert_eq!(date("2020"), of(2020, 0, 0));
    for text in ["", "20", "202a", "2020-9-3", "2020-09-0x", "----", "20-0-09-03"] {
        assert_eq!(date(text), None, "{text}");
    }
}

#[test]
fn offsets_are_checked_in_each_unit() {
    let text = "é📰a";
    let words = |unit, range| TextUnits::new(text, unit).words(range).map(str::to_owned);
    assert_eq!(words(OffsetUnit::CodePoint, 1..3).as_deref(), Ok("📰a"));
    assert_eq!(words(OffsetUnit::Utf16, 1..3).as_deref(), Ok("📰"));
    assert_eq!(words(OffsetUnit::Byte, 2..6).as_deref(), Ok("📰"));
    for (unit, range, problem) in [
        (OffsetUnit::Utf16, 2..4, "has the offset 2, which is within a surrogate pair"),
        (OffsetUnit::Byte, 0..1, "has the offset 1, which is within a code point"),
        (OffsetUnit::CodePoint, 0..4, "has the offset 4, and the text ends at 3"),
        (OffsetUnit::CodePoint, 2..2, "must end after its start, not at 2 after 2"),
        (OffsetUnit::CodePoint, std::ops::Range { start: 2, end: 1 }, "must end after its start, not at 1 after 2"),
        (OffsetUnit::CodePoint, u64::MAX..u64::MAX, "has the offset 18446744073709551615, and the text ends at 3"),
    ] {
        assert_eq!(words(unit, range), Err(problem.to_owned()));
    }
}

#[test]
fn items_belong_to_the_meeting_that_they_name() {
    let of = |key: &str, title: &str, names: &[&str]| {
        (key.to_owned(), title.to_owned(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    };
    let name = |name: &str| item("participant", name, &[]);
    let named = |name: &str, key: &str| item("participant", name, &[("meeting", key)]);
    let meeting = |title: &str| item("meeting", title, &[]);
    let one = vec![name("A"), meeting("Talks"), name("B"), name("A")];
    assert_eq!(reports(Order::Any, one), Ok(vec![of("", "Talks", &["A", "B"])]));
    assert_eq!(reports(Order::Any, vec![name("A")]), Ok(vec![of("", "", &["A"])]));
    let keyed = vec![item("meeting", "Talks", &[("meeting", "t")]), named("A", "v"), named("B", "t")];
    assert_eq!(reports(Order::Any, keyed), Ok(vec![of("t", "Talks", &["B"]), of("v", "", &["A"])]));
    let two = || vec![meeting("Talks"), name("A"), meeting("Visit"), name("B")];
    assert_eq!(reports(Order::AsWritten, two()), Ok(vec![of("", "Talks", &["A"]), of("", "Visit", &["B"])]));
    assert_eq!(reports(Order::Any, two()), Err("A must have the attribute meeting: there are 2 meetings".to_owned()));
    let adopted = vec![meeting("Talks"), named("A", "t"), named("B", "t")];
    assert_eq!(reports(Order::Any, adopted), Ok(vec![of("t", "Talks", &["A", "B"])]));
    let again = vec![item("meeting", "Talks", &[("meeting", "t")]), item("meeting", "Visit", &[("meeting", "t")])];
    assert_eq!(reports(Order::Any, again), Err("Visit repeats the meeting \"t\"".to_owned()));
    let other =
        vec![item("participant", "A", &[("rank", "General")]), item("participant", "A", &[("rank", "Colonel")])];
    assert_eq!(reports(Order::Any, other), Err("A repeats the participant \"A\" with other attributes".to_owned()));
    let dates = vec![item("date", "2020", &[]), item("date", "2021", &[])];
    assert_eq!(reports(Order::Any, dates), Err("2021 repeats the date of its meeting".to_owned()));
}

#[test]
fn quotes_need_a_text() {
    let mut draft =
        Draft::new(Article { uri: "urn:a".into(), ..Default::default() }, OffsetUnit::CodePoint, Order::Any);
    draft.add(Extraction { quotes: vec![Quote::of_words("at".into(), "A")], ..item("meeting", "A", &[]) }).unwrap();
    assert!(draft.story(None).unwrap_err().text.contains("has no text"));
}

#[test]
fn fuzzy_alignment_quotes_the_words_of_the_article() {
    let document = json!({"document_id": "urn:a", "text": "Kerim Veliyev came.", "extractions": [{
        "extraction_class": "participants", "extraction_text": "Karim Valiyev",
        "char_interval": {"start_pos": 0, "end_pos": 13}, "alignment_status": "match_fuzzy",
    }]});
    let of =
        |document: &Value| langextract::story(document, &documents("Kerim Veliyev came.")).map(|story| story.story);
    let report = of(&document).unwrap().reports.remove(0);
    assert_eq!(report.account.unwrap().participations[0].name_as_written, "Karim Valiyev");
    assert_eq!((report.evidence[0].quote.as_str(), report.evidence[0].end), ("Kerim Veliyev", 13));
    let mut exact = document.clone();
    exact["extractions"][0]["alignment_status"] = "match_exact".into();
    assert!(of(&exact).unwrap_err().text.starts_with("extractions[0].char_interval has the words \"Karim Valiyev\""));
}

#[test]
fn lines_of_an_answer_share_the_citations_of_their_blocks() {
    let citation = |words: &str| json!([{"type": "page_location", "cited_text": words, "document_index": 0, "document_title": "A"}]);
    let message = json!({"content": [
        {"type": "text", "text": "Talks: a first round\n- participant: ", "citations": citation("talks")},
        {"type": "text", "text": "Ali\n", "citations": citation("Ali")},
        {"type": "text", "text": "Nothing else.\n- date: 2020-09-03/2020-09-04"},
    ]});
    let mut stories = citations::stories(&message, &documents("Ali had talks."));
    let Converted { story, warnings } = stories.remove(0).unwrap();
    let report = &story.reports[0];
    let account = report.account.as_ref().unwrap();
    assert_eq!(account.title, "Talks: a first round");
    let cited: Vec<_> = report.evidence.iter().map(|cited| (cited.field.as_str(), cited.quote.as_str())).collect();
    let name = "participations[0].name_as_written";
    assert_eq!(cited, [("title", "talks"), (name, "talks"), (name, "Ali")]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}
