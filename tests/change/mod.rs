//! ChangeService: everybody is told every change once, in one order, and can go on anywhere.

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
    /// A new participant; answers it and the position of the write.
    pub async fn add_person(&self, name: &str) -> (Participant, String) {
        let request = CreateParticipantRequest { participant: Some(person(name, "AZ")), ..Default::default() };
        let answer = self.participants.clone().create_participant(request).await.expect("created");
        let position =
            answer.metadata().get("readout-position").expect("a position").to_str().expect("ASCII").to_owned();
        (answer.into_inner(), position)
    }

    /// As many new participants, one after the other.
    pub async fn add_people(&self, count: usize) {
        for number in 0..count {
            self.add_person(&format!("Person {number}")).await;
        }
    }
}

impl Service {
    /// As many new participants, many at a time.
    pub async fn add_many(&self, count: usize) {
        let add = |number: usize| async move { self.add_person(&format!("Person {number}")).await };
        stream::iter((0..count).map(add)).buffer_unordered(64).collect::<Vec<_>>().await;
    }

    /// An article and a meeting that it tells of: their names.
    pub async fn article_and_meeting(&self) -> (String, String) {
        let article = self.create_article(make::article("urn:article_and_meeting")).await;
        let meeting = self.create_meeting(&article, make::talks("Talks")).await.expect("created");
        (article.name, meeting.name)
    }

    /// As many changes of nobody, where only the feed matters.
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
