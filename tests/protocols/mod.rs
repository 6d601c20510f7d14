//! Calls in Connect and gRPC-Web, over HTTP/1.1 and HTTP/2.

mod connect;
mod connect_get;
mod connect_streams;
mod cors;
mod every_list;
mod grpc_web;
mod http1;
mod web_pages;

/// Paths of methods.
const GET_PARTICIPANT: &str = "/readout.v1.ParticipantService/GetParticipant";
const LIST_PARTICIPANTS: &str = "/readout.v1.ParticipantService/ListParticipants";
const CREATE_PARTICIPANT: &str = "/readout.v1.ParticipantService/CreateParticipant";
const WATCH_CHANGES: &str = "/readout.v1.ChangeService/WatchChanges";
const INGEST_STORIES: &str = "/readout.v1.IngestService/IngestStories";
const LIST_MEETINGS: &str = "/readout.v1.MeetingService/ListMeetings";
