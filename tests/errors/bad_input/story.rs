//! Rules on a story: keys, and the references that use them.

use readout::pb::{
    AddReportRequest, CreateMeetingRequest, ErrorReason, IngestStoryRequest, Participant, Participation, Story,
    StoryParticipant, StoryReport,
};
use tonic::Code;

use super::{base, world::World};
use crate::support::Refused;

/// The story fields that the refusal names; empty if the story is accepted.
async fn refused_fields(world: &mut World, edit: fn(&mut Story)) -> Vec<String> {
    let mut request = base::ingest(world);
    edit(request.story.as_mut().unwrap());
    let Err(status) = world.service.ingest.ingest_story(request).await else { return Vec::new() };
    let refused = Refused::from(status);
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    refused.fields.iter().map(|field| field.strip_prefix("story.").unwrap().to_owned()).collect()
}

type Edit = fn(&mut Story);

async fn assert_refused_fields(edits: &[(Edit, &[&str])]) {
    let mut world = World::new().await;
    for (index, (edit, fields)) in edits.iter().enumerate() {
        assert_eq!(refused_fields(&mut world, *edit).await, *fields, "edit {index}");
    }
}

fn participation(story: &mut Story, report: usize, index: usize) -> &mut Participation {
    &mut story.reports[report].account.as_mut().unwrap().participations[index]
}

fn participant(story: &mut Story, index: usize) -> &mut Participant {
    story.participants[index].participant.as_mut().unwrap()
}

#[tokio::test]
async fn an_undefined_story_key_is_refused_where_it_is_used() {
    assert_refused_fields(&[
        (
            |story| participation(story, 2, 2).participant = "#nobody".into(),
            &["reports[2].account.participations[2].participant"],
        ),
        (
            |story| story.reports[2].account.as_mut().unwrap().links[0].meeting = "#nothing".into(),
            &["reports[2].account.links[0].meeting"],
        ),
        // Keys of reports and keys of participants are separate.
        (
            |story| participation(story, 2, 2).participant = "#second".into(),
            &["reports[2].account.participations[2].participant"],
        ),
        (
            |story| story.reports[2].account.as_mut().unwrap().links[0].meeting = "#new".into(),
            &["reports[2].account.links[0].meeting"],
        ),
        (
            |story| participation(story, 2, 2).participant = "#".into(),
            &["reports[2].account.participations[2].participant", "reports[2].account.participations[2].participant"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_story_participant_that_no_report_uses_is_refused() {
    assert_refused_fields(&[
        (
            |story| {
                let unused = StoryParticipant { key: "unused".into(), ..story.participants[1].clone() };
                story.participants.push(unused);
            },
            &["participants[2].key"],
        ),
        (
            |story| participation(story, 0, 0).participant.clear(),
            &["reports[0].account.participations[0]", "participants[1].key"],
        ),
        // The key of a report need not be used.
        (|story| story.reports[1].key = "second, again".into(), &["reports[0].account.links[0].meeting"]),
    ])
    .await;
}

#[tokio::test]
async fn a_repeated_story_key_is_refused() {
    assert_refused_fields(&[
        (
            |story| {
                let again = story.participants[1].clone();
                story.participants.push(again);
            },
            &["participants[2].key"],
        ),
        (|story| story.reports[2].key = "second".into(), &["reports[2].key"]),
    ])
    .await;
}

#[tokio::test]
async fn a_story_refuses_equal_reports_for_two_meetings() {
    const OTHER: &str = "meetings/0198f2d1-7c0e-7000-8000-0123456789ab";
    const ANOTHER: &str = "meetings/0198f2d1-7c0e-7000-8000-0123456789ac";
    assert_refused_fields(&[
        (
            |story| {
                let again = StoryReport { key: "again".into(), ..story.reports[1].clone() };
                story.reports.push(again);
            },
            &[],
        ),
        (
            |story| {
                story.reports[1].meeting = OTHER.into();
                let again = StoryReport { key: "again".into(), ..story.reports[1].clone() };
                story.reports.push(StoryReport { meeting: ANOTHER.into(), ..again });
            },
            &["reports[3]"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_story_participant_needs_a_name_or_a_description() {
    assert_refused_fields(&[
        (|story| story.participants[1].participant = None, &["participants[1].participant"]),
        (|story| participant(story, 1).display_name.clear(), &["participants[1].participant.display_name"]),
        (
            |story| *participant(story, 1) = Participant::default(),
            &["participants[1].participant.kind", "participants[1].participant.display_name"],
        ),
        (
            |story| participant(story, 0).name = "meetings/0198f2d1-7c0e-7000-8000-0123456789ab".into(),
            &["participants[0].participant.name"],
        ),
        (|story| participant(story, 0).name = "participants/7".into(), &["participants[0].participant.name"]),
        // Other fields of a participant with a name are ignored.
        (|story| participant(story, 0).region_code = "nowhere".into(), &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_story_key_is_refused_outside_a_story() {
    let mut world = World::new().await;
    let use_keys = |account: &mut readout::pb::Account| {
        account.participations[1].participant = "#veliyev".into();
        account.links[0].meeting = "#visit".into();
    };
    let mut request: CreateMeetingRequest = base::create_meeting(&world);
    use_keys(request.meeting.as_mut().unwrap().account.as_mut().unwrap());
    let status = world.service.meetings.create_meeting(request).await.unwrap_err();
    let fields = ["meeting.account.participations[1].participant", "meeting.account.links[0].meeting"];
    assert_eq!(Refused::from(status), Refused::invalid(fields));

    let mut request: AddReportRequest = base::add_report(&world);
    use_keys(request.report.as_mut().unwrap().account.as_mut().unwrap());
    let status = world.service.meetings.add_report(request).await.unwrap_err();
    let fields = ["report.account.participations[1].participant", "report.account.links[0].meeting"];
    assert_eq!(Refused::from(status), Refused::invalid(fields));
}

#[tokio::test]
async fn ingest_story_reports_all_violations_at_once_in_field_order() {
    let mut world = World::new().await;
    let mut request: IngestStoryRequest = base::ingest(&world);
    request.request_id = "x".repeat(65);
    request.participant_matching = 9;
    let story = request.story.as_mut().unwrap();
    let article = story.article.as_mut().unwrap();
    article.uri.clear();
    article.publish_date = Some(readout::pb::Date { year: 2021, month: 2, day: 29 });
    story.participants[1].participant.as_mut().unwrap().region_code = "az".into();
    story.extractor.as_mut().unwrap().confidence = 1.5;
    story.reports[2].evidence[0].quote = "words that nobody wrote".into();
    let account = story.reports[2].account.as_mut().unwrap();
    account.participations[0].roles.push(99);
    account.statements[1].speakers[1] = "nobody".into();
    account.links[0].kind = 0;
    let refused = Refused::from(world.service.ingest.ingest_story(request).await.unwrap_err());
    assert_eq!(
        refused,
        Refused::invalid([
            "story.article.uri",
            "story.article.publish_date",
            "story.reports[2].account.participations[0].roles[1]",
            "story.reports[2].account.links[0].kind",
            "story.reports[2].account.statements[1].speakers[1]",
            "story.extractor.confidence",
            "story.participants[1].participant.region_code",
            "request_id",
            "participant_matching",
            "story.reports[2].evidence[0].quote",
        ])
    );
}
