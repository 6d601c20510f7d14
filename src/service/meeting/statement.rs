//! ListStatements.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use tonic::Request;
use uuid::Uuid;

use crate::{
    model::{
        query::{
            filter::{self, STATEMENTS},
            order,
            search::Question,
        },
        resource::{Collection, Resource},
        statement::of_report,
    },
    pb::{
        ListStatementsRequest, ListStatementsResponse, Meeting, Report, Statement,
        list_statements_response::Result as Told, report::State, snippet::Source,
    },
    service::{
        Api,
        error::ServiceError,
        read::{
            pagination::Cursor,
            snippets::{Shown, snippets},
        },
    },
    store::{
        query::{BoundedQuery, QueryClass, list::PAGE_BYTES},
        statement::{self, StatementLocation, StatementQuery},
    },
};

/// Answers a page of statements.
pub async fn list(api: &Api, request: Request<ListStatementsRequest>) -> Result<ListStatementsResponse, ServiceError> {
    let (request, budget) = api.asked(request).await?;
    let filter = filter::parse(STATEMENTS, &request.filter).map_err(ServiceError::Filter)?;
    let question = Question::read(&request.query, &request.query_language);
    let order = order::parse_with_query(order::STATEMENTS, &request.order_by, question.is_some());
    let order = order.map_err(ServiceError::Order)?;
    let cursor = Cursor::of(&request, api.token_key, api.feed.head())?;
    page(api, budget, &cursor, &StatementQuery { filter, question, order }).await
}

async fn page(
    api: &Api,
    budget: Duration,
    cursor: &Cursor<statement::StatementPosition>,
    wanted: &StatementQuery,
) -> Result<ListStatementsResponse, ServiceError> {
    let mut ask = api.store.ask(QueryClass::Page, budget).await?;
    let page = statement::list(&mut ask, wanted, cursor.after, cursor.size).await?;
    let mut sources = Sources::read(&mut ask, &page.found).await?;
    let mut next = page.found.last().filter(|_| page.more);
    let (mut found, mut results, mut bytes) = (Vec::new(), Vec::new(), 0);
    for one in &page.found {
        let Some(result) = sources.tell(one) else { continue };
        bytes += result.encoded_len();
        if !found.is_empty() && bytes > PAGE_BYTES as usize {
            next = found.last().copied();
            break;
        }
        found.push(one);
        results.push(result);
    }
    if let Some(question) = &wanted.question {
        let snippets = snippets(&mut ask, question, &shown(&found, &results)).await?;
        results.iter_mut().zip(snippets).for_each(|(result, snippet)| result.snippet = Some(snippet));
    }
    let next_page_token = next.map(|one| cursor.token(one.place())).unwrap_or_default();
    Ok(ListStatementsResponse { results, next_page_token, as_of: cursor.as_of.to_string() })
}

/// The texts of statements, in their languages.
fn shown<'a>(found: &[&'a StatementLocation], results: &'a [Told]) -> Vec<Vec<Shown<'a>>> {
    let shown = |(one, told): (&&'a StatementLocation, &'a Told)| {
        let language = one.language_code.as_deref().unwrap_or_default();
        let text = told.statement.as_ref().map(|one| one.text.as_str());
        text.into_iter().map(|text| Shown { source: Source::Text, text, language }).collect()
    };
    found.iter().zip(results).map(shown).collect()
}

/// The records that statements are read from.
struct Sources {
    reports: HashMap<Uuid, Report>,
    meetings: HashMap<Uuid, Meeting>,
    /// The statements of reports that were asked for.
    said: HashMap<Uuid, Vec<Statement>>,
}

impl Sources {
    async fn read(ask: &mut BoundedQuery, found: &[StatementLocation]) -> Result<Self, ServiceError> {
        Ok(Self {
            reports: records(ask, found.iter().map(|one| one.report)).await?,
            meetings: records(ask, found.iter().map(|one| one.meeting)).await?,
            said: HashMap::new(),
        })
    }

    /// A statement with where it comes from; none where its report was retracted since it was found.
    fn tell(&mut self, found: &StatementLocation) -> Option<Told> {
        let meeting = self.meetings.get(&found.meeting)?;
        let report = self.reports.get(&found.report).filter(|one| one.state() == State::Active)?;
        let said = self.said.entry(found.report).or_insert_with(|| of_report(report, meeting));
        let statement = said.get(usize::try_from(found.number).ok()?)?;
        Some(Told {
            statement: Some(statement.clone()),
            meeting: Collection::Meetings.name(found.meeting),
            report: Collection::Reports.name(found.report),
            article: Collection::Articles.name(found.article),
            date: meeting.account.as_ref().and_then(|account| account.date.clone()),
            snippet: None,
        })
    }
}

async fn records<R: Resource>(
    ask: &mut BoundedQuery,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, R>, ServiceError> {
    let docs = statement::sources(ask, R::COLLECTION, &ids.collect()).await?;
    docs.iter().map(|doc| Ok((doc.id, doc.decode()?))).collect()
}
