//! The requests of all methods, from their bytes to the check of their rules.

use prost::Message;
use readout::{
    model::{
        canonical::{Canonical, content},
        rules::{Check, ClearOutput},
    },
    pb::*,
    service::error::ServiceError,
};
use tonic::{Code, Status};

use super::named;

/// Maximum size of a status in headers: common clients accept 8 KiB of headers.
const MAX_STATUS_BYTES: usize = 8 << 10;

/// A message type that callers send, and the function that reads it as the service does.
type Request = (&'static str, fn(&[u8]));

macro_rules! requests {
    ($($request:ident)+) => { &[$((stringify!($request), read::<$request>)),+] };
}

/// The requests of the contract. A test compares them with the methods.
pub const REQUESTS: &[Request] = requests! {
    AddReportRequest AggregateMeetingsRequest AggregateStatementsRequest BatchGetArticlesRequest BatchGetMeetingsRequest
    BatchGetParticipantsRequest BindParticipationRequest CompareParticipantsRequest CreateArticleRequest CreateMeetingRequest CreateParticipantRequest
    DeleteArticleRequest DeleteMeetingRequest DeleteParticipantRequest EraseArticleTextRequest FindPathRequest
    GetArticleRequest GetMeetingRequest GetParticipantRequest GetReportRequest IngestStoriesRequest IngestStoryRequest
    ListArticleRevisionsRequest ListArticlesRequest ListChangesRequest ListCounterpartsRequest
    JudgeParticipantsRequest ListDuplicateMeetingsRequest ListDuplicatesRequest ListJudgementsRequest
    MatchMeetingsRequest MatchParticipantsRequest MergeParticipantsRequest UnmergeParticipantRequest
    ListAuditEventsRequest ListFilterFieldsRequest ListMeetingRevisionsRequest ListMeetingsRequest ListParticipantRevisionsRequest
    ListParticipantsRequest ListReportsRequest ListStatementsRequest MergeMeetingsRequest RetractReportRequest
    SplitMeetingRequest UndeleteArticleRequest UndeleteMeetingRequest UndeleteParticipantRequest UpdateArticleRequest
    UpdateMeetingRequest UpdateParticipantRequest WatchChangesRequest
};

/// Decodes and checks a request.
pub fn requests(input: &[u8]) {
    let Some((name, bytes)) = named(input) else { return };
    if let Some((_, read)) = REQUESTS.iter().find(|(request, _)| *request == name) {
        read(bytes);
    }
}

fn read<M: Message + Default + Clone + Canonical + ClearOutput + Check>(bytes: &[u8]) {
    let Ok(sent) = M::decode(bytes) else { return };
    let mut request = sent.clone();
    request.canonicalize();
    let canonical = request.encode_to_vec();
    request.canonicalize();
    assert_eq!(request.encode_to_vec(), canonical, "a canonical message stays as it is");
    let content = content(request.clone());
    assert_eq!(self::content(content.clone()).encode_to_vec(), content.encode_to_vec(), "content stays as it is");
    request.clear_output();
    check(&sent);
    check(&request);
}

fn check(request: &impl Check) {
    let violations = request.violations();
    if violations.is_empty() {
        return;
    }
    for violation in violations.iter() {
        super::assert_printable(&violation.description);
        assert!(violation.field.chars().count() <= 200, "{}", violation.field);
    }
    let status = Status::from(ServiceError::Invalid(violations));
    assert_eq!(status.code(), Code::InvalidArgument);
    let size = status.message().len() + status.details().len().div_ceil(3) * 4;
    assert!(size <= MAX_STATUS_BYTES, "a status of {size} bytes");
}
