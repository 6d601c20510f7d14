//! Who calls, and whether it is the first time.

use std::time::Duration;

use prost::Message;
use tonic::{Request, codegen::http::HeaderMap, metadata::MetadataMap};

use crate::{
    access::{Denied, Principal},
    model::{
        canonical::{Canonical, content},
        role::Role,
        rules::{Check, Path, Violations},
        text::quoted::shown,
    },
    pb::{
        AddReportRequest, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, DeleteArticleRequest,
        DeleteMeetingRequest, DeleteParticipantRequest, MergeMeetingsRequest, RetractReportRequest,
        SplitMeetingRequest, UndeleteArticleRequest, UndeleteMeetingRequest, UndeleteParticipantRequest,
        UpdateArticleRequest, UpdateMeetingRequest, UpdateParticipantRequest,
    },
    service::{WritePlan, error::ServiceError},
    store::{
        Store,
        write::{Answer, Write, idempotency},
    },
};

/// A request that writes.
#[derive(Debug, Clone)]
pub struct WriteCall {
    /// Who asks for it.
    pub actor: String,
    /// Full name of the method.
    pub method: &'static str,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// Hash of the request's content.
    body_hash: BodyHash,
    /// Hash of the request as it was spelled. Release 0.1.0 stored this one.
    former_body_hash: BodyHash,
}

type BodyHash = [u8; 32];

/// The metadata in which callers say who they are, in at most so many characters.
const ACTOR: &str = "readout-actor";
const LONGEST_ACTOR: usize = 128;

/// Who asks: it is recorded with whatever is written, and its request ids are its own. Only where nobody is asked for
/// credentials, and all may do everything, is that who a caller says it is.
pub fn actor<T>(request: &Request<T>) -> Result<String, ServiceError> {
    // Nothing gets here but through the layer that knows who calls.
    let principal = request.extensions().get::<Principal>().ok_or(ServiceError::Defect)?;
    let Some(said) = said(request.metadata())? else { return Ok(principal.name.to_string()) };
    match principal {
        Principal { is_open: true, .. } => Ok(said.to_owned()),
        Principal { role: Role::Admin, name, .. } => Ok(format!("{said} via {name}")),
        Principal { role, .. } => Err(Denied::ActorNotAllowed(*role).into()),
    }
}

fn said(metadata: &MetadataMap) -> Result<Option<&str>, Violations> {
    let Some(said) = metadata.get(ACTOR) else { return Ok(None) };
    let sent = said.as_bytes();
    let said = said.to_str().unwrap_or_default();
    let mut violations = Violations::default();
    if said.trim().is_empty() || said.len() > LONGEST_ACTOR {
        violations.add(
            &Path::ROOT.field(ACTOR),
            format!(
                "must have 1 to {LONGEST_ACTOR} visible ASCII characters, not {} bytes: {}",
                sent.len(),
                shown(&String::from_utf8_lossy(sent))
            ),
        );
    }
    violations.into_result().map(|()| Some(said))
}

/// The metadata that says how long the caller waits: up to eight digits and a unit (gRPC over HTTP2).
const TIMEOUT: &str = "grpc-timeout";

/// How long the caller waits for the answer. Whoever says it in a way that nobody understands would wait for longer than
/// they want to, and is refused, as grpc-go does.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Violations> {
    let Some(said) = headers.get(TIMEOUT) else { return Ok(None) };
    let duration = said.to_str().ok().and_then(duration);
    let mut violations = Violations::default();
    if duration.is_none() {
        let sent = shown(&String::from_utf8_lossy(said.as_bytes()));
        violations
            .add(&Path::ROOT.field(TIMEOUT), format!("must be up to eight digits and a unit, as 1500m, not {sent}"));
    }
    violations.into_result().map(|()| duration)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(60 * 60),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

/// The same, less what is lost on the way back.
pub fn patience(metadata: &MetadataMap) -> Option<Duration> {
    Some(timeout(metadata.as_ref()).ok()??.mul_f64(0.95))
}

/// The request of a unary method that writes.
pub trait Writing: Message + Canonical + Clone {
    /// Full name of the method.
    const METHOD: &'static str;
    /// The caller's id for the request; empty without one.
    fn request_id(&self) -> &str;
    /// Whether the caller only wants to know.
    fn validate_only(&self) -> bool;
}

