//! Stories as sent: checked against the contract and their own text, before any stored record is read.

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    INGEST_STORIES,
    repeats::{DistinctReports, RepeatedReport, ValidatedReport, account_hash},
};
use crate::{
    model::{
        article::{TextHash, take_text},
        article_copies::text_key,
        canonical::composed,
        evidence::{self, AccountField, MAX_REQUIRED_FIELDS},
        report::{content, content_hash, content_hash_v1},
        resource::Collection,
        rules::{Check, ClearOutput, Path, Strings, Violations},
        story::complete,
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
    /// The fields that must have evidence, besides those of the policy of the service.
    pub required_evidence: Vec<AccountField>,
    /// The article in its stored form.
    pub article: Article,
    /// The text, even if it may not be stored; empty if none was sent.
    pub text: String,
    /// The key by which copies are recognised; `None` for a text that is too short.
    pub text_key: Option<TextHash>,
    /// The participants, by key.
    pub participants: Vec<(String, Participant)>,
    /// The reports, each account once.
    pub reports: Vec<ValidatedReport>,
    /// The reports that are stored as one of these.
    pub repeated: Vec<RepeatedReport>,
    /// The warning about its markup, if it has any.
    pub markup: Option<String>,
}

impl ValidatedStory {
    /// Checks a request of this origin.
    ///
    /// # Errors
    /// `Invalid` for broken rules, evidence that the text does not have, and equal reports for two meetings.
    pub fn read(
        mut request: IngestStoryRequest,
        origin: &Origin,
        (actor, scope): (&str, &WriteScope),
    ) -> Result<Self, ServiceError> {
        let former_hashes = former_hashes(&request);
        let sent_text = text_as_sent(&request);
        let request_id = if request.validate_only { String::new() } else { request.request_id.clone() };
        let call = WriteCall::new(origin.clone(), (actor.to_owned(), scope.clone()), request_id, &mut request);
        request.clear_output();
        let mut violations = Violations::default();
        let at = Path::ROOT.field("story");
        request.story.iter_mut().for_each(|story| complete(story, &at, &mut violations));
        request.check_strings(&Path::ROOT, &mut violations);
        request.check(&Path::ROOT, &mut violations);
        let (matching, meeting_matching) = (request.participant_matching(), request.meeting_matching());
        let (validate_only, allow_update) = (request.validate_only, request.allow_update);
        let offset_encoding = request.offset_encoding();
        let required_evidence = read_fields(&request.require_evidence, &mut violations);
        let story = request.story.unwrap_or_default();
        let markup = super::markup::warning(&story, &at);
        let mut article = story.article.unwrap_or_default();
        article.name.clear();
        let text = take_text(&mut article);
        let index = || evidence::IndexedText::new(&text).with_offsets_in(offset_encoding, sent_text.as_deref());
        let indexed_text = (!text.is_empty()).then(index);

        let at = at.field("reports");
        let mut reports = DistinctReports::default();
        for (index, (sent, former_hash)) in story.reports.into_iter().zip(former_hashes).enumerate() {
            let at = at.index(index);
            let (key, meeting) = (sent.key.clone(), Collection::Meetings.id(&sent.meeting));
            let mut report = report(sent, story.extractor.clone());
            let account = report.account.get_or_insert_default();
            evidence::check(
                &mut report.evidence,
                account,
                indexed_text.as_ref(),
                &at.field("evidence"),
                &mut violations,
            );
            // The hash is that of the evidence as it is stored: it does not depend on the spelling of quotes.
            let content = content(&report, indexed_text.as_ref());
            report.content_hash = content_hash(&content);
            let account = account_hash(content.account.as_ref());
            let other_hashes = Vec::new();
            let sent = ValidatedReport { key, position: index, meeting, report, former_hash, other_hashes };
            reports.add(sent, account, &at, &mut violations);
        }
        violations.into_result()?;
        let hash = |report: &Report| content_hash(&content(report, indexed_text.as_ref()));
        let (reports, repeated) = reports.into_parts(hash);
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
            required_evidence,
            article,
            text,
            text_key,
            participants,
            reports,
            repeated,
            markup,
        })
    }

    /// The warnings that name the repeated reports.
    pub fn repeat_warnings(&self) -> impl Iterator<Item = String> {
        self.repeated.iter().map(|repeated| {
            let (key, first) = (&repeated.key, &self.reports[repeated.of].key);
            format!("report {key:?}: tells the same account as report {first:?}; they are stored as one report")
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

/// Reads the fields that a request requires evidence for. Adds those that are no fields of an account to `out`.
fn read_fields(paths: &[String], out: &mut Violations) -> Vec<AccountField> {
    let at = Path::ROOT.field("require_evidence");
    let mut fields = Vec::with_capacity(paths.len());
    // The declared rules refuse an empty path, and more paths than this.
    let paths = paths.iter().enumerate().filter(|(_, path)| !path.is_empty()).take(MAX_REQUIRED_FIELDS);
    for (index, path) in paths {
        match AccountField::parse(path) {
            Ok(field) => fields.push(field),
            Err(description) => out.add(&at.index(index), description),
        }
    }
    fields
}

/// The text as sent, if it is not in the stored form and evidence has offsets in it.
fn text_as_sent(request: &IngestStoryRequest) -> Option<String> {
    let story = request.story.as_ref()?;
    let text = &story.article.as_ref()?.text;
    let mut evidence = story.reports.iter().flat_map(|report| &report.evidence);
    let has_offsets = evidence.any(|cited| (cited.start, cited.end) != (0, 0));
    (has_offsets && matches!(composed(text), Cow::Owned(_))).then(|| text.clone())
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
