//! MeetingService.ListStatements: statements of reports, each with the meeting, report and article from which it comes.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use prost::Message;
use tonic::Request;
use uuid::Uuid;

use super::statements_as_of::{members_at, with_former};
use crate::{
    model::{
        query::{
            filter::{self, STATEMENTS},
            order,
            search::SearchQuery,
        },
        report::{Aliases, referenced_participants},
        resource::{Collection, Resource},
        statement::of_report,
    },
    pb::{
        ListStatementsRequest, ListStatementsResponse, Meeting, Report, Statement,
        list_statements_response::Result as StatementResult, report::State, snippet::Source,
    },
    service::{
        Api,
        error::ServiceError,
        participant::persons::{aliases, expand_speakers, parse_statement_filter},
        read::{
            as_of::records_at,
            pagination::Cursor,
            snippets::{SearchedText, snippets},
        },
    },
    store::{
        query::{BoundedQuery, QueryClass, list::PAGE_BYTES},
        statement::{self, StatementLocation, StatementQuery},
    },
};

/// Reads a page of statements.
///
/// # Errors
/// Those of [`Api::read_query`], `Filter`, `Order`, `PageToken`, `Overloaded` without a permit, `OutOfTime` at the
/// deadline.
pub async fn list(api: &Api, request: Request<ListStatementsRequest>) -> Result<ListStatementsResponse, ServiceError> {
    let (request, budget, time) = api.read_query_at(request).await?;
    let question = SearchQuery::read(&request.query, &request.query_language);
    let order = order::parse_with_query(order::STATEMENTS, &request.order_by, question.is_some());
    let order = order.map_err(ServiceError::Order)?;
    let cursor = Cursor::of(&request, api.token_key, api.feed.head())?;
    let query = match time {
        Some(time) => {
            let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
            let _permit = api.begin_former().await;
            let mut filter = filter::parse(STATEMENTS, &request.filter).map_err(ServiceError::Filter)?;
            let members = members_at(api, &mut db, &mut filter, time).await?;
            expand_speakers(&mut filter, &members);
            let query = StatementQuery { filter, question, order, former: None };
            with_former(api, &mut db, query, time).await?
        }
        None => {
            let filter = parse_statement_filter(api, STATEMENTS, &request.filter).await?;
            StatementQuery { filter, question, order, former: None }
        }
    };
    page(api, budget, &cursor, &query).await
}

async fn page(
    api: &Api,
    budget: Duration,
    cursor: &Cursor<statement::StatementPosition>,
    query: &StatementQuery,
) -> Result<ListStatementsResponse, ServiceError> {
    let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
    let page = statement::list(&mut db, query, cursor.after, cursor.size).await?;
    let mut sources = Sources::read(api, &mut db, &page.found, query.former.as_ref().map(|former| former.time)).await?;
    let mut next = page.found.last().filter(|_| page.more);
    let (mut found, mut results, mut bytes) = (Vec::new(), Vec::new(), 0);
    for location in &page.found {
        let Some(result) = sources.result(location) else { continue };
        bytes += result.encoded_len();
        if !found.is_empty() && bytes > PAGE_BYTES as usize {
            next = found.last().copied();
            break;
        }
        found.push(location);
        results.push(result);
    }
    if let Some(question) = &query.question {
        let snippets = snippets(&mut db, question, &statement_texts(&found, &results)).await?;
        results.iter_mut().zip(snippets).for_each(|(result, snippet)| result.snippet = Some(snippet));
    }
    let next_page_token = next.map(|location| cursor.token(location.place())).unwrap_or_default();
    Ok(ListStatementsResponse { results, next_page_token, as_of: cursor.as_of.to_string() })
}

/// The texts of statements, in their languages.
fn statement_texts<'a>(found: &[&'a StatementLocation], results: &'a [StatementResult]) -> Vec<Vec<SearchedText<'a>>> {
    let texts = |(location, result): (&&'a StatementLocation, &'a StatementResult)| {
        let language = location.language_code.as_deref().unwrap_or_default();
        let text = result.statement.as_ref().map(|statement| statement.text.as_str());
        text.into_iter().map(|text| SearchedText::new(Source::Text, text, language)).collect()
    };
    found.iter().zip(results).map(texts).collect()
}

/// The records that statements are read from, by id.
struct Sources {
    reports: HashMap<Uuid, Report>,
    meetings: HashMap<Uuid, Meeting>,
    /// The aliases among the participants of the reports.
    aliases: Aliases,
    /// The statements of each report that was used so far.
    statements: HashMap<Uuid, Vec<Statement>>,
}

impl Sources {
    async fn read(
        api: &Api,
        db: &mut BoundedQuery,
        found: &[StatementLocation],
        time: Option<DateTime<Utc>>,
    ) -> Result<Self, ServiceError> {
        if let Some(time) = time {
            return Self::read_at(api, found, time).await;
        }
        let reports: HashMap<Uuid, Report> = records(db, found.iter().map(|location| location.report)).await?;
        let named: BTreeSet<Uuid> = reports.values().flat_map(referenced_participants).collect();
        Ok(Self {
            reports,
            aliases: aliases(api, &named.into_iter().collect::<Vec<_>>()).await?,
            meetings: records(db, found.iter().map(|location| location.meeting)).await?,
            statements: HashMap::new(),
        })
    }

    async fn read_at(api: &Api, found: &[StatementLocation], time: DateTime<Utc>) -> Result<Self, ServiceError> {
        let reports: BTreeSet<Uuid> = found.iter().map(|location| location.report).collect();
        let meetings: BTreeSet<Uuid> = found.iter().map(|location| location.meeting).collect();
        let reports: HashMap<Uuid, Report> = records_at(api, &Vec::from_iter(reports), Some(time)).await?;
        let named: BTreeSet<Uuid> = reports.values().flat_map(referenced_participants).collect();
        Ok(Self {
            reports,
            aliases: api.aliases_at(&Vec::from_iter(named), time).await?,
            meetings: records_at(api, &Vec::from_iter(meetings), Some(time)).await?,
            statements: HashMap::new(),
        })
    }

    /// The statement at a location, with its sources. `None` if its report was retracted after the location was found.
    fn result(&mut self, location: &StatementLocation) -> Option<StatementResult> {
        let meeting = self.meetings.get(&location.meeting)?;
        let report = self.reports.get(&location.report).filter(|report| report.state() == State::Active)?;
        let statements =
            self.statements.entry(location.report).or_insert_with(|| of_report(report, meeting, &self.aliases));
        let statement = statements.get(usize::try_from(location.number).ok()?)?;
        Some(StatementResult {
            statement: Some(statement.clone()),
            meeting: Collection::Meetings.name(location.meeting),
            report: Collection::Reports.name(location.report),
            article: Collection::Articles.name(location.article),
            date: meeting.account.as_ref().and_then(|account| account.date.clone()),
            snippet: None,
        })
    }
}

async fn records<R: Resource>(
    db: &mut BoundedQuery,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, R>, ServiceError> {
    let docs = statement::sources(db, R::COLLECTION, &ids.collect()).await?;
    docs.iter().map(|doc| Ok((doc.id, doc.decode()?))).collect()
}
