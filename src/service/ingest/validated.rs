//! Stories as sent: checked against the contract and their own text, before any stored record is read.

use std::collections::HashMap;

use uuid::Uuid;

use super::INGEST_STORIES;
use crate::{
    model::{
        article::{TextHash, take_text},
        article_copies::text_key,
        evidence,
        report::{content, content_hash, content_hash_v1},
        resource::Collection,
        rules::{Check, ClearOutput, Path},
    },
    pb::{
        Article, Extractor, IngestStoryRequest, Participant, ParticipantMatching, Report, StoryReport,
        ingest_story_request::MeetingMatching,
    },
    service::{
        error::ServiceError,
        write::{idempotency::WriteCall, scope::WriteScope},
    },
    store::origin::Origin,
};

/// A story that keeps the rules of the contract.
#[derive(Debug)]
pub struct ValidatedStory {
    pub call: WriteCall,
    pub validate_only: bool,
    pub allow_update: bool,
    pub matching: ParticipantMatching,
    pub meeting_matching: MeetingMatching,
    /// True if the answer names other meetings that may be the same event: their search takes longer than many stories
    /// of a stream take to be written.
    pub names_candidates: bool,
    /// The article in its stored form.
    pub article: Article,
    /// The text, even if it may not be stored; empty if none was sent.
    pub text: String,
    /// The key by which copies are recognised; `None` for a text that is too short.
    pub text_key: Option<TextHash>,
    /// The participants, by key.
    pub participants: Vec<(String, Participant)>,
    pub reports: Vec<ValidatedReport>,
}

/// A report of a validated story.
#[derive(Debug)]
pub struct ValidatedReport {
    pub key: String,
    /// The meeting that the report is to be added to, if the story names one.
    pub meeting: Option<Uuid>,
    /// The report with its hash and completed evidence. Participants are still `#keys`, not names.
    pub report: Report,
    /// The content hash by the first version of the rule, as release 0.1.0 stored it.
    pub former_hash: String,
}

impl ValidatedStory {
    /// Checks a request of this origin.
    ///
    /// # Errors
    /// `Invalid` for broken rules, evidence that the text does not have, and repeated reports.
    pub fn read(
        mut request: IngestStoryRequest,
        origin: &Origin,
        (actor, scope): (&str, &WriteScope),
    ) -> Result<Self, ServiceError> {
        let former_hashes = former_hashes(&request);
        let request_id = if request.validate_only { String::new() } else { request.request_id.clone() };
        let call = WriteCall::new(origin.clone(), (actor.to_owned(), scope.clone()), request_id, &mut request);
        request.clear_output();
        let mut violations = request.violations();
        let (matching, meeting_matching) = (request.participant_matching(), request.meeting_matching());
        let (validate_only, allow_update) = (request.validate_only, request.allow_update);
        let story = request.story.unwrap_or_default();
        let mut article = story.article.unwrap_or_default();
        article.name.clear();
        let text = take_text(&mut article);
        let indexed_text = (!text.is_empty()).then(|| evidence::IndexedText::new(&text));

        let at = Path::ROOT.field("story");
        let at = at.field("reports");
        let mut contents = HashMap::new();
        let mut reports = Vec::with_capacity(story.reports.len());
        for (index, (sent, former_hash)) in story.reports.into_iter().zip(former_hashes).enumerate() {
            let at = at.index(index);
            let (key, meeting) = (sent.key.clone(), Collection::Meetings.id(&sent.meeting));
            let mut report = report(sent, story.extractor.clone());
            report.content_hash = content_hash(&content(&report, indexed_text.as_ref()));
            let earlier = *contents.entry(report.content_hash.clone()).or_insert(index);
            if earlier < index {
                violations.add(&at, format!("repeats an earlier report of this story, that of [{earlier}]"));
            }
            let account = report.account.get_or_insert_default();
            evidence::check(
                &mut report.evidence,
                account,
                indexed_text.as_ref(),
                &at.field("evidence"),
                &mut violations,
            );
            reports.push(ValidatedReport { key, meeting, report, former_hash });
        }
        violations.into_result()?;
        let participants =
            story.participants.into_iter().map(|entry| (entry.key, entry.participant.unwrap_or_default()));
        let participants = participants.collect();
        let text_key = text_key(&text);
        Ok(Self {
            call,
            validate_only,
            allow_update,
            matching,
            meeting_matching,
            names_candidates: origin.method != INGEST_STORIES || meeting_matching == MeetingMatching::Same,
            article,
            text,
            text_key,
            participants,
            reports,
        })
    }

    /// The meetings that the story adds reports to.
    pub fn meetings(&self) -> impl Iterator<Item = Uuid> {
        self.reports.iter().filter_map(|report| report.meeting)
    }

    /// The participants that the story describes and does not name: they are matched or created.
    pub fn unnamed_participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter().map(|(_, participant)| participant).filter(|participant| participant.name.is_empty())
    }
}

fn report(sent: StoryReport, extractor: Option<Extractor>) -> Report {
    let StoryReport { account, prominence, evidence, .. } = sent;
    Report { account, prominence, evidence, extractor, ..Default::default() }
}

/// The first-version hashes of a story's reports. The request must not be canonicalised: these hashes depend on
/// spelling.
fn former_hashes(request: &IngestStoryRequest) -> Vec<String> {
    let story = request.story.iter();
    let reports = story.flat_map(|story| story.reports.iter().map(|report| (report.clone(), story.extractor.clone())));
    reports.map(|(sent, extractor)| content_hash_v1(report(sent, extractor))).collect()
}
