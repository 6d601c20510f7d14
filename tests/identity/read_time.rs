//! Queries with `read_time` give the answers that were given at that time, after any further history.

use std::time::SystemTime;

use prost_types::Timestamp;
use readout::pb::{
    Account, Article, Date, DeleteArticleRequest, Meeting, Participant, Statement, UpdateMeetingRequest, account::Kind,
    date_span::Extent, judgement::Verdict, meeting::Review, statement::Act,
};
use tonic::Status;

use super::recorded_answers::Subjects;
use crate::{
    faults::rng::Chance,
    support::{
        Service, calls,
        make::{day, settled_person, story},
    },
};

/// The names of the people of these histories: some are one person by the rule.
const NAMES: [(&str, &str); 10] = [
    ("Sergei Lavrov", "RU"),
    ("Sergey Lavrov", "RU"),
    ("Sergey Lavrov", ""),
    ("Kerim Veliyev", "AZ"),
    ("Karim Valiyev", "AZ"),
    ("Ann Lee", "GB"),
    ("Anne Lee", "GB"),
    ("Hu Jintao", "CN"),
    ("Wen Jiabao", "CN"),
    ("Yong Il Kim", "KP"),
];

const TEXTS: [&str; 4] = ["They met for peace.", "The story of a war.", "Peace talks went on.", "Nobody came."];

/// The time between two writes.
fn now() -> Option<Timestamp> {
    Some(SystemTime::now().into())
}

/// One of these, by chance.
fn any<'a>(chance: &mut Chance, of: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let all: Vec<_> = of.into_iter().collect();
    if all.is_empty() { None } else { Some(all[chance.below(all.len() as u64) as usize]) }
}

impl Service {
    /// Ingests a story of two to four people, of an event that may be known.
    async fn random_story(&self, chance: &mut Chance, number: usize) {
        let mut people: Vec<Participant> = Vec::new();
        let size = 2 + chance.below(3) as usize;
        while people.len() < size {
            let (name, region) = NAMES[chance.below(NAMES.len() as u64) as usize];
            let person = settled_person(name, region);
            if !people.contains(&person) {
                people.push(person);
            }
        }
        let mut story = story(&format!("urn:story:{number}"), &people);
        let article = story.article.as_mut().unwrap();
        article.text = format!("Story {number}. {}", TEXTS[chance.below(4) as usize]);
        article.publish_date = Some(Date { year: 2001 + chance.below(6) as i32, month: 5, day: 7 });
        if chance.once_in(3) {
            article.section = "sport".into();
        }
        let account = story.reports[0].account.as_mut().unwrap();
        account.title = format!("Talks {number}");
        account.date = day(2001 + chance.below(6) as i32, 1 + chance.below(12) as i32, 3);
        if chance.once_in(4) {
            // Some time until a month that is in the same quarter, in another one, or in another year.
            let date = account.date.as_mut().unwrap();
            let start = date.start.unwrap();
            let end = *[(0, start.month), (0, 12), (1, 2)].get(chance.below(3) as usize).unwrap();
            date.end = Some(Date { year: start.year + end.0, month: end.1, day: 0 });
            date.set_extent(Extent::SometimeWithin);
        }
        account.topics = [vec!["peace".into()], vec!["trade".into(), "peace".into()], vec![]][number % 3].clone();
        for (participation, person) in account.participations.iter_mut().zip(&people) {
            participation.region_code.clone_from(&person.region_code);
        }
        account.statements = (0..chance.below(3))
            .map(|at| Statement {
                id: format!("s{at}"),
                text: format!("{} They trust each other.", TEXTS[chance.below(4) as usize]),
                speakers: vec![format!("p{at}")],
                act: [Act::Stress, Act::Deny][chance.below(2) as usize].into(),
                topics: vec![["peace", "trade"][chance.below(2) as usize].into()],
                ..Default::default()
            })
            .collect();
        let (kind, status) = ([Kind::Talks, Kind::Visit][number % 2], chance.below(3) as i32 + 1);
        (account.kind, account.status) = (kind.into(), status);
        self.ingest.clone().ingest_story(super::settled(story)).await.expect("a story");
    }

