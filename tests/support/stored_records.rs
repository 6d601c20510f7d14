//! Everything that a service stores, to show that a call wrote all of its records or none.

use readout::pb::{
    Article, GetMeetingRequest, ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest,
    Meeting, Participant, Report, View,
};
use sqlx::{Connection, PgConnection, Postgres, postgres::PgConnectOptions};

use super::Service;

/// The records, ordered by name. Each has its revision, so that equal contents mean that nothing was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    pub articles: Vec<Article>,
    pub participants: Vec<Participant>,
    pub meetings: Vec<Meeting>,
    pub reports: Vec<Report>,
    /// The number of changes in the feed.
    pub changes: i64,
}

impl Service {
    /// Reads all records.
    pub async fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        let all = ListArticlesRequest { view: View::Full.into(), page_size: 1_000, ..Default::default() };
        let mut pages = self.articles.clone().stream_articles(all).await.expect("articles").into_inner();
        while let Some(page) = pages.message().await.expect("articles") {
            contents.articles.extend(page.articles);
        }
        let all = ListParticipantsRequest { page_size: 1_000, ..Default::default() };
        let mut pages = self.participants.clone().stream_participants(all).await.expect("participants").into_inner();
        while let Some(page) = pages.message().await.expect("participants") {
            contents.participants.extend(page.participants);
        }
        let all = ListMeetingsRequest { view: View::Full.into(), page_size: 1_000, ..Default::default() };
        let mut pages = self.meetings.clone().stream_meetings(all).await.expect("meetings").into_inner();
        while let Some(page) = pages.message().await.expect("meetings") {
            contents.meetings.extend(page.meetings);
        }
        for article in &contents.articles {
            contents.reports.extend(self.reports_of(&article.name).await);
        }
        contents.changes = self.count("select count(*) from change").await;
        contents
    }

    /// All reports of a meeting or of an article.
    pub async fn reports_of(&self, name: &str) -> Vec<Report> {
        let mut request = ListReportsRequest { page_size: 1_000, ..Default::default() };
        if name.starts_with("meetings/") { &mut request.meeting } else { &mut request.article }.push_str(name);
        let mut reports = Vec::new();
        loop {
            let page = self.meetings.clone().list_reports(request.clone()).await.expect("reports").into_inner();
            reports.extend(page.reports);
            if page.next_page_token.is_empty() {
                return reports;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// A meeting with its statements.
    pub async fn meeting(&self, name: &str) -> Meeting {
        let request = GetMeetingRequest { name: name.into(), ..Default::default() };
        self.meetings.clone().get_meeting(request).await.expect("the meeting exists").into_inner()
    }

    /// Executes a statement on the database directly, bypassing the service.
    pub async fn execute(&self, statement: &'static str) {
        execute(&self.database, statement).await;
    }

    /// Returns the single value of a query.
    pub async fn count(&self, query: &'static str) -> i64 {
        scalar(&self.database, query).await
    }
}

/// Returns the single value of a query.
pub async fn scalar<T>(database: &PgConnectOptions, query: &'static str) -> T
where
    T: Send + Unpin + sqlx::Type<Postgres> + for<'r> sqlx::Decode<'r, Postgres>,
{
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    let value = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect(query);
    connection.close().await.expect("closed");
    value
}

/// Executes a statement on a database.
pub async fn execute(database: &PgConnectOptions, statement: &'static str) {
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("closed");
}
