//! Random acts on a few records, each made twice: first to validate it, then in earnest.

use readout::pb::{
    Account, AddReportRequest, Article, BindParticipationRequest, Date, DeleteArticleRequest, Effect,
    JudgeParticipantsRequest, Meeting, MergeMeetingsRequest, MergeParticipantsRequest, Place, Report,
    RetractReportRequest, SplitMeetingRequest, UnmergeParticipantRequest, UpdateArticleRequest, UpdateMeetingRequest,
    judgement::Verdict,
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    faults::rng::Chance,
    support::{
        Service,
        calls::mask,
        make::{article, day, ingest, person, present, story, talks},
    },
};

/// A long text without words in common with others.
fn text(variant: u64) -> String {
    format!("{}{variant}", "Ministerialkonferenz".repeat(24))
}

fn on(chance: &mut Chance) -> Option<Date> {
    Some(Date { year: 2020, month: 8, day: 1 + chance.below(9) as i32 })
}

/// Makes a call twice, first to validate it. Returns the effects that it foresaw, and their number of omitted ones.
macro_rules! twice {
    ($service:expr, $client:ident.$method:ident($request:expr)) => {{
        let (mut client, mut request) = ($service.$client.clone(), $request);
        request.validate_only = true;
        let foreseen = client.$method(request.clone()).await.map(|answer| answer.into_inner());
        request.validate_only = false;
        let done = client.$method(request).await.map(|answer| answer.into_inner());
        match (foreseen, done) {
            (Ok(foreseen), Ok(done)) => {
                assert!(done.effects.is_empty(), "a call that was made lists no effects");
                Ok((foreseen.effects, foreseen.omitted_effects))
            }
            (Err(foreseen), Err(done)) => {
                assert_eq!(foreseen.message(), done.message());
                Err(done)
            }
            (foreseen, done) => panic!("{foreseen:?} and {done:?}"),
        }
    }};
}

/// The records on which acts are made.
pub struct World {
    pub service: Service,
    pub chance: Chance,
    articles: Vec<String>,
    people: Vec<String>,
    meetings: Vec<String>,
    reports: Vec<String>,
}

/// The effects of an act and the number of omitted ones, or its refusal.
pub type Foreseen = Result<(Vec<Effect>, i32), Status>;

impl World {
    pub async fn new(chance: Chance) -> Self {
        let service = Service::start().await;
        // The job that settles who is one person must not change records between the calls.
        service.execute("update identity_progress set holder = gen_random_uuid(), expires = 'infinity'").await;
        let mut world = Self { service, chance, articles: vec![], people: vec![], meetings: vec![], reports: vec![] };
        for name in ["Ada Byron", "Kofi Mensah", "Yuki Tanaka", "Olga Petrova", "Pedro Alves", "Zainab Bello"] {
            world.people.push(world.service.create_participant(person(name, "GB")).await.name);
        }
        for _ in 0..5 {
            world.grow().await;
        }
        world
    }

    /// Adds two articles, and a meeting that one of them reports.
    pub async fn grow(&mut self) {
        for _ in 0..2 {
            let sent = Article {
                publish_date: on(&mut self.chance),
                text: text(self.chance.below(3)),
                ..article(&format!("urn:effects:{}", self.articles.len()))
            };
            self.articles.push(self.service.create_article(sent).await.name);
        }
        let source = self.service.article(&self.articles[self.articles.len() - 1]).await;
        let account = self.account();
        let meeting = self.service.create_meeting(&source, account).await.expect("a meeting");
        self.reports.extend(self.service.report_names_of(&meeting.name).await);
        self.meetings.push(meeting.name);
    }

    pub fn meetings(&self) -> usize {
        self.meetings.len()
    }

    fn one_of(&mut self, names: &[String]) -> String {
        names[self.chance.below(names.len() as u64) as usize].clone()
    }

    fn article(&mut self) -> String {
        let articles = self.articles.clone();
        self.one_of(&articles)
    }

    fn person(&mut self) -> String {
        let people = self.people.clone();
        self.one_of(&people)
    }

    fn meeting(&mut self) -> String {
        let meetings = self.meetings.clone();
        self.one_of(&meetings)
    }

    fn report(&mut self) -> String {
        let reports = self.reports.clone();
        self.one_of(&reports)
    }

    fn account(&mut self) -> Account {
        let (first, second) = (self.chance.below(6) as usize, 1 + self.chance.below(5) as usize);
        let people = [first, (first + second) % 6].map(|at| self.people[at].clone());
        let locality = ["Baku", "Moscow", "Geneva"][self.chance.below(3) as usize];
        Account {
            date: day(2020, 8, 1 + self.chance.below(4) as i32),
            place: Some(Place { locality: locality.into(), ..Default::default() }),
            participations: vec![present("a", &people[0]), present("b", &people[1])],
            topics: vec![format!("topic-{}", self.chance.below(1_000_000))],
            ..talks(["Talks", "Visit"][self.chance.below(2) as usize])
        }
    }

