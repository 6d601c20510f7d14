//! The full-text search of ListMeetings: snippets, and the meetings that have changed since a time.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statements_as_of::{changed, statement_texts};
use crate::{
    model::{
        query::{order::SortField, search::SearchQuery},
        resource::Collection,
    },
    pb::{Meeting, Report, Snippet, snippet::Source},
    service::{
        Api,
        error::ServiceError,
        read::{
            as_of::{former_rows, ranked},
            snippets::{SearchedText, snippets},
        },
    },
    store::{
        query::{
            BoundedQuery,
            former::{FormerRecords, FormerWords, meeting_ranks},
            history,
            list::{Keyset, ListQuery},
            question::Question,
            search::MEETING_LANGUAGE,
        },
        statement,
    },
};

/// Number of meetings whose words are searched at once.
const MEETINGS_AT_ONCE: usize = 256;

/// The snippets of meetings: of their own texts, or of the best statement if these have no match.
///
/// # Errors
/// `OutOfTime` at the deadline, `Damaged` for a report that cannot be decoded, or the database fails.
pub(super) async fn meeting_snippets(
    db: &mut BoundedQuery,
    query: &SearchQuery,
    meetings: &[Meeting],
    time: Option<DateTime<Utc>>,
) -> Result<Vec<Snippet>, ServiceError> {
    let own: Vec<_> = meetings.iter().map(own_texts).collect();
    let mut found = snippets(db, query, &own).await?;
    let without = |(meeting, snippet): (&Meeting, &Snippet)| {
        Collection::Meetings.id(&meeting.name).filter(|_| snippet.highlights.is_empty())
    };
    let unmatched: Vec<Uuid> = meetings.iter().zip(&found).filter_map(without).collect();
    if unmatched.is_empty() {
        return Ok(found);
    }
    let question = Question::of(db, query).await?;
    let best = statement::best(db, &question, &unmatched, time).await?;
    let reports: Vec<Report> = best.iter().map(|best| best.doc.decode()).collect::<Result<_, _>>()?;
    let texts = best.iter().zip(&reports).map(|(best, report)| {
        let statements = report.account.iter().flat_map(|account| &account.statements);
        let statement = usize::try_from(best.number).ok().and_then(|number| statements.into_iter().nth(number));
        let text = statement.map(|statement| SearchedText {
            statement: format!("{}/{}", best.doc.id, statement.id),
            ..SearchedText::new(Source::Statement, &statement.text, best.language_code.as_deref().unwrap_or_default())
        });
        text.into_iter().collect::<Vec<_>>()
    });
    let of_statements = snippets(db, query, &texts.collect::<Vec<_>>()).await?;
    for (best, snippet) in best.iter().zip(of_statements).filter(|(_, snippet)| !snippet.highlights.is_empty()) {
        let name = Collection::Meetings.name(best.meeting);
        let at = meetings.iter().position(|meeting| meeting.name == name);
        if let Some(own) = at.and_then(|at| found.get_mut(at)) {
            *own = snippet;
        }
    }
    Ok(found)
}

fn own_texts(meeting: &Meeting) -> Vec<SearchedText<'_>> {
    let Some(account) = &meeting.account else { return Vec::new() };
    let texts = [(Source::Summary, &account.summary), (Source::Title, &account.title)];
    let topics = account
        .topics
        .iter()
        .enumerate()
        .map(|(index, topic)| SearchedText { index, ..SearchedText::new(Source::Topic, topic, MEETING_LANGUAGE) });
    texts.map(|(source, text)| SearchedText::new(source, text, MEETING_LANGUAGE)).into_iter().chain(topics).collect()
}

/// Adds the meetings that have changed since `time` to a list as of that time.
///
/// # Errors
/// `TooMuchChanged`, `Damaged` for a record that cannot be decoded, `OutOfTime` at the deadline.
pub(super) async fn with_former(
    api: &Api,
    db: &mut BoundedQuery,
    query: ListQuery,
    time: DateTime<Utc>,
) -> Result<ListQuery, ServiceError> {
    let mut rows = former_rows(db, Collection::Meetings, &query, time).await?;
    if let Some(search) = &query.question {
        let question = Question::of(db, search).await?;
        rows = searched_meetings(api, db, &question, (query.order.first.by, time), rows).await?;
    }
    Ok(ListQuery { former: Some(FormerRecords::new(time, query.order, rows)), ..query })
}

/// The meetings among these that a search finds as of a time, by the texts and the statements of then. All of them have
/// changed since.
async fn searched_meetings(
    api: &Api,
    db: &mut BoundedQuery,
    question: &Question,
    (by, time): (SortField, DateTime<Utc>),
    rows: Vec<Keyset>,
) -> Result<Vec<Keyset>, ServiceError> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let (reports, _) = changed(api, db, time).await?;
    let mut texts = statement_texts(db, &reports).await?;
    let mut found = Vec::new();
    for rows in rows.chunks(MEETINGS_AT_ONCE) {
        let ids: Vec<Uuid> = rows.iter().map(|keyset| keyset.id).collect();
        let mut words = FormerWords::default();
        for doc in history::docs(api.store.reads(), Collection::Meetings, &ids, time).await? {
            words.push_meeting(doc.id, &doc.decode()?);
            for (language, text) in texts.remove(&doc.id).unwrap_or_default() {
                words.push_text(doc.id, &language, &text);
            }
        }
        found.extend(ranked(rows, by, meeting_ranks(db, question, &words).await?));
    }
    Ok(found)
}
