//! A later edition of a register: the records of the store that have an external id of its scheme, and that the imported
//! files no longer have. They are listed, not retracted: an edition may leave out what still holds.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    cli::{Clients, escape, retry},
    pb::{ExternalId, ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, Story, View},
};

/// The maximum page size of the service. A page also ends at 2 MiB.
const PAGE_SIZE: i32 = 1000;

/// The records that have an external id.
const WITH_ID: &str = "external_id:*";

/// The external ids of one scheme in the files of an import.
#[derive(Debug)]
pub struct Edition {
    scheme: String,
    values: BTreeSet<String>,
    /// The number of messages that could not be read, and whose external ids are therefore unknown.
    unread: u64,
}

/// A record that the files do not have.
struct Absent {
    name: String,
    label: String,
    value: String,
}

impl Edition {
    /// An edition without messages.
    pub fn new(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), values: BTreeSet::new(), unread: 0 }
    }

    /// Adds the external ids of a message; `None` for one that could not be read.
    pub fn see(&mut self, story: Option<&Story>) {
        let Some(story) = story else {
            self.unread += 1;
            return;
        };
        let article = story.article.iter().flat_map(|article| &article.external_ids);
        let participants = story.participants.iter().filter_map(|entry| entry.participant.as_ref());
        let accounts = story.reports.iter().filter_map(|report| report.account.as_ref());
        let ids = article.chain(participants.flat_map(|participant| &participant.external_ids));
        let ids = ids.chain(accounts.flat_map(|account| &account.external_ids));
        let values = ids.filter(|id| id.scheme == self.scheme).map(|id| id.value.clone());
        self.values.extend(values);
    }

    /// Prints the records that the files do not have, one a line on standard output, and their number.
    ///
    /// # Errors
    /// If the service cannot list its records, or standard output is closed.
    pub async fn print_absent(&self, clients: &Clients) -> Result<()> {
        let console = &clients.console;
        if self.unread > 0 {
            let problem = "their external ids are unknown, so the records that the files do not have cannot be listed";
            console.say(&format!("{} messages could not be read: {problem}", self.unread));
            return Ok(());
        }
        let (mut absent, mut present) = (0, 0);
        for page in [
            self.participants(clients, &mut present).await?,
            self.articles(clients, &mut present).await?,
            self.meetings(clients, &mut present).await?,
        ] {
            for Absent { name, label, value } in page {
                let id = json!({"scheme": self.scheme, "value": value});
                let line = json!({"absent": {"name": name, "label": label, "externalId": id}}).to_string();
                writeln!(io::stdout(), "{}", escape::json(line)).context("standard output")?;
                absent += 1;
            }
        }
        let scheme = &self.scheme;
        console.say(&format!("edition {scheme}: {absent} of {} records are not in the files", absent + present));
        Ok(())
    }

    async fn participants(&self, clients: &Clients, present: &mut u64) -> Result<Vec<Absent>> {
        let mut absent = Vec::new();
        let mut request =
            ListParticipantsRequest { filter: WITH_ID.into(), page_size: PAGE_SIZE, ..Default::default() };
        loop {
            let call = clients.repeat(&clients.participants, &request, async |mut client, request| {
                client.list_participants(request).await
            });
            let page = call.await.map_err(retry::given_up)?;
            for participant in page.participants {
                let ids = participant.external_ids;
                absent.extend(self.missing(present, (participant.name, participant.display_name), ids));
            }
            if page.next_page_token.is_empty() {
                return Ok(absent);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn articles(&self, clients: &Clients, present: &mut u64) -> Result<Vec<Absent>> {
        let mut absent = Vec::new();
        let mut request = ListArticlesRequest {
            filter: WITH_ID.into(),
            page_size: PAGE_SIZE,
            view: View::Basic.into(),
            ..Default::default()
        };
        loop {
            let call = clients
                .repeat(&clients.articles, &request, async |mut client, request| client.list_articles(request).await);
            let page = call.await.map_err(retry::given_up)?;
            for article in page.articles {
                absent.extend(self.missing(present, (article.name, article.uri), article.external_ids));
            }
            if page.next_page_token.is_empty() {
                return Ok(absent);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn meetings(&self, clients: &Clients, present: &mut u64) -> Result<Vec<Absent>> {
        let mut absent = Vec::new();
        let mut request = ListMeetingsRequest { filter: WITH_ID.into(), page_size: PAGE_SIZE, ..Default::default() };
        loop {
            let call = clients
                .repeat(&clients.meetings, &request, async |mut client, request| client.list_meetings(request).await);
            let page = call.await.map_err(retry::given_up)?;
            for meeting in page.meetings {
                let account = meeting.account.unwrap_or_default();
                absent.extend(self.missing(present, (meeting.name, account.title), account.external_ids));
            }
            if page.next_page_token.is_empty() {
                return Ok(absent);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The record, if it has external ids of the scheme and the files have none of them.
    fn missing(&self, present: &mut u64, (name, label): (String, String), ids: Vec<ExternalId>) -> Option<Absent> {
        let mut of_scheme = ids.into_iter().filter(|id| id.scheme == self.scheme).map(|id| id.value).peekable();
        of_scheme.peek()?;
        let values: Vec<String> = of_scheme.collect();
        if values.iter().any(|value| self.values.contains(value)) {
            *present += 1;
            return None;
        }
        values.into_iter().next().map(|value| Absent { name, label, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Article, Participant, StoryParticipant};

    fn id(scheme: &str, value: &str) -> ExternalId {
        ExternalId { scheme: scheme.into(), value: value.into() }
    }

    #[test]
    fn record_is_absent_if_the_files_have_none_of_its_ids() {
        let mut edition = Edition::new("visits");
        let person = Participant { external_ids: vec![id("visits", "p"), id("wikidata", "x")], ..Default::default() };
        let article = Article { external_ids: vec![id("visits", "a")], ..Default::default() };
        let entry = StoryParticipant { key: "p".into(), participant: Some(person) };
        edition.see(Some(&Story { article: Some(article), participants: vec![entry], ..Default::default() }));
        let mut present = 0;
        let mut absent =
            |ids| edition.missing(&mut present, ("articles/1".into(), "urn:1".into()), ids).map(|absent| absent.value);
        assert_eq!(absent(vec![id("visits", "a")]), None);
        assert_eq!(absent(vec![id("visits", "old"), id("visits", "p")]), None);
        assert_eq!(absent(vec![id("wikidata", "x")]), None);
        assert_eq!(absent(vec![id("visits", "x"), id("visits", "y")]), Some("x".into()));
        assert_eq!(present, 2);
    }
}
