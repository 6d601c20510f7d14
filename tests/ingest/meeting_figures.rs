//! The figures of the rule for meetings on the real stories. `cargo test --all-features --test it meeting_figures --
//! --nocapture` prints them.

use std::collections::{BTreeMap, BTreeSet};

use readout::pb::{
    Account, IngestStoriesRequest, IngestStoryRequest, ListDuplicateMeetingsRequest, MatchMeetingsRequest, Meeting,
    Participation, Story,
    date_span::Basis,
    ingest_story_request::MeetingMatching,
    ingest_story_response::Outcome,
    list_duplicate_meetings_response::Pair,
    meeting_match::{Level, reason::Kind as ReasonKind},
};

use crate::support::{
    Service,
    stories::{lines, request, story},
    story_stream::{ingest_all, outcome},
};

/// Every 44th story is rewritten.
const STEP: usize = 44;

/// Another report of the same event: another article, publisher, title, summary and order, names in capitals, and the
/// place in another spelling.
fn rewritten(sent: &Story, number: usize) -> Story {
    let mut story = sent.clone();
    let article = story.article.as_mut().unwrap();
    article.uri = format!("urn:rewritten:{number}");
    article.alternate_uris.clear();
    article.external_ids.clear();
    article.labels.clear();
    article.title = format!("Officials confer, bulletin {number}");
    article.text = format!("Bulletin {number}. Nothing of the first wording is left in this one.");
    article.publisher = None;
    for participant in &mut story.participants {
        let participant = participant.participant.as_mut().unwrap();
        participant.display_name = participant.display_name.to_uppercase();
    }
    for report in &mut story.reports {
        report.evidence.clear();
        let account = report.account.as_mut().unwrap();
        account.title = format!("Bulletin {number}");
        account.summary = "A report in other words.".into();
        account.topics.clear();
        account.statements.clear();
        account.participations.reverse();
        account.participations.iter_mut().for_each(|participation| {
            participation.name_as_written = participation.name_as_written.to_uppercase();
            participation.office = None;
        });
        if let Some(date) = &mut account.date {
            date.set_basis(Basis::Relative);
        }
        if let Some(place) = &mut account.place {
            place.locality = respelt(&place.locality, number);
            place.venue = "the residence".into();
        }
    }
    story
}

/// Another spelling of a locality.
fn respelt(locality: &str, number: usize) -> String {
    match number % 4 {
        0 => locality.to_uppercase(),
        1 => locality.replace('a', "á").replace('i', "ı"),
        2 if locality.chars().count() > 4 => locality.replacen("ing", "in'g", 1).replacen(' ', "-", 1),
        2 => locality.to_lowercase(),
        _ if locality.is_empty() => String::new(),
        _ => format!("{locality} City"),
    }
}

/// Reads all pairs that may be one event.
async fn duplicates(service: &Service) -> Vec<Pair> {
    let mut request = ListDuplicateMeetingsRequest { page_size: 1_000, ..Default::default() };
    let mut pairs = Vec::new();
    loop {
        let page = service.meetings.clone().list_duplicate_meetings(request.clone()).await.unwrap().into_inner();
        pairs.extend(page.pairs);
        if page.next_page_token.is_empty() {
            return pairs;
        }
        request.page_token = page.next_page_token;
    }
}

