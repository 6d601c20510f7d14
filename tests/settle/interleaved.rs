//! Concurrent merges, splits, reports and retractions of the same meetings through two instances: in every order,
//! no report is lost and every meeting is settled from its own reports.

use std::collections::BTreeSet;

use readout::pb::{Account, ErrorReason, ListMeetingsRequest, Meeting, Report, meeting::Review, report::State};
use tonic::Status;

use crate::{
    faults::rng::Chance,
    support::{
        Service,
        make::{article, talks},
        reason_of,
    },
};

const WRITERS: usize = 8;
const CALLS: usize = 40;

/// A client that makes random calls.
struct Writer<'a> {
    service: &'a Service,
    chance: Chance,
    /// Identifies this writer and prefixes its topics.
    number: usize,
    /// The meetings that exist before the calls.
    meetings: &'a [String],
    article: &'a str,
}

impl Writer<'_> {
    /// Makes the calls and returns the acknowledged reports.
    async fn run(mut self) -> Vec<String> {
        let mut reports: Vec<String> = Vec::new();
        for call in 0..CALLS {
            let (meeting, other) = (self.any_meeting(), self.any_meeting());
            let done = match self.chance.below(6) {
                0 | 1 => {
                    let topics = vec![format!("w{}-{call}", self.number)];
                    let account = Account { topics, ..talks("Talks") };
                    let added = self.service.add_report(&meeting, self.article, account).await;
                    added.map(|report| reports.push(report.name))
                }
                2 => self.service.merge(&meeting, &[&other]).await.map(drop),
                3 => self.service.split(&meeting, &[], &other).await.map(drop),
                4 => {
                    let listed = self.service.reports_of(&meeting).await;
                    let Some(report) = self.one_of(&listed) else { continue };
                    // Moves the report to another meeting, or in a quarter of the calls to a new one.
                    let into = if self.chance.once_in(4) { String::new() } else { other };
                    self.service.split(&meeting, &[&report.name], &into).await.map(drop)
                }
                _ => match self.one_of(&reports) {
                    Some(report) => self.service.retract_report(report).await.map(drop),
                    None => Ok(()),
                },
            };
            done.unwrap_or_else(assert_expected);
        }
        reports
    }

    fn any_meeting(&mut self) -> String {
        self.one_of(self.meetings).cloned().unwrap_or_default()
    }

    fn one_of<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        let at = self.chance.below(of.len().max(1) as u64);
        of.get(usize::try_from(at).expect("the index is small"))
    }
}

/// Accepts only the errors that concurrent writers or the random choice can cause.
#[track_caller]
fn assert_expected(status: Status) {
    use ErrorReason::*;
    let expected = [MergedAway, NotMerged, LeavesNothing, AlreadyRetracted, InvalidField];
    assert!(expected.contains(&reason_of(&status)), "{status:?}");
}

async fn all_meetings(service: &Service) -> Vec<Meeting> {
    let request = ListMeetingsRequest { show_deleted: true, page_size: 1_000, ..Default::default() };
    service.meetings.clone().list_meetings(request).await.expect("a list").into_inner().meetings
}

/// Every report is in exactly one meeting, and every meeting is settled from its own reports.
async fn check(service: &Service, acknowledged: &BTreeSet<String>) {
    let mut found = BTreeSet::new();
    for meeting in all_meetings(service).await {
        let reports = service.reports_of(&meeting.name).await;
        let active = || reports.iter().filter(|report| report.state() == State::Active);
        assert_eq!(meeting.report_count as usize, active().count(), "{}", meeting.name);
        let topics = |report: &Report| report.account.clone().unwrap_or_default().topics;
        let reported: BTreeSet<String> = active().flat_map(topics).collect();
        let settled: BTreeSet<String> = meeting.account.clone().unwrap_or_default().topics.into_iter().collect();
        assert_eq!(settled, reported, "{}", meeting.name);
        assert!(meeting.merged_into.is_empty() || reports.is_empty(), "{}", meeting.name);
        if meeting.merged_into.is_empty() {
            assert_eq!(meeting.review() == Review::Retracted, active().next().is_none(), "{}", meeting.name);
        }
        for report in reports {
            assert!(found.insert(report.name.clone()), "{} is in two meetings", report.name);
        }
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_merges_splits_reports_and_retractions_lose_no_report() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let mut meetings = Vec::new();
    for at in 0..5 {
        let source = service.create_article(article(&format!("urn:meeting:{at}"))).await;
        meetings.push(service.create_meeting(&source, talks(&format!("Talks {at}"))).await.unwrap().name);
    }
    let mut articles = Vec::new();
    for at in 0..WRITERS {
        articles.push(service.create_article(article(&format!("urn:writer:{at}"))).await.name);
    }
    let seed = Chance::seed();
    eprintln!("READOUT_SEED={seed}");
    let writers = (0..WRITERS).map(|number| {
        let chance = Chance::of(seed, &number.to_string());
        let service = [&service, &other][number % 2];
        Writer { service, chance, number, meetings: &meetings, article: &articles[number] }.run()
    });
    let reports = futures_util::future::join_all(writers).await;
    let acknowledged: BTreeSet<String> = reports.into_iter().flatten().collect();
    assert!(acknowledged.len() > WRITERS);
    check(&service, &acknowledged).await;

    // All merges can be undone, starting with the last one, without losing a report.
    loop {
        let all = all_meetings(&service).await;
        let is_unmerged = |name: &str| all.iter().any(|meeting| meeting.name == name && meeting.merged_into.is_empty());
        let merged = all.iter().filter(|meeting| !meeting.merged_into.is_empty());
        let Some(last) = merged.rev().find(|meeting| is_unmerged(&meeting.merged_into)) else { break };
        other.split(&last.merged_into, &[], &last.name).await.unwrap();
    }
    assert!(all_meetings(&other).await.iter().all(|meeting| meeting.merged_into.is_empty()));
    check(&other, &acknowledged).await;
}
