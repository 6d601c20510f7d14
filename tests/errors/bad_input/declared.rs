//! Every rule that the contract declares, broken wherever a request can break it.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};
use readout::pb::{self, IngestStoriesResponse, ingest_stories_response};

use super::{
    base,
    invalid_cases::{Case, cases, is_output_only},
    requests,
    world::{Violation, World, violations},
};
use crate::support::raw;

/// Fields whose only rule is `ignore`: the rules of their message are not, or not all, checked with the request.
const IGNORED: [&str; 7] = [
    // Part of an export line, which no method accepts.
    "ExportJudgement.verdict",
    "ExportReview.review",
    // Part of a field that only the service sets.
    "Judgement.verdict",
    "StoryParticipant.participant",
    "UpdateArticleRequest.article",
    "UpdateMeetingRequest.meeting",
    "UpdateParticipantRequest.participant",
];

/// Further violations that a broken rule causes, as paths without indexes. Any other violation fails the test.
fn consequences(case: &Case) -> &'static [&'static str] {
    let field = without_indexes(&case.field);
    let field = field.trim_start_matches("story.reports[].").trim_start_matches("report.");
    match field.trim_start_matches("meeting.").trim_start_matches("account.") {
        // A changed key is unused, and references to the former key dangle.
        "story.participants[].key" => {
            &["story.participants[].key", "story.reports[].account.participations[].participant"]
        }
        "story.participants" => &["story.participants[].key"],
        "delegations[].head" => &["participations[].roles"],
        "statements[].speakers" | "statements[].addressees" => {
            &["statements[].speakers[]", "statements[].addressees[]"]
        }
        // A list is lengthened by repeating a name, which then violates uniqueness too.
        "sources" => &["sources[]"],
        "reports" => &["reports[]"],
        // It is lengthened by paths that are no fields of an account.
        "require_evidence" => &["require_evidence[]"],
        // Evidence needs an account with the field, an article text, and offsets within the text.
        "account" => &["evidence[].field"],
        "story.article.text" => &["evidence[].quote", "evidence[].start", "evidence[].end"],
        "evidence[].start" | "evidence[].end" | "evidence[].prefix" | "evidence[].suffix" | "story.article" => {
            &["evidence[].quote"]
        }
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
            let violations = world.call(method, case.request.encode_to_vec()).await;
            failures.extend(mismatch(method, &case, &violations));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn a_value_at_the_limit_of_a_declared_rule_is_accepted() {
    let mut world = World::new().await;
    let mut failures = Vec::new();
    for (method, request) in requests::all(&mut world).await {
        for case in cases(&request) {
            let Some(edge) = case.edge else { continue };
            let violations = world.call(method, edge.encode_to_vec()).await;
            if violations.iter().any(|(_, says)| says.contains(&case.says)) {
                failures.push(format!("{method}: {} of {}: {violations:?}", case.rule, case.field));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn ingest_stories_refuses_each_invalid_story_and_continues() {
    let world = World::new().await;
    let ty = pb::pool().get_message_by_name("readout.v1.IngestStoriesRequest").unwrap();
    let valid = base::ingest(&world).encode_to_vec();
    let mut cases = cases(&DynamicMessage::decode(ty, valid.as_slice()).unwrap());
    // Leaves out large requests: there are many cases.
    cases.retain(|case| case.request.encoded_len() < 64 * 1024);
    let messages = cases.iter().map(|case| case.request.encode_to_vec()).chain([valid]).collect();
    let mut answers = raw::stream(&world.channel, "readout.v1.IngestService/IngestStories", messages).await.unwrap();
    let mut failures = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let answer = IngestStoriesResponse::decode(answers.message().await.unwrap().unwrap().as_slice()).unwrap();
        assert_eq!(answer.index, index as i64);
        let Some(ingest_stories_response::Outcome::Status(status)) = answer.outcome else {
            failures.push(format!("{} of {}: accepted", case.rule, case.field));
            continue;
        };
        let status = tonic::Status::with_details(status.code.into(), &status.message, status.encode_to_vec().into());
        failures.extend(mismatch("IngestStories", case, &violations(&status)));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let last = IngestStoriesResponse::decode(answers.message().await.unwrap().unwrap().as_slice()).unwrap();
    assert!(matches!(last.outcome, Some(ingest_stories_response::Outcome::Result(_))), "{last:?}");
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn bad_input_cases_cover_every_method_and_declared_rule() {
    let mut world = World::new().await;
    let streams = ["readout.v1.IngestStoriesRequest", "readout.v1.WatchChangesRequest"];
    let mut inputs: BTreeSet<String> = streams.map(str::to_owned).into();
    let mut broken = BTreeSet::new();
    for (_, request) in requests::all(&mut world).await {
        inputs.insert(request.descriptor().full_name().to_owned());
        broken.extend(cases(&request).into_iter().map(|case| case.rule));
    }
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        assert!(inputs.contains(method.input().full_name()), "requests.rs has no request for {}", method.full_name());
    }
    // The request of a stream has the fields of the unary request, under its own message name.
    let validate = pb::pool().get_extension_by_name("buf.validate.field").unwrap();
    for message in pb::pool().all_messages().filter(|message| message.package_name() == "readout.v1") {
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

/// Describes how the violations differ from those that the case expects; `None` if they agree.
fn mismatch(method: &str, case: &Case, violations: &[Violation]) -> Option<String> {
    let expected = consequences(case);
    let is_expected = |field: &str| {
        let field = without_indexes(field);
        field.is_empty() || expected.iter().any(|path| field.ends_with(path))
    };
    let others: Vec<_> = violations.iter().filter(|(field, _)| *field != case.field && !is_expected(field)).collect();
    // A story participant with a name is a reference by that name, and an update finds its record by name, so that
    // another description is reported.
    let is_name = case.field.ends_with("participant.name")
        || method == "ArticleService/UpdateArticle" && case.field == "article.name"
        || method == "MeetingService/UpdateMeeting" && case.field == "meeting.name";
    let is_reported =
        violations.iter().any(|(field, says)| *field == case.field && (is_name || says.contains(&case.says)));
    (!is_reported || !others.is_empty()).then(|| {
        let violations: Vec<_> = violations.iter().take(5).collect();
        format!("{method}: {}: expected {} {:?}, got {violations:?}", case.rule, case.field, case.says)
    })
}

fn without_indexes(field: &str) -> String {
    field.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
