//! Watches and pages of changes whose filter names an alias, or the name of one: they deliver the changes of the
//! records that a list with the same filter has before or after them.

use std::{collections::BTreeSet, time::Duration};

use readout::pb::{
    Change, ListChangesRequest, ListParticipantsRequest, Participant, ParticipantName, list_changes_request::Start,
    watch_changes_request::Start as WatchStart,
};
use tokio::time::timeout;

use crate::support::{
    Service,
    follow::{Watch, all, beginning, matching, number},
    make::{settled_person, wikidata},
};

/// Lists and watches with one filter, side by side.
struct SideBySide<'a> {
    service: &'a Service,
    /// The filter of the list, and that of the changes.
    filters: [String; 2],
    /// The prefix of the names of the records.
    collection: &'static str,
    live: Watch,
    /// The records of the list, and the position of the feed at that time.
    listed: BTreeSet<String>,
    position: String,
    /// The changes that the watch has delivered, and the cursor after each step.
    delivered: Vec<Change>,
    steps: Vec<(String, usize)>,
}

impl<'a> SideBySide<'a> {
    async fn begin(service: &'a Service, collection: &'static str, filters: [String; 2]) -> Self {
        let live = service.watch(matching(beginning(), &filters[1])).await;
        let (listed, delivered, steps) = Default::default();
        let mut this = Self { service, filters, collection, live, listed, position: String::new(), delivered, steps };
        this.delivered = this.live.caught_up().await;
        this.listed = this.list().await;
        this.position = service.all_changes().await.pop().unwrap().position;
        this.note_step();
        this
    }

    async fn list(&self) -> BTreeSet<String> {
        match self.collection {
            "meetings/" => self.service.meetings_where(&self.filters[0]).await.into_iter().collect(),
            _ => {
                let filter = self.filters[0].clone();
                let request = ListParticipantsRequest { filter, page_size: 1_000, ..Default::default() };
                let page = self.service.participants.clone().list_participants(request).await.unwrap().into_inner();
                page.participants.into_iter().map(|participant| participant.name).collect()
            }
        }
    }

    fn note_step(&mut self) {
        self.steps.push((self.position.clone(), self.delivered.len()));
    }

    /// Waits until all is settled, and compares what the watch has delivered since the last step with the lists before
    /// and after it.
    async fn compare(&mut self, step: &str) {
        self.service.await_rest().await;
        let before = std::mem::take(&mut self.listed);
        self.listed = self.list().await;
        let changes = self.service.all_changes().await;
        let since = changes.iter().position(|change| change.position == self.position).unwrap() + 1;
        let is_expected = |change: &&Change| {
            change.name.starts_with(self.collection)
                && (before.contains(&change.name) || self.listed.contains(&change.name))
        };
        let expected: Vec<(i64, String)> =
            changes[since..].iter().filter(is_expected).map(|change| (number(change), change.name.clone())).collect();
        let mut delivered = Vec::new();
        // A heartbeat would end the wait for one message.
        let receiving = async {
            while delivered.len() < expected.len() {
                delivered.push(self.live.change().await);
            }
        };
        let _ = timeout(Duration::from_secs(10), receiving).await;
        let found: Vec<(i64, String)> = delivered.iter().map(|change| (number(change), change.name.clone())).collect();
        assert_eq!(found, expected, "{step}: {changes:#?}");
        self.delivered.extend(delivered);
        self.position = changes.last().unwrap().position.clone();
        self.note_step();
    }

