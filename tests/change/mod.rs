//! ChangeService: every client receives every change once, in one order, and can resume at any position.

mod filter;
mod hand_off;
mod list;
mod retention;
mod start;
mod watch;

use futures_util::{StreamExt, stream};
use readout::pb::{CreateParticipantRequest, Participant};

use crate::support::{
    Service,
    make::{self, person},
};

impl Service {
    /// Creates a participant; returns it and the position of the write.
    pub async fn add_person(&self, name: &str) -> (Participant, String) {
        let request = CreateParticipantRequest { participant: Some(person(name, "AZ")), ..Default::default() };
        let answer = self.participants.clone().create_participant(request).await.expect("created");
        let position =
            answer.metadata().get("readout-position").expect("a position").to_str().expect("ASCII").to_owned();
        (answer.into_inner(), position)
    }

    /// Creates `count` participants, one after the other.
    pub async fn add_people(&self, count: usize) {
        for number in 0..count {
            self.add_person(&format!("Person {number}")).await;
        }
    }
}

impl Service {
    /// Creates `count` participants, 64 at a time.
    pub async fn add_many(&self, count: usize) {
        let add = |number: usize| async move { self.add_person(&format!("Person {number}")).await };
        stream::iter((0..count).map(add)).buffer_unordered(64).collect::<Vec<_>>().await;
    }

    /// Creates an article and a meeting that it reports; returns their names.
    pub async fn article_and_meeting(&self) -> (String, String) {
        let article = self.create_article(make::article("urn:article_and_meeting")).await;
        let meeting = self.create_meeting(&article, make::talks("Talks")).await.expect("created");
        (article.name, meeting.name)
    }

    /// Fills the feed with `count` copies of one change, for tests that look at the feed only.
    pub async fn fill_feed(&self, count: usize) {
        self.add_person("Somebody").await;
        let statement = format!(
            "insert into change
             select position + number, collection, id, kind, revision, time, actor, request_id, last
             from change, generate_series(1, {}) as number
             where position = 1",
            count - 1
        );
        self.execute(statement.leak()).await;
    }
}