/// The participants whom only one of two meetings has, without companions: those whose region has a participant whom
/// both have.
fn third_sides<'a>(a: &'a Meeting, b: &'a Meeting) -> BTreeSet<&'a str> {
    let participations = |meeting: &'a Meeting| &meeting.account.as_ref().unwrap().participations;
    let names = |meeting| participations(meeting).iter().map(|participation| participation.participant.as_str());
    let (of_a, of_b): (BTreeSet<&str>, BTreeSet<&str>) = (names(a).collect(), names(b).collect());
    let all = || participations(a).iter().chain(participations(b));
    let is_shared = |name: &str| of_a.contains(name) && of_b.contains(name);
    let shared = all().filter(|participation| is_shared(&participation.participant));
    let regions: BTreeSet<&str> =
        shared.map(|participation| participation.region_code.as_str()).filter(|code| !code.is_empty()).collect();
    let alone = all().filter(|Participation { participant, region_code, .. }| {
        !is_shared(participant) && !regions.contains(region_code.as_str())
    });
    alone.map(|participation| participation.participant.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meeting_figures_on_the_stories_hold() {
    let service = Service::start().await;
    let stories: Vec<Story> = lines().iter().map(|line| story(line)).collect();
    let answers = ingest_all(&service.ingest, stories.clone().into_iter().map(|story| request(&story))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    let warned = answers.iter().filter(|answer| !answer.warnings.is_empty()).count();

    let pairs = duplicates(&service).await;
    let same: Vec<&Pair> = pairs.iter().filter(|pair| pair.level() == Level::Same).collect();
    println!("stories: {}, SAME: {}, CANDIDATE: {}, with a warning: {warned}", answers.len(), same.len(), {
        pairs.len() - same.len()
    });
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in pairs.iter().filter(|pair| pair.level() == Level::Candidate).flat_map(|pair| &pair.reasons) {
        if reason.weight == 0.0 || matches!(reason.kind(), ReasonKind::NextDay | ReasonKind::ExtraPrincipals) {
            *reasons.entry(reason.kind().as_str_name()).or_default() += 1;
        }
    }
    println!("reasons of candidates: {reasons:?}");
    for pair in same {
        let (meeting, other) = (service.meeting(&pair.meeting).await, service.meeting(&pair.other).await);
        let [a, b] = [&meeting, &other].map(|meeting| meeting.account.as_ref().unwrap());
        println!("SAME {:.2}: {:?} | {:?}", pair.score, a.title, b.title);
        // Neither another day or year, nor a third side.
        assert_eq!(a.date.as_ref().unwrap().start, b.date.as_ref().unwrap().start);
        assert_eq!(third_sides(&meeting, &other), BTreeSet::new());
    }

    let (mut sent, mut found, mut first, mut is_same, mut of_sides, mut same_of_sides) = (0, 0, 0, 0, 0, 0);
    let mut joined = 0;
    for (number, (story, answer)) in stories.iter().zip(&answers).step_by(STEP).take(100).enumerate() {
        sent += 1;
        let meeting = &answer.meetings[0].meeting;
        let rewritten = rewritten(story, number);
        let ids: BTreeMap<String, &String> =
            answer.participants.iter().map(|result| (format!("#{}", result.key), &result.name)).collect();
        let mut account: Account = rewritten.reports[0].account.clone().unwrap();
        for participation in &mut account.participations {
            participation.participant =
                ids.get(&participation.participant).map(|name| (*name).clone()).unwrap_or_default();
        }
        let has_sides = account.participations.iter().filter(|participation| participation.presence == 1).count() > 1
            && account.place.is_some();
        of_sides += usize::from(has_sides);
        let request = MatchMeetingsRequest { account: Some(account), ..Default::default() };
        let candidates = service.meetings.clone().match_meetings(request).await.unwrap().into_inner().candidates;
        found += usize::from(candidates.iter().any(|candidate| candidate.meeting == *meeting));
        let top = candidates.first().filter(|candidate| candidate.meeting == *meeting);
        first += usize::from(top.is_some());
        let top_is_same = top.is_some_and(|top| top.level() == Level::Same);
        is_same += usize::from(top_is_same);
        same_of_sides += usize::from(top_is_same && has_sides);
        if !top_is_same {
            let account = &story.reports[0].account.as_ref().unwrap();
            let reasons = top.map(|top| top.reasons.iter().filter(|reason| reason.weight == 0.0).collect::<Vec<_>>());
            let reasons = reasons.into_iter().flatten().map(|reason| reason.kind().as_str_name()).collect::<Vec<_>>();
            println!("not SAME: {:?} {:?} {reasons:?}", account.kind(), account.title);
        }
        // The stored event and its rewritten report are one meeting.
        let request = IngestStoryRequest {
            story: Some(rewritten),
            validate_only: true,
            meeting_matching: MeetingMatching::Same.into(),
            ..Default::default()
        };
        let answer = service.ingest.clone().ingest_story(request).await.unwrap().into_inner();
        let is_joined = answer.meetings[0].outcome() == Outcome::Updated;
        assert_eq!(is_joined, top_is_same, "{story:?}");
        assert!(!is_joined || answer.meetings[0].meeting == *meeting);
        joined += usize::from(is_joined);
    }
    println!(
        "rewritten: {sent}, found: {found}, found first: {first}, found as SAME: {is_same}, joined: {joined}; \
         of {of_sides} with two participants and a place found as SAME: {same_of_sides}"
    );
    assert_eq!(sent, 100);
    assert!(found >= 98 && first >= 95);
    assert!(is_same >= 80);
    assert!(10 * same_of_sides >= 9 * of_sides);
}

/// Importing the stories with matching adds reports to the meetings that the list has as SAME, and to no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import_with_matching_joins_only_same_meetings() {
    let service = Service::start().await;
    let stories = lines()
        .into_iter()
        .map(|line| IngestStoriesRequest { meeting_matching: MeetingMatching::Same.into(), ..request(&story(&line)) });
    let answers = ingest_all(&service.ingest, stories).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    let joined: Vec<_> = answers.iter().filter(|answer| answer.meetings[0].outcome() == Outcome::Updated).collect();
    println!("joined: {}", joined.len());
    assert!((1..20).contains(&joined.len()));
    assert!(duplicates(&service).await.iter().all(|pair| pair.level() == Level::Candidate));
}
