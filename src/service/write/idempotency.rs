//! Idempotent writes: reads a write request with its caller, and answers a repeated request with the stored answer.
//!
//! A caller who sets `request_id` may repeat a request safely. The answer is stored in the transaction of the write,
//! under the caller, the method and the id, together with a hash of the request.

use std::sync::{Arc, atomic::AtomicBool};

use prost::Message;
use tonic::Request;

use super::{
    WritePlan,
    scope::{Subject, WriteScope},
};
use crate::{
    model::{
        canonical::{Canonical, content},
        rules::{Check, ClearOutput},
    },
    pb::{
        AddReportRequest, BindParticipationRequest, CreateArticleRequest, CreateMeetingRequest,
        CreateParticipantRequest, DeleteArticleRequest, DeleteMeetingRequest, DeleteParticipantRequest,
        EraseArticleTextRequest, JudgeParticipantsRequest, MergeMeetingsRequest, MergeParticipantsRequest,
        RetractReportRequest, SplitMeetingRequest, UndeleteArticleRequest, UndeleteMeetingRequest,
        UndeleteParticipantRequest, UnmergeParticipantRequest, UpdateArticleRequest, UpdateMeetingRequest,
        UpdateParticipantRequest,
    },
    service::{
        check,
        error::ServiceError,
        metadata::{actor, origin},
    },
    store::{
        Store,
        origin::Origin,
        write::{Answer, Write, idempotency},
    },
};

/// The identity of a write request: its caller, method and request id.
#[derive(Debug, Clone)]
pub struct WriteCall {
    /// The caller, as recorded with the write.
    pub actor: String,
    /// The origin in the audit log.
    origin: Origin,
    /// Full name of the method.
    pub method: &'static str,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// The scopes of the caller.
    pub scope: WriteScope,
    /// The article of the request, if the caller has scopes.
    subject: Subject,
    /// Hash of the canonical request.
    body_hash: BodyHash,
    /// Hash of the request as it was sent, before canonicalisation. Answers stored by release 0.1.0 have this one.
    former_body_hash: BodyHash,
    /// True once its reports without required evidence are counted: a lost write is prepared again.
    pub is_evidence_counted: Arc<AtomicBool>,
}

type BodyHash = [u8; 32];

/// The request of a unary write method.
pub trait WriteRequest: Message + Canonical + Clone {
    /// Full name of the method.
    const METHOD: &'static str;
    /// The caller's id for the request; empty without one.
    fn request_id(&self) -> &str;
    /// True if the request is only to be checked, and nothing written.
    fn validate_only(&self) -> bool;
    /// The article by which the write is in scope.
    fn subject(&self) -> Subject;
    /// The reason that the caller gives; empty without one.
    fn reason(&self) -> &str {
        ""
    }
}

macro_rules! write_requests {
    ($service:literal: $($method:literal $request:ident($subject:expr) $($reason:ident)?),+) => {
        $(impl WriteRequest for $request {
            const METHOD: &'static str = concat!("readout.v1.", $service, "/", $method);

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }

            fn subject(&self) -> Subject {
                let subject: fn(&Self) -> Subject = $subject;
                subject(self)
            }

            $(fn reason(&self) -> &str {
                &self.$reason
            })?
        })+
    };
}

write_requests!("ArticleService":
    "CreateArticle" CreateArticleRequest(|request| Subject::of_new(request.article.as_ref())),
    "UpdateArticle" UpdateArticleRequest(|request| {
        Subject::Stored(request.article.as_ref().map(|article| article.name.clone()).unwrap_or_default())
    }),
    "DeleteArticle" DeleteArticleRequest(|request| Subject::Stored(request.name.clone())),
    "UndeleteArticle" UndeleteArticleRequest(|request| Subject::Stored(request.name.clone())),
    "EraseArticleText" EraseArticleTextRequest(|request| Subject::Stored(request.name.clone())) reason);
write_requests!("ParticipantService":
    "CreateParticipant" CreateParticipantRequest(|_| Subject::None),
    "UpdateParticipant" UpdateParticipantRequest(|_| Subject::None),
    "DeleteParticipant" DeleteParticipantRequest(|_| Subject::None),
    "UndeleteParticipant" UndeleteParticipantRequest(|_| Subject::None),
    "MergeParticipants" MergeParticipantsRequest(|_| Subject::None) reason,
    "UnmergeParticipant" UnmergeParticipantRequest(|_| Subject::None) reason,
    "JudgeParticipants" JudgeParticipantsRequest(|_| Subject::None) reason);
write_requests!("MeetingService":
    "CreateMeeting" CreateMeetingRequest(|request| Subject::Stored(request.source_article.clone())),
    "AddReport" AddReportRequest(|request| {
        Subject::Stored(request.report.as_ref().map(|report| report.article.clone()).unwrap_or_default())
    }),
    "BindParticipation" BindParticipationRequest(|request| Subject::OfReport(request.report.clone())) reason,
    "UpdateMeeting" UpdateMeetingRequest(|_| Subject::None) reason,
    "DeleteMeeting" DeleteMeetingRequest(|_| Subject::None),
    "UndeleteMeeting" UndeleteMeetingRequest(|_| Subject::None),
    "RetractReport" RetractReportRequest(|request| Subject::OfReport(request.name.clone())) reason,
    "MergeMeetings" MergeMeetingsRequest(|_| Subject::None) reason,
    "SplitMeeting" SplitMeetingRequest(|_| Subject::None) reason);

