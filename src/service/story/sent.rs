//! A story as it was sent: checked against the contract and its own text, before anything is looked up.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    model::{
        article::{TextHash, nfc, take_text},
        copies::text_key,
        evidence,
        report::content_hash,
        resource::Collection,
        rules::{Check, ClearOutput, Path},
    },
    pb::{Article, IngestStoryRequest, Participant, ParticipantMatching, Report},
    service::{call::Call, refusal::Refusal},
};

/// A story that keeps the rules.
#[derive(Debug)]
pub struct Sent {
    pub call: Call,
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
    pub reports: Vec<SentReport>,
}

/// A report of a story.
#[derive(Debug)]
pub struct SentReport {
    pub key: String,
    /// The meeting that the story names for it.
    pub meeting: Option<Uuid>,
    /// With its hash and completed evidence; `#keys` still stand for names.
    pub report: Report,
}

impl Sent {
    /// Reads a request; `method` is the one that it came by, and `actor` who sent it.
    pub fn read(mut request: IngestStoryRequest, method: &'static str, actor: &str) -> Result<Self, Refusal> {
        let ids = (request.request_id.as_str(), request.validate_only);
        let call = Call::new(method, actor.to_owned(), ids, &request);
        request.clear_output();
        if let Some(article) = request.story.as_mut().and_then(|story| story.article.as_mut()) {
            nfc(&mut article.text);
        }
        let mut violations = request.violations();
        let matching = request.participant_matching();
        let (validate_only, allow_update) = (request.validate_only, request.allow_update);
        let story = request.story.unwrap_or_default();
        let mut article = story.article.unwrap_or_default();
        article.name.clear();
        let text = take_text(&mut article);
        let counted = (!text.is_empty()).then(|| evidence::Text::new(&text));

        let at = Path::ROOT.field("story");
        let at = at.field("reports");
        let mut contents = HashMap::new();
        let mut reports = Vec::with_capacity(story.reports.len());
        for (index, sent) in story.reports.into_iter().enumerate() {
            let at = at.index(index);
            let mut report = Report {
                account: sent.account,
                prominence: sent.prominence,
                evidence: sent.evidence,
                extractor: story.extractor.clone(),
                ..Default::default()
            };
            report.content_hash = content_hash(&report);
            let earlier = *contents.entry(report.content_hash.clone()).or_insert(index);
            if earlier < index {
                violations.add(&at, format!("repeats an earlier report of this story, that of [{earlier}]"));
            }
            let account = report.account.get_or_insert_default();
            evidence::check(&mut report.evidence, account, counted.as_ref(), &at.field("evidence"), &mut violations);
            reports.push(SentReport { key: sent.key, meeting: Collection::Meetings.id(&sent.meeting), report });
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