    /// Makes a random act. Returns its name and what it foresaw.
    pub async fn act(&mut self) -> (&'static str, Foreseen) {
        match self.chance.below(14) {
            0 | 1 => ("add a report", self.add_report().await),
            2 => {
                let request =
                    RetractReportRequest { name: self.report(), reason: "wrong".into(), ..Default::default() };
                ("retract a report", twice!(self.service, meetings.retract_report(request)))
            }
            3 => ("delete an article", self.delete_article().await),
            4 => ("update an article", self.update_article().await),
            5 => {
                let request =
                    MergeMeetingsRequest { name: self.meeting(), sources: vec![self.meeting()], ..Default::default() };
                ("merge meetings", twice!(self.service, meetings.merge_meetings(request)))
            }
            6 => {
                let request = SplitMeetingRequest { name: self.meeting(), into: self.meeting(), ..Default::default() };
                ("split a meeting", twice!(self.service, meetings.split_meeting(request)))
            }
            7 => {
                let (name, into) = (self.meeting(), self.meeting());
                let reports: Vec<String> = self.service.report_names_of(&name).await.into_iter().take(1).collect();
                let request = SplitMeetingRequest { name, into, reports, ..Default::default() };
                ("move a report", twice!(self.service, meetings.split_meeting(request)))
            }
            8 => {
                let request = MergeParticipantsRequest {
                    name: self.person(),
                    sources: vec![self.person()],
                    reason: "one".into(),
                    ..Default::default()
                };
                ("merge participants", twice!(self.service, participants.merge_participants(request)))
            }
            9 => {
                let request =
                    UnmergeParticipantRequest { name: self.person(), reason: "two".into(), ..Default::default() };
                ("unmerge a participant", twice!(self.service, participants.unmerge_participant(request)))
            }
            10 => {
                let verdict = [Verdict::Same, Verdict::Different, Verdict::Withdrawn][self.chance.below(3) as usize];
                let request = JudgeParticipantsRequest {
                    participant: self.person(),
                    other: self.person(),
                    verdict: verdict.into(),
                    reason: "known".into(),
                    ..Default::default()
                };
                ("judge participants", twice!(self.service, participants.judge_participants(request)))
            }
            11 => {
                let request = BindParticipationRequest {
                    report: self.report(),
                    participation: "a".into(),
                    participant: self.person(),
                    reason: "known".into(),
                    ..Default::default()
                };
                ("bind a participation", twice!(self.service, meetings.bind_participation(request)))
            }
            12 => {
                let request = UpdateMeetingRequest {
                    meeting: Some(Meeting {
                        name: self.meeting(),
                        account: Some(Account {
                            title: format!("Ruled {}", self.chance.below(9)),
                            ..Default::default()
                        }),
                        ..Default::default()
                    }),
                    update_mask: mask(&["account.title"]),
                    reason: "the calendar".into(),
                    report_id: Uuid::now_v7().to_string(),
                    ..Default::default()
                };
                ("rule", twice!(self.service, meetings.update_meeting(request)))
            }
            _ => ("ingest a story", self.ingest().await),
        }
    }

    /// Deletes an article with its reports.
    async fn delete_article(&mut self) -> Foreseen {
        let request = DeleteArticleRequest { name: self.article(), force: true, ..Default::default() };
        twice!(self.service, articles.delete_article(request))
    }

    async fn add_report(&mut self) -> Foreseen {
        let id = Uuid::now_v7().to_string();
        let report = Report { article: self.article(), account: Some(self.account()), ..Default::default() };
        let request = AddReportRequest {
            meeting: self.meeting(),
            report: Some(report),
            report_id: id.clone(),
            ..Default::default()
        };
        let foreseen = twice!(self.service, meetings.add_report(request));
        self.reports.extend(foreseen.is_ok().then(|| format!("reports/{id}")));
        foreseen
    }

    async fn update_article(&mut self) -> Foreseen {
        let mut sent = Article { name: self.article(), ..Default::default() };
        let path = match self.chance.below(4) {
            0 => {
                sent.publish_date = on(&mut self.chance);
                "publish_date"
            }
            1 => {
                sent.text = text(self.chance.below(3));
                "text"
            }
            2 => {
                sent.syndicated_from = self.article();
                "syndicated_from"
            }
            _ => {
                sent.title = format!("Title {}", self.chance.below(3));
                "title"
            }
        };
        let request = UpdateArticleRequest { article: Some(sent), update_mask: mask(&[path]), ..Default::default() };
        twice!(self.service, articles.update_article(request))
    }

    /// A story of a new article, whose report is added to a meeting.
    async fn ingest(&mut self) -> Foreseen {
        let mut sent = story(&format!("urn:story:{}", self.chance.below(1_000_000)), &[]);
        sent.reports[0].meeting = self.meeting();
        sent.reports[0].account = Some(self.account());
        let request = ingest(sent);
        twice!(self.service, ingest.ingest_story(request))
    }
}