impl WriteCall {
    /// Reads a write request whose output-only fields are ignored and whose fields keep the rules of the contract.
    ///
    /// # Errors
    /// `Invalid` for broken rules, and those of [`actor`].
    pub fn read_checked<R: WriteRequest + ClearOutput + Check>(request: Request<R>) -> Result<(Self, R), ServiceError> {
        Self::read_completed(request, |_| ())
    }

    /// As [`Self::read_checked`], for a request with parts that a caller may leave out: `complete` adds them before the
    /// check.
    ///
    /// # Errors
    /// Those of [`Self::read_checked`].
    pub fn read_completed<R: WriteRequest + ClearOutput + Check>(
        request: Request<R>,
        complete: impl FnOnce(&mut R),
    ) -> Result<(Self, R), ServiceError> {
        let (call, mut request) = Self::read(request)?;
        complete(&mut request);
        request.clear_output();
        check(&request)?;
        Ok((call, request))
    }

    /// Splits a request into its call and its canonical message, which is not checked.
    ///
    /// # Errors
    /// Those of [`actor`].
    pub fn read<R: WriteRequest>(request: Request<R>) -> Result<(Self, R), ServiceError> {
        let actor = actor(&request)?;
        let (mut origin, scope) = (origin(&request, R::METHOD)?, WriteScope::of(&request, R::METHOD)?);
        let mut request = request.into_inner();
        request.reason().clone_into(&mut origin.reason);
        let id = if request.validate_only() { String::new() } else { request.request_id().to_owned() };
        let mut call = Self::new(origin, (actor, scope), id, &mut request);
        if call.scope.is_bound() {
            call.subject = request.subject();
        }
        Ok((call, request))
    }

    /// A call of the origin's method; makes the request canonical. Pass an empty `request_id` for a request that is only
    /// validated: its answer is then not stored.
    pub fn new(
        origin: Origin,
        (actor, scope): (String, WriteScope),
        request_id: String,
        request: &mut (impl Message + Canonical + Clone),
    ) -> Self {
        let (body_hash, former_body_hash) = ([0; 32], [0; 32]);
        let (method, subject) = (origin.method, Subject::None);
        let is_evidence_counted = Arc::default();
        let mut call = Self {
            actor,
            origin,
            method,
            request_id,
            scope,
            subject,
            body_hash,
            former_body_hash,
            is_evidence_counted,
        };
        if call.request_id.is_empty() {
            request.canonicalize();
            return call;
        }
        call.former_body_hash = hash_of(request);
        request.canonicalize();
        call.body_hash = hash_of(&content(request.clone()));
        call
    }

    /// The stored answer to this request.
    ///
    /// # Errors
    /// `RequestIdReused` if the request id was used before with another body.
    pub async fn stored_answer<T: Message + Default>(&self, store: &Store) -> Result<Option<T>, ServiceError> {
        if self.request_id.is_empty() {
            return Ok(None);
        }
        let found = idempotency::find(store.reads(), &self.actor, self.method, &self.request_id).await?;
        let Some((body_hash, answer)) = found else { return Ok(None) };
        if body_hash != self.body_hash && body_hash != self.former_body_hash {
            return Err(ServiceError::RequestIdReused(self.request_id.clone()));
        }
        // Another release may have stored fields that this one does not know; prost skips them.
        Ok(T::decode(answer.as_slice()).ok())
    }

    /// Prepares a write, unless the request was answered before: then the plan is the stored answer.
    ///
    /// # Errors
    /// Those of [`Self::stored_answer`] and of `prepare`, and `OutOfScope`.
    pub async fn with_idempotency<T: Message + Default>(
        &self,
        store: &Store,
        prepare: impl Future<Output = Result<WritePlan<T>, ServiceError>>,
    ) -> Result<WritePlan<T>, ServiceError> {
        self.scope.require_subject(store, &self.subject).await?;
        if let Some(answer) = self.stored_answer(store).await? {
            return Ok(WritePlan::Unchanged(answer));
        }
        let prepared = prepare.await;
        if let Ok(WritePlan::Write(_, writes)) = &prepared {
            writes.iter().try_for_each(|write| self.scope.check(write))?;
        }
        match prepared {
            // A concurrent retry of this request may have caused the error by succeeding: return its stored answer.
            Err(error) => self.stored_answer(store).await?.map(WritePlan::Unchanged).ok_or(error),
            plan => plan,
        }
    }

    /// An empty write of this call.
    pub fn empty_write(&self) -> Write {
        Write {
            actor: self.actor.clone(),
            audit: Some(self.origin.clone()),
            request_id: self.request_id.clone(),
            ..Default::default()
        }
    }

    /// A write of this call that stores only the answer.
    pub fn write(&self, answer: &impl Message) -> Write {
        Write { answer: self.answer_to_store(answer), ..self.empty_write() }
    }

    /// The answer to store with the write; none without a request id.
    pub fn answer_to_store(&self, answer: &impl Message) -> Option<Answer> {
        let has_id = !self.request_id.is_empty();
        has_id.then(|| Answer { method: self.method, body_hash: self.body_hash, bytes: answer.encode_to_vec() })
    }
}

fn hash_of(message: &impl Message) -> BodyHash {
    *blake3::hash(&message.encode_to_vec()).as_bytes()
}