    /// Reads the changes once more, from the table, from the beginning and from each step on.
    async fn repeat(self) {
        let filter = &self.filters[1];
        for (position, delivered) in self.steps {
            let expected: Vec<i64> = self.delivered[delivered..].iter().map(number).collect();
            let start = WatchStart::After(position.clone());
            let watched = self.service.watch(matching(start, filter)).await.caught_up().await;
            assert_eq!(watched.iter().map(number).collect::<Vec<_>>(), expected, "after {position}");
            let start = Some(Start::After(position.clone()));
            let request = ListChangesRequest { start, filter: filter.clone(), page_size: 1_000, ..Default::default() };
            let page = self.service.changes.clone().list_changes(request).await.unwrap().into_inner();
            assert_eq!(page.changes.iter().map(number).collect::<Vec<_>>(), expected, "after {position}");
        }
        let whole = self.service.watch(matching(beginning(), filter)).await.caught_up().await;
        assert_eq!(whole, self.delivered);
        assert!(self.service.watch(all(beginning())).await.caught_up().await.len() > whole.len());
    }
}

#[tokio::test]
async fn watch_of_an_alias_delivers_the_changes_of_the_meetings_that_a_list_has() {
    let service = Service::start().await;
    let kim = settled_person("Yong Il Kim", "KP");
    let first = service.talks_between("urn:a", std::slice::from_ref(&kim)).await;
    let second = service.talks_between("urn:b", &[settled_person("Ri Man-gap", "KP")]).await;
    let third = service.talks_between("urn:c", &[settled_person("Hu Jintao", "CN")]).await;
    let name = |answer: &readout::pb::IngestStoryResponse| answer.participants[0].name.clone();
    let (x, y, z) = (name(&first), name(&second), name(&third));
    for filter in [format!("participant = \"{x}\""), format!("participant((participant = \"{x}\"))")] {
        let mut story = 0;
        let mut tell = async |people: &[Participant]| {
            story += 1;
            service.talks_between(&format!("urn:{story}:{filter}"), people).await;
        };
        let of_changes = filter.replacen("participant", "meeting.participant", 1);
        let mut both = SideBySide::begin(&service, "meetings/", [filter.clone(), of_changes]).await;
        tell(std::slice::from_ref(&kim)).await;
        both.compare("a story").await;
        service.merge_participants(&y, &[&x]).await.unwrap();
        both.compare("merged").await;
        tell(&[settled_person("Ri Man-gap", "KP")]).await;
        both.compare("a story of the survivor").await;
        tell(&[kim.clone(), settled_person("Wen Jiabao", "CN")]).await;
        both.compare("a story of the alias").await;
        service.unmerge_participant(&x).await.unwrap();
        both.compare("unmerged").await;
        tell(&[settled_person("Ri Man-gap", "KP")]).await;
        both.compare("a story of the former survivor").await;
        service.merge_participants(&z, &[&x]).await.unwrap();
        both.compare("merged elsewhere").await;
        // The person itself becomes an alias.
        service.merge_participants(&y, &[&z]).await.unwrap();
        both.compare("the survivor is merged").await;
        tell(&[settled_person("Hu Jintao", "CN")]).await;
        both.compare("a story of the survivor's alias").await;
        service.unmerge_participant(&z).await.unwrap();
        both.compare("the survivor is unmerged").await;
        service.unmerge_participant(&x).await.unwrap();
        both.compare("unmerged again").await;
        both.repeat().await;
    }
}

#[tokio::test]
async fn watch_of_an_external_id_delivers_the_changes_of_the_person_that_a_list_has() {
    watch_of_an_external_id(" = \"wikidata:Q7\"").await;
}

#[tokio::test]
async fn watch_of_any_external_id_delivers_the_changes_of_the_person_that_a_list_has() {
    watch_of_an_external_id(":*").await;
}

