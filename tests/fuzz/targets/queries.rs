//! The languages in which callers ask: filters, orders, groups, search queries.

use readout::{
    model::{
        query::{
            aggregate,
            filter::{
                self, ARTICLES, CHANGES, FilterInput, FilterSchema, MEETINGS, PARTICIPANTS, STATEMENTS, filter_schema,
            },
            order,
            search::{self, MatchStems, MatchedText, SearchQuery, SplitText, Stems, WordVector},
        },
        resource::{Collection, Record},
    },
    pb::{Account, Article, Meeting, Participant, Participation, Report, change::Kind, snippet::Source},
    service::error::ServiceError,
    store::query::filter::push,
};
use sqlx::{Postgres, QueryBuilder};
use tonic::{Code, Status};
use uuid::Uuid;

use super::assert_printable;

/// Parses a filter of every collection, translates it to SQL, and evaluates it on records.
pub fn filter(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for schema in [MEETINGS, PARTICIPANTS, ARTICLES, STATEMENTS, &*CHANGES] {
        filter_of(schema, &text);
    }
    filter_schema(&text);
}

fn filter_of(schema: &'static FilterSchema, text: &str) {
    let filter = match filter::parse(schema, text) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(error.position().is_none_or(|position| text.is_char_boundary(position)), "{error:?}");
            assert_printable(&error.to_string());
            let status = Status::from(ServiceError::Filter(error));
            assert_eq!(status.code(), Code::InvalidArgument);
            return;
        }
    };
    // Changes and statements nest fields of other collections; the SQL of a filter of changes does not exist.
    if !std::ptr::eq(schema, &*CHANGES) {
        let mut query = QueryBuilder::<Postgres>::new("");
        push(&mut query, &filter);
        let sql = query.sql();
        assert!(sql.as_str().is_ascii(), "a value is in the statement: {}", sql.as_str());
    }
    for (collection, record) in records() {
        for record in [None, Some(&record)] {
            let subject = FilterInput { collection, id: Uuid::nil(), kind: Kind::Updated, record };
            filter.holds(&subject);
        }
    }
}

fn records() -> [(Collection, Record); 4] {
    let participation = Participation {
        id: "p".into(),
        name_as_written: "Kərim".into(),
        region_code: "AZ".into(),
        ..Default::default()
    };
    let account =
        || Account { topics: vec!["peace".into()], participations: vec![participation.clone()], ..Default::default() };
    let article = Article { uri: "urn:a".into(), section: "Politics".into(), ..Default::default() };
    let participant = Participant { display_name: "Kərim".into(), ..Default::default() };
    let report = Report { account: Some(account()), ..Default::default() };
    let meeting = Meeting { account: Some(account()), ..Default::default() };
    [
        (Collection::Articles, Record::Article(article.into())),
        (Collection::Participants, Record::Participant(participant.into())),
        (Collection::Reports, Record::Report(report.into())),
        (Collection::Meetings, Record::Meeting(meeting.into())),
    ]
}

/// Parses an order of every list.
pub fn order(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for fields in [order::MEETINGS, order::PARTICIPANTS, order::ARTICLES, order::STATEMENTS] {
        for has_query in [false, true] {
            if let Err(error) = order::parse_with_query(fields, &text, has_query) {
                assert_printable(&error.to_string());
                assert_eq!(Status::from(ServiceError::Order(error)).code(), Code::InvalidArgument);
            }
        }
    }
}

/// Parses the groups and the order of a count; each line is one group.
pub fn aggregation(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    let violations = aggregate::groups(&words).err().into_iter().flatten();
    for violation in violations.chain(aggregate::AggregateOrder::parse(&text).err().into_iter().flatten()) {
        assert_printable(&violation.description);
    }
}

/// Parses a search query, and cuts the snippet of a text that has its words. The first line is the query, the rest is
/// the text.
pub fn search(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (query, text) = input.split_once('\n').unwrap_or((&input, &input));
    let folded = search::fold(text, search::MAX_BYTES);
    assert_eq!(search::fold(&folded, usize::MAX), folded, "folded text stays as it is");
    let Some(read) = SearchQuery::read(query, "") else { return assert!(query.is_empty()) };
    if let Err(error) = search::check(query) {
        // The service refuses the query.
        return assert_printable(&error.to_string());
    }
    // Some words of the query and of the text have stems.
    let cut = |word: &&str| (word.len() > 3 && word.is_ascii()).then(|| (word.to_string(), vec![word[..3].to_owned()]));
    let split = SplitText::of(text);
    let stems: Stems =
        read.stemmed_words().iter().filter_map(cut).chain(split.words().iter().filter_map(cut)).collect();
    assert_eq!(read.to_tsquery(&stems).is_empty(), read.to_term_queries(&stems).is_empty());
    let mut vector = WordVector::default();
    vector.add(text, false);
    assert!(!vector.into_literal().contains('\0'));

    let matches = split.matches(&read, MatchStems { query: &stems, text: &stems });
    let (snippet, _) = search::snippet(&[MatchedText { source: Source::Text, text, matches }]);
    let length = snippet.text.chars().count() as i32;
    let part: String = text.chars().skip(snippet.start as usize).take(length as usize).collect();
    assert_eq!(part, snippet.text, "a snippet is a part of its text");
    let mut end = 0;
    for highlight in &snippet.highlights {
        let place = highlight.start - snippet.start..highlight.end - snippet.start;
        assert!(end <= place.start && place.start < place.end && place.end <= length, "{snippet:?}");
        end = place.end;
    }
}