    /// Makes one change, if it is allowed.
    async fn random_change(&self, chance: &mut Chance, of: &Subjects, number: usize) -> Result<(), Status> {
        let (Some(article), Some(meeting)) = (any(chance, &of.articles), any(chance, &of.meetings)) else {
            return Ok(());
        };
        let other = any(chance, &of.meetings).unwrap_or(meeting);
        let (Some(person), Some(another)) = (any(chance, &of.participants), any(chance, &of.participants)) else {
            return Ok(());
        };
        match chance.below(17) {
            0 | 1 => self.merge(meeting, &[other]).await.map(drop),
            2 => {
                let reports = self.report_names_of(meeting).await;
                let first = reports.first().map(String::as_str).unwrap_or_default();
                self.split(meeting, &[first], "").await.map(drop)
            }
            3 => match self.report_names_of(meeting).await.first() {
                Some(report) => self.retract_report(report).await.map(drop),
                None => Ok(()),
            },
            4 => self.delete_meeting(meeting).await.map(drop),
            5 => self.undelete_meeting(meeting).await.map(drop),
            6 => {
                let request = DeleteArticleRequest { name: article.clone(), force: true, ..Default::default() };
                self.articles.clone().delete_article(request).await.map(drop)
            }
            7 => self.undelete_article(article).await.map(drop),
            8 => {
                let text = format!("Story {number}. {}", TEXTS[chance.below(4) as usize]);
                let next = Article { name: article.clone(), text, title: "Peace".into(), ..Default::default() };
                self.update_article(next, &["text", "title"]).await.map(drop)
            }
            9 => {
                let publish_date = Some(Date { year: 2001 + chance.below(6) as i32, month: 4, day: 1 });
                let next = Article { name: article.clone(), publish_date, ..Default::default() };
                self.update_article(next, &["publish_date"]).await.map(drop)
            }
            10 | 11 => self.merge_participants(person, &[another]).await.map(drop),
            12 => self.unmerge_participant(person).await.map(drop),
            13 => {
                let verdict = if chance.once_in(2) { Verdict::Same } else { Verdict::Different };
                self.judge(person, another, verdict).await.map(drop)
            }
            14 => {
                let next = Participant {
                    name: person.clone(),
                    display_name: NAMES[chance.below(NAMES.len() as u64) as usize].0.into(),
                    ..Default::default()
                };
                self.update_participant(next, &["display_name"]).await.map(drop)
            }
            15 => {
                let account = Account {
                    topics: vec!["ruled".into()],
                    date: day(2003, 1 + chance.below(12) as i32, 9),
                    ..Default::default()
                };
                let ruled = Meeting { name: meeting.clone(), account: Some(account), ..Default::default() };
                self.revise(ruled, &["account.topics", "account.date"]).await
            }
            _ => {
                let reviewed = Meeting { name: meeting.clone(), review: Review::Reviewed.into(), ..Default::default() };
                self.revise(reviewed, &["review"]).await
            }
        }
    }

    async fn revise(&self, meeting: Meeting, paths: &[&str]) -> Result<(), Status> {
        let request = UpdateMeetingRequest {
            meeting: Some(meeting),
            update_mask: calls::mask(paths),
            reason: "known".into(),
            ..Default::default()
        };
        self.meetings.clone().update_meeting(request).await.map(drop)
    }

    /// All records that there are.
    async fn subjects(&self) -> Subjects {
        let contents = self.contents().await;
        Subjects {
            participants: self.all_participants().await.into_iter().map(|participant| participant.name).collect(),
            articles: contents.articles.into_iter().map(|article| article.name).collect(),
            meetings: contents.meetings.into_iter().map(|meeting| meeting.name).collect(),
            names: NAMES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_as_of_a_time_give_the_answers_of_that_time() {
    let seed = Chance::seed();
    println!("READOUT_SEED={seed}");
    let mut chance = Chance::of(seed, "read times");
    let service = Service::start().await;
    let mut recorded: Vec<(Option<Timestamp>, Subjects, Vec<String>)> = Vec::new();
    let (mut changes, mut refused) = (0, 0);
    for round in 0..7 {
        for number in 0..6 {
            service.random_story(&mut chance, round * 6 + number).await;
        }
        service.await_rest().await;
        let subjects = service.subjects().await;
        for number in 0..12 * round.min(1) {
            match service.random_change(&mut chance, &subjects, round * 12 + number).await {
                Ok(()) => changes += 1,
                Err(_) => refused += 1,
            }
        }
        service.await_rest().await;
        let (time, subjects) = (now(), service.subjects().await);
        let answers = service.answers(&subjects, None).await;
        recorded.push((time, subjects, answers));
    }
    println!("{changes} changes, {refused} refused, {} answers", recorded.iter().map(|(.., a)| a.len()).sum::<usize>());
    for (time, subjects, expected) in &recorded {
        let answers = service.answers(subjects, *time).await;
        for (answer, expected) in answers.iter().zip(expected) {
            assert_eq!(answer, expected, "READOUT_SEED={seed}");
        }
        assert_eq!(answers.len(), expected.len(), "READOUT_SEED={seed}");
    }
    service.stop().await;
}
