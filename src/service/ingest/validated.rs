//! A story as it was sent: checked against the contract and its own text, before anything is looked up.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, take_text},
        copies::text_key,
        evidence,
        report::{content, content_hash, former_content_hash},
        resource::Collection,
        rules::{Check, ClearOutput, Path},
    },
    pb::{Article, Extractor, IngestStoryRequest, Participant, ParticipantMatching, Report, StoryReport},
    service::{error::ServiceError, write::idempotency::WriteCall},
};

/// A story that keeps the rules.
#[derive(Debug)]
pub struct ValidatedStory {
    pub call: WriteCall,
    pub validate_only: bool,
    pub allow_update: bool,
    pub matching: ParticipantMatching,
    /// The article in its stored form.
    pub article: Article,
    /// Its text, also one that is not to be kept; empty without one.
    pub text: String,
    /// What the text is compared by, if it is long enough.
    pub text_key: Option<TextHash>,
    /// By key.
    pub participants: Vec<(String, Participant)>,
    pub reports: Vec<ValidatedReport>,
}

/// A report of a story.
#[derive(Debug)]
pub struct ValidatedReport {
    pub key: String,
    /// The meeting that the story names for it.
    pub meeting: Option<Uuid>,
    /// With its hash and completed evidence; `#keys` still stand for names.
    pub report: Report,
    /// The `content_hash` of version 1.
    pub former_hash: String,
}

impl ValidatedStory {
    /// Reads a request; `method` is the one that it came by, and `actor` who sent it.
    pub fn read(mut request: IngestStoryRequest, method: &'static str, actor: &str) -> Result<Self, ServiceError> {
        let former_hashes = former_hashes(&request);
        let request_id = if request.validate_only { String::new() } else { request.request_id.clone() };
        let call = WriteCall::new(method, actor.to_owned(), request_id, &mut request);
        request.clear_output();
        let mut violations = request.violations();
        let matching = request.participant_matching();
        let (validate_only, allow_update) = (request.validate_only, request.allow_update);
        let story = request.story.unwrap_or_default();
        let mut article = story.article.unwrap_or_default();
        article.name.clear();
        let text = take_text(&mut article);
        let counted = (!text.is_empty()).then(|| evidence::IndexedText::new(&text));

        let at = Path::ROOT.field("story");
        let at = at.field("reports");
        let mut contents = HashMap::new();
        let mut reports = Vec::with_capacity(story.reports.len());
        for (index, (sent, former_hash)) in story.reports.into_iter().zip(former_hashes).enumerate() {
            let at = at.index(index);
            let (key, meeting) = (sent.key.clone(), Collection::Meetings.id(&sent.meeting));
            let mut report = report(sent, story.extractor.clone());
            report.content_hash = content_hash(&content(&report, counted.as_ref()));
            let earlier = *contents.entry(report.content_hash.clone()).or_insert(index);
            if earlier < index {
                violations.add(&at, format!("repeats an earlier report of this story, that of [{earlier}]"));
            }
            let account = report.account.get_or_insert_default();
            evidence::check(&mut report.evidence, account, counted.as_ref(), &at.field("evidence"), &mut violations);
            reports.push(ValidatedReport { key, meeting, report, former_hash });
        }
        violations.into_result()?;
        let participants = story.participants.into_iter().map(|one| (one.key, one.participant.unwrap_or_default()));
        let participants = participants.collect();
        let text_key = text_key(&text);
        Ok(Self { call, validate_only, allow_update, matching, article, text, text_key, participants, reports })
    }

    /// The meetings that it adds to.
    pub fn meetings(&self) -> impl Iterator<Item = Uuid> {
        self.reports.iter().filter_map(|one| one.meeting)
    }

    /// What its participants have that others may have too.
    pub fn new_participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter().map(|(_, participant)| participant).filter(|one| one.name.is_empty())
    }
}

fn report(sent: StoryReport, extractor: Option<Extractor>) -> Report {
    let StoryReport { account, prominence, evidence, .. } = sent;
    Report { account, prominence, evidence, extractor, ..Default::default() }
}

/// The version 1 hashes of the reports of a story, which must be as it was sent.
fn former_hashes(request: &IngestStoryRequest) -> Vec<String> {
    let story = request.story.iter();
    let reports = story.flat_map(|story| story.reports.iter().map(|report| (report.clone(), story.extractor.clone())));
    reports.map(|(sent, extractor)| former_content_hash(report(sent, extractor))).collect()
}
