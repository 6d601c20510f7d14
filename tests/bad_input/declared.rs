//! Every rule that the contract declares, broken once wherever a request can break it.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};
use readout::pb::{self, IngestStoriesResponse, ingest_stories_response};

use super::{
    base, requests,
    walk::{Case, cases, is_output_only},
    world::{Told, World, told},
};
use crate::support::raw;

/// Fields whose only rule is that those of their message are not, or not all, checked with the request.
const IGNORED: [&str; 5] = [
    // Of a line of an export, which no method takes.
    "ExportReview.review",
    "StoryParticipant.participant",
    "UpdateArticleRequest.article",
    "UpdateMeetingRequest.meeting",
    "UpdateParticipantRequest.participant",
];

/// What else is wrong when a rule is broken: paths without indexes. Anything beyond these fails a test.
fn consequences(case: &Case) -> &'static [&'static str] {
    let field = without_indexes(&case.field);
    let field = field.trim_start_matches("story.reports[].").trim_start_matches("report.");
    match field.trim_start_matches("meeting.").trim_start_matches("account.") {
        // A key that is another one is used by nobody, and what used it uses nothing.
        "story.participants[].key" => {
            &["story.participants[].key", "story.reports[].account.participations[].participant"]
        }
        "story.participants" => &["story.participants[].key"],
        "delegations[].head" => &["participations[].roles"],
        "statements[].speakers" | "statements[].addressees" => {
            &["statements[].speakers[]", "statements[].addressees[]"]
        }
        // One name again and again makes more than there may be.
        "sources" => &["sources[]"],
        "reports" => &["reports[]"],
        // Evidence needs an account with the field, a text, and offsets in it.
        "account" => &["evidence[].field"],
        "evidence[].start" | "evidence[].end" | "story.article" | "story.article.text" => &["evidence[].quote"],
        _ => &[],
    }
}

#[tokio::test]
async fn every_declared_rule_is_enforced_and_names_its_field() {
    let mut world = World::new().await;
    let mut failures = Vec::new();
    for (method, request) in requests::all(&mut world).await {
        let refused = world.call(method, request.encode_to_vec()).await;
        assert_eq!(refused, [], "the base of {method} is not valid");
        for case in cases(&request) {
            let told = world.call(method, case.request.encode_to_vec()).await;
            failures.extend(wrong(method, &case, &told));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn what_a_rule_just_allows_is_not_refused_by_it() {
    let mut world = World::new().await;
    let mut failures = Vec::new();
    for (method, request) in requests::all(&mut world).await {
        for case in cases(&request) {
            let Some(edge) = case.edge else { continue };
            let told = world.call(method, edge.encode_to_vec()).await;
            if told.iter().any(|(_, says)| says.contains(&case.says)) {
                failures.push(format!("{method}: {} of {}: {told:?}", case.rule, case.field));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn a_stream_refuses_story_by_story_for_the_same_and_goes_on() {
    let world = World::new().await;
    let ty = pb::pool().get_message_by_name("readout.v1.IngestStoriesRequest").unwrap();
    let valid = base::ingest(&world).encode_to_vec();
    let mut cases = cases(&DynamicMessage::decode(ty, valid.as_slice()).unwrap());
    // They are many, and some are large.
    cases.retain(|case| case.request.encoded_len() < 64 * 1024);
    let messages = cases.iter().map(|case| case.request.encode_to_vec()).chain([valid]).collect();
    let mut answers = raw::stream(&world.channel, "readout.v1.IngestService/IngestStories", messages).await.unwrap();
    let mut failures = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let answer = IngestStoriesResponse::decode(answers.message().await.unwrap().unwrap().as_slice()).unwrap();
        assert_eq!(answer.index, index as i64);
        let Some(ingest_stories_response::Outcome::Status(status)) = answer.outcome else {
            failures.push(format!("{} of {}: taken", case.rule, case.field));
            continue;
        };
        let status = tonic::Status::with_details(status.code.into(), &status.message, status.encode_to_vec().into());
        failures.extend(wrong("IngestStories", case, &told(&status)));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let last = IngestStoriesResponse::decode(answers.message().await.unwrap().unwrap().as_slice()).unwrap();
    assert!(matches!(last.outcome, Some(ingest_stories_response::Outcome::Result(_))), "{last:?}");
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn no_method_and_no_declared_rule_is_left_out() {
    let mut world = World::new().await;
    let streams = ["readout.v1.IngestStoriesRequest", "readout.v1.WatchChangesRequest"];
    let mut taken: BTreeSet<String> = streams.map(str::to_owned).into();
    let mut broken = BTreeSet::new();
    for (_, request) in requests::all(&mut world).await {
        taken.insert(request.descriptor().full_name().to_owned());
        broken.extend(cases(&request).into_iter().map(|case| case.rule));
    }
    let services = pb::pool().services().filter(|one| one.package_name() == "readout.v1");
    for method in services.flat_map(|one| one.methods().collect::<Vec<_>>()) {
        assert!(taken.contains(method.input().full_name()), "requests.rs has none for {}", method.full_name());
    }
    // The request of a stream has the fields of the unary one, under its own name.
    let validate = pb::pool().get_extension_by_name("buf.validate.field").unwrap();
    for message in pb::pool().all_messages().filter(|one| one.package_name() == "readout.v1") {
        for field in message.fields().filter(|field| !is_output_only(field) && field.options().has_extension(&validate))
        {
            let name = field.full_name().replace("IngestStoriesRequest", "IngestStoryRequest");
            let name = name.replace("WatchChangesRequest", "ListChangesRequest");
            let only_ignored = IGNORED.iter().any(|ignored| name == format!("readout.v1.{ignored}"));
            let of_field = broken.iter().any(|rule| rule.ends_with(&format!(" of {name}")));
            assert!(of_field || only_ignored, "no rule of {name} was broken");
        }
    }
}

/// What is not as it should be in the answer to a case.
fn wrong(method: &str, case: &Case, told: &[Told]) -> Option<String> {
    let expected = consequences(case);
    let is_expected = |field: &str| {
        let field = without_indexes(field);
        field.is_empty() || expected.iter().any(|one| field.ends_with(one))
    };
    let others: Vec<_> = told.iter().filter(|(field, _)| *field != case.field && !is_expected(field)).collect();
    // A participant of a story that has a name is nothing but that name, and what is updated is found by its name.
    let is_name = case.field.ends_with("participant.name")
        || method == "ArticleService/UpdateArticle" && case.field == "article.name"
        || method == "MeetingService/UpdateMeeting" && case.field == "meeting.name";
    let is_told = told.iter().any(|(field, says)| *field == case.field && (is_name || says.contains(&case.says)));
    (!is_told || !others.is_empty()).then(|| {
        let told: Vec<_> = told.iter().take(5).collect();
        format!("{method}: {}: expected {} {:?}, was told {told:?}", case.rule, case.field, case.says)
    })
}

fn without_indexes(field: &str) -> String {
    field.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