/// Compares a list and a watch of the participants that have an external id, of which there is one.
async fn watch_of_an_external_id(condition: &str) {
    let service = Service::start().await;
    let create = async |name: &str, ids| {
        let participant = Participant { external_ids: ids, ..settled_person(name, "RU") };
        service.create_participant(participant).await.name
    };
    let x = create("Yong Il Kim", wikidata("Q7")).await;
    let y = create("Ri Man-gap", Vec::new()).await;
    let filters = [format!("external_id{condition}"), format!("participant.external_id{condition}")];
    let mut both = SideBySide::begin(&service, "participants/", filters).await;
    let note = async |name: &str, note: &str| {
        let mut participant = service.participant(name).await;
        (participant.etag, participant.note) = (String::new(), note.into());
        service.update_participant(participant, &["note"]).await.unwrap();
    };
    note(&x, "1").await;
    both.compare("the participant").await;
    service.merge_participants(&y, &[&x]).await.unwrap();
    both.compare("merged").await;
    assert_eq!(both.listed, BTreeSet::from([y.clone()]));
    let merged = Some(std::time::SystemTime::now().into());
    note(&y, "2").await;
    both.compare("the survivor").await;
    service.unmerge_participant(&x).await.unwrap();
    both.compare("unmerged").await;
    assert_eq!(both.listed, BTreeSet::from([x.clone()]));
    note(&y, "3").await;
    both.compare("the former survivor").await;
    let filter = both.filters[0].clone();
    both.repeat().await;
    // The list as of the merge has the person of then.
    let at = async |read_time| {
        let request = ListParticipantsRequest { filter: filter.clone(), read_time, ..Default::default() };
        let page = service.participants.clone().list_participants(request).await.unwrap().into_inner();
        page.participants.into_iter().map(|participant| participant.name).collect::<Vec<_>>()
    };
    assert_eq!(at(merged).await, [y.as_str()]);
    // Of an alias that has not changed since, too.
    service.merge_participants(&y, &[&x]).await.unwrap();
    let merged = Some(std::time::SystemTime::now().into());
    note(&y, "4").await;
    assert_eq!(at(merged).await, [y.as_str()]);
    assert_eq!(at(None).await, [y]);
}

#[tokio::test]
async fn watch_of_a_name_delivers_the_changes_of_the_participants_that_a_list_has() {
    let service = Service::start().await;
    let create = async |name: &str| service.create_participant(settled_person(name, "RU")).await.name;
    let (x, y) = (create("Yong Il Kim").await, create("Ri Man-gap").await);
    let z = create("Hu Jintao").await;
    let filters = ["name = \"yong il kim\"".to_owned(), "participant.name = \"yong il kim\"".to_owned()];
    let mut both = SideBySide::begin(&service, "participants/", filters).await;
    let learn = async |name: &str, text: &str| {
        let mut participant = service.participant(name).await;
        participant.etag.clear();
        participant.names.push(ParticipantName { text: text.into(), ..Default::default() });
        service.update_participant(participant, &["names"]).await.unwrap();
    };
    learn(&x, "Kim the Elder").await;
    both.compare("the participant").await;
    learn(&y, "Ri").await;
    both.compare("another participant").await;
    service.merge_participants(&y, &[&x]).await.unwrap();
    both.compare("merged").await;
    learn(&y, "Ri the Elder").await;
    both.compare("the survivor").await;
    learn(&x, "Kim the Second").await;
    both.compare("the alias").await;
    service.merge_participants(&z, &[&y]).await.unwrap();
    both.compare("the survivor is merged").await;
    learn(&z, "Hu").await;
    both.compare("the second survivor").await;
    learn(&y, "Ri the Second").await;
    both.compare("the first survivor").await;
    service.unmerge_participant(&x).await.unwrap();
    both.compare("unmerged").await;
    learn(&z, "Hu the Elder").await;
    both.compare("the former survivor").await;
    learn(&x, "Kim the Third").await;
    both.compare("the participant again").await;
    // Another participant gets the name.
    learn(&y, "YONG IL KIM").await;
    both.compare("a namesake").await;
    learn(&z, "Hu the Second").await;
    both.compare("the person of a namesake").await;
    let filters = both.filters.clone();
    both.repeat().await;
    // A deleted participant is in no list.
    let mut both = SideBySide::begin(&service, "participants/", filters).await;
    service.delete_participant(&x).await.unwrap();
    both.compare("deleted").await;
    learn(&z, "Hu the Third").await;
    both.compare("the person of a namesake again").await;
}