macro_rules! writing {
    ($service:literal: $($method:literal $request:ident),+) => {
        $(impl Writing for $request {
            const METHOD: &'static str = concat!("readout.v1.", $service, "/", $method);

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }
        })+
    };
}

writing!("ArticleService": "CreateArticle" CreateArticleRequest, "UpdateArticle" UpdateArticleRequest,
    "DeleteArticle" DeleteArticleRequest, "UndeleteArticle" UndeleteArticleRequest);
writing!("ParticipantService": "CreateParticipant" CreateParticipantRequest,
    "UpdateParticipant" UpdateParticipantRequest, "DeleteParticipant" DeleteParticipantRequest,
    "UndeleteParticipant" UndeleteParticipantRequest);
writing!("MeetingService": "CreateMeeting" CreateMeetingRequest, "AddReport" AddReportRequest,
    "UpdateMeeting" UpdateMeetingRequest, "DeleteMeeting" DeleteMeetingRequest,
    "UndeleteMeeting" UndeleteMeetingRequest, "RetractReport" RetractReportRequest,
    "MergeMeetings" MergeMeetingsRequest, "SplitMeeting" SplitMeetingRequest);

impl WriteCall {
    /// Takes a request apart into its caller and its canonical message.
    pub fn read<R: Writing>(request: Request<R>) -> Result<(Self, R), ServiceError> {
        let actor = actor(&request)?;
        let mut request = request.into_inner();
        let id = if request.validate_only() { String::new() } else { request.request_id().to_owned() };
        let call = Self::new(R::METHOD, actor, id, &mut request);
        Ok((call, request))
    }

    /// A call of `method`. Makes the request canonical. A request that is only validated has an empty id, so that its answer
    /// is not remembered.
    pub fn new(
        method: &'static str,
        actor: String,
        request_id: String,
        request: &mut (impl Message + Canonical + Clone),
    ) -> Self {
        let mut call = Self { actor, method, request_id, body_hash: [0; 32], former_body_hash: [0; 32] };
        if call.request_id.is_empty() {
            request.canonicalize();
            return call;
        }
        call.former_body_hash = hash_of(request);
        request.canonicalize();
        call.body_hash = hash_of(&content(request.clone()));
        call
    }

    /// What the same request was answered before, if it was. The same id with another body is refused.
    pub async fn answered<T: Message + Default>(&self, store: &Store) -> Result<Option<T>, ServiceError> {
        if self.request_id.is_empty() {
            return Ok(None);
        }
        let found = idempotency::find(store.reads(), &self.actor, self.method, &self.request_id).await?;
        let Some((body_hash, answer)) = found else { return Ok(None) };
        if body_hash != self.body_hash && body_hash != self.former_body_hash {
            return Err(ServiceError::RequestIdReused(self.request_id.clone()));
        }
        // What another release answered with fields that this one does not know is still an answer.
        Ok(T::decode(answer.as_slice()).ok())
    }

    /// Prepares the answer to a request, unless it was answered before.
    pub async fn with_idempotency<T: Message + Default>(
        &self,
        store: &Store,
        prepare: impl Future<Output = Result<WritePlan<T>, ServiceError>>,
    ) -> Result<WritePlan<T>, ServiceError> {
        if let Some(answer) = self.answered(store).await? {
            return Ok(WritePlan::Unchanged(answer));
        }
        match prepare.await {
            // What was in its way may be what its own twin has written meanwhile.
            Err(refusal) => self.answered(store).await?.map(WritePlan::Unchanged).ok_or(refusal),
            prepared => prepared,
        }
    }

    /// A write of nothing yet.
    pub fn nothing(&self) -> Write {
        Write { actor: self.actor.clone(), request_id: self.request_id.clone(), ..Default::default() }
    }

    /// A write of nothing yet but the answer, to be remembered.
    pub fn write(&self, answer: &impl Message) -> Write {
        Write { answer: self.remember(answer), ..self.nothing() }
    }

    /// The answer to remember with the write.
    pub fn remember(&self, answer: &impl Message) -> Option<Answer> {
        let is_named = !self.request_id.is_empty();
        is_named.then(|| Answer { method: self.method, body_hash: self.body_hash, bytes: answer.encode_to_vec() })
    }
}

fn hash_of(message: &impl Message) -> BodyHash {
    *blake3::hash(&message.encode_to_vec()).as_bytes()
}

/// Checks a request against the contract.
pub fn check(request: &impl Check) -> Result<(), Violations> {
    request.violations().into_result()
}
